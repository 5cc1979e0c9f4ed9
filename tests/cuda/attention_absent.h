// Stands for the rungs by wgmma in programs that leave them out: FASTNN_NO_WGMMA (forward), FASTNN_NO_BACKWARD_WGMMA.
#pragma once
#include "cuda/attention_common.h"

namespace fastnn {
namespace cuda {
#ifdef FASTNN_NO_WGMMA
bool attention_wgmma(const AttentionWork&, Stream) { return false; }
#endif
#ifdef FASTNN_NO_BACKWARD_WGMMA
bool attention_backward_wgmma(const AttentionWork&, Stream) { return false; }
#endif
}  // namespace cuda
}  // namespace fastnn
