// The tensor-core rung by TMA and wgmma.
#define FASTNN_NO_3XTF32
#define FASTNN_NO_WARPTILED
#include "cuda/gemm.cu"
#include "cuda/gemm_mma.cu"
#include "cuda/gemm_wgmma.cu"
#include "gemm_absent.h"
#include "gemm_case.h"

using namespace gemm_case;

namespace {
template <class T, int N>
void wgmma_rung(const GemmArgs& g, bool bias_rows) {
  GemmOptions o;
  o.bias_rows = bias_rows;
  wgmma_run<T, N>(problem_of(g, o), g.dtype, nullptr);
}
void tensorcore(const GemmArgs& g, bool bias_rows) { gemm(g, {GemmVariant::Tensorcore, false, bias_rows}, nullptr); }
}  // namespace

TEST(wgmma_bf16_layouts) {
  for (int layout = 0; layout < 4; ++layout)
    check<bf16>({136, kSanitized ? 136 : 264, 200, layout / 2, layout % 2}, wgmma_rung<bf16, 128>);
}
TEST(wgmma_bf16_wide_layouts) {
  for (int layout = 0; layout < 4; ++layout)
    check<bf16>({kSanitized ? 72 : 200, 328, 136, layout / 2, layout % 2}, wgmma_rung<bf16, 256>);
}
TEST(wgmma_f16) {
  check<f16>({72, 40, 264, 0, 1}, wgmma_rung<f16, 128>);
  check<f16>({72, 40, 264, 1, 0}, wgmma_rung<f16, 256>);
}
TEST(wgmma_wide_sums) {
  check_wide<bf16>(72, 136, 64, [](const GemmProblem& p) { wgmma_run<bf16, 128>(p, Dtype::BF16, nullptr); });
}
TEST(wgmma_persistent_batches) {
  check<bf16>({136, 136, 72, 0, 0, 8, 3}, wgmma_rung<bf16, 128>);
  check<bf16>({64, 264, 72, 0, 1, 0, 3, true}, wgmma_rung<bf16, 256>);
}
TEST(wgmma_long_sums) { check<bf16>({40, 72, 1000, 0, 1}, wgmma_rung<bf16, 128>); }
TEST(wgmma_epilogues) {
  check<bf16>({40, 72, 64, 0, 0, 0, 1, false, GemmAct::Gelu, 1}, wgmma_rung<bf16, 128>);
  check<bf16>({40, 72, 64, 0, 0, 0, 1, false, GemmAct::Relu, 2}, wgmma_rung<bf16, 128>);
  check<bf16>({40, 72, 64, 0, 0, 0, 1, false, GemmAct::None, 0, true}, wgmma_rung<bf16, 128>);
}
TEST(tensorcore_bf16_of_any_layout) { check_all<bf16>(tensorcore, false); }

MAIN()
