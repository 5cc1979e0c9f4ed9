// Products of floats.
#include "cpu/gemm_forms.h"
#include "cpu/gemm_one.h"

namespace fastnn {
namespace FASTNN_ISA {

int64_t gemm_f32_workspace(const GemmArgs& g, int threads) { return workspace_one<float>(g, threads); }
void gemm_f32(const GemmArgs& g, const Ctx& ctx) { run_one<float>(g, ctx.workspace, ctx.threads); }

}  // namespace FASTNN_ISA
}  // namespace fastnn
