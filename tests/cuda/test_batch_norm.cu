// Batch norm, forward and backward, with the batch's statistics or given ones, against float64.
#include "arrays.h"
#include "cuda/batch_norm.cu"

using namespace fastnn::cuda;
using fastnn::Dtype;

namespace {

void check(Dtype d, int64_t N, int64_t C, int64_t L, bool affine, bool wide, bool given, double offset = 0.5,
           double scale = 1.5) {
  const Dtype c = compute_dtype(d), wd = wide ? c : d;
  const int64_t count = N * C * L;
  const double n = static_cast<double>(N * L);
  Array x = array(d, count, scale, offset), dy = array(d, count), w = array(wd, C, 0.3, 1), b = array(wd, C),
        y(d, count), dx(d, count);
  Array mean = array(c, C), var = array(c, C, 0.1, 2), dw(c, C), db(c, C);
  ChannelNormArgs a = {};
  a.dtype = d, a.wide = wide, a.given = given, a.N = N, a.C = C, a.L = L, a.eps = 1e-5;
  a.x = x.data(), a.y = y.data(), a.mean = mean.data(), a.var = var.data();
  a.weight = affine ? w.data() : nullptr, a.bias = affine ? b.data() : nullptr;
  Array workspace(Dtype::U8, static_cast<int64_t>(batch_norm_workspace(a)));
  batch_norm(a, workspace.data(), nullptr);
  a.dy = dy.data(), a.dx = dx.data();
  if (affine) a.dweight = dw.data(), a.dbias = db.data();
  batch_norm_backward(a, workspace.data(), nullptr);
  for (int64_t k = 0; k < C; ++k) {
    long double first = 0, sum = 0, squares = 0;  // about the first: float64 is checked, too
    double m = 0, v = 0, s1 = 0, s2 = 0, size = 0;
    const auto each = [&](auto f) {
      for (int64_t i = 0; i < N; ++i)
        for (int64_t l = 0; l < L; ++l) f((i * C + k) * L + l);
    };
    if (given) {
      m = mean[k], v = var[k];
    } else {
      first = x[k * L];
      each([&](int64_t i) { sum += x[i] - first; });
      each([&](int64_t i) { squares += (x[i] - first - sum / n) * (x[i] - first - sum / n); });
      m = static_cast<double>(first + sum / n), v = static_cast<double>(squares / n);
      NEAR(mean[k], m, tolerance(c, m, 1, 4 * std::sqrt(v)));
      NEAR(var[k], v, tolerance(c, v, 16));
    }
    const double rstd = 1 / std::sqrt(v + 1e-5), loss = 1 + std::fabs(offset), weight = affine ? w[k] : 1;
    each([&](int64_t i) {
      const double centred = given ? x[i] - m : static_cast<double>(x[i] - first - sum / n);
      const double xhat = centred * rstd, want = xhat * weight + (affine ? b[k] : 0);
      // However far the mean is: it was not rounded, unless it was given.
      NEAR(y[i], want, tolerance(d, want, 1.1) + tolerance(c, want, 32, (given ? loss * rstd : 0) + 1));
      s1 += dy[i], s2 += dy[i] * xhat;
      size += std::fabs(dy[i]) * (1 + std::fabs(xhat) + loss * rstd);
    });
    if (affine) {
      NEAR(db[k], s1, tolerance(c, s1, 32, size));
      NEAR(dw[k], s2, tolerance(c, s2, 32, size));
    }
    each([&](int64_t i) {
      const double xhat = (x[i] - m) * rstd, want = weight * rstd * (given ? dy[i] : dy[i] - s1 / n - xhat * s2 / n);
      NEAR(dx[i], want, tolerance(d, want, 1.1) + tolerance(c, want, 48, rstd * (2 + loss * rstd)));
    });
  }
}

}  // namespace

TEST(every_option) {
  for (Dtype d : kFloats)
    for (bool affine : {true, false})
      for (bool given : {true, false}) {
        check(d, 3, 4, 16, affine, false, given);
        check(d, 2, 5, 7, affine, true, given);
        check(d, 9, 35, 1, affine, false, given);
      }
}
TEST(sizes_that_are_cut_into_parts) {
  check(Dtype::F32, 3, 2, 4100, true, false, false);
  check(Dtype::F32, 2, 1, 4099, true, false, false);
  check(Dtype::F32, 700, 3, 1, true, false, false);
  check(Dtype::BF16, 2, 2, 4096, true, true, false);
  check(Dtype::F32, 1, 3, 1, true, false, false);
  check(Dtype::F32, 2, 0, 3, true, false, false);
}
TEST(means_far_from_zero) {
  for (int64_t L : {1, 70, 72}) check(Dtype::F32, 64, 6, L, false, false, false, 100, 0.01);
  check(Dtype::F32, 2, 1, 4096, true, false, false, 1000);
  check(Dtype::F32, 700, 3, 1, true, false, false, -3e5, 0.25);
  check(Dtype::F64, 20, 2, 36, true, false, false, 1e9, 0.5);
}
TEST(first_element_far_from_the_others) {
  const int64_t n = 5000;
  Array x = array(Dtype::F32, n), y(Dtype::F32, n), mean(Dtype::F32, 1), var(Dtype::F32, 1);
  x.set(0, 1e4);
  ChannelNormArgs a = {};
  a.dtype = Dtype::F32, a.N = 1, a.C = 1, a.L = n, a.eps = 1e-5;
  a.x = x.data(), a.y = y.data(), a.mean = mean.data(), a.var = var.data();
  Array workspace(Dtype::U8, static_cast<int64_t>(batch_norm_workspace(a)));
  batch_norm(a, workspace.data(), nullptr);
  double m = 0, v = 0;
  for (int64_t i = 0; i < n; ++i) m += x[i] / n;
  for (int64_t i = 0; i < n; ++i) v += (x[i] - m) * (x[i] - m) / n;
  NEAR(mean[0], m, tolerance(Dtype::F32, m, 1, std::sqrt(v)));
  NEAR(var[0], v, tolerance(Dtype::F32, v, 16));
  for (int64_t i = 0; i < n; ++i) NEAR(y[i], (x[i] - m) / std::sqrt(v + 1e-5), tolerance(Dtype::F32, y[i], 16, 1));
}

MAIN()
