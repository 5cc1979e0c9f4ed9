// CUDA's own names on a CPU: what prim.h includes in place of CUDA's headers under FASTNN_EMU. Only what our kernels
// use, and stricter than hardware where hardware leaves something undefined.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "cuda/emu/engine.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __restrict__ __restrict
#define __constant__ const
#define __align__(n) alignas(n)

#define threadIdx (::fastnn::emu::current->thread)
#define blockIdx (::fastnn::emu::current->block)
#define blockDim (::fastnn::emu::current->block_dim)
#define gridDim (::fastnn::emu::current->grid_dim)
constexpr int warpSize = 32;

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

#define FASTNN_EMU_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

// ---- barriers ----
inline void __syncthreads(FASTNN_EMU_PLACE) { ::fastnn::emu::barrier(0, 0, true, 0, FASTNN_EMU_HERE); }
inline int __syncthreads_count(int p, FASTNN_EMU_PLACE) {
  return static_cast<int>(::fastnn::emu::barrier(0, 0, true, p != 0, FASTNN_EMU_HERE));
}
inline int __syncthreads_or(int p, FASTNN_EMU_PLACE) {
  return ::fastnn::emu::barrier(0, 0, true, p != 0, FASTNN_EMU_HERE) != 0;
}
inline int __syncthreads_and(int p, FASTNN_EMU_PLACE) {
  return ::fastnn::emu::barrier(0, 0, true, p == 0, FASTNN_EMU_HERE) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, FASTNN_EMU_PLACE) {
  ::fastnn::emu::warp_meet("__syncwarp", mask, nullptr, nullptr, true, FASTNN_EMU_HERE);
}
inline void __threadfence() { ::fastnn::emu::fence(); }
inline void __threadfence_block() { ::fastnn::emu::fence(); }

// ---- warps ----
namespace fastnn {
namespace emu {
uint64_t shuffle(unsigned mask, uint64_t bits, int source, Where where);
unsigned vote(unsigned mask, bool predicate, Where where);  // the ballot
unsigned match_any(unsigned mask, uint64_t bits, Where where);
unsigned lane();

template <class T>
T shuffle_value(unsigned mask, T value, int source, Where where) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable<T>::value, "shuffles move up to 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = shuffle(mask, bits, source, where);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
}  // namespace emu
}  // namespace fastnn

// A lane that would read beyond its segment of `width` lanes keeps its own value.
template <class T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32, FASTNN_EMU_PLACE) {
  int base = static_cast<int>(::fastnn::emu::lane()) & ~(width - 1);
  return ::fastnn::emu::shuffle_value(mask, v, base + (source & (width - 1)), FASTNN_EMU_HERE);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int x, int width = 32, FASTNN_EMU_PLACE) {
  int l = static_cast<int>(::fastnn::emu::lane()), s = l ^ x;
  if (s / width > l / width) s = l;
  return ::fastnn::emu::shuffle_value(mask, v, s, FASTNN_EMU_HERE);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned d, int width = 32, FASTNN_EMU_PLACE) {
  int l = static_cast<int>(::fastnn::emu::lane()), s = l - static_cast<int>(d);
  if (s < (l & ~(width - 1))) s = l;
  return ::fastnn::emu::shuffle_value(mask, v, s, FASTNN_EMU_HERE);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned d, int width = 32, FASTNN_EMU_PLACE) {
  int l = static_cast<int>(::fastnn::emu::lane()), s = l + static_cast<int>(d);
  if (s > (l | (width - 1))) s = l;
  return ::fastnn::emu::shuffle_value(mask, v, s, FASTNN_EMU_HERE);
}
inline unsigned __ballot_sync(unsigned mask, int p, FASTNN_EMU_PLACE) {
  return ::fastnn::emu::vote(mask, p != 0, FASTNN_EMU_HERE);
}
inline int __any_sync(unsigned mask, int p, FASTNN_EMU_PLACE) {
  return ::fastnn::emu::vote(mask, p != 0, FASTNN_EMU_HERE) != 0;
}
inline int __all_sync(unsigned mask, int p, FASTNN_EMU_PLACE) {
  return ::fastnn::emu::vote(mask, p != 0, FASTNN_EMU_HERE) == mask;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T v, FASTNN_EMU_PLACE) {
  uint64_t bits = 0;
  std::memcpy(&bits, &v, sizeof v);
  return ::fastnn::emu::match_any(mask, bits, FASTNN_EMU_HERE);
}

