// What every launcher's header needs. Plain C++: the bindings include these headers, with or without CUDA installed.
// Launchers take device pointers, sizes and a stream; they never allocate and never wait. A combination that a kernel
// does not cover raises std::invalid_argument before anything is started.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels.h"  // Dtype, and the argument structs that both devices take

struct CUstream_st;
typedef CUstream_st* cudaStream_t;  // the same declaration as CUDA's own

namespace fastnn {
namespace cuda {

using Stream = cudaStream_t;
constexpr int kMaxDims = 8;  // in kernels, once a launcher has merged the dimensions that it can
constexpr int kDims = 16;    // in arguments

// The type that kernels compute in and keep statistics in: F32 for the 16-bit floats, I64 for integers and bool.
inline Dtype compute_dtype(Dtype d) {
  switch (d) {
    case Dtype::F32:
    case Dtype::F64:
      return d;
    case Dtype::F16:
    case Dtype::BF16:
      return Dtype::F32;
    default:
      return Dtype::I64;
  }
}
inline int size_of(Dtype d) {
  switch (d) {
    case Dtype::F64:
    case Dtype::I64:
      return 8;
    case Dtype::F32:
    case Dtype::I32:
      return 4;
    case Dtype::F16:
    case Dtype::BF16:
    case Dtype::I16:
      return 2;
    default:
      return 1;
  }
}
inline bool is_floating(Dtype d) { return d == Dtype::F32 || d == Dtype::F64 || d == Dtype::F16 || d == Dtype::BF16; }

// An array's elements at p + sum of index times stride (in elements; 0 where it is broadcast, negative is welcome); or,
// where p is null, one number for all of them.
struct Operand {
  const void* p;
  int64_t stride[kDims];
  double number;    // for floating dtypes
  int64_t integer;  // for the others
};

}  // namespace cuda
}  // namespace fastnn
