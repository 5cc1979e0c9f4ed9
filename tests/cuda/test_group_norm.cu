// Group norm, forward and backward, against float64.
#include "arrays.h"
#include "cuda/group_norm.cu"
#include "cuda/layer_norm.cu"

using namespace fastnn::cuda;
using fastnn::Dtype;

namespace {

void check(Dtype d, int64_t N, int64_t C, int64_t L, int64_t groups, bool affine, bool wide) {
  const Dtype c = compute_dtype(d), wd = wide ? c : d;
  const int64_t count = N * C * L, each = C / groups, n = each * L;
  Array x = array(d, count, 1.5, 0.5), dy = array(d, count), w = array(wd, C, 0.3, 1), b = array(wd, C), y(d, count),
        dx(d, count);
  Array mean(c, N * groups), var(c, N * groups), dw(c, C), db(c, C);
  ChannelNormArgs a = {};
  a.dtype = d, a.wide = wide, a.N = N, a.C = C, a.L = L, a.groups = groups, a.eps = 1e-5;
  a.x = x.data(), a.y = y.data(), a.mean = mean.data(), a.var = var.data();
  a.weight = affine ? w.data() : nullptr, a.bias = affine ? b.data() : nullptr;
  group_norm(a, nullptr);
  a.dy = dy.data(), a.dx = dx.data(), a.dweight = dw.data(), a.dbias = db.data();
  Array workspace(Dtype::U8, static_cast<int64_t>(group_norm_workspace(a)));
  group_norm_backward(a, workspace.data(), nullptr);
  std::vector<double> want_w(static_cast<size_t>(C)), want_b(static_cast<size_t>(C)), size(static_cast<size_t>(C));
  for (int64_t row = 0; row < N * groups; ++row) {
    double m = 0, v = 0, s1 = 0, s2 = 0;
    for (int64_t i = 0; i < n; ++i) m += x[row * n + i] / static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) v += (x[row * n + i] - m) * (x[row * n + i] - m) / static_cast<double>(n);
    const double rstd = 1 / std::sqrt(v + 1e-5);
    NEAR(mean[row], m, tolerance(c, m, 16, 1));
    NEAR(var[row], v, tolerance(c, v, 32));
    for (int64_t i = 0; i < n; ++i) {
      const int64_t k = row % groups * each + i / L;
      const double xhat = (x[row * n + i] - m) * rstd, g = dy[row * n + i] * (affine ? w[k] : 1);
      const double want = xhat * (affine ? w[k] : 1) + (affine ? b[k] : 0);
      NEAR(y[row * n + i], want, tolerance(d, want, 1.1) + tolerance(c, want, 16, rstd + 1));
      s1 += g / static_cast<double>(n), s2 += g * xhat / static_cast<double>(n);
      want_w[static_cast<size_t>(k)] += dy[row * n + i] * xhat;
      want_b[static_cast<size_t>(k)] += dy[row * n + i];
      size[static_cast<size_t>(k)] += std::fabs(dy[row * n + i]) * (1 + std::fabs(xhat) + rstd);
    }
    for (int64_t i = 0; i < n; ++i) {
      const int64_t k = row % groups * each + i / L;
      const double xhat = (x[row * n + i] - m) * rstd, g = dy[row * n + i] * (affine ? w[k] : 1);
      const double want = rstd * (g - s1 - xhat * s2);
      NEAR(dx[row * n + i], want, tolerance(d, want, 1.1) + tolerance(c, want, 48, rstd * (2 + rstd)));
    }
  }
  for (size_t k = 0; k < static_cast<size_t>(C); ++k) {
    NEAR(dw[static_cast<int64_t>(k)], want_w[k], tolerance(c, want_w[k], 32, size[k]));
    NEAR(db[static_cast<int64_t>(k)], want_b[k], tolerance(c, want_b[k], 32, size[k]));
  }
}

}  // namespace

TEST(group_norm) {
  for (Dtype d : kFloats)
    for (bool affine : {true, false}) {
      check(d, 2, 6, 8, 3, affine, false);
      check(d, 3, 4, 7, 2, affine, true);
      check(d, 2, 5, 1, 5, affine, false);
      check(d, 2, 4, 9, 1, affine, false);
    }
  check(Dtype::F32, 1, 4, 1200, 2, true, false);
  check(Dtype::F32, 1, 2, kRowShared / 4 + 24, 1, true, false);
  check(Dtype::F32, 0, 4, 3, 2, true, false);
}

MAIN()
