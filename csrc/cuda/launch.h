// How kernels are started: one helper that passes the stream and checks the launch. Kernels never synchronise and never
// allocate; a failure comes back as text, which the bindings turn into a Python exception.
#pragma once
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace fastnn {
namespace cuda {

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();  // sticky otherwise: the next, innocent call would report it again
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

template <class... Params, class... Args>
void launch(const char* what, void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
            Args... args) {
  kernel<<<grid, block, shared, stream>>>(args...);
  check(cudaGetLastError(), what);
}

}  // namespace cuda
}  // namespace fastnn
