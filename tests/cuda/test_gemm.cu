// The SIMT rungs of the GEMM ladder.
#define FASTNN_NO_MMA
#define FASTNN_NO_3XTF32
#define FASTNN_NO_WGMMA
#include "cuda/gemm.cu"
#include "cuda/gemm_warptiled.cu"
#include "gemm_absent.h"
#include "gemm_case.h"

using namespace gemm_case;

namespace {
auto rung(GemmVariant variant) {
  return [=](const GemmArgs& g, bool bias_rows) { gemm(g, {variant, false, bias_rows}, nullptr); };
}
}  // namespace

TEST(naive_f32) { check_all<float>(rung(GemmVariant::Naive), true); }
TEST(naive_bf16) { check_all<bf16>(rung(GemmVariant::Naive), true); }
TEST(tiled_f32) { check_all<float>(rung(GemmVariant::Tiled), false); }
TEST(tiled_f64) { check_all<double>(rung(GemmVariant::Tiled), true); }
TEST(tiled_f16) { check_all<f16>(rung(GemmVariant::Tiled), true); }
TEST(warptiled_f32) { check_all<float>(rung(GemmVariant::Warptiled), false); }
TEST(warptiled_f64) { check_all<double>(rung(GemmVariant::Warptiled), false); }
TEST(warptiled_f32_several_bands) { check<float>({600, 70, 17}, rung(GemmVariant::Warptiled)); }
TEST(warptiled_f32_large_tiles) {
  for (int layout = 0; layout < 4; ++layout)
    check<float>({130, 261, 36, layout / 2, layout % 2}, [](const GemmArgs& g, bool) {
      GemmProblem p = problem_of(g, {});
      warptiled_run<float, 128, 128>(p, nullptr);
    });
}
TEST(what_is_not_covered) {
  GemmArgs g = {};
  g.dtype = Dtype::I32;
  g.m = g.n = g.k = g.batch = 1;
  THROWS(gemm(g, {GemmVariant::Naive}, nullptr), "float32");
  g.dtype = Dtype::BF16;
  THROWS(gemm(g, {GemmVariant::Warptiled}, nullptr), "warptiled");
}
TEST(wide_sums) {
  check_wide<bf16>(19, 37, 21, [](const GemmProblem& p) { gemm_tiled(p, Dtype::BF16, nullptr); });
  check_wide<f16>(19, 37, 21, [](const GemmProblem& p) { gemm_naive(p, Dtype::F16, nullptr); });
}

MAIN()
