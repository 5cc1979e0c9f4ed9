// Convolutions: Conv2dShape as on the CPU (kernels.h; three dimensions too), dtypes F32, F64, BF16, F16. The ladder:
// im2col and a matrix product (conv2d.cu), implicit products (conv2d_implicit.h). The workspace is 256-byte aligned.
#pragma once
#include "cuda/gemm.h"

namespace fastnn {
namespace cuda {

enum class ConvTask : int { Forward, Input, Weight };  // y; dx from dy; dw from dy

// ---- im2col: everything C-contiguous; the workspace holds a few images' columns ----
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

// ---- implicit: two dimensions; channels first or last, as each array has them ----
struct ConvArgs {
  Conv2dShape shape;
  Dtype dtype;
  ConvTask task;
  const void *first, *second;   // x, w; dy, w; x, dy
  const void *bias, *residual;  // forward: [K] and like y, or null: y = act(conv(x, w) + bias + residual)
  void* out;                    // y; dx; dw
  GemmAct act;
  bool first_last, second_last, out_last;  // in memory: [N, H, W, C] (w: [K, R, S, C/groups])
  GemmOptions gemm;                        // tf32 alone counts
};

// Whether the implicit rung takes the shape; no: float64, three dimensions, sizes beyond 31 bits.
bool conv_implicit_covers(const Conv2dShape& shape, Dtype dtype);
size_t conv_implicit_workspace(const ConvArgs& args);
void conv_implicit(const ConvArgs& args, void* workspace, Stream stream);

}  // namespace cuda
}  // namespace fastnn
