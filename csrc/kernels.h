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

// ---- conv2d ----

// ---- pool2d ----

// ---- elementwise ----

// ---- reduce ----

// ---- softmax, cross_entropy ----

// ---- optim ----
// A run of one parameter's elements with its gradient and the optimizer's state.
struct OptimChunk {
  void* param;
  const void* grad;
  void* state[3];
  int64_t n;
};
// Task i of the parallel region is the chunks [task_begin[i], task_begin[i + 1]): cut by the parameters' sizes alone.
struct OptimWork {
  const OptimChunk* chunks;
  const int64_t* task_begin;
  int64_t tasks;
};
struct SgdArgs {
  double lr, momentum, dampening, weight_decay;
  bool has_buffers, nesterov, maximize, first_step;  // state: momentum buffer
};
struct AdamArgs {
  double step_size, beta1, beta2, root_correction, eps;
  double weight_decay, shrink;  // added to the gradient (Adam), factor of the parameter (AdamW; 1 else)
  bool amsgrad, maximize;       // state: mean, mean square, its maximum
};
struct AdagradArgs {
  double lr, weight_decay, eps;
  bool maximize;  // state: sum of squares
};
struct RmsPropArgs {
  double lr, alpha, eps, weight_decay, momentum;
  bool centered, has_buffers, maximize;  // state: mean square, mean, momentum buffer
};
enum class NormKind { One, Two, Inf };

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
