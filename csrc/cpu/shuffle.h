// Interleaving of vectors, and what is made of it.
#pragma once
#include "cpu/vec.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// even: elements 0, 2, 4 ... of the 2 W in (a, b); odd: 1, 3, 5 ...; zip is the inverse.
template <class T>
FASTNN_INLINE void unzip(Vec<T> a, Vec<T> b, Vec<T>* even, Vec<T>* odd) {
  typename Vec<T>::I e;
  for (int i = 0; i < Vec<T>::size; i++) e[i] = 2 * i;
  even->v = __builtin_shuffle(a.v, b.v, e);
  odd->v = __builtin_shuffle(a.v, b.v, e + 1);
}
template <class T>
FASTNN_INLINE void zip(Vec<T> even, Vec<T> odd, Vec<T>* a, Vec<T>* b) {
  constexpr int W = Vec<T>::size;
  typename Vec<T>::I m;
  for (int i = 0; i < W; i++) m[i] = i / 2 + (i & 1) * W;
  a->v = __builtin_shuffle(even.v, odd.v, m);
  b->v = __builtin_shuffle(even.v, odd.v, m + W / 2);
}

// A bit for each of 2 n lanes, the even ones set.
FASTNN_INLINE uint32_t alternate_lanes(int n) {
  return static_cast<uint32_t>(0x55555555u & ((uint64_t(1) << (2 * n)) - 1));
}
// The n elements at p, p + 2, p + 4 ...; and v's first n lanes stored there. What lies between is not touched.
template <class T>
FASTNN_INLINE Vec<T> load_alternate(const T* p, int n) {
#if defined(__AVX512F__)
  constexpr int W = Vec<T>::size;
  const uint32_t mask = alternate_lanes(n);
  Vec<T> a, b, even, odd;
  if constexpr (W == 16) {
    a = (typename Vec<T>::V)_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask), p);
    b = (typename Vec<T>::V)_mm512_maskz_loadu_ps(static_cast<__mmask16>(mask >> 16), p + W);
  } else {
    a = (typename Vec<T>::V)_mm512_maskz_loadu_pd(static_cast<__mmask8>(mask), p);
    b = (typename Vec<T>::V)_mm512_maskz_loadu_pd(static_cast<__mmask8>(mask >> 8), p + W);
  }
  unzip(a, b, &even, &odd);
  return even;
#else
  T x[Vec<T>::size] = {};
  for (int i = 0; i < n; i++) x[i] = p[2 * i];
  return Vec<T>::load(x);
#endif
}
template <class T>
FASTNN_INLINE void store_alternate(T* p, Vec<T> v, int n) {
#if defined(__AVX512F__)
  constexpr int W = Vec<T>::size;
  const uint32_t mask = alternate_lanes(n);
  Vec<T> a, b;
  zip(v, v, &a, &b);
  if constexpr (W == 16) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>(mask), (__m512)a.v);
    _mm512_mask_storeu_ps(p + W, static_cast<__mmask16>(mask >> 16), (__m512)b.v);
  } else {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>(mask), (__m512d)a.v);
    _mm512_mask_storeu_pd(p + W, static_cast<__mmask8>(mask >> 8), (__m512d)b.v);
  }
#else
  T x[Vec<T>::size];
  v.store(x);
  for (int i = 0; i < n; i++) p[2 * i] = x[i];
#endif
}

// v[i][j] <-> v[j][i] for a square of W x W. A zip of rows i and i + W/2 rotates the bits (row, lane) of an element's
// number by one: log2(W) rounds exchange row and lane.
template <class T>
FASTNN_INLINE void transpose(Vec<T> (&v)[Vec<T>::size]) {
  constexpr int W = Vec<T>::size;
#pragma GCC unroll 4
  for (int round = 1; round < W; round *= 2) {
    Vec<T> out[W];
#pragma GCC unroll 16
    for (int i = 0; i < W / 2; i++) zip(v[i], v[i + W / 2], &out[2 * i], &out[2 * i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < W; i++) v[i] = out[i];
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