// ---- atomics: relaxed, as the hardware's are ----
namespace fastnn {
namespace emu {
template <class T, class F>
T atomic_update(T* p, F next) {
  using Bits = typename std::conditional<sizeof(T) == 4, uint32_t, uint64_t>::type;
  Bits* at = reinterpret_cast<Bits*>(p);
  before_atomic(p);
  Bits before = __atomic_load_n(at, __ATOMIC_RELAXED), after;
  T old, value;
  do {
    std::memcpy(&old, &before, sizeof old);
    value = next(old);
    std::memcpy(&after, &value, sizeof value);
  } while (!__atomic_compare_exchange_n(at, &before, after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  after_atomic(p);
  return old;
}
}  // namespace emu
}  // namespace fastnn
template <class T, class U>
T atomicAdd(T* p, U v) {
  return ::fastnn::emu::atomic_update(p, [=](T o) { return static_cast<T>(o + static_cast<T>(v)); });
}
template <class T, class U>
T atomicSub(T* p, U v) {
  return ::fastnn::emu::atomic_update(p, [=](T o) { return static_cast<T>(o - static_cast<T>(v)); });
}
template <class T, class U>
T atomicMax(T* p, U v) {
  static_assert(std::is_integral<T>::value, "CUDA has atomicMax for integers");
  return ::fastnn::emu::atomic_update(p, [=](T o) { return o < static_cast<T>(v) ? static_cast<T>(v) : o; });
}
template <class T, class U>
T atomicMin(T* p, U v) {
  static_assert(std::is_integral<T>::value, "CUDA has atomicMin for integers");
  return ::fastnn::emu::atomic_update(p, [=](T o) { return static_cast<T>(v) < o ? static_cast<T>(v) : o; });
}
template <class T, class U>
T atomicOr(T* p, U v) {
  return ::fastnn::emu::atomic_update(p, [=](T o) { return static_cast<T>(o | static_cast<T>(v)); });
}
template <class T, class U>
T atomicAnd(T* p, U v) {
  return ::fastnn::emu::atomic_update(p, [=](T o) { return static_cast<T>(o & static_cast<T>(v)); });
}
template <class T, class U>
T atomicExch(T* p, U v) {
  return ::fastnn::emu::atomic_update(p, [=](T) { return static_cast<T>(v); });
}
template <class T, class U, class V>
T atomicCAS(T* p, U expected, V v) {
  return ::fastnn::emu::atomic_update(p, [=](T o) { return o == static_cast<T>(expected) ? static_cast<T>(v) : o; });
}
inline unsigned atomicInc(unsigned* p, unsigned last) {
  return ::fastnn::emu::atomic_update(p, [=](unsigned o) { return o >= last ? 0u : o + 1; });
}

// ---- arithmetic ----
template <class T>
T __ldg(const T* p) {
  return *p;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t(a) * b) >> 32); }
inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; ++i) r |= (x >> i & 1) << (31 - i);
  return r;
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __int_as_float(int i) {
  float f;
  std::memcpy(&f, &i, 4);
  return f;
}
inline int __float_as_int(float f) {
  int i;
  std::memcpy(&i, &f, 4);
  return i;
}
inline float __uint_as_float(unsigned i) { return __int_as_float(static_cast<int>(i)); }
inline unsigned __float_as_uint(float f) { return static_cast<unsigned>(__float_as_int(f)); }
template <class A, class B>
constexpr typename std::common_type<A, B>::type min(A a, B b) {
  using T = typename std::common_type<A, B>::type;
  return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}
template <class A, class B>
constexpr typename std::common_type<A, B>::type max(A a, B b) {
  using T = typename std::common_type<A, B>::type;
  return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
