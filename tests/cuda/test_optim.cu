// Optimizer steps, gradient norms and scaling, against float64.
#include "arrays.h"
#include "cuda/optim.cu"

using namespace fastnn::cuda;
using fastnn::Dtype;

namespace {

// A list of parameters with gradients and states: ragged, one empty, one unaligned.
struct List {
  std::vector<Array> p, g, s[3];
  std::vector<OptimTensor> tensors;
  List(Dtype d, const std::vector<int64_t>& sizes, int states) {
    for (size_t i = 0; i < sizes.size(); ++i) {
      const int shift = i % 3 == 2;
      p.emplace_back(d, sizes[i], shift), g.emplace_back(d, sizes[i], shift);
      p.back().fill(), g.back().fill();
      OptimTensor t = {p.back().data(), g.back().data(), {nullptr, nullptr, nullptr}, sizes[i]};
      for (int k = 0; k < 3; ++k) {
        s[k].emplace_back(d, sizes[i], shift);
        s[k].back().fill();
        for (int64_t j = 0; j < sizes[i]; ++j)  // squares are positive, and large beside a centred mean
          s[k].back().set(j, k == 1 ? std::fabs(s[k].back()[j]) + 0.5 : s[k].back()[j]);
        if (states >> k & 1) t.state[k] = s[k].back().data();
      }
      tensors.push_back(t);
    }
  }
  int count() const { return static_cast<int>(tensors.size()); }
};
const std::vector<int64_t> kSizes = {37, 0, 16, 4100, 5};

double lerp_of(double m, double g, double w) { return m + w * (g - m); }

void check(const OptimArgs& a, int states, double lr, double step, double scale,
           const std::vector<int64_t>& sizes = kSizes) {
  List list(a.dtype, sizes, states), old(a.dtype, sizes, states);
  for (size_t i = 0; i < sizes.size(); ++i)
    for (int64_t j = 0; j < sizes[i]; ++j) {
      if (a.rule == Optimizer::RmsProp || a.rule == Optimizer::Adagrad)
        list.s[0][i].set(j, std::fabs(list.s[0][i][j]) + (a.centered ? 9 : 0.5));
      old.p[i].set(j, list.p[i][j]), old.g[i].set(j, list.g[i][j]);
      for (int k = 0; k < 3; ++k) old.s[k][i].set(j, list.s[k][i][j]);
    }
  optim_step(a, list.tensors.data(), list.count(), nullptr);
  for (size_t i = 0; i < sizes.size(); ++i)
    for (int64_t j = 0; j < sizes[i]; ++j) {
      double p = old.p[i][j], g = old.g[i][j] / scale * (a.maximize ? -1 : 1),
             s[3] = {old.s[0][i][j], old.s[1][i][j], old.s[2][i][j]};
      if (a.rule == Optimizer::Adam && a.decoupled)
        p *= 1 - lr * a.weight_decay;
      else
        g += p * a.weight_decay;
      double move = 0;
      switch (a.rule) {
        case Optimizer::Sgd:
          if (a.has_buffers) {
            s[0] = a.first_step ? g : a.momentum * s[0] + (1 - a.dampening) * g;
            g = a.nesterov ? g + a.momentum * s[0] : s[0];
          }
          move = lr * g;
          break;
        case Optimizer::Adam: {
          s[0] = lerp_of(s[0], g, 1 - a.beta1);
          s[1] = a.beta2 * s[1] + (1 - a.beta2) * g * g;
          if (a.amsgrad) s[2] = std::fmax(s[2], s[1]);
          move = lr / (1 - std::pow(a.beta1, step)) * s[0] /
                 (std::sqrt(a.amsgrad ? s[2] : s[1]) / std::sqrt(1 - std::pow(a.beta2, step)) + a.eps);
          break;
        }
        case Optimizer::Adagrad:
          s[0] += g * g;
          move = lr / (1 + (step - 1) * a.lr_decay) * g / (std::sqrt(s[0]) + a.eps);
          break;
        case Optimizer::RmsProp: {
          s[0] = a.alpha * s[0] + (1 - a.alpha) * g * g;
          double square = s[0];
          if (a.centered) s[1] = lerp_of(s[1], g, 1 - a.alpha), square -= s[1] * s[1];
          move = g / (std::sqrt(square) + a.eps);
          if (a.has_buffers) s[2] = a.momentum * s[2] + move, move = s[2];
          move *= lr;
          break;
        }
      }
      p -= move;
      const Dtype c = compute_dtype(a.dtype);
      NEAR(list.p[i][j], p, tolerance(a.dtype, p, 0.6) + tolerance(c, p, 32, std::fabs(move) + 1));
      for (int k = 0; k < 3; ++k)
        if (states >> k & 1)
          NEAR(list.s[k][i][j], s[k],
               tolerance(a.dtype, s[k], 0.6) + tolerance(c, s[k], 32, 4 * std::fabs(move) / lr + 4));
    }
}
OptimArgs arguments(Dtype d, Optimizer rule) {
  OptimArgs a = {};
  a.dtype = d, a.rule = rule, a.lr = 0.01, a.eps = 1e-8, a.beta1 = 0.9, a.beta2 = 0.999, a.alpha = 0.99, a.step = 3;
  a.momentum = 0.9, a.dampening = 0.1, a.lr_decay = 0.1;
  return a;
}

}  // namespace

