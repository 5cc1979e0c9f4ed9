// Products of doubles.
#include "cpu/gemm_forms.h"
#include "cpu/gemm_one.h"

namespace fastnn {
namespace FASTNN_ISA {

int64_t gemm_f64_workspace(const GemmArgs& g) { return workspace_one<double>(g); }
void gemm_f64(const GemmArgs& g, void* workspace) { run_one<double>(g, workspace); }

}  // namespace FASTNN_ISA
}  // namespace fastnn
