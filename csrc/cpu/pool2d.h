// Shared by the pooling kernels: short vectors with partial loads and stores, the geometry of a window, and the chunks.
#pragma once
#include "kernels.h"
#include "runtime/thread_pool.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace fastnn {
namespace {

// Vectors by the compiler's extension, so that one source serves every instruction set. Lane<T> has an integer lane of
// T's width (a window's position is carried beside its maximum) and bytes for the stored position.
#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <class T>
struct Lane;
template <>
struct Lane<float> {
  static constexpr int n = kVectorBytes / 4;
  typedef float V __attribute__((vector_size(kVectorBytes)));
  typedef float U __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
  typedef int32_t I __attribute__((vector_size(kVectorBytes)));
  typedef uint8_t B __attribute__((vector_size(n)));
  using Int = int32_t;
};
template <>
struct Lane<double> {
  static constexpr int n = kVectorBytes / 8;
  typedef double V __attribute__((vector_size(kVectorBytes)));
  typedef double U __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
  typedef int64_t I __attribute__((vector_size(kVectorBytes)));
  typedef uint8_t B __attribute__((vector_size(n)));
  using Int = int64_t;
};

template <class T>
using V = typename Lane<T>::V;

template <class T>
inline V<T> load(const T* p) {
  return *reinterpret_cast<const typename Lane<T>::U*>(p);
}
template <class T>
inline void store(T* p, V<T> v) {
  *reinterpret_cast<typename Lane<T>::U*>(p) = v;
}
template <class T>
inline V<T> splat(T x) {
  return x - V<T>{};
}

// Lanes lo <= i < hi from p + i, the others from fill; p itself may lie outside the array.
template <class T>
inline V<T> load_part(const T* p, int64_t lo, int64_t hi, V<T> fill) {
  constexpr int n = Lane<T>::n;
  if (lo <= 0 && hi >= n) return load(p);
  lo = lo < 0 ? 0 : lo;
  hi = hi > n ? n : hi;
  if (hi <= lo) return fill;
#if defined(__AVX512F__)
  const unsigned mask = ((1u << hi) - 1) & ~((1u << lo) - 1);
  if constexpr (sizeof(T) == 4)
    return (V<T>)_mm512_mask_loadu_ps((__m512)fill, static_cast<__mmask16>(mask), p);
  else
    return (V<T>)_mm512_mask_loadu_pd((__m512d)fill, static_cast<__mmask8>(mask), p);
#else
  for (int64_t i = lo; i < hi; ++i) fill[i] = p[i];
  return fill;
#endif
}
// The first `count` lanes.
template <class T>
inline void store_part(T* p, V<T> v, int64_t count) {
  constexpr int n = Lane<T>::n;
  if (count >= n) return store(p, v);
#if defined(__AVX512F__)
  const unsigned mask = (1u << count) - 1;
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>(mask), (__m512)v);
  else
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>(mask), (__m512d)v);
#else
  for (int64_t i = 0; i < count; ++i) p[i] = v[i];
#endif
}

// even: lanes 0, 2, 4 ... of the 2n values (a, b); odd: lanes 1, 3, 5 ...; zip is the inverse.
template <class T>
inline void unzip(V<T> a, V<T> b, V<T>& even, V<T>& odd) {
  typename Lane<T>::I e;
  for (int i = 0; i < Lane<T>::n; ++i) e[i] = 2 * i;
  even = __builtin_shuffle(a, b, e);
  odd = __builtin_shuffle(a, b, e + 1);
}
template <class T>
inline void zip(V<T> even, V<T> odd, V<T>& a, V<T>& b) {
  typename Lane<T>::I m;
  for (int i = 0; i < Lane<T>::n; ++i) m[i] = i / 2 + (i & 1) * Lane<T>::n;
  a = __builtin_shuffle(even, odd, m);
  b = __builtin_shuffle(even, odd, m + Lane<T>::n / 2);
}

inline int64_t imin(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t imax(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t ceil_div(int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : -(-a / b); }  // b > 0
inline int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }                  // a >= 0

// How the N*C planes of `rows` rows are cut: several small planes a chunk, or several chunks of rows in a large plane.
// By the shape alone; the values do not depend on the cut.
struct Chunks {
  int64_t planes, per_chunk, row_blocks, rows_per_block, count;
};
inline Chunks make_chunks(int64_t planes, int64_t rows, int64_t elements_per_plane) {
  constexpr int64_t kChunk = 32768;  // elements: some 5-10 us of work, well above the pool's cost per chunk
  Chunks c{planes, 1, 1, rows, 0};
  if (elements_per_plane <= kChunk) {
    c.per_chunk = imax(1, kChunk / imax(1, elements_per_plane));
  } else {
    c.rows_per_block = imax(1, rows * kChunk / elements_per_plane);
    c.row_blocks = ceil_div(rows, c.rows_per_block);
  }
  c.count = ceil_div(planes, c.per_chunk) * c.row_blocks;
  return c;
}
// f(plane, first row, end row, thread)
template <class F>
inline void for_chunks(const Chunks& c, int64_t rows, const F& f) {
  parallel_for(c.count, [&](int64_t i, int thread) {
    const int64_t group = i / c.row_blocks, r0 = i % c.row_blocks * c.rows_per_block;
    const int64_t r1 = imin(rows, r0 + c.rows_per_block), end = imin(c.planes, (group + 1) * c.per_chunk);
    for (int64_t plane = group * c.per_chunk; plane < end; ++plane) f(plane, r0, r1, thread);
  });
}

}  // namespace
}  // namespace fastnn
