// Vec<T>: one machine register of floats or doubles, for the instruction set that this file is compiled for.
// 64 bytes with AVX-512, 32 with AVX2, else 16 (GCC's portable vector types: SSE2, NEON, anything). Everything is
// always_inline and in an anonymous namespace, so that no symbol of one instruction set can stand in for another's.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12's headers: __m512 __Y = __Y
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#define FASTNN_INLINE inline __attribute__((always_inline))

namespace fastnn {
namespace FASTNN_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVecBytes = 64;
#elif defined(__AVX2__)
constexpr int kVecBytes = 32;
#else
constexpr int kVecBytes = 16;
#endif

// The types behind Vec<T>: `type` the register, `ints` as many signed integers of the same width, `mask` the result of
// a comparison: one bit a lane with AVX-512, elsewhere all ones or all zeros in the lane.
template <class T>
struct Native;
template <>
struct Native<float> {
  typedef float type __attribute__((vector_size(kVecBytes)));
  typedef int32_t int_t;
  typedef int32_t ints __attribute__((vector_size(kVecBytes)));
#if defined(__AVX512F__)
  typedef __mmask16 mask;
#else
  typedef ints mask;
#endif
};
template <>
struct Native<double> {
  typedef double type __attribute__((vector_size(kVecBytes)));
  typedef int64_t int_t;
  typedef int64_t ints __attribute__((vector_size(kVecBytes)));
#if defined(__AVX512F__)
  typedef __mmask8 mask;
#else
  typedef ints mask;
#endif
};

// A comparison's result. & | ~ work on it; select() chooses by it.
template <class T>
struct Mask {
  typename Native<T>::mask m;
  FASTNN_INLINE Mask operator&(Mask o) const { return {static_cast<typename Native<T>::mask>(m & o.m)}; }
  FASTNN_INLINE Mask operator|(Mask o) const { return {static_cast<typename Native<T>::mask>(m | o.m)}; }
  FASTNN_INLINE Mask operator~() const { return {static_cast<typename Native<T>::mask>(~m)}; }
};

template <class T>
struct Vec {
  using V = typename Native<T>::type;
  using I = typename Native<T>::ints;
  static constexpr int size = kVecBytes / static_cast<int>(sizeof(T));
  V v;

  Vec() = default;
  FASTNN_INLINE Vec(V x) : v(x) {}
  FASTNN_INLINE explicit Vec(T x) : v(x - V{}) {}  // x - 0 keeps every x, -0 included: a broadcast

  static FASTNN_INLINE Vec zero() { return V{}; }
  static FASTNN_INLINE Vec load(const T* p) {
    Vec r;
    __builtin_memcpy(&r.v, p, kVecBytes);
    return r;
  }
  FASTNN_INLINE void store(T* p) const { __builtin_memcpy(p, &v, kVecBytes); }
  // The first n lanes, 0 <= n <= size; the others are 0. Nothing beyond p[n - 1] is touched.
  static FASTNN_INLINE Vec load(const T* p, int n);
  FASTNN_INLINE void store(T* p, int n) const;
  // Bits as integers, and back.
  FASTNN_INLINE I bits() const { return (I)v; }
  static FASTNN_INLINE Vec from_bits(I i) { return (V)i; }

  FASTNN_INLINE Vec operator+(Vec o) const { return v + o.v; }
  FASTNN_INLINE Vec operator-(Vec o) const { return v - o.v; }
  FASTNN_INLINE Vec operator*(Vec o) const { return v * o.v; }
  FASTNN_INLINE Vec operator/(Vec o) const { return v / o.v; }
  FASTNN_INLINE Vec operator-() const { return -v; }
  FASTNN_INLINE Vec& operator+=(Vec o) { return v += o.v, *this; }
  FASTNN_INLINE Vec& operator-=(Vec o) { return v -= o.v, *this; }
  FASTNN_INLINE Vec& operator*=(Vec o) { return v *= o.v, *this; }
  FASTNN_INLINE T operator[](int i) const { return v[i]; }
};

#if defined(__AVX512F__)

// ---- AVX-512: masks are k registers; a partial load neither reads nor faults on masked-off lanes ----
FASTNN_INLINE __mmask16 first_lanes(Vec<float>, int n) { return static_cast<__mmask16>((1u << n) - 1); }
FASTNN_INLINE __mmask8 first_lanes(Vec<double>, int n) { return static_cast<__mmask8>((1u << n) - 1); }
template <>
FASTNN_INLINE Vec<float> Vec<float>::load(const float* p, int n) {
  return (V)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
template <>
FASTNN_INLINE Vec<double> Vec<double>::load(const double* p, int n) {
  return (V)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p);
}
template <>
FASTNN_INLINE void Vec<float>::store(float* p, int n) const {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
}
template <>
FASTNN_INLINE void Vec<double>::store(double* p, int n) const {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), (__m512d)v);
}
#define FASTNN_CMP(name, imm)                                     \
  FASTNN_INLINE Mask<float> name(Vec<float> a, Vec<float> b) {    \
    return {_mm512_cmp_ps_mask((__m512)a.v, (__m512)b.v, imm)};   \
  }                                                               \
  FASTNN_INLINE Mask<double> name(Vec<double> a, Vec<double> b) { \
    return {_mm512_cmp_pd_mask((__m512d)a.v, (__m512d)b.v, imm)}; \
  }
