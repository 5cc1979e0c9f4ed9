// Group normalisation (instance normalisation: a group for each channel): the channels of a group lie together, so its
// statistics are those of a row, and scale and shift are a channel's. The second pass over a group comes from the
// caches.
#include "cpu/norm.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <class T>
FASTNN_INLINE double at(const void* p, int64_t i, double other) {
  return p ? static_cast<double>(static_cast<const T*>(p)[i]) : other;
}

// One element a channel: scale and shift change with every element, w and b are those of the group's first.
template <class T>
FASTNN_INLINE void apply_each(const T* x, T* y, int64_t n, double mean, double rstd, const T* w, const T* b) {
  const Vec<T> centre(static_cast<T>(mean)), rest(static_cast<T>(mean - static_cast<double>(static_cast<T>(mean)))),
      factor(static_cast<T>(rstd));
  across<T>(n, [&](int64_t i, auto count) __attribute__((always_inline)) {
    const Vec<T> scale = w ? get(w + i, count) * factor : factor, v = (get(x + i, count) - centre) - rest;
    put(y + i, b ? fma(v, scale, get(b + i, count)) : v * scale, count);
  });
}

template <class T>
void forward(const ChannelNormArgs& a) {
  const int64_t each = a.C / a.groups, n = each * a.L;
  in_tasks(a.N * a.groups, n, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* x = static_cast<const T*>(a.x) + r * n;
      T* y = static_cast<T*>(a.y) + r * n;
      const Moments m = moments(x, 1, n, 0);
      const double var = m.m2 / m.n, rstd = rstd_of(var, a.eps);
      static_cast<T*>(a.mean)[r] = static_cast<T>(m.mean);
      static_cast<T*>(a.var)[r] = static_cast<T>(var);
      if (a.L == 1) {
        const T *w = static_cast<const T*>(a.weight), *b = static_cast<const T*>(a.bias);
        const int64_t c = r % a.groups * each;
        apply_each(x, y, n, m.mean, rstd, w ? w + c : nullptr, b ? b + c : nullptr);
        continue;
      }
      for (int64_t i = 0, c = r % a.groups * each; i < each; ++i, ++c)
        apply(x + i * a.L, y + i * a.L, a.L, affine_of<T>(m.mean, rstd, at<T>(a.weight, c, 1), at<T>(a.bias, c, 0)));
    }
  });
}

// The gradient of apply_each; sums as below.
template <class T>
FASTNN_INLINE void backward_each(const T* dy, const T* x, T* dx, int64_t n, T centre, double rstd, const T* w,
                                 double* sums) {
  const Vec<T> c(centre);
  for (int64_t i = 0; i < n; ++i) {
    sums[2 * i] = static_cast<double>(dy[i]);
    sums[2 * i + 1] = static_cast<double>(dy[i]) * (static_cast<double>(x[i]) - static_cast<double>(centre)) * rstd;
  }
  if (!dx) return;
  Sums<T, 2> s;
  s.run(n, [&](int64_t i, auto count, Vec<T>(&v)[2]) __attribute__((always_inline)) {
    v[0] = w ? get(dy + i, count) * get(w + i, count) : get(dy + i, count);
    v[1] = v[0] * (get(x + i, count) - c);
  });
  s.flush();
  const Vec<T> g(static_cast<T>(rstd)), h(static_cast<T>(-rstd * rstd * rstd * s.total[1] / static_cast<double>(n))),
      shift(static_cast<T>(-rstd * s.total[0] / static_cast<double>(n)));
  across<T>(n, [&](int64_t i, auto count) __attribute__((always_inline)) {
    const Vec<T> own = w ? get(dy + i, count) * get(w + i, count) : get(dy + i, count);
    put(dx + i, fma(own, g, fma(get(x + i, count) - c, h, shift)), count);
  });
}

template <class T>
void backward(const Ctx& ctx, const ChannelNormBackward& a) {
  const int64_t each = a.C / a.groups, n = each * a.L;
  double* const sums = static_cast<double*>(ctx.workspace);  // [N, C, 2]: sum dy, sum dy xhat
  in_tasks(a.N * a.groups, n, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T *dy = static_cast<const T*>(a.dy) + r * n, *x = static_cast<const T*>(a.x) + r * n;
      const T centre = static_cast<const T*>(a.mean)[r];
      const double rstd = rstd_of(at<T>(a.var, r, 0), a.eps);
      if (a.L == 1) {
        const int64_t c = r % a.groups * each;
        backward_each(dy, x, a.dx ? static_cast<T*>(a.dx) + r * n : nullptr, n, centre, rstd,
                      a.weight ? static_cast<const T*>(a.weight) + c : nullptr, sums + r * n * 2);
        continue;
      }
      double s0 = 0, s1 = 0;
      for (int64_t i = 0, c = r % a.groups * each; i < each; ++i, ++c) {
        Sums<T, 2> s;
        add_products(s, dy + i * a.L, x + i * a.L, centre, a.L);
        s.flush();
        double* const p = sums + (r * each + i) * 2;
        p[0] = s.total[0];
        p[1] = s.total[1] * rstd;
        s0 += at<T>(a.weight, c, 1) * p[0];
        s1 += at<T>(a.weight, c, 1) * p[1];
      }
      if (!a.dx) continue;
      T* dx = static_cast<T*>(a.dx) + r * n;
      const double count = static_cast<double>(n);
      for (int64_t i = 0, c = r % a.groups * each; i < each; ++i, ++c) {
        const AffineBackward<T> f = {static_cast<T>(rstd * at<T>(a.weight, c, 1)),
                                     static_cast<T>(-rstd * rstd * s1 / count), static_cast<T>(-rstd * s0 / count),
                                     centre};
        apply_backward(dy + i * a.L, x + i * a.L, dx + i * a.L, a.L, f, true);
      }
    }
  });
  if (!a.dbias && !a.dweight) return;
  for (int64_t i = 1; i < a.N; ++i)
    for (int64_t j = 0; j < 2 * a.C; ++j) sums[j] += sums[i * 2 * a.C + j];
  for (int64_t c = 0; c < a.C; ++c) {
    if (a.dbias) static_cast<T*>(a.dbias)[c] = a.N ? static_cast<T>(sums[2 * c]) : T(0);
    if (a.dweight) static_cast<T*>(a.dweight)[c] = a.N ? static_cast<T>(sums[2 * c + 1]) : T(0);
  }
}

}  // namespace

void group_norm(const Ctx&, const ChannelNormArgs& a) {
  a.dtype == Dtype::F32 ? forward<float>(a) : forward<double>(a);
}
void group_norm_backward(const Ctx& ctx, const ChannelNormBackward& a) {
  a.dtype == Dtype::F32 ? backward<float>(ctx, a) : backward<double>(ctx, a);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
