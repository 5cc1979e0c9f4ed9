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
// y[n, k, p, q] = act(bias[k] + sum over c, r, s of x[n, c, p*stride - pad + r*dilation, ...] * w[k, c, r, s]), zero
// outside x; output channel k of group g = k / (K/groups) sees the C/groups channels of group g. All C-contiguous.
// Three dimensions: x is [N, C, D, H, W], w [K, C/groups, T, R, S], y [N, K, O, P, Q]. A 2-D convolution has D = T = O
// = 1.
// Naive: the loops that define it. Packed: the products over staged tiles, whatever the shape. Winograd: wherever the
// shape allows it.
enum class ConvVariant : int { Auto, Naive, Packed, Winograd };
struct Conv2dShape {
  int64_t N, C, H, W, K, P, Q, R, S, groups;
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  int64_t D = 1, T = 1, O = 1, stride_d = 1, pad_d = 0, dilation_d = 1;
  ConvVariant variant = ConvVariant::Auto;
};
enum class ConvPass : int { Forward, Input };

// ---- pool2d ----
// x [planes, H, W] -> y [planes, P, Q] with windows of R x S taps. P and Q are given (the binding applies torch's
// rule); every window has at least one tap inside the image. Indices are bytes (the tap's number r*S + s) for at most
// 256 taps, else int64 (h*W + w): see max_pool2d_compact.
struct Pool2dShape {
  int64_t planes, H, W, P, Q, R, S;
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  int64_t divisor_override;  // average only; 0: none
  bool count_include_pad;    // average only
};
inline bool max_pool2d_compact(const Pool2dShape& s) { return s.R <= 256 && s.S <= 256 && s.R * s.S <= 256; }

// Windows [floor(i H / P), ceil((i + 1) H / P)), and so along W: x [planes, H, W] -> y, index h*W + w [planes, P, Q].
struct AdaptiveMaxArgs {
  Dtype dtype;
  int64_t planes, H, W, P, Q;
  const void* x;  // backward: dy
  void* y;        // backward: dx
  int64_t* index;
};

// ---- copy ----
// to[i, j] = from[i, j], elements of 1, 2, 4, 8 or 16 bytes. Strides in bytes; the columns of `to` follow each other.
struct CopyArgs {
  int itemsize;
  int64_t rows, cols;
  const char* from;
  int64_t from_row, from_col;
  char* to;
  int64_t to_row;
};

// ---- pad, fold ----
// y[p, q] = x[row[p], column(q)] of each plane, column(q) = first + q - begin for begin <= q < end, else col[q]; y is
// [planes, P, Q], x [planes, H, W]. Backward: x is dy, y is dx.
struct IndexPadArgs {
  Dtype dtype;
  int64_t planes, H, W, P, Q;
  const int64_t *row, *col;
  int64_t begin, end, first;
  const void* x;
  void* y;
};
// Columns [planes, R, S, P, Q] added into images [planes, H, W] at (p stride - pad + r dilation, ...).
struct Col2imArgs {
  Dtype dtype;
  int64_t planes, H, W, P, Q, R, S;
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  const void* columns;
  void* images;
};

// ---- grid_sample ----
enum class GridMode : int { Bilinear, Nearest };
enum class GridPadding : int { Zeros, Border, Reflection };
// One sample: x [channels, D, H, W] (2-D: D = 1), grid [points, dims], y [channels, points]. Points begin .. end and
// channels from .. to: forward and backward_grid take all channels, backward_input all points.
struct GridSampleArgs {
  Dtype dtype;
  GridMode mode;
  GridPadding padding;
  bool align;
  int dims;
  int64_t size[3];  // D, H, W
  int64_t channels, points, begin, end, from, to;
  const void *x, *grid, *dy;
  void *y, *dx, *dgrid;
};

// ---- ctc_loss ----
// One sequence: log_probs [steps, classes], `step` elements apart; target [length] in [0, classes); alpha [all_steps,
// 2 length + 1], `alpha_step` apart and all_states wide: -inf past the end of the sequence or of its target.
struct CtcArgs {
  Dtype dtype;
  const void* log_probs;
  int64_t steps, all_steps, classes, step, blank;
  const int64_t* target;
  int64_t length, all_states, alpha_step;
  void* alpha;        // written by forward
  void* loss;         // one value, written by forward
  const void* dloss;  // one value
  bool zero_infinity;
  void* grad;  // as log_probs, for all_steps: 0 past the end
};