FASTNN_CMP(lt, _CMP_LT_OQ)
FASTNN_CMP(le, _CMP_LE_OQ)
FASTNN_CMP(gt, _CMP_GT_OQ)
FASTNN_CMP(ge, _CMP_GE_OQ)
FASTNN_CMP(eq, _CMP_EQ_OQ)
FASTNN_CMP(ne, _CMP_NEQ_UQ)
#undef FASTNN_CMP
FASTNN_INLINE bool any(Mask<float> m) { return m.m != 0; }
FASTNN_INLINE bool any(Mask<double> m) { return m.m != 0; }
FASTNN_INLINE Vec<float> select(Mask<float> m, Vec<float> a, Vec<float> b) {  // m ? a : b
  return (Vec<float>::V)_mm512_mask_blend_ps(m.m, (__m512)b.v, (__m512)a.v);
}
FASTNN_INLINE Vec<double> select(Mask<double> m, Vec<double> a, Vec<double> b) {
  return (Vec<double>::V)_mm512_mask_blend_pd(m.m, (__m512d)b.v, (__m512d)a.v);
}
#define FASTNN_OP2(name, op)                                             \
  FASTNN_INLINE Vec<float> name(Vec<float> a, Vec<float> b) {            \
    return (Vec<float>::V)_mm512_##op##_ps((__m512)a.v, (__m512)b.v);    \
  }                                                                      \
  FASTNN_INLINE Vec<double> name(Vec<double> a, Vec<double> b) {         \
    return (Vec<double>::V)_mm512_##op##_pd((__m512d)a.v, (__m512d)b.v); \
  }
FASTNN_OP2(max, max)
FASTNN_OP2(min, min)
#undef FASTNN_OP2
FASTNN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>::V)_mm512_fmadd_ps((__m512)a.v, (__m512)b.v, (__m512)c.v);
}
FASTNN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>::V)_mm512_fmadd_pd((__m512d)a.v, (__m512d)b.v, (__m512d)c.v);
}
FASTNN_INLINE Vec<float> sqrt(Vec<float> a) { return (Vec<float>::V)_mm512_sqrt_ps((__m512)a.v); }
FASTNN_INLINE Vec<double> sqrt(Vec<double> a) { return (Vec<double>::V)_mm512_sqrt_pd((__m512d)a.v); }

#elif defined(__AVX2__)

// ---- AVX2: masks are lanes of ones or zeros; partial loads by vmaskmov, which does not fault on masked-off lanes ----
FASTNN_INLINE __m256i first_lanes(Vec<float>, int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
FASTNN_INLINE __m256i first_lanes(Vec<double>, int n) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
template <>
FASTNN_INLINE Vec<float> Vec<float>::load(const float* p, int n) {
  return (V)_mm256_maskload_ps(p, first_lanes(Vec<float>(), n));
}
template <>
FASTNN_INLINE Vec<double> Vec<double>::load(const double* p, int n) {
  return (V)_mm256_maskload_pd(p, first_lanes(Vec<double>(), n));
}
template <>
FASTNN_INLINE void Vec<float>::store(float* p, int n) const {
  _mm256_maskstore_ps(p, first_lanes(Vec<float>(), n), (__m256)v);
}
template <>
FASTNN_INLINE void Vec<double>::store(double* p, int n) const {
  _mm256_maskstore_pd(p, first_lanes(Vec<double>(), n), (__m256d)v);
}
FASTNN_INLINE bool any(Mask<float> m) { return _mm256_movemask_ps((__m256)m.m) != 0; }
FASTNN_INLINE bool any(Mask<double> m) { return _mm256_movemask_pd((__m256d)m.m) != 0; }
FASTNN_INLINE Vec<float> select(Mask<float> m, Vec<float> a, Vec<float> b) {
  return (Vec<float>::V)_mm256_blendv_ps((__m256)b.v, (__m256)a.v, (__m256)m.m);
}
FASTNN_INLINE Vec<double> select(Mask<double> m, Vec<double> a, Vec<double> b) {
  return (Vec<double>::V)_mm256_blendv_pd((__m256d)b.v, (__m256d)a.v, (__m256d)m.m);
}
FASTNN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) {
  return (Vec<float>::V)_mm256_max_ps((__m256)a.v, (__m256)b.v);
}
FASTNN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return (Vec<double>::V)_mm256_max_pd((__m256d)a.v, (__m256d)b.v);
}
FASTNN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) {
  return (Vec<float>::V)_mm256_min_ps((__m256)a.v, (__m256)b.v);
}
FASTNN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return (Vec<double>::V)_mm256_min_pd((__m256d)a.v, (__m256d)b.v);
}
FASTNN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>::V)_mm256_fmadd_ps((__m256)a.v, (__m256)b.v, (__m256)c.v);
}
FASTNN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>::V)_mm256_fmadd_pd((__m256d)a.v, (__m256d)b.v, (__m256d)c.v);
}
FASTNN_INLINE Vec<float> sqrt(Vec<float> a) { return (Vec<float>::V)_mm256_sqrt_ps((__m256)a.v); }
FASTNN_INLINE Vec<double> sqrt(Vec<double> a) { return (Vec<double>::V)_mm256_sqrt_pd((__m256d)a.v); }

