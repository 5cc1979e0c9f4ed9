// What row kernels share: tails, reductions across a vector that leave the result in every lane, stores past the
// caches.
#pragma once
#include "cpu/vec.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// x in the first n lanes, other beyond.
template <class T>
FASTNN_INLINE Vec<T> first(Vec<T> x, int n, Vec<T> other) {
  static constexpr T index[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return select(lt(Vec<T>::load(index), Vec<T>(static_cast<T>(n))), x, other);
}

// Lane i meets lane i ^ h for h = size / 2 ... 1: the same order in every lane, so the same bits.
template <class T, int H, class F>
FASTNN_INLINE Vec<T> fold(Vec<T> x, const F& f) {
  if constexpr (H == 0) {
    return x;
  } else {
    typename Vec<T>::I index;
    for (int i = 0; i < Vec<T>::size; ++i) index[i] = i ^ H;
    return fold<T, H / 2>(f(x, Vec<T>(__builtin_shuffle(x.v, index))), f);
  }
}
template <class T>
FASTNN_INLINE Vec<T> fold_sum(Vec<T> x) {
  return fold<T, Vec<T>::size / 2>(x, [](Vec<T> a, Vec<T> b) { return a + b; });
}
template <class T>
FASTNN_INLINE Vec<T> fold_max(Vec<T> x) {  // a NaN may be lost
  return fold<T, Vec<T>::size / 2>(x, [](Vec<T> a, Vec<T> b) { return max(a, b); });
}

// f(index, count) for each vector of [0, n): count is the constant Int<size>, or a number for the last, partial one.
template <class T, class N, class F>
FASTNN_INLINE void across(N n, const F& f) {
  constexpr int L = Vec<T>::size;
  N j = 0;
  for (; j + L <= n; j += L) f(j, Int<L>());
  if (j < n) f(j, static_cast<int>(n - j));
}
template <class T>
FASTNN_INLINE Vec<T> get(const T* p, int n) {
  return Vec<T>::load(p, n);
}
template <class T>
FASTNN_INLINE Vec<T> get(const T* p, Int<Vec<T>::size>) {
  return Vec<T>::load(p);
}
template <class T>
FASTNN_INLINE void put(T* p, Vec<T> v, int n) {
  v.store(p, n);
}
template <class T>
FASTNN_INLINE void put(T* p, Vec<T> v, Int<Vec<T>::size>) {
  v.store(p);
}
// v, with 0 in the lanes that do not count.
template <class T>
FASTNN_INLINE Vec<T> live(Vec<T> v, int n) {
  return first(v, n, Vec<T>::zero());
}
template <class T>
FASTNN_INLINE Vec<T> live(Vec<T> v, Int<Vec<T>::size>) {
  return v;
}

// p is aligned to a vector; stream_end() before anyone else reads or writes there.
#if defined(__AVX512F__)
FASTNN_INLINE void stream(float* p, Vec<float> v) { _mm512_stream_ps(p, (__m512)v.v); }
FASTNN_INLINE void stream(double* p, Vec<double> v) { _mm512_stream_pd(p, (__m512d)v.v); }
FASTNN_INLINE void stream_end() { _mm_sfence(); }
#elif defined(__AVX2__)
FASTNN_INLINE void stream(float* p, Vec<float> v) { _mm256_stream_ps(p, (__m256)v.v); }
FASTNN_INLINE void stream(double* p, Vec<double> v) { _mm256_stream_pd(p, (__m256d)v.v); }
FASTNN_INLINE void stream_end() { _mm_sfence(); }
#else
template <class T>
FASTNN_INLINE void stream(T* p, Vec<T> v) {
  v.store(p);
}
FASTNN_INLINE void stream_end() {}
#endif

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
