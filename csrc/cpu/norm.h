// What the normalisations share: sums in two levels, means and variances in two passes, the combination of parts.
//
// Accuracy. A mean is taken first (m, rounded), then the sums of x - m and of its square: the first corrects m, the
// second less (sum of x - m)^2 / n is n times the variance, whatever the mean. Vectors of partial sums are added up in
// double every 4096 elements. What is subtracted from x is the mean in two parts, the rounded mean and the rest.
#pragma once
#include "cpu/rows.h"
#include "kernels.h"
#include "runtime/thread_pool.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kNormPart = 8192;  // elements of which one partial result is made, and of a task at least
FASTNN_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
FASTNN_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

// K sums at once over runs of elements.
template <class T, int K>
struct Sums {
  static constexpr int64_t kBlock = 4096;
  Vec<T> acc[K][4];
  double total[K];
  int64_t pending = 0;

  FASTNN_INLINE Sums() {
    unroll<K>([&](auto k) __attribute__((always_inline)) {
      total[k] = 0;
      unroll<4>([&](auto u) __attribute__((always_inline)) { acc[k][u] = Vec<T>::zero(); });
    });
  }
  FASTNN_INLINE void flush() {
    unroll<K>([&](auto k) __attribute__((always_inline)) {
      total[k] += static_cast<double>(sum((acc[k][0] + acc[k][2]) + (acc[k][1] + acc[k][3])));
      unroll<4>([&](auto u) __attribute__((always_inline)) { acc[k][u] = Vec<T>::zero(); });
    });
    pending = 0;
  }
  // f(i, count, v): v[0 .. K - 1] of the elements at i, 0 in the lanes that do not count.
  template <class F>
  FASTNN_INLINE void run(int64_t n, const F& f) {
    constexpr int W = Vec<T>::size;
    for (int64_t from = 0; from < n; from += kBlock) {
      const int64_t to = least(n, from + kBlock);
      if (pending + (to - from) > kBlock) flush();
      pending += to - from;
      const auto add = [&](int64_t i, auto w, auto u) __attribute__((always_inline)) {
        Vec<T> v[K];
        f(i, w, v);
        unroll<K>([&](auto k) __attribute__((always_inline)) { acc[k][u] += v[k]; });
      };
      int64_t i = from;
      for (; i + 4 * W <= to; i += 4 * W)
        unroll<4>([&](auto u) __attribute__((always_inline)) { add(i + u * W, Int<W>(), u); });
      for (; i + W <= to; i += W) add(i, Int<W>(), Int<0>());
      if (i < to) add(i, static_cast<int>(to - i), Int<1>());
    }
  }
};

// Of n elements: their mean and the sum of the squares of their distances from it.
struct Moments {
  double n, mean, m2;
};
FASTNN_INLINE Moments merge(Moments a, Moments b) {
  const double n = a.n + b.n, d = b.mean - a.mean;
  if (n == 0) return a;
  return {n, a.mean + d * (b.n / n), a.m2 + b.m2 + d * d * (a.n * b.n / n)};
}
// Of `planes` runs of len elements, `stride` apart. Runs of a few KiB far from each other end before the processor's
// own prefetcher has caught up: AHEAD asks for the next run's lines while one is read.
template <class T, bool AHEAD = false>
FASTNN_INLINE Moments moments(const T* x, int64_t planes, int64_t len, int64_t stride) {
  const double n = static_cast<double>(planes * len);
  Sums<T, 1> s;
  for (int64_t p = 0; p < planes; ++p) {
    const T* q = x + p * stride;
    s.run(len, [&](int64_t i, auto w, Vec<T>(&v)[1]) __attribute__((always_inline)) {
      if (AHEAD) __builtin_prefetch(q + stride + i);
      v[0] = get(q + i, w);
    });
  }
  s.flush();
  const T m = static_cast<T>(s.total[0] / n);
  const Vec<T> centre(m);
  Sums<T, 2> d;
  for (int64_t p = 0; p < planes; ++p) {
    const T* q = x + p * stride;
    d.run(len, [&](int64_t i, auto w, Vec<T>(&v)[2]) __attribute__((always_inline)) {
      v[0] = live<T>(get(q + i, w) - centre, w);
      v[1] = v[0] * v[0];
    });
  }
  d.flush();
  const double m2 = d.total[1] - d.total[0] * d.total[0] / n;
  return {n, static_cast<double>(m) + d.total[0] / n, m2 < 0 ? 0 : m2};
}

FASTNN_INLINE double rstd_of(double var, double eps) { return 1 / __builtin_sqrt(var + eps); }

// y = (x - centre) * scale + shift.
template <class T>
struct Affine {
  T centre, scale, shift;
};
// From double statistics: what the rounded mean leaves goes into the shift.
template <class T>
FASTNN_INLINE Affine<T> affine_of(double mean, double rstd, double weight, double bias) {
  const T hi = static_cast<T>(mean);
  const double scale = rstd * weight;
  return {hi, static_cast<T>(scale), static_cast<T>(bias - (mean - static_cast<double>(hi)) * scale)};
}
template <class T>
FASTNN_INLINE void apply(const T* x, T* y, int64_t n, const Affine<T>& a) {
  const Vec<T> centre(a.centre), scale(a.scale), shift(a.shift);
  across<T>(n, [&](int64_t i, auto w)
                   __attribute__((always_inline)) { put(y + i, fma(get(x + i, w) - centre, scale, shift), w); });
}

// dx = dy * g + (x - centre) * h + shift; without `both` dx = dy * g.
template <class T>
struct AffineBackward {
  T g, h, shift, centre;
};
template <class T>
FASTNN_INLINE void apply_backward(const T* dy, const T* x, T* dx, int64_t n, const AffineBackward<T>& a, bool both) {
  const Vec<T> g(a.g), h(a.h), shift(a.shift), centre(a.centre);
  if (both) {
    across<T>(n, [&](int64_t i, auto w) __attribute__((always_inline)) {
      put(dx + i, fma(get(dy + i, w), g, fma(get(x + i, w) - centre, h, shift)), w);
    });
  } else {
    across<T>(n, [&](int64_t i, auto w) __attribute__((always_inline)) { put(dx + i, get(dy + i, w) * g, w); });
  }
}
// sum dy and sum dy * (x - centre), added to s; AHEAD as above, the next run `stride` further.
template <class T, bool AHEAD = false>
FASTNN_INLINE void add_products(Sums<T, 2>& s, const T* dy, const T* x, T centre, int64_t n, int64_t stride = 0) {
  const Vec<T> c(centre);
  s.run(n, [&](int64_t i, auto w, Vec<T>(&v)[2]) __attribute__((always_inline)) {
    if (AHEAD) {
      __builtin_prefetch(dy + stride + i);
      __builtin_prefetch(x + stride + i);
    }
    v[0] = get(dy + i, w);
    v[1] = v[0] * (get(x + i, w) - c);  // 0 beyond the end: dy is
  });
}

// f(begin, end) over [0, n) in tasks of about kNormPart elements, `each` elements an item.
template <class F>
FASTNN_INLINE void in_tasks(int64_t n, int64_t each, const F& f) {
  const int64_t group = most(1, kNormPart / most(each, 1));
  parallel_for((n + group - 1) / group, [&](int64_t i, int) { f(i * group, least(n, (i + 1) * group)); });
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
