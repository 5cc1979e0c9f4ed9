// Convolutions by im2col and a matrix product: Conv2dShape as on the CPU (kernels.h; three dimensions too), everything
// C-contiguous, dtypes F32, F64, BF16, F16. The workspace is 256-byte aligned and holds a few images' columns.
#pragma once
#include "cuda/gemm.h"

namespace fastnn {
namespace cuda {

enum class ConvTask : int { Forward, Input, Weight };  // y; dx from dy; dw from dy

size_t conv2d_workspace(const Conv2dShape& shape, Dtype dtype, ConvTask task);

// y = act(conv(x, w) + bias), bias [K] or null.
void conv2d_forward(const Conv2dShape& shape, Dtype dtype, const void* x, const void* w, const void* bias, GemmAct act,
                    void* y, void* workspace, const GemmOptions& options, Stream stream);
// dx [N, C, D, H, W] from dy [N, K, O, P, Q]: every element is written, none twice.
void conv2d_input(const Conv2dShape& shape, Dtype dtype, const void* dy, const void* w, void* dx, void* workspace,
                  const GemmOptions& options, Stream stream);
// dw [K, C/groups, T, R, S].
void conv2d_weight(const Conv2dShape& shape, Dtype dtype, const void* x, const void* dy, void* dw, void* workspace,
                   const GemmOptions& options, Stream stream);

}  // namespace cuda
}  // namespace fastnn
