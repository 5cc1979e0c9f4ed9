// Matrix products on the device. GemmArgs as on the CPU (kernels.h), with device pointers and any strides of A and B;
// dtypes F32, F64, BF16 and F16 (16-bit ones accumulate in float32, their bias has their own dtype).
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

// The ladder. Auto: tensor cores for 16-bit floats, and for float32 where tf32 is allowed; of other float32, large
// products by Tf32x3 (float32's accuracy, on tensor cores); else warp-tiled. AutoSimt is Auto without Tf32x3.
enum class GemmVariant : int { Auto, Naive, Tiled, Warptiled, Tensorcore, Tf32x3, AutoSimt };

struct GemmOptions {
  GemmVariant variant = GemmVariant::Auto;
  bool tf32 = false;       // float32 may be rounded to 10 bits of mantissa on its way into the tensor cores
  bool bias_rows = false;  // bias is [m], added along rows, as a convolution wants it
  int64_t bias_bs = 0;     // elements between the biases of two products of a batch
  bool wide = false;       // of 16-bit operands, C is float32: the sums, without bias, activation or C's old value
};

// Throws std::invalid_argument for a variant that does not cover the dtype.
void gemm(const GemmArgs& args, const GemmOptions& options, Stream stream);

}  // namespace cuda
}  // namespace fastnn