#else

// ---- portable ----
template <class T>
FASTNN_INLINE Vec<T> Vec<T>::load(const T* p, int n) {
  Vec r = zero();
  for (int i = 0; i < n; i++) r.v[i] = p[i];
  return r;
}
template <class T>
FASTNN_INLINE void Vec<T>::store(T* p, int n) const {
  for (int i = 0; i < n; i++) p[i] = v[i];
}
template <class T>
FASTNN_INLINE bool any(Mask<T> m) {
  typename Native<T>::int_t r = 0;
  for (int i = 0; i < Vec<T>::size; i++) r |= m.m[i];
  return r != 0;
}
template <class T>
FASTNN_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  return m.m ? a.v : b.v;  // not by & and |: GCC 12 fails on some of those (an internal error after forwprop)
}
template <class T>
FASTNN_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
  return select(Mask<T>{a.v > b.v}, a, b);
}
template <class T>
FASTNN_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
  return select(Mask<T>{a.v < b.v}, a, b);
}
template <class T>
FASTNN_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {  // rounded once or twice, as the target's hardware has it
  return a.v * b.v + c.v;
}
FASTNN_INLINE Vec<float> sqrt(Vec<float> a) {
  for (int i = 0; i < Vec<float>::size; i++) a.v[i] = __builtin_sqrtf(a.v[i]);
  return a;
}
FASTNN_INLINE Vec<double> sqrt(Vec<double> a) {
  for (int i = 0; i < Vec<double>::size; i++) a.v[i] = __builtin_sqrt(a.v[i]);
  return a;
}

#endif

// max(a, b) and min(a, b) above are the machine's: b where either is NaN. So max(zero, x) is torch's relu (NaN stays),
// and what must propagate both sides' NaN selects afterwards.

#if !defined(__AVX512F__)
template <class T>
FASTNN_INLINE Mask<T> lt(Vec<T> a, Vec<T> b) {
  return {a.v < b.v};
}
template <class T>
FASTNN_INLINE Mask<T> le(Vec<T> a, Vec<T> b) {
  return {a.v <= b.v};
}
template <class T>
FASTNN_INLINE Mask<T> gt(Vec<T> a, Vec<T> b) {
  return {a.v > b.v};
}
template <class T>
FASTNN_INLINE Mask<T> ge(Vec<T> a, Vec<T> b) {
  return {a.v >= b.v};
}
template <class T>
FASTNN_INLINE Mask<T> eq(Vec<T> a, Vec<T> b) {
  return {a.v == b.v};
}
template <class T>
FASTNN_INLINE Mask<T> ne(Vec<T> a, Vec<T> b) {
  return {a.v != b.v};
}
#endif

template <class T>
FASTNN_INLINE Mask<T> isnan(Vec<T> a) {
  return ne(a, a);
}

template <class T>
FASTNN_INLINE Vec<T> abs(Vec<T> a) {
  constexpr typename Native<T>::int_t sign = typename Native<T>::int_t(1) << (8 * sizeof(T) - 1);
  return Vec<T>::from_bits(a.bits() & ~sign);
}

// Horizontal reductions, always as a tree over halves: the same order on every instruction set of the same width.
template <class T>
FASTNN_INLINE T sum(Vec<T> a) {
  T x[Vec<T>::size];
  a.store(x);
  for (int h = Vec<T>::size / 2; h > 0; h /= 2)
    for (int i = 0; i < h; i++) x[i] += x[i + h];
  return x[0];
}
#if defined(__AVX512F__)
template <>
FASTNN_INLINE float sum(Vec<float> a) {
  return _mm512_reduce_add_ps((__m512)a.v);
}
template <>
FASTNN_INLINE double sum(Vec<double> a) {
  return _mm512_reduce_add_pd((__m512d)a.v);
}
#endif
template <class T>
FASTNN_INLINE T hmax(Vec<T> a) {  // NaN lanes may be lost, as with max
  T m = a[0];
  for (int i = 1; i < Vec<T>::size; i++) m = a[i] > m ? a[i] : m;
  return m;
}
template <class T>
FASTNN_INLINE T hmin(Vec<T> a) {
  T m = a[0];
  for (int i = 1; i < Vec<T>::size; i++) m = a[i] < m ? a[i] : m;
  return m;
}

// f(Int<0>()), f(Int<1>()), ... unrolled by the front end: indices into arrays of registers must be constants before
// the optimiser decides whether the array lives in registers.
template <int I>
struct Int {
  static constexpr int value = I;
  constexpr operator int() const { return I; }
};
template <int N, int I = 0, class F>
FASTNN_INLINE void unroll(const F& f) {
  if constexpr (I < N) {
    f(Int<I>());
    unroll<N, I + 1>(f);
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