// ---- cdist ----
enum class Norm : int { One, Two, Inf };
// Rows begin .. end of y[i, j] = |x_i - z_j|, x [m, k], z [r, k]. Backward: rows of dx_i = sum over j of
// g[i, j] f(x_i - z_j); f: the difference (Two), its sign (One), its sign where it is y[i, j] in size (Inf).
struct CdistArgs {
  Dtype dtype;
  Norm norm;
  int64_t r, k, begin, end;
  const void *x, *z;
  void* y;
  const void* g;  // g[i, j] at i * g_row + j * g_col, y alike
  int64_t g_row, g_col;
  void* dx;
};

// ---- elementwise ----
// The ops, each X(name): out = f(a), f(a, b) or f(a, b, c), all of one dtype, except that comparisons and tests give
// bytes of 0 and 1, and where() takes its condition as such bytes. p are the op's numbers (slope, alpha, bounds ...).
// clang-format off
#define FASTNN_UNARY_OPS(X)                                                                                            \
  X(neg)                                                                                                               \
  X(abs)                                                                                                               \
  X(sign) X(sqrt) X(rsqrt) X(reciprocal) X(square) X(cube) X(floor) X(ceil) X(round) X(trunc) X(exp) X(exp2) X(expm1)  \
  X(log) X(log1p) X(log2) X(log10) X(tanh) X(sigmoid) X(erf) X(erfc) X(relu) X(leaky_relu) X(elu) X(silu) X(gelu)              \
  X(gelu_tanh) X(softplus) X(clamp) X(hardsigmoid) X(hardswish) X(mish) X(logsigmoid) X(softshrink) X(hardshrink)     \
  X(threshold)
#define FASTNN_TEST_OPS(X) X(isnan) X(isinf) X(isfinite)
#define FASTNN_BINARY_OPS(X)                                                                                           \
  X(add)                                                                                                               \
  X(sub)                                                                                                               \
  X(mul) X(div) X(maximum) X(minimum) X(axpy) X(relu_backward) X(leaky_relu_backward) X(elu_backward) X(silu_backward) \
  X(gelu_backward) X(gelu_tanh_backward) X(tanh_backward) X(sigmoid_backward) X(softplus_backward)                     \
  X(clamp_backward) X(hardtanh_backward) X(hardsigmoid_backward) X(hardswish_backward) X(mish_backward)               \
  X(logsigmoid_backward) X(shrink_backward) X(threshold_backward) X(prelu) X(prelu_backward_weight)                   \
  X(squared_difference) X(absolute_difference) X(huber) X(bce) X(bce_with_logits)
#define FASTNN_TERNARY_OPS(X)                                                                                          \
  X(lerp) X(addcmul) X(addcdiv) X(prelu_backward) X(squared_difference_backward) X(absolute_difference_backward)       \
  X(huber_backward) X(bce_backward) X(bce_with_logits_backward)
#define FASTNN_COMPARE_OPS(X) X(eq) X(ne) X(lt) X(le) X(gt) X(ge)
#define FASTNN_ELEMENTWISE_OPS(X)                                                                                      \
  FASTNN_UNARY_OPS(X) FASTNN_TEST_OPS(X) FASTNN_BINARY_OPS(X) FASTNN_COMPARE_OPS(X) FASTNN_TERNARY_OPS(X) X(where)
// clang-format on
enum class Elementwise : int {
#define FASTNN_ENUM(name) name,
  FASTNN_ELEMENTWISE_OPS(FASTNN_ENUM)
#undef FASTNN_ENUM
};
// n elements, each operand contiguous; out may be one of the operands. p: two numbers.
using ElementwiseFn = void (*)(int64_t n, void* out, const void* a, const void* b, const void* c, const double* p);

