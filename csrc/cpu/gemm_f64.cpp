// Products of doubles.
#include "cpu/gemm_forms.h"
#include "cpu/gemm_one.h"

namespace fastnn {
namespace FASTNN_ISA {

int64_t gemm_f64_workspace(const GemmArgs& g, int threads) { return workspace_one<double>(g, threads); }
void gemm_f64(const GemmArgs& g, const Ctx& ctx) { run_one<double>(g, ctx.workspace, ctx.threads); }

}  // namespace FASTNN_ISA
}  // namespace fastnn
