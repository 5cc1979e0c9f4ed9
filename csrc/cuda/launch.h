// How kernels are started: one helper that passes the stream and checks the launch. Kernels never synchronise and never
// allocate; a failure comes back as text, which the bindings turn into a Python exception.
//   launch("softmax", softmax_kernel<float>, grid, block, shared_bytes, stream, arguments...);
#pragma once
#include <stdexcept>
#include <string>

#include "cuda/prim.h"

namespace fastnn {
namespace cuda {

#ifdef FASTNN_EMU

// Of the device in use: 80, 90, 100. The emulator has all of their instructions.
inline int device_capability() { return emu::capability; }
inline int device_multiprocessors() { return emu::multiprocessors; }
inline size_t device_block_shared() { return emu::block_shared; }

template <class... Params, class... Args>
void launch_emulated(const emu::Launch& how, void (*kernel)(Params...), Args... args) {
  std::tuple<typename std::decay<Params>::type...> params(args...);
  auto call = [&] { std::apply(kernel, params); };
  emu::run(how, [](void* c) { (*static_cast<decltype(call)*>(c))(); }, &call);
}

template <class... Params, class... Args>
void launch(const char* what, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared, cudaStream_t,
            Args... args) {
  launch_emulated({what, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared}, kernel, args...);
}
// Clusters of `cluster` blocks along x (sm_90 and later).
template <class... Params, class... Args>
void launch_cluster(const char* what, void (*kernel)(Params...), dim3 grid, dim3 block, unsigned cluster, size_t shared,
                    cudaStream_t, Args... args) {
  launch_emulated({what, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared, cluster}, kernel, args...);
}
// All blocks at once, so that they can wait for each other.
template <class... Params, class... Args>
void launch_cooperative(const char* what, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared, cudaStream_t,
                        Args... args) {
  launch_emulated({what, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared, 1, true}, kernel, args...);
}

#else

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // sticky otherwise: the next, innocent call would report it again
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// Of the device in use: 80, 90, 100.
inline int device_capability() {
  int device = 0, major = 0, minor = 0;
  check(cudaGetDevice(&device), "device");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "device");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "device");
  return major * 10 + minor;
}
// How many multiprocessors it has.
inline int device_multiprocessors() {
  int device = 0, count = 0;
  check(cudaGetDevice(&device), "device");
  check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device), "device");
  return count;
}

// Bytes of shared memory that a block may ask for: 227 KB of sm_90 and sm_100, 163 KB of sm_80, 99 KB of the others.
inline size_t device_block_shared() {
  int device = 0, bytes = 0;
  check(cudaGetDevice(&device), "device");
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "device");
  return static_cast<size_t>(bytes);
}

template <class... Params>
void allow_shared(const char* what, void (*kernel)(Params...), size_t shared) {
  if (shared > 48 * 1024)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared)),
          what);
}

template <class... Params, class... Args>
void launch(const char* what, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
            Args... args) {
  allow_shared(what, kernel, shared);
  // clang-format off
  kernel<<<grid, block, shared, stream>>>(args...);
  // clang-format on
  check(cudaGetLastError(), what);
}

template <class... Params, class... Args>
void launch_with(const char* what, cudaLaunchAttribute attribute, void (*kernel)(Params...), dim3 grid, dim3 block,
                 size_t shared, cudaStream_t stream, Args... args) {
  allow_shared(what, kernel, shared);
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared;
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), what);
}

// Clusters of `cluster` blocks along x (sm_90 and later).
template <class... Params, class... Args>
void launch_cluster(const char* what, void (*kernel)(Params...), dim3 grid, dim3 block, unsigned cluster, size_t shared,
                    cudaStream_t stream, Args... args) {
  cudaLaunchAttribute a = {};
  a.id = cudaLaunchAttributeClusterDimension;
  a.val.clusterDim.x = cluster;
  a.val.clusterDim.y = a.val.clusterDim.z = 1;
  launch_with(what, a, kernel, grid, block, shared, stream, args...);
}

// All blocks at once, so that they can wait for each other.
template <class... Params, class... Args>
void launch_cooperative(const char* what, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared,
                        cudaStream_t stream, Args... args) {
  cudaLaunchAttribute a = {};
  a.id = cudaLaunchAttributeCooperative;
  a.val.cooperative = 1;
  launch_with(what, a, kernel, grid, block, shared, stream, args...);
}

#endif

}  // namespace cuda
}  // namespace fastnn