// ---- reduce ----
// Sums (of x, x^2, |x|, (x - centre)^2), the product, and extremes (of x, |x|) that a NaN wins.
// clang-format off
#define FASTNN_REDUCE_OPS(X) X(Sum) X(Prod) X(Max) X(Min) X(SumSquare) X(SumAbs) X(MaxAbs) X(MinAbs) X(SumSquareDiff)
// clang-format on
enum class Reduce : int {
#define FASTNN_ENUM(name) name,
  FASTNN_REDUCE_OPS(FASTNN_ENUM)
#undef FASTNN_ENUM
};
// A matrix of rows that are contiguous (cols >= 1) and row_stride elements apart (rows >= 1).
struct ReduceArgs {
  Dtype dtype;
  Reduce op;
  const void* x;
  int64_t rows, cols, row_stride;
  const void* centre;  // for SumSquareDiff: one value an output
  void* out;
};
// The extreme and the first place that has it (of a NaN, the first NaN).
struct ArgReduceArgs {
  Dtype dtype;
  bool max;
  const void* x;
  int64_t rows, cols, row_stride;
  void* values;
  int64_t* indices;
};

// ---- softmax, cross_entropy ----
enum class Softmax : int { Forward, LogForward, Backward, LogBackward };
// Along n of [rows, n] (contiguous), or of columns begin .. end of one [n, inner]. Forward: a = x; backward: a = dy,
// b = the result of forward.
struct SoftmaxArgs {
  Dtype dtype;
  Softmax op;
  const void *a, *b;
  void* out;
  int64_t rows, n;
  int64_t inner, begin, end;  // softmax_columns
};
// Rows of logits, contiguous, `classes` each; ids in [0, classes) or ignore_index. Pointers to the first row's.
struct CrossEntropyArgs {
  Dtype dtype;
  const void* logits;
  const int64_t* target;
  const void* weight;  // [classes] or null: ones
  double weight_sum;   // over all classes
  int64_t rows, classes, ignore_index;
  double smoothing;
  void* lse;          // [rows]: logsumexp, written by forward, read by backward
  void* loss;         // forward: [rows]
  const void* dloss;  // backward: one value, or (dloss_stride 1) one a row
  int64_t dloss_stride;
  double scale;  // backward: times dloss
  void* dlogits;
  bool stream;    // write dlogits past the caches
  int64_t inner;  // columns: the classes of a row lie so far apart, the rows follow each other
};

// ---- layer_norm, group_norm, batch_norm ----
// Rows of n, contiguous; mean and (biased) variance [rows]; weight and bias [n] or null.
struct LayerNormArgs {
  Dtype dtype;
  int64_t rows, n;
  const void *x, *weight, *bias;
  double eps;
  bool centre;
  void *y, *mean, *var;  // mean: null without centre, var then of the squares
};
struct LayerNormBackward {
  Dtype dtype;
  int64_t rows, n;
  const void *dy, *x, *weight, *mean, *var;  // mean: null without centre
  double eps;
  void *dx, *dweight, *dbias;  // null: not wanted
};
// x [N, C, L], contiguous; weight and bias [C] or null. group_norm: `groups` groups of neighbouring channels,
// statistics [N, groups]; batch_norm: statistics [C].
struct ChannelNormArgs {
  Dtype dtype;
  int64_t N, C, L, groups;
  const void *x, *weight, *bias;
  double eps;
  bool given;  // batch_norm: mean and var are read, not computed
  void *y, *mean, *var;
};
struct ChannelNormBackward {
  Dtype dtype;
  int64_t N, C, L, groups;
  const void *dy, *x, *weight, *mean, *var;
  double eps;
  bool given;                  // batch_norm: the statistics are constants
  void *dx, *dweight, *dbias;  // null: not wanted
};

