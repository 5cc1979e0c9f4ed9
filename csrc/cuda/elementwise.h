// Elementwise ops with broadcasting over any strides. NaN and rounding as the CPU's kernels and their NumPy twins.
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

// out = f(a), of one floating dtype; neg, abs, sign, square, bitwise_not also of integers.
// clang-format off
#define FASTNN_CUDA_UNARY_OPS(X)                                                                                       \
  FASTNN_UNARY_OPS(X) X(sinh) X(cosh) X(asinh) X(acosh) X(atanh) X(asin) X(acos) X(atan) X(erfinv)            \
  X(bitwise_not) X(sin) X(cos) X(tan)
// bytes of 0 and 1 = f(a)
#define FASTNN_CUDA_TEST_OPS(X) FASTNN_TEST_OPS(X) X(logical_not)
// out = f(a, b); add, sub, mul, maximum, minimum, axpy and the last nine also of integers and bool. b of a gradient is
// what forward saved, of a loss the target. remainder and floor_divide round down, fmod and div_trunc toward zero; x / 0
// of integers is 0.
#define FASTNN_CUDA_BINARY_OPS(X)                                                                                      \
  FASTNN_BINARY_OPS(X) X(atan2) X(pow) X(fmod) X(remainder) X(floor_divide) X(div_trunc) X(bitwise_and) X(bitwise_or)  \
  X(bitwise_xor) X(left_shift) X(right_shift)
// bytes of 0 and 1 = f(a, b)
#define FASTNN_CUDA_COMPARE_OPS(X) FASTNN_COMPARE_OPS(X) X(logical_and) X(logical_or) X(logical_xor)
// clang-format on
#define FASTNN_CUDA_ELEMENTWISE_OPS(X) \
  FASTNN_CUDA_UNARY_OPS(X) FASTNN_CUDA_TEST_OPS(X) FASTNN_CUDA_BINARY_OPS(X) FASTNN_CUDA_COMPARE_OPS(X) X(where)
enum class Op : int {
#define FASTNN_ENUM(name) name,
  FASTNN_CUDA_ELEMENTWISE_OPS(FASTNN_ENUM)
#undef FASTNN_ENUM
};

// One dtype for all operands, but that tests and comparisons write bytes of 0 and 1, and where() = c ? a : b takes its
// condition c as such bytes. out may be one of the operands (with the same strides). p: the op's numbers, as on the
// CPU: slope, alpha; beta and threshold; bounds.
struct ElementwiseArgs {
  Op op;
  Dtype dtype;
  int ndim;
  int64_t shape[kDims];
  Operand a, b, c;
  void* out;
  int64_t out_stride[kDims];
  double p[2];
};
void elementwise(const ElementwiseArgs& a, Stream stream);
bool elementwise_takes(Op op, Dtype dtype);

// out = x in the dtype `to`: casts, copies and transposes of any strides; fills where x.p is null (the number of a
// floating `from`, else the integer). To bool: x != 0. A float to an integer is cut toward zero.
struct CopyArgs {
  Dtype from, to;
  int ndim;
  int64_t shape[kDims];
  Operand x;
  void* out;
  int64_t out_stride[kDims];
};
void copy(const CopyArgs& a, Stream stream);

}  // namespace cuda
}  // namespace fastnn