TEST(sgd) {
  for (Dtype d : kFloats)
    for (int k = 0; k < 16; ++k) {
      OptimArgs a = arguments(d, Optimizer::Sgd);
      a.weight_decay = k & 1 ? 0.1 : 0, a.has_buffers = k & 2, a.nesterov = k & 4, a.maximize = k & 8,
      a.first_step = k == 2;
      check(a, a.has_buffers ? 1 : 0, a.lr, 3, 1);
    }
}
TEST(adam) {
  for (Dtype d : kFloats)
    for (int k = 0; k < 16; ++k) {
      OptimArgs a = arguments(d, Optimizer::Adam);
      a.weight_decay = k & 1 ? 0.1 : 0, a.decoupled = k & 2, a.amsgrad = k & 4, a.maximize = k & 8;
      check(a, a.amsgrad ? 7 : 3, a.lr, 3, 1, d == Dtype::F32 ? kSizes : std::vector<int64_t>{19, 8});
    }
}
TEST(adagrad_and_rmsprop) {
  for (Dtype d : kFloats) {
    OptimArgs a = arguments(d, Optimizer::Adagrad);
    check(a, 1, a.lr, 3, 1, {33});
    for (int k = 0; k < 4; ++k) {
      a = arguments(d, Optimizer::RmsProp);
      a.centered = k & 1, a.has_buffers = k & 2;
      check(a, 1 | (a.centered ? 2 : 0) | (a.has_buffers ? 4 : 0), a.lr, 3, 1, {33});
    }
  }
}
TEST(values_on_the_device) {
  for (Optimizer rule : {Optimizer::Adam, Optimizer::Sgd}) {
    OptimArgs a = arguments(Dtype::F32, rule);
    const double lr = 0.03;
    const int64_t step = 7;
    const float scale = 4, none = 0, found = 1;
    a.device = {&lr, &step, &scale, &none};
    check(a, rule == Optimizer::Adam ? 3 : 0, lr, 7, 4);
    a.device.found_inf = &found;
    List list(Dtype::F32, {20}, 3);
    std::vector<double> before;
    for (int i = 0; i < 20; ++i) before.push_back(list.p[0][i]);
    optim_step(a, list.tensors.data(), 1, nullptr);
    for (int i = 0; i < 20; ++i) NEAR(list.p[0][i], before[static_cast<size_t>(i)], 0);
  }
}
TEST(more_tensors_than_a_launch_takes) {
  OptimArgs a = arguments(Dtype::F32, Optimizer::Sgd);
  check(a, 0, a.lr, 3, 1, std::vector<int64_t>(2 * kOptimTensors + 3, 6));
}
TEST(norms) {
  for (Dtype d : kFloats)
    for (double p : {1.0, 2.0, static_cast<double>(INFINITY), 3.0}) {
      if (kSanitized && p != 2.0) continue;
      for (const auto& sizes : {kSizes, std::vector<int64_t>{}, std::vector<int64_t>(70, 3)}) {
        List list(d, sizes, 0);
        Array workspace(Dtype::U8, static_cast<int64_t>(grad_norm_workspace(list.tensors.data(), list.count()))),
            out(compute_dtype(d), 1);
        grad_norm(d, list.tensors.data(), list.count(), p, out.data(), workspace.data(), nullptr);
        double want = 0;
        for (size_t i = 0; i < sizes.size(); ++i)
          for (int64_t j = 0; j < sizes[i]; ++j) {
            const double v = std::fabs(list.g[i][j]);
            want = std::isinf(p) ? std::fmax(want, v) : want + std::pow(v, p);
          }
        if (!std::isinf(p)) want = std::pow(want, 1 / p);
        NEAR(out[0], want, tolerance(compute_dtype(d), want, 32));
        if (!list.count()) continue;
        list.g[0].set(3 % sizes[0], NAN);
        grad_norm(d, list.tensors.data(), list.count(), p, out.data(), workspace.data(), nullptr);
        CHECK(std::isnan(out[0]));
      }
    }
}
TEST(scaling) {
  for (Dtype d : kFloats) {
    List list(d, kSizes, 0), old(d, kSizes, 0);
    const auto save = [&] {
      for (size_t i = 0; i < kSizes.size(); ++i)
        for (int64_t j = 0; j < kSizes[i]; ++j) old.p[i].set(j, list.p[i][j]);
    };
    const auto expect = [&](double factor) {
      for (size_t i = 0; i < kSizes.size(); ++i)
        for (int64_t j = 0; j < kSizes[i]; ++j)
          NEAR(list.p[i][j], old.p[i][j] * factor, tolerance(d, old.p[i][j] * factor, 1.1) + 1e-7);
    };
    Array limit(compute_dtype(d), 1);
    save();
    optim_scale(d, list.tensors.data(), list.count(), 0.5, nullptr, nullptr);
    expect(0.5);
    limit.set(0, 8);
    save();
    optim_scale(d, list.tensors.data(), list.count(), 2, limit.data(), nullptr);
    expect(0.25);
    limit.set(0, 1);
    save();
    optim_scale(d, list.tensors.data(), list.count(), 2, limit.data(), nullptr);
    expect(1);
    float factor = 0.25f, found = 0;
    save();
    optim_unscale(d, list.tensors.data(), list.count(), &factor, &found, nullptr);
    expect(0.25);
    CHECK(found == 0);
    list.p[3].set(4099, INFINITY);
    optim_unscale(d, list.tensors.data(), list.count(), &factor, &found, nullptr);
    CHECK(found == 1);
  }
}

MAIN()
