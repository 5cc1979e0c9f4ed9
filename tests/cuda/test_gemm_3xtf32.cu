// float32 products as three products of TF32 numbers: float32's accuracy, also of wide ranges, infinities and NaN.
#define FASTNN_NO_WARPTILED
#define FASTNN_NO_MMA
#define FASTNN_NO_WGMMA
#include "cuda/gemm.cu"
#include "cuda/gemm_3xtf32.cu"
#include "gemm_absent.h"
#include "gemm_case.h"

using namespace gemm_case;

namespace {
void rung(const GemmArgs& g, bool bias_rows) { gemm(g, {GemmVariant::Tf32x3, false, bias_rows}, nullptr); }
void automatic(const GemmArgs& g, bool) { gemm(g, {}, nullptr); }

GemmArgs product(int n, int k, const float* a, const float* b, float* c) {
  GemmArgs g = {};
  g.dtype = Dtype::F32;
  g.m = g.n = n, g.k = k, g.batch = 1;
  g.a = a, g.a_rs = k, g.a_cs = 1, g.b = b, g.b_rs = n, g.b_cs = 1, g.c = c, g.ldc = n;
  return g;
}
}  // namespace

TEST(all_layouts_and_epilogues) { check_all<float>(rung, true); }
TEST(layouts) {
  for (int layout = 0; layout < 4; ++layout)
    check<float>({132, 140, kSanitized ? 20 : 84, layout / 2, layout % 2, 4}, rung);
}
TEST(wide_ranges) {  // the bound is float32's own: (4 + sqrt K) roundings of the sum of the products' sizes
  for (int layout = 0; layout < 4; ++layout) {
    Case t{36, 40, 64, layout / 2, layout % 2};
    t.span = 20;
    check<float>(t, rung);
    t.span = 3;
    t.k = 1000;
    if (!kSanitized) check<float>(t, rung);
  }
}
TEST(long_sums_of_one_sign) {
  const int k = kSanitized ? 64 : 4096, n = 8;
  std::vector<float> a = random_floats(static_cast<size_t>(n * k), 0.5f, 1.5f), b = random_floats(a.size(), 0.5f, 1.5f);
  std::vector<float> c(n * n, NAN);
  rung(product(n, k, a.data(), b.data(), c.data()), false);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l) sum += double(a[i * k + l]) * b[l * n + j];
      NEAR(c[i * n + j], sum, 6e-8 * std::sqrt(double(k)) * sum);
    }
}
TEST(low_parts_count) {  // each bit of a float32 alone
  for (int bit = 0; bit < 24; ++bit) {
    float a = 1 + static_cast<float>(std::exp2(-bit)), b = -a, one = 1, c = 0;
    rung(product(1, 1, &a, &one, &c), false);
    NEAR(c, a, bit > 21 ? std::exp2(-22) : 0);
    rung(product(1, 1, &one, &b, &c), false);
    NEAR(c, b, bit > 21 ? std::exp2(-22) : 0);
  }
}
TEST(infinities_and_nan_as_float32_has_them) {
  const float inf = INFINITY, big = 3.4028235e38f,
              special[] = {inf, -inf, NAN, big, -big, 1e35f, 0, -1, 5000.7f, 1.0001f};
  constexpr int n = 10;
  float a[n * 2], b[2 * n], c[n * n];
  for (int i = 0; i < n; ++i) {
    a[i * 2] = special[i], a[i * 2 + 1] = 0.5f;
    b[i] = special[i], b[n + i] = 0.25f;
  }
  rung(product(n, 2, a, b, c), false);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) {
      const float want = std::fmaf(0.5f, 0.25f, special[i] * special[j]);
      NEAR(c[i * n + j], want, std::isfinite(want) ? 2.4e-7 * std::fabs(want) : 0);
    }
}
TEST(automatic_for_large_products) {  // the emulated device has two multiprocessors
  check<float>({128, 96, 32}, automatic);
  GemmArgs g = {};
  g.dtype = Dtype::F32;
  g.m = g.n = g.k = 128, g.batch = 1;
  std::vector<float> x(128 * 128);
  g = product(128, 128, x.data(), x.data(), x.data());
  THROWS(gemm(g, {GemmVariant::AutoSimt}, nullptr), "warptiled is not in this program");
  g.m = 64;
  g.n = 80;  // too little of a tile
  THROWS(gemm(g, {}, nullptr), "warptiled is not in this program");
  g.dtype = Dtype::F64;
  THROWS(gemm(g, {GemmVariant::Tf32x3}, nullptr), "'3xtf32' multiplies float32");
}

MAIN()