// ---- attention ----
enum class AttentionMask : int { None, Bool, Additive };  // Bool: bytes, 0 hides; Additive: of the operands' dtype
// An operand [batch, heads, rows, columns]: columns contiguous, the others at these distances in elements.
struct AttentionArray {
  void* p;
  int64_t batch, head, row;
};
// q [B, H, L, E], k [B, kv_heads, S, E], v [B, kv_heads, S, Ev], out [B, H, L, Ev]; query head h sees key head
// h / (H / kv_heads). causal: query i sees the keys up to i. mask[b, h, i, j] at p + the sum of index times distance.
struct AttentionArgs {
  Dtype dtype;
  int64_t B, H, kv_heads, L, S, E, Ev;
  AttentionArray q, k, v, out;
  double scale;
  bool causal;
  AttentionMask mask_kind;
  AttentionArray mask;
  int64_t mask_column;
  const uint8_t* kept;  // dropout: [B, H, L, S] bytes of 0 and 1, or null
  double kept_scale;
  void* lse;  // [B, H, L]: written by forward, read by backward
  AttentionArray dout, dq, dk, dv;
};

// ---- embedding ----
enum class Bag : int { Sum, Mean, Max };
// Rows of `width` elements. Every index is in [0, table rows), every source in [0, rows of dy).
struct EmbeddingArgs {
  Dtype dtype;
  int64_t width;
  const void* w;          // the table; backward: dy
  const int64_t* index;   // forward: [end]; backward: the lookups' numbers, sorted by row
  const int64_t* start;   // backward: of table row r the lookups index[start[r]] .. index[start[r + 1] - 1]; bags alike
  const int64_t* source;  // backward: lookup i's row of dy; null: i
  const void* factor;     // of each lookup; null: 1
  int64_t begin, end;     // the rows of out that this call writes
  void* out;
  Bag bag;
  int64_t padding;  // bags: rows that are left out; -1: none
  bool stream;      // backward: write past the caches (out and its rows begin at whole lines)
  int64_t* chosen;  // Bag::Max: [bags, width], the lookup whose row gave each; -1: none
};

// ---- rnn ----
enum class RnnCell : int { Tanh, Relu, Lstm, Gru };
// One direction of one layer over all steps; gates G = 1, 1, 4 (i, f, g, o), 3 (r, z, n). Rows: those of step t follow
// those of step t - 1, the sequences of a batch longest first, so that step t has the first sizes[t] of them.
//   K = proj or hidden: the width of h. All arrays are contiguous but y, dy (rows ldy, lddy apart).
struct RnnArgs {
  Dtype dtype;
  RnnCell cell;
  int64_t steps, batch, hidden, proj;  // proj: 0, or LSTM's h = w_hr (o tanh c)
  const int64_t* sizes;                // [steps]
  bool reverse;                        // from the last step to the first
  bool keep;                           // for backward: gates, cells, hn and outputs stay; else cells is [batch, hidden]
  const void* w_hh;                    // [G * hidden, K]
  const void* w_hr;                    // [proj, hidden]
  const void* b_hn;                    // GRU: [hidden] or null
  const void *h0, *c0;                 // [batch, K], [batch, hidden], or null: zeros
  const void* gh;                      // [batch, G * hidden] or null: w_hh h0, computed before; for one step
  void* gates;                         // [rows, G * hidden]: the input's share with all biases but b_hn -> the gates
  void* y;                             // [rows, K]
  int64_t ldy;
  void* cells;    // LSTM: [rows, hidden]
  void* hn;       // GRU: [rows, hidden], W_hn h + b_hn; null without keep
  void* outputs;  // with proj: [rows, hidden], o tanh c
  // backward: dgates [rows, G * hidden], a GRU's [rows, 4 * hidden] are those of (W_hn h, r, z, W_in x)
  const void* dy;  // [rows, K] or null
  int64_t lddy;
  const void *dh, *dc;  // [batch, K], [batch, hidden] or null: gradients of each sequence's last h and c
  void* dgates;
  int64_t lddg;  // rows of dgates apart, at a distance that spreads them over L1's sets
  void* carry;   // [batch, hidden]: LSTM's gradient of c0; GRU's share z dh of the gradient of h0
  void* dhs;     // with proj: [rows, proj], the gradient of every h
};

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
struct AdadeltaArgs {
  double lr, rho, eps, weight_decay;
  bool maximize;  // state: mean square of the gradient, of the changes
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
namespace baseline {
extern const Kernels table;
}
namespace avx2 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}
namespace avx512_bf16 {
extern const Kernels table;
}

// The table in use (csrc/dispatch.cpp).
const Kernels& kernels();
#pragma GCC visibility pop

}  // namespace fastnn
