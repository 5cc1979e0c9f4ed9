// Layer and RMS norm, forward and backward, against float64.
#include "arrays.h"
#include "cuda/layer_norm.cu"

using namespace fastnn::cuda;
using fastnn::Dtype;

namespace {

// offset: the mean, much larger than the deviation in some tests.
void check(Dtype d, int64_t rows, int64_t n, bool centre, bool affine, bool wide, double offset = 0.5, int shift = 0) {
  const Dtype c = compute_dtype(d), wd = wide ? c : d;
  Array x(d, rows * n, shift), dy(d, rows * n, shift), w = array(wd, n, 0.3, 1), b = array(wd, n),
                                                       y(d, rows * n, shift), dx(d, rows * n, shift);
  Array mean(c, rows), var(c, rows), dw(c, n), db(c, n);
  x.fill(1.5, offset), dy.fill();
  LayerNormArgs a = {};
  a.dtype = d, a.wide = wide, a.centre = centre, a.rows = rows, a.n = n, a.eps = 1e-5;
  a.x = x.data(), a.y = y.data(), a.mean = centre ? mean.data() : nullptr, a.var = var.data();
  a.weight = affine ? w.data() : nullptr, a.bias = affine ? b.data() : nullptr;
  layer_norm(a, nullptr);
  a.dy = dy.data(), a.dx = dx.data();
  a.dweight = affine ? dw.data() : nullptr, a.dbias = affine && centre ? db.data() : nullptr;
  Array workspace(Dtype::U8, static_cast<int64_t>(layer_norm_workspace(a)));
  layer_norm_backward(a, workspace.data(), nullptr);
  std::vector<double> want_w(static_cast<size_t>(n)), want_b(static_cast<size_t>(n)), size(static_cast<size_t>(n));
  for (int64_t r = 0; r < rows; ++r) {
    double m = 0, v = 0, s1 = 0, s2 = 0;
    for (int64_t i = 0; i < n; ++i) m += x[r * n + i];
    m = centre ? m / static_cast<double>(n) : 0;
    for (int64_t i = 0; i < n; ++i) v += (x[r * n + i] - m) * (x[r * n + i] - m);
    v /= static_cast<double>(n);
    const double rstd = 1 / std::sqrt(v + 1e-5), loss = 1 + std::fabs(offset);  // what rounding of x - mean leaves
    if (centre) NEAR(mean[r], m, tolerance(c, m, 8, 1));
    NEAR(var[r], v, tolerance(c, v, 32 * (centre ? 1 : 1)));
    for (int64_t i = 0; i < n; ++i) {
      const double xhat = (x[r * n + i] - m) * rstd, g = dy[r * n + i] * (affine ? w[i] : 1);
      const double want = xhat * (affine ? w[i] : 1) + (affine ? b[i] : 0);
      NEAR(y[r * n + i], want, tolerance(d, want, 1.1) + tolerance(c, want, 16, loss * rstd + 1));
      s1 += g, s2 += g * xhat;
      want_w[static_cast<size_t>(i)] += dy[r * n + i] * xhat;
      want_b[static_cast<size_t>(i)] += dy[r * n + i];
      size[static_cast<size_t>(i)] += std::fabs(dy[r * n + i]) * (1 + std::fabs(xhat) + loss * rstd);
    }
    s1 = centre ? s1 / static_cast<double>(n) : 0, s2 /= static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) {
      const double xhat = (x[r * n + i] - m) * rstd, g = dy[r * n + i] * (affine ? w[i] : 1);
      const double want = rstd * (g - s1 - xhat * s2);
      NEAR(dx[r * n + i], want, tolerance(d, want, 1.1) + tolerance(c, want, 32, rstd * (2 + loss * rstd)));
    }
  }
  for (int64_t i = 0; affine && i < n; ++i) {
    NEAR(dw[i], want_w[static_cast<size_t>(i)],
         tolerance(c, want_w[static_cast<size_t>(i)], 32, size[static_cast<size_t>(i)]));
    if (centre)
      NEAR(db[i], want_b[static_cast<size_t>(i)],
           tolerance(c, want_b[static_cast<size_t>(i)], 32, size[static_cast<size_t>(i)]));
  }
}

}  // namespace

TEST(every_option) {
  for (Dtype d : kFloats)
    for (bool centre : {true, false})
      for (bool affine : {true, false})
        for (int64_t n : {24, 37}) {
          check(d, 11, n, centre, affine, false);
          check(d, 11, n, centre, affine, true);
        }
}
TEST(sizes) {
  for (Dtype d : {Dtype::F32, Dtype::BF16}) {
    for (int64_t n : {1, 2, 31, 64, 1000}) check(d, 5, n, true, true, false);
    check(d, 3, 1028, true, true, false);
    check(d, 2, 16, true, true, false, 0.5, 1);
    check(d, 0, 8, true, true, false);
  }
  check(Dtype::F32, 2, 4099, true, true, false);
  check(Dtype::F32, 1, kRowShared / 4 + 4, true, true, false);  // beyond shared memory, forward and backward
  check(Dtype::F32, 1, kRowShared / 8 + 712, false, true, false);
}
TEST(many_rows_share_blocks) { check(Dtype::F32, 264 * 8 + 9, 2, true, true, false); }
TEST(a_mean_far_from_zero) {
  check(Dtype::F32, 4, 500, true, true, false, 3000);
  check(Dtype::F64, 4, 77, true, true, false, 1e7);
}

MAIN()
