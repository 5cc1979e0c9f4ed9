// One product of any layout against float64: for the tests of every rung of the GEMM ladder.
#pragma once
#include "cuda/gemm.h"
#include "cuda/gemm_common.h"
#include "cuda/launch.h"
#include "native.h"

namespace gemm_case {
using namespace fastnn;
using namespace fastnn::cuda;

template <class T>
struct Traits;
template <>
struct Traits<float> {
  static constexpr Dtype dtype = Dtype::F32;
  static constexpr double eps = 6e-8;
  static float make(double x) { return static_cast<float>(x); }
  static double value(float x) { return x; }
};
template <>
struct Traits<double> {
  static constexpr Dtype dtype = Dtype::F64;
  static constexpr double eps = 1.2e-16;
  static double make(double x) { return x; }
  static double value(double x) { return x; }
};
template <>
struct Traits<bf16> {
  static constexpr Dtype dtype = Dtype::BF16;
  static constexpr double eps = 3.95e-3;
  static bf16 make(double x) { return from_float<bf16>(static_cast<float>(x)); }
  static double value(bf16 x) { return to_float(x); }
};
template <>
struct Traits<f16> {
  static constexpr Dtype dtype = Dtype::F16;
  static constexpr double eps = 4.9e-4;
  static f16 make(double x) { return from_float<f16>(static_cast<float>(x)); }
  static double value(f16 x) { return to_float(x); }
};

inline double activation(double v, GemmAct act) {
  switch (act) {
    case GemmAct::Relu:
      return v < 0 ? 0 : v;
    case GemmAct::Gelu:
      return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
    case GemmAct::GeluTanh:
      return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    case GemmAct::Tanh:
      return std::tanh(v);
    case GemmAct::Sigmoid:
      return 1 / (1 + std::exp(-v));
    default:
      return v;
  }
}

// Layouts: 0 row-major, 1 transposed, 2 neither stride is one.
struct Case {
  int m, n, k;
  int a_layout = 0, b_layout = 0;
  int pad = 0;  // elements between rows; odd ones make 16-byte accesses impossible
  int batch = 1;
  bool shared_b = false;
  GemmAct act = GemmAct::None;
  int bias = 0;  // 1 along columns, 2 along rows
  bool accumulate = false;
  double input_eps = 0;  // relative rounding of the operands inside (tf32)
  double span = 0;       // operands of either sign from 2^-span to 2^span
};

struct Matrix {
  int64_t rs, cs, bs, size;
};
inline Matrix layout(int rows, int columns, int kind, int pad) {
  if (kind == 0) return {columns + pad, 1, int64_t(rows) * (columns + pad), int64_t(rows) * (columns + pad)};
  if (kind == 1) return {1, rows + pad, int64_t(columns) * (rows + pad), int64_t(columns) * (rows + pad)};
  return {2 * columns + pad, 2, int64_t(rows) * (2 * columns + pad), int64_t(rows) * (2 * columns + pad)};
}

// Runs `go(GemmArgs, bias_rows)`, checks every element, and that what lies between the rows is untouched.
template <class T, class Go>
void check(const Case& t, Go go) {
  using X = Traits<T>;
  Matrix ma = layout(t.m, t.k, t.a_layout, t.pad), mb = layout(t.k, t.n, t.b_layout, t.pad);
  Matrix mc = layout(t.m, t.n, 0, t.pad);
  int b_batch = t.shared_b ? 1 : t.batch;
  auto fill = [&](int64_t n) {
    auto f = random_floats(n);
    if (t.span > 0)
      for (auto& x : f) x = std::copysign(static_cast<float>(std::exp2((2 * std::fabs(x) - 1) * t.span)), x);
    std::vector<T> v(n);
    for (int64_t i = 0; i < n; ++i) v[i] = X::make(f[i]);
    return v;
  };
  auto a = fill(ma.size * t.batch), b = fill(mb.size * b_batch), c = fill(mc.size * t.batch), bias = fill(t.m + t.n);
  if (!t.accumulate)
    for (auto& v : c) v = X::make(NAN);
  const double guard = 77;
  for (int z = 0; z < t.batch; ++z)
    for (int i = 0; i < t.m; ++i)
      for (int j = t.n; j < t.n + t.pad; ++j) c[z * mc.bs + i * mc.rs + j] = X::make(guard);
  // Exact sizes, so that AddressSanitizer sees one element too many.
  std::vector<T> exact_a(a), exact_b(b), result(c);
  GemmArgs g = {};
  g.dtype = X::dtype;
  g.m = t.m, g.n = t.n, g.k = t.k;
  g.a = exact_a.data(), g.a_rs = ma.rs, g.a_cs = ma.cs, g.a_bs = ma.bs;
  g.b = exact_b.data(), g.b_rs = mb.rs, g.b_cs = mb.cs, g.b_bs = t.shared_b ? 0 : mb.bs;
  g.c = result.data(), g.ldc = mc.rs, g.c_bs = mc.bs;
  g.batch = t.batch;
  g.bias = t.bias ? bias.data() : nullptr;
  g.act = t.act;
  g.accumulate = t.accumulate;
  go(g, t.bias == 2);
  for (int z = 0; z < t.batch; ++z)
    for (int i = 0; i < t.m; ++i) {
      for (int j = 0; j < t.n; ++j) {
        double sum = 0, size = 0;
        for (int k = 0; k < t.k; ++k) {
          double p = X::value(a[z * ma.bs + i * ma.rs + k * ma.cs]) *
                     X::value(b[(t.shared_b ? 0 : z * mb.bs) + k * mb.rs + j * mb.cs]);
          sum += p;
          size += std::fabs(p);
        }
        int64_t at = z * mc.bs + i * mc.rs + j;
        if (t.accumulate) sum += X::value(c[at]);
        if (t.bias) sum += X::value(bias[t.bias == 2 ? i : j]);
        double want = activation(sum, t.act);
        double acc_eps = sizeof(T) == 8 ? 1.2e-16 : 1.2e-7;
        double tolerance = X::eps * std::fabs(want) +
                           (4 + std::sqrt(double(t.k))) * acc_eps * ((t.span > 0 ? 0 : 1) + size) +
                           2 * t.input_eps * size + (X::dtype == Dtype::F16 ? 3e-8 : 0);
        near_at(__FILE__, __LINE__,
                ("c[" + std::to_string(z) + "," + std::to_string(i) + "," + std::to_string(j) + "]").c_str(),
                X::value(result[at]), want, tolerance);
      }
      for (int j = t.n; j < t.n + t.pad; ++j) NEAR(X::value(result[z * mc.bs + i * mc.rs + j]), guard, 0);
    }
}

// Layouts, ragged sizes, batches and epilogues that every rung must pass.
// C in float32: the sums, not rounded.
template <class T, class Go>
void check_wide(int m, int n, int k, Go go) {
  using X = Traits<T>;
  std::vector<T> a, b;
  for (float v : random_floats(static_cast<size_t>(m * k))) a.push_back(X::make(v));
  for (float v : random_floats(static_cast<size_t>(k * n))) b.push_back(X::make(v));
  std::vector<float> c(static_cast<size_t>(m * n), NAN);
  GemmArgs g = {};
  g.dtype = X::dtype;
  g.m = m, g.n = n, g.k = k, g.batch = 1;
  g.a = a.data(), g.a_rs = k, g.a_cs = 1, g.b = b.data(), g.b_rs = n, g.b_cs = 1;
  g.c = c.data(), g.ldc = n;
  GemmOptions o;
  o.wide = true;
  go(problem_of(g, o));
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l) sum += X::value(a[i * k + l]) * X::value(b[l * n + j]);
      NEAR(c[i * n + j], sum, 1.2e-7 * (4 + k));
    }
  g.bias = a.data();
  THROWS(problem_of(g, o), "no epilogue");
}

