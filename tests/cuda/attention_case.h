// One call of attention against plain sums in float64: for the tests of forward, backward, and every rung.
#pragma once
#include <algorithm>
#include <vector>

#include "arrays.h"
#include "cuda/attention.h"

namespace attention_case {
using namespace fastnn;
using namespace fastnn::cuda;

enum class Hide { Nothing, Causal, Bool, Padding, Additive };
enum class Drop { None, Kept, Drawn };
struct Case {
  Dtype dtype;
  int64_t B, H, G, L, S, E, Ev;
  Hide hide = Hide::Nothing;
  Drop drop = Drop::None;
  bool swapped = false;  // memory [B, rows, heads, columns]
  int pad = 0;           // elements between rows: odd ones make 16-byte accesses impossible
  double scale = 0;      // 0: 1 / sqrt(E)
};
// What the kernels by wgmma take, and what differs from it by one thing that they leave to those by mma.sync.
inline const Case for_wgmma{Dtype::BF16, 1, 1, 1, 20, 40, 16, 16};
inline std::vector<Case> left_to_mma() {
  std::vector<Case> cases(5, for_wgmma);
  cases[0].dtype = Dtype::F32;
  cases[1].hide = Hide::Bool;
  cases[2].drop = Drop::Drawn;
  cases[3].pad = 3;
  cases[4].scale = -1;
  return cases;
}

struct Tensor {
  Array memory;
  AttentionArray at;
  Tensor(const Case& t, int64_t heads, int64_t rows, int64_t columns, bool filled)
      : memory(t.dtype, t.B * heads * rows * (columns + t.pad)) {
    if (filled) memory.fill(1);
    const int64_t line = columns + t.pad;
    at = {memory.data(), heads * rows * line, t.swapped ? line : rows * line, t.swapped ? heads * line : line};
  }
  int64_t place(int64_t b, int64_t h, int64_t i, int64_t j) const {
    return b * at.batch + h * at.head + i * at.row + j;
  }
  double operator()(int64_t b, int64_t h, int64_t i, int64_t j) const { return memory[place(b, h, i, j)]; }
};

// The call, its operands, and what it should give.
struct Problem {
  Case t;
  Tensor q, k, v, out, dout, dq, dk, dv;
  std::vector<uint8_t> mask_bytes, kept;
  std::unique_ptr<Array> mask_values;
  std::vector<float> lse, delta;
  AttentionArgs a{};
  AttentionDropout drop{};
  std::vector<double> p, factor, want, want_lse;  // [B, H, L, S] twice, [B, H, L, Ev], [B, H, L]

  explicit Problem(const Case& c)
      : t(c),
        q(c, c.H, c.L, c.E, true),
        k(c, c.G, c.S, c.E, true),
        v(c, c.G, c.S, c.Ev, true),
        out(c, c.H, c.L, c.Ev, false),
        dout(c, c.H, c.L, c.Ev, true),
        dq(c, c.H, c.L, c.E, false),
        dk(c, c.G, c.S, c.E, false),
        dv(c, c.G, c.S, c.Ev, false),
        lse(static_cast<size_t>(c.B * c.H * c.L), NAN),
        delta(static_cast<size_t>(c.B * c.H * c.L), NAN) {
    a.dtype = t.dtype;
    a.B = t.B, a.H = t.H, a.kv_heads = t.G, a.L = t.L, a.S = t.S, a.E = t.E, a.Ev = t.Ev;
    a.q = q.at, a.k = k.at, a.v = v.at, a.out = out.at, a.dout = dout.at, a.dq = dq.at, a.dk = dk.at, a.dv = dv.at;
    a.scale = t.scale != 0 ? t.scale : 1 / std::sqrt(static_cast<double>(t.E));
    a.causal = t.hide == Hide::Causal;
    a.lse = lse.data();
    a.kept_scale = 1;
    auto& g = test_generator();
    std::uniform_int_distribution<int> ten(0, 9);
    if (t.hide == Hide::Bool) {
      for (int64_t i = 0; i < t.B * t.H * t.L * t.S; ++i) mask_bytes.push_back(ten(g) < 7 && i / t.S % t.L != t.L / 2);
      a.mask_kind = AttentionMask::Bool;
      a.mask = {mask_bytes.data(), t.H * t.L * t.S, t.L * t.S, t.S};
      a.mask_column = 1;
    } else if (t.hide == Hide::Padding) {  // [B, 1, 1, S], every other byte
      for (int64_t i = 0; i < t.B * t.S * 2; ++i) mask_bytes.push_back(ten(g) < 6 || i == 0);
      a.mask_kind = AttentionMask::Bool;
      a.mask = {mask_bytes.data(), 2 * t.S, 0, 0};
      a.mask_column = 2;
    } else if (t.hide == Hide::Additive) {  // [L, S]; the last row sees nothing
      mask_values = std::make_unique<Array>(t.dtype, t.L * t.S);
      mask_values->fill(1);
      for (int64_t i = 0; i < t.L * t.S; ++i)
        if (ten(g) < 2 || i / t.S == t.L - 1) mask_values->set(i, -INFINITY);
      a.mask_kind = AttentionMask::Additive;
      a.mask = {mask_values->data(), 0, 0, t.S};
      a.mask_column = 1;
    }
    if (t.drop != Drop::None) {
      a.kept_scale = 1 / 0.75;
      kept.resize(static_cast<size_t>(t.B * t.H * t.L * t.S));
      drop = {true, {0x123456789abcdefull, 77, nullptr}, uint64_t(0.75 * 4294967296.0)};
      attention_kept(drop, kept.data(), t.B * t.H, t.L, t.S, nullptr);
      if (t.drop == Drop::Kept) {
        a.kept = kept.data();
        drop = {};
      }
    }
    reference();
  }

