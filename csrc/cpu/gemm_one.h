// One product (the batch of GemmArgs is not looked at), by type; each in a file of its own.
#pragma once
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
#pragma GCC visibility push(hidden)
int64_t gemm_f32_workspace(const GemmArgs& g, int threads);
int64_t gemm_f64_workspace(const GemmArgs& g, int threads);
int64_t gemm_bf16_workspace(const GemmArgs& g);
void gemm_f32(const GemmArgs& g, const Ctx& ctx);
void gemm_f64(const GemmArgs& g, const Ctx& ctx);
void gemm_bf16(const GemmArgs& g, void* workspace);
#pragma GCC visibility pop
}  // namespace FASTNN_ISA
}  // namespace fastnn
