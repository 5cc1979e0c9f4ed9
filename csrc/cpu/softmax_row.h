// A row's largest value and the sum of its exponentials: softmax, cross-entropy's kin and attention share them.
#pragma once
#include "cpu/rows.h"
#include "cpu/vecmath.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <class T>
FASTNN_INLINE Vec<T> lowest() {
  return vset<T>(-__builtin_inf());
}
// Beyond the end: -inf, whose exponential is 0.
template <class T>
FASTNN_INLINE Vec<T> tail(const T* x, int n) {
  return first(Vec<T>::load(x, n), n, lowest<T>());
}

template <class T>
FASTNN_INLINE Vec<T> row_max(const T* x, int64_t n) {
  constexpr int L = Vec<T>::size;
  Vec<T> m[4] = {lowest<T>(), lowest<T>(), lowest<T>(), lowest<T>()};
  int64_t i = 0;
  for (; i + 4 * L <= n; i += 4 * L) unroll<4>([&](auto k) { m[k] = max(m[k], Vec<T>::load(x + i + k * L)); });
  for (; i + L <= n; i += L) m[0] = max(m[0], Vec<T>::load(x + i));
  if (i < n) m[0] = max(m[0], tail(x + i, static_cast<int>(n - i)));
  return fold_max(max(max(m[0], m[1]), max(m[2], m[3])));
}

// sum of exp(x - m) in every lane; f(i, e, count) sees each vector of exponentials.
template <class T, class F>
FASTNN_INLINE Vec<T> exp_sum(const T* x, int64_t n, Vec<T> m, const F& f) {
  constexpr int L = Vec<T>::size;
  Vec<T> s0 = Vec<T>::zero(), s1 = s0;
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) {
    const Vec<T> u = vexp_nonpositive(Vec<T>::load(x + i) - m), v = vexp_nonpositive(Vec<T>::load(x + i + L) - m);
    f(i, u, L);
    f(i + L, v, L);
    s0 += u;
    s1 += v;
  }
  for (; i < n; i += L) {
    const int w = static_cast<int>(n - i < L ? n - i : L);
    const Vec<T> u = vexp_nonpositive((w == L ? Vec<T>::load(x + i) : tail(x + i, w)) - m);
    f(i, u, w);
    s0 += u;
  }
  return fold_sum(s0 + s1);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
