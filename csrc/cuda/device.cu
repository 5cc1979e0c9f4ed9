#include "cuda/device.h"
#include "cuda/launch.h"

namespace fastnn {
namespace cuda {
namespace {
__global__ void architecture(int* out) {
#ifdef __CUDA_ARCH__
  *out = __CUDA_ARCH__ / 10;
#endif
}
}  // namespace

int device_count() {
  int driver = 0, count = 0;
  cudaDriverGetVersion(&driver);  // 0: none installed; cudaGetDeviceCount's own text would speak of a version instead
  if (driver == 0) throw std::runtime_error("fastnn: no CUDA driver is installed on this machine");
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaErrorNoDevice) {
    cudaGetLastError();
    return 0;
  }
  check(error, "fastnn: CUDA devices cannot be used");
  return count;
}

Device device(int index) {
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, index), "device");
  // Which machine code the driver chose is asked of the code itself: a missing architecture shows here, not in a
  // kernel.
  int before = 0, built_for = 0;
  check(cudaGetDevice(&before), "device");
  check(cudaSetDevice(index), "device");
  int* out = nullptr;
  check(cudaMallocManaged(&out, sizeof *out), "device");
  launch("device", architecture, dim3(1), dim3(1), 0, nullptr, out);
  cudaError_t error = cudaDeviceSynchronize();
  if (error == cudaSuccess) built_for = *out;
  cudaFree(out);
  cudaSetDevice(before);
  check(error, "device");
  return {p.name, p.major, p.minor, built_for};
}

std::vector<int> version() {
  int v = 0;
  cudaRuntimeGetVersion(&v);
  return {v / 1000, v % 1000 / 10};
}

}  // namespace cuda
}  // namespace fastnn
