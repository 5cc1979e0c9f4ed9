// What kernels include: everything hardware-specific under one name with two bodies, PTX for nvcc and C++ for the
// emulator (FASTNN_EMU: `g++ -x c++`, with emu/*.cpp linked in). Kernels are written in CUDA as usual (threadIdx,
// __syncthreads, __shfl_xor_sync, atomicAdd), except for shared memory, which is declared by the macros below, and for
// loops that wait for memory, which use load_acquire.
#pragma once
#include "cuda/types.h"
#ifdef FASTNN_EMU
#include "cuda/emu/cuda.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

namespace fastnn {
namespace cuda {

template <class T>
using same = T;

// FASTNN_SHARED(tile, float[16][65]): a variable of the block, 16-byte aligned. The emulator fills it with NaN.
// FASTNN_DYNAMIC_SHARED(float, buffer): a pointer to the launch's dynamic shared memory, 1024-byte aligned.
#ifdef FASTNN_EMU
#define FASTNN_SHARED(name, ...)                                                              \
  static const char name##_key_ = 0;                                                          \
  ::fastnn::cuda::same<__VA_ARGS__>& name = *static_cast<::fastnn::cuda::same<__VA_ARGS__>*>( \
      ::fastnn::emu::static_shared(&name##_key_, sizeof(::fastnn::cuda::same<__VA_ARGS__>), #name))
#define FASTNN_DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(::fastnn::emu::current->dynamic_shared)
#else
#define FASTNN_SHARED(name, ...) __shared__ __align__(16)::fastnn::cuda::same<__VA_ARGS__> name
#define FASTNN_DYNAMIC_SHARED(type, name)                                   \
  extern __shared__ __align__(1024) unsigned char fastnn_dynamic_shared_[]; \
  type* name = reinterpret_cast<type*>(fastnn_dynamic_shared_)
#endif

constexpr unsigned kFullWarp = 0xffffffffu;

// ---- 16-bit floats: storage; arithmetic is float's ----
#ifdef FASTNN_EMU
struct bf16 {
  uint16_t bits;
};
struct f16 {
  uint16_t bits;
};
float widen(bf16 x);
float widen(f16 x);
bf16 narrow_bf16(float x);
f16 narrow_f16(float x);
#else
using bf16 = __nv_bfloat16;
using f16 = __half;
#endif

__device__ __forceinline__ float to_float(float x) { return x; }
#ifdef FASTNN_EMU
inline float to_float(bf16 x) { return widen(x); }
inline float to_float(f16 x) { return widen(x); }
#else
__device__ __forceinline__ float to_float(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float to_float(f16 x) { return __half2float(x); }
#endif

// from_float<T>(x): to the nearest, ties to even; NaN stays NaN.
template <class T>
__device__ T from_float(float x);
template <>
__device__ __forceinline__ float from_float<float>(float x) {
  return x;
}
#ifdef FASTNN_EMU
template <>
inline bf16 from_float<bf16>(float x) {
  return narrow_bf16(x);
}
template <>
inline f16 from_float<f16>(float x) {
  return narrow_f16(x);
}
#else
template <>
__device__ __forceinline__ bf16 from_float<bf16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ __forceinline__ f16 from_float<f16>(float x) {
  return __float2half_rn(x);
}
#endif

// ---- 16 bytes at once; the address is a multiple of 16 ----
template <class T>
struct alignas(16) Pack16 {
  static constexpr int size = 16 / sizeof(T);
  T v[size];
  __device__ __forceinline__ T& operator[](int i) { return v[i]; }
  __device__ __forceinline__ const T& operator[](int i) const { return v[i]; }
};

#ifdef FASTNN_EMU
template <class T>
Pack16<T> load16(const T* p, FASTNN_EMU_PLACE) {
  emu::check_aligned(p, 16, FASTNN_EMU_HERE);
  Pack16<T> r;
  for (int i = 0; i < r.size; ++i) r.v[i] = p[i];
  return r;
}
template <class T>
void store16(T* p, const Pack16<T>& x, FASTNN_EMU_PLACE) {
  emu::check_aligned(p, 16, FASTNN_EMU_HERE);
  for (int i = 0; i < x.size; ++i) p[i] = x.v[i];
}
#else
template <class T>
__device__ __forceinline__ Pack16<T> load16(const T* p) {
  union U {
    uint4 bits;
    Pack16<T> pack;
    __device__ U() {}
  } u;
  u.bits = *reinterpret_cast<const uint4*>(p);
  return u.pack;
}
template <class T>
__device__ __forceinline__ void store16(T* p, const Pack16<T>& x) {
  union U {
    uint4 bits;
    Pack16<T> pack;
    __device__ U() {}
  } u;
  u.pack = x;
  *reinterpret_cast<uint4*>(p) = u.bits;
}
#endif

// ---- the line of an address into L2, while other work goes on ----
#ifdef FASTNN_EMU
inline void prefetch_l2(const void*) {}
#else
__device__ __forceinline__ void prefetch_l2(const void* p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }
#endif

// ---- functions whose fast form the compiler must be asked for ----
#ifdef FASTNN_EMU
inline float fast_exp(float x) { return std::exp(x); }
inline float fast_exp2(float x) { return std::exp2(x); }
inline float fast_log(float x) { return std::log(x); }
#else
__device__ __forceinline__ float fast_exp(float x) { return __expf(x); }
__device__ __forceinline__ float fast_exp2(float x) {  // 2 units in the last place; what is subnormal becomes 0
  float r;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
__device__ __forceinline__ float fast_log(float x) { return __logf(x); }
#endif

// ---- barriers of part of a block: id 1 to 15, count a multiple of 32 ----
#ifdef FASTNN_EMU
inline void named_barrier_sync(unsigned id, unsigned count, FASTNN_EMU_PLACE) {
  emu::barrier(id, count, true, 0, FASTNN_EMU_HERE);
}
inline void named_barrier_arrive(unsigned id, unsigned count, FASTNN_EMU_PLACE) {
  emu::barrier(id, count, false, 0, FASTNN_EMU_HERE);
}
#else
__device__ __forceinline__ void named_barrier_sync(unsigned id, unsigned count) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
}
__device__ __forceinline__ void named_barrier_arrive(unsigned id, unsigned count) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
}
#endif

// ---- flags in memory between blocks ----
#ifdef FASTNN_EMU
template <class T>
T load_acquire(const T* p, FASTNN_EMU_PLACE) {
  emu::pause(FASTNN_EMU_HERE);
  T v = __atomic_load_n(p, __ATOMIC_ACQUIRE);
  return v;
}
template <class T>
void store_release(T* p, T v) {
  __atomic_store_n(p, v, __ATOMIC_RELEASE);
}
#else
__device__ __forceinline__ unsigned load_acquire(const unsigned* p) {
  unsigned v;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
__device__ __forceinline__ void store_release(unsigned* p, unsigned v) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}
#endif

// ---- sums over a warp ----
template <class T>
__device__ __forceinline__ T warp_sum(T v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(kFullWarp, v, o);
  return v;
}

}  // namespace cuda
}  // namespace fastnn
