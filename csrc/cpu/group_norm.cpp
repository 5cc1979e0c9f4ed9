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
      for (int64_t i = 0, c = r % a.groups * each; i < each; ++i, ++c)
        apply(x + i * a.L, y + i * a.L, a.L, affine_of<T>(m.mean, rstd, at<T>(a.weight, c, 1), at<T>(a.bias, c, 0)));
    }
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
  for (int64_t c = 0; c < a.C; ++c) {
    double p = 0, q = 0;
    for (int64_t i = 0; i < a.N; ++i) {
      p += sums[(i * a.C + c) * 2];
      q += sums[(i * a.C + c) * 2 + 1];
    }
    if (a.dbias) static_cast<T*>(a.dbias)[c] = static_cast<T>(p);
    if (a.dweight) static_cast<T*>(a.dweight)[c] = static_cast<T>(q);
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
