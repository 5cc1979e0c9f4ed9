// Max and average pooling of planes; shapes and the kind of index as on the CPU (Pool2dShape, max_pool2d_compact).
// Backward gathers: each element of dx collects from the windows that cover it, in a fixed order; nothing is zeroed.
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

void max_pool2d(Dtype dtype, const Pool2dShape& s, const void* x, void* y, void* idx, Stream stream);
void max_pool2d_backward(Dtype dtype, const Pool2dShape& s, const void* dy, const void* idx, void* dx, Stream stream);
void max_pool2d_indices(const Pool2dShape& s, const void* idx, int64_t* flat, Stream stream);
void avg_pool2d(Dtype dtype, const Pool2dShape& s, const void* x, void* y, Stream stream);
void avg_pool2d_backward(Dtype dtype, const Pool2dShape& s, const void* dy, void* dx, Stream stream);

}  // namespace cuda
}  // namespace fastnn
