// Cross-entropy and its gradient against float64: weights, smoothing, ignored and impossible targets, both ways to the
// gradient.
#include "arrays.h"
#include "cuda/cross_entropy.cu"

using namespace fastnn::cuda;
using fastnn::Dtype;

namespace {

void check(Dtype d, int64_t rows, int64_t classes, bool weighted, double smoothing, Reduction reduction, bool bad,
           bool in_place) {
  const Dtype c = compute_dtype(d);
  Array x = array(d, rows * classes, 2), w(d, classes), dx(d, rows * classes), fused(d, rows * classes), lse(c, rows),
        losses(c, rows);
  Array loss(c, 1), total(c, 1), dloss(d, reduction == Reduction::None ? rows : 1), target(Dtype::I64, rows);
  for (int64_t i = 0; i < classes; ++i) w.set(i, 0.5 + (i % 5) * 0.25);
  for (int64_t i = 0; i < dloss.n; ++i) dloss.set(i, 1.5 + i % 3);
  for (int64_t i = 0; i < rows; ++i) target.set(i, static_cast<double>(i % 4 == 3 ? -100 : i * 7 % classes));
  if (bad && rows > 2) target.set(1, static_cast<double>(classes)), target.set(2, -5);
  CrossEntropyArgs a = {};
  a.dtype = d;
  a.reduction = reduction;
  Array logits(d, rows * classes);
  std::memcpy(logits.p, x.p, static_cast<size_t>(x.n * size_of(d)));
  a.logits = logits.data();
  a.target = target.as<int64_t>();
  a.weight = weighted ? w.data() : nullptr;
  a.rows = rows, a.classes = classes, a.ignore_index = -100;
  a.smoothing = smoothing;
  a.lse = lse.data(), a.losses = losses.data(), a.loss = loss.data(), a.total = total.data();
  Array workspace(Dtype::U8, static_cast<int64_t>(cross_entropy_workspace(a)));
  cross_entropy(a, workspace.data(), nullptr);
  a.dloss = dloss.data();
  a.dlogits = dx.data();
  cross_entropy_backward(a, workspace.data(), nullptr);
  Array first(c, 1);
  first.set(0, loss[0]);
  a.dlogits = in_place ? logits.data() : fused.data();
  cross_entropy(a, workspace.data(), nullptr);
  if (reduction != Reduction::None) NEAR(loss[0], first[0], 0);  // the gradient does not change it
  cross_entropy_scale(a, nullptr);
  const Array& g2 = in_place ? logits : fused;

  double sum = 0, weights = 0, weight_sum = 0;
  for (int64_t k = 0; k < classes; ++k) weight_sum += weighted ? w[k] : 1;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t t = target.as<int64_t>()[i];
    if (t != -100) weights += weighted && t >= 0 && t < classes ? w[t] : 1;
  }
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t t = target.as<int64_t>()[i];
    const bool ignored = t == -100, wrong = !ignored && (t < 0 || t >= classes);
    double s = 0, smooth = 0;
    for (int64_t k = 0; k < classes; ++k) s += std::exp(x[i * classes + k]);
    const double l = std::log(s);
    for (int64_t k = 0; k < classes; ++k) smooth += (weighted ? w[k] : 1) * (l - x[i * classes + k]);
    const double wt = ignored || wrong || !weighted ? 1 : w[t];
    const double want =
        wrong     ? NAN
        : ignored ? 0
                  : (1 - smoothing) * wt * (l - x[i * classes + t]) + smoothing / static_cast<double>(classes) * smooth;
    NEAR(lse[i], l, tolerance(c, l, 8, 4));
    NEAR(losses[i], want, tolerance(c, want, 16, 4 + smoothing * static_cast<double>(classes) / 8));
    sum += want;
    const double g = dloss[reduction == Reduction::None ? i : 0] / (reduction == Reduction::Mean ? weights : 1);
    for (int64_t k = 0; k < classes; ++k) {
      const double a1 = (1 - smoothing) * wt, u = smoothing / static_cast<double>(classes);
      double slope = g * ((a1 + u * weight_sum) * std::exp(x[i * classes + k] - l) - u * (weighted ? w[k] : 1) -
                          (k == t ? a1 : 0));
      if (ignored) slope = 0;
      if (wrong) slope = NAN;
      const double allowed = tolerance(d, slope, 1.1) + tolerance(c, slope, 32, std::fabs(g));
      NEAR(dx[i * classes + k], slope, allowed);
      NEAR(g2[i * classes + k], slope,
           tolerance(d, slope, 2.2) + allowed + tolerance(d, slope, 1, std::fabs(g)) * 1e-3);
    }
  }
  if (reduction != Reduction::None) {
    NEAR(total[0], weights, tolerance(c, weights, 4));
    const double want = reduction == Reduction::Mean ? sum / weights : sum;
    NEAR(loss[0], want, tolerance(c, want, 32, reduction == Reduction::Mean ? 4 : 4.0 * static_cast<double>(rows)));
  }
}

}  // namespace

TEST(every_option) {
  for (Dtype d : kFloats)
    for (bool weighted : {false, true})
      for (double smoothing : {0.0, 0.1})
        for (Reduction r : {Reduction::None, Reduction::Mean, Reduction::Sum})
          for (bool in_place : {false, true})
            check(d, 9, in_place ? 16 : 7, weighted, smoothing, r, weighted, in_place);
}
TEST(sizes) {
  for (Dtype d : {Dtype::F32, Dtype::BF16}) {
    for (int64_t classes : {1, 2, 31, 33, 1000, 1300}) check(d, 5, classes, false, 0, Reduction::Mean, false, false);
    check(d, 3, 2048, true, 0.1, Reduction::Mean, false, true);
    check(d, 1, kRowShared / 4 + 24, false, 0.1, Reduction::Mean, false, true);  // beyond shared memory
    check(d, 1030, 2, false, 0, Reduction::Mean, false, false);                  // the sums in parts
  }
  check(Dtype::F32, 0, 5, false, 0, Reduction::Mean, false, false);
}

MAIN()