template <class T, class Go>
void check_all(Go go, bool small, double input_eps = 0) {
  auto one = [&](Case t) {
    t.input_eps = input_eps;
    check<T>(t, go);
  };
  for (int a = 0; a < 3; ++a)
    for (int b = 0; b < 3; ++b) {
      const int kind = (a + b) % 3;  // the sanitizers see each layout of A and of B with each of these once
      if (!kSanitized || kind == 0) one({37, 45, 19, a, b});
      if (kSanitized ? kind == 1 : !small) one({72, 80, 40, a, b});     // 16-byte accesses, ragged tiles
      if (kSanitized ? kind == 2 : !small) one({33, 66, 50, a, b, 3});  // rows of odd strides
    }
  one({20, 45, 16, 0, 0, 3});  // rows of C that are whole vectors only with the padding
  one({1, 1, 1});
  one({40, 48, 32, 0, 1, 1});  // whole vectors of k, at odd addresses
  one({1, 70, 33, 0, 1});
  one({70, 1, 33, 1, 0});
  one({5, 9, 0});  // no products: zeros
  one({5, 9, 0, 0, 0, 0, 1, false, GemmAct::Sigmoid, 1});
  one({33, 40, 21, 0, 0, 1, 3});
  one({24, 40, 32, 1, 0, 0, 3, true, GemmAct::None, 2});
  one({17, 35, 24, 0, 1, 0, 1, false, GemmAct::None, 1, true});
  for (GemmAct act : {GemmAct::None, GemmAct::Relu, GemmAct::Gelu, GemmAct::GeluTanh, GemmAct::Tanh, GemmAct::Sigmoid})
    for (int bias = 0; bias < 3; ++bias)
      if (!kSanitized || static_cast<int>(act) % 3 == bias)
        one({18, 40, 16, 0, 0, 0, 1, false, act, bias, act == GemmAct::Tanh});
}

}  // namespace gemm_case
