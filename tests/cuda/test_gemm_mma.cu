// The tensor-core rung by mma.sync: bfloat16, float16, and float32 rounded to TF32.
#define FASTNN_NO_3XTF32
#define FASTNN_NO_WGMMA
#include "cuda/gemm.cu"
#include "cuda/gemm_mma.cu"
#include "cuda/gemm_warptiled.cu"
#include "gemm_absent.h"
#include "gemm_case.h"

using namespace gemm_case;

namespace {
// The rung itself, whatever the device.
void mma_rung(const GemmArgs& g, bool bias_rows) {
  GemmOptions o;
  o.bias_rows = bias_rows;
  gemm_mma(problem_of(g, o), g.dtype, nullptr);
}
constexpr double kTf32 = 4.9e-4;
}  // namespace

TEST(mma_bf16) { check_all<bf16>(mma_rung, false); }
TEST(mma_f16) { check_all<f16>(mma_rung, true); }
TEST(mma_tf32) { check_all<float>(mma_rung, true, kTf32); }
TEST(mma_bf16_layouts) {
  for (int layout = 0; layout < 4; ++layout)
    check<bf16>({136, kSanitized ? 136 : 264, 168, layout / 2, layout % 2, 8, kSanitized ? 1 : 2}, mma_rung);
}
TEST(mma_wide_sums) {
  check_wide<bf16>(40, 70, 33, [](const GemmProblem& p) { gemm_mma(p, Dtype::BF16, nullptr); });
  check_wide<f16>(24, 136, 64, [](const GemmProblem& p) { gemm_mma(p, Dtype::F16, nullptr); });
}
TEST(mma_tf32_layouts) {
  for (int layout = 0; layout < 4; ++layout) {
    Case t{132, 140, 84, layout / 2, layout % 2, 4};
    t.input_eps = kTf32;
    check<float>(t, mma_rung);
  }
}
TEST(auto_takes_tensor_cores_for_16_bits) {
  check<bf16>({40, 48, 64}, [](const GemmArgs& g, bool) { gemm(g, {}, nullptr); });
}
TEST(tf32_only_when_allowed) {  // 1 + 2^-12 is lost in TF32
  float a = 1.000244140625f, b = 1, c = 0;
  GemmArgs g = {};
  g.dtype = Dtype::F32;
  g.m = g.n = g.k = g.batch = g.a_rs = g.a_cs = g.b_rs = g.b_cs = g.ldc = 1;
  g.a = &a, g.b = &b, g.c = &c;
  gemm(g, {}, nullptr);
  NEAR(c, a, 0);
  gemm(g, {GemmVariant::Auto, true}, nullptr);
  NEAR(c, 1, 0);
  THROWS(gemm(g, {GemmVariant::Tensorcore}, nullptr), "tf32");
}

MAIN()
