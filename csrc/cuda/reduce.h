// Reductions over any dimensions of a strided array. Partial results are combined in an order that the shape decides:
// the same bits each time.
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

// CountNonzero, All and Any take every dtype; Sum, Prod, Max and Min floats, integers and bool; the others floats.
// Extremes: a NaN wins. SumPow: of |x|^p.
// clang-format off
#define FASTNN_CUDA_REDUCE_OPS(X) FASTNN_REDUCE_OPS(X) X(SumPow) X(CountNonzero) X(All) X(Any)
// clang-format on
enum class ReduceOp : int {
#define FASTNN_ENUM(name) name,
  FASTNN_CUDA_REDUCE_OPS(FASTNN_ENUM)
#undef FASTNN_ENUM
};
enum class Finish : int { None, Sqrt, Root };  // of the scaled result; Root: to the power of 1/p

// out: contiguous, the kept dimensions in order, in out_dtype (computed in compute_dtype(dtype), and converted last).
// The result is multiplied by `scale` (not of integers), then finished. An empty reduction gives the op's neutral
// element (Max: -inf; of integers the caller raises).
struct ReduceArgs {
  Dtype dtype, out_dtype;
  ReduceOp op;
  Finish finish;
  double scale, p;
  int ndim;
  int64_t shape[kDims], stride[kDims];  // in elements
  uint32_t reduced;                     // bit d: dimension d goes
  const void* x;
  const void* centre;  // SumSquareDiff: of the compute dtype, as many as outputs; else null
  void* out;
};
size_t reduce_workspace(const ReduceArgs& a);
void reduce(const ReduceArgs& a, void* workspace, Stream stream);

// The extreme (values: of x's dtype, or null) and where it is: the place among the reduced dimensions, counted in C
// order; the first of equal ones, of a NaN the first NaN. The reduced dimensions must not be empty.
struct ArgReduceArgs {
  Dtype dtype;
  bool max;
  int ndim;
  int64_t shape[kDims], stride[kDims];
  uint32_t reduced;
  const void* x;
  void* values;
  int64_t* indices;
};
size_t arg_reduce_workspace(const ArgReduceArgs& a);
void arg_reduce(const ArgReduceArgs& a, void* workspace, Stream stream);

// Running sum or product along n of [rows, n, inner], contiguous: floats are totalled in float64 as on the CPU (out of
// x's dtype), integers and bool in int64 (out I64).
struct ScanArgs {
  Dtype dtype;
  bool product;
  int64_t rows, n, inner;
  const void* x;
  void* out;
};
void scan(const ScanArgs& a, Stream stream);

}  // namespace cuda
}  // namespace fastnn
