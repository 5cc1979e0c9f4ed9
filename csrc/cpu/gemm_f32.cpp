// Products of floats.
#include "cpu/gemm_forms.h"
#include "cpu/gemm_one.h"

namespace fastnn {
namespace FASTNN_ISA {

int64_t gemm_f32_workspace(const GemmArgs& g) { return workspace_one<float>(g); }
void gemm_f32(const GemmArgs& g, void* workspace) { run_one<float>(g, workspace); }

}  // namespace FASTNN_ISA
}  // namespace fastnn
