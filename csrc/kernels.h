// Argument structs of every kernel, and the table of function pointers that each instruction set fills in.
// kernels.def is THE list of kernels; a row without a body is a link error.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fastnn {

enum class Dtype : int { F32, F64, BF16, F16, I64, I32, I16, I8, U8, Bool };

// What a kernel is given besides its arguments. Kernels never allocate: a kernel that needs scratch has a
// <op>_workspace row that says how many bytes, and finds them, 64-byte aligned, at workspace.
struct Ctx {
  int threads;      // upper bound for thread indices handed out by parallel_for
  void* workspace;  // <op>_workspace(...) bytes, or null where it said 0
};

// ---- gemm ----
enum class GemmAct : int { None, Relu, Gelu, GeluTanh, Tanh, Sigmoid };

// C = act(A * B + bias), or C += A * B. A[i, k] at a[i * a_rs + k * a_cs], and so on, strides in elements. Of A's two
// strides one is 1, of B's too (or the size along it is <= 1); C's rows are contiguous: C[i, j] at c[i * ldc + j].
// batch > 1: that many products, the operands a_bs, b_bs (0: the same for all), c_bs elements apart.
struct GemmArgs {
  Dtype dtype;  // F32, F64, BF16 (accumulated in f32, bias bf16 too)
  int64_t m, n, k;
  const void* a;
  int64_t a_rs, a_cs;
  const void* b;
  int64_t b_rs, b_cs;
  void* c;
  int64_t ldc;
  const void* bias;  // [n] or null
  GemmAct act;
  bool accumulate;
  int64_t batch, a_bs, b_bs, c_bs;
};

// ---- conv2d ----

// ---- pool2d ----

// ---- elementwise ----

// ---- reduce ----

// ---- softmax, cross_entropy ----

// ---- optim ----

#pragma GCC visibility push(hidden)
struct Kernels {
  const char* isa;
#define FASTNN_KERNEL(ret, name, args) ret(*name) args;
#include "kernels.def"
#undef FASTNN_KERNEL
};

// One table per instruction set that was compiled in (csrc/cpu/table.cpp).
namespace baseline { extern const Kernels table; }
namespace avx2 { extern const Kernels table; }
namespace avx512 { extern const Kernels table; }
namespace avx512_bf16 { extern const Kernels table; }

// The table in use (csrc/dispatch.cpp).
const Kernels& kernels();
#pragma GCC visibility pop

}  // namespace fastnn