  void reference() {
    const int64_t group = t.H / t.G;
    p.resize(static_cast<size_t>(t.B * t.H * t.L * t.S));
    factor.assign(p.size(), 1);
    want.resize(static_cast<size_t>(t.B * t.H * t.L * t.Ev));
    want_lse.resize(lse.size());
    for (int64_t row = 0; row < t.B * t.H * t.L; ++row) {
      const int64_t b = row / t.L / t.H, h = row / t.L % t.H, i = row % t.L;
      double *s = p.data() + row * t.S, top = -INFINITY, total = 0;
      for (int64_t j = 0; j < t.S; ++j) {
        double x = 0;
        for (int64_t e = 0; e < t.E; ++e) x += q(b, h, i, e) * k(b, h / group, j, e);
        x *= a.scale;
        const int64_t at = b * a.mask.batch + h * a.mask.head + i * a.mask.row + j * a.mask_column;
        if (a.mask_kind == AttentionMask::Bool && !mask_bytes[static_cast<size_t>(at)]) x = -INFINITY;
        if (a.mask_kind == AttentionMask::Additive) x += (*mask_values)[at];
        if (a.causal && j > i) x = -INFINITY;
        s[j] = x;
        top = std::max(top, x);
      }
      for (int64_t j = 0; j < t.S; ++j) total += s[j] = top == -INFINITY ? 0 : std::exp(s[j] - top);
      want_lse[static_cast<size_t>(row)] = total ? top + std::log(total) : INFINITY;
      for (int64_t j = 0; j < t.S; ++j) {
        if (total) s[j] /= total;
        if (!kept.empty()) factor[static_cast<size_t>(row * t.S + j)] = kept[static_cast<size_t>(row * t.S + j)] / 0.75;
      }
      for (int64_t e = 0; e < t.Ev; ++e) {
        double x = 0;
        for (int64_t j = 0; j < t.S; ++j)
          x += s[j] * factor[static_cast<size_t>(row * t.S + j)] * v(b, h / group, j, e);
        want[static_cast<size_t>(row * t.Ev + e)] = x;
      }
    }
  }
  // Roundings of the operands of a product (probabilities among them), of its sum, and of the result.
  double bound(double size, double terms) const {
    const double unit = t.dtype == Dtype::F32 ? 1e-6 : epsilon(t.dtype);
    return unit * (2 + std::sqrt(terms) / 4) * (0.1 + size) + 1e-6;
  }
  // What a forward pass leaves for the backward pass.
  void saved() {
    for (int64_t row = 0; row < t.B * t.H * t.L; ++row) {
      lse[static_cast<size_t>(row)] = static_cast<float>(want_lse[static_cast<size_t>(row)]);
      for (int64_t e = 0; e < t.Ev; ++e)
        out.memory.set(out.place(row / t.L / t.H, row / t.L % t.H, row % t.L, e),
                       want[static_cast<size_t>(row * t.Ev + e)]);
    }
  }
  // An infinity is near nothing but itself, however wide the tolerance that comes of it.
  static void compare_one(double got, double want, double tolerance) {
    NEAR(got, want, std::isfinite(want) ? tolerance : 0);
  }
  void check_forward() {
    for (int64_t row = 0; row < t.B * t.H * t.L; ++row) {
      const int64_t b = row / t.L / t.H, h = row / t.L % t.H, i = row % t.L;
      NEAR(lse[static_cast<size_t>(row)], want_lse[static_cast<size_t>(row)],
           1e-5 * (1 + std::fabs(want_lse[static_cast<size_t>(row)])));
      for (int64_t e = 0; e < t.Ev; ++e) {
        const double x = want[static_cast<size_t>(row * t.Ev + e)];
        compare_one(out(b, h, i, e), x, bound(std::fabs(x), static_cast<double>(t.E)));
      }
    }
    check_padding(out, t.H, t.L, t.Ev);
  }
  // What lies between the rows is as it was: NaN.
  void check_padding(const Tensor& x, int64_t heads, int64_t rows, int64_t columns) {
    for (int64_t b = 0; b < t.B; ++b)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t i = 0; i < rows; ++i)
          for (int64_t j = columns; j < columns + t.pad; ++j) CHECK(std::isnan(x(b, h, i, j)));
  }
  // Through the softmax's Jacobian.
  void check_backward() {
    const int64_t group = t.H / t.G;
    std::vector<double> gq(static_cast<size_t>(t.B * t.H * t.L * t.E)), gk(static_cast<size_t>(t.B * t.G * t.S * t.E));
    std::vector<double> gv(static_cast<size_t>(t.B * t.G * t.S * t.Ev));
    for (int64_t row = 0; row < t.B * t.H * t.L; ++row) {
      const int64_t b = row / t.L / t.H, h = row / t.L % t.H, i = row % t.L, g = b * t.G + h / group;
      std::vector<double> dp(static_cast<size_t>(t.S));
      double mean = 0;
      const double *s = p.data() + row * t.S, *f = factor.data() + row * t.S;
      for (int64_t j = 0; j < t.S; ++j) {
        for (int64_t e = 0; e < t.Ev; ++e) {
          dp[static_cast<size_t>(j)] += dout(b, h, i, e) * v(b, h / group, j, e) * f[j];
          gv[static_cast<size_t>((g * t.S + j) * t.Ev + e)] += s[j] * f[j] * dout(b, h, i, e);
        }
        mean += s[j] * dp[static_cast<size_t>(j)];
      }
      for (int64_t j = 0; j < t.S; ++j) {
        const double ds = s[j] * (dp[static_cast<size_t>(j)] - mean) * a.scale;
        for (int64_t e = 0; e < t.E; ++e) {
          gq[static_cast<size_t>(row * t.E + e)] += ds * k(b, h / group, j, e);
          gk[static_cast<size_t>((g * t.S + j) * t.E + e)] += ds * q(b, h, i, e);
        }
      }
    }
    auto compare = [&](const Tensor& got, const std::vector<double>& want, int64_t heads, int64_t rows, int64_t columns,
                       double terms) {
      double size = 0;
      for (double x : want) size += x * x;
      size = std::sqrt(size / static_cast<double>(want.size()));
      for (int64_t at = 0; at < t.B * heads * rows * columns; ++at) {
        const double x = want[static_cast<size_t>(at)];
        compare_one(got(at / columns / rows / heads, at / columns / rows % heads, at / columns % rows, at % columns), x,
                    bound(2 * size + std::fabs(x), terms));
      }
      check_padding(got, heads, rows, columns);
    };
    if (a.dq.p) compare(dq, gq, t.H, t.L, t.E, static_cast<double>(t.Ev));
    if (a.dk.p) compare(dk, gk, t.G, t.S, t.E, static_cast<double>(t.Ev * group));
    if (a.dv.p) compare(dv, gv, t.G, t.S, t.Ev, static_cast<double>(t.E * group));
  }
};

inline void forward(const Case& t) {
  Problem p(t);
  attention(p.a, p.drop, nullptr);
  p.check_forward();
}
inline void backward(const Case& t) {
  Problem p(t);
  p.saved();
  attention_backward(p.a, p.drop, p.delta.data(), nullptr);
  p.check_backward();
}

}  // namespace attention_case
