// Recurrent layers, forward: the input's share of the gates was one product over all steps; what is left is a product
// with h and the gates' arithmetic, step after step. In one cooperative kernel with the weights on chip
// (rnn_persistent.h), or as a product (gemm.h) and a kernel a step.
#include "cuda/rnn_persistent.h"

namespace fastnn {
namespace cuda {
namespace {

// ---- a kernel a step ----

template <class T, int G>
__global__ void __launch_bounds__(kRnnThreads) rnn_begin_kernel(const __grid_constant__ RnnView<T> v) {
  const int64_t n = static_cast<int64_t>(v.batch) * v.hidden;
  for (int64_t i = blockIdx.x * int64_t(kRnnThreads) + threadIdx.x; i < n; i += int64_t(gridDim.x) * kRnnThreads)
    v.state[i] = v.template began<G>(static_cast<int>(i / v.hidden), static_cast<int>(i % v.hidden));
}

// The gates of one step; rest [live, G * hidden] is h's share of those of the first `live` rows, the others have none.
template <class T, int G>
__global__ void __launch_bounds__(kRnnThreads)
    rnn_gates_kernel(const __grid_constant__ RnnView<T> v, int64_t at, int rows, const acc_t<T>* rest, int live) {
  const int64_t n = static_cast<int64_t>(rows) * v.hidden;
  for (int64_t i = blockIdx.x * int64_t(kRnnThreads) + threadIdx.x; i < n; i += int64_t(gridDim.x) * kRnnThreads) {
    const int b = static_cast<int>(i / v.hidden), j = static_cast<int>(i % v.hidden);
    acc_t<T> share[G];
#pragma unroll
    for (int g = 0; g < G; ++g) share[g] = b < live ? rest[(static_cast<int64_t>(b) * G + g) * v.hidden + j] : 0;
    rnn_cell<T, G>(v, at + b, b, j, share);
  }
}

template <class T, int G>
void steps_forward(const RnnPass& p, void* workspace, Stream stream) {
  using A = acc_t<T>;
  const RnnArgs& a = p.a;
  const RnnView<T> v = rnn_view<T>(p);
  A* const rest = static_cast<A*>(workspace);
  if (G > 1) launch("rnn", rnn_begin_kernel<T, G>, rnn_blocks(a.batch * a.hidden), dim3(kRnnThreads), 0, stream, v);
  GemmArgs g = {};
  GemmOptions wide;
  wide.wide = true;
  g.dtype = a.dtype;
  g.n = G * a.hidden, g.k = a.hidden, g.batch = 1;
  g.b = a.w_hh, g.b_rs = 1, g.b_cs = a.hidden, g.a_cs = 1, g.ldc = g.n;
  const auto product = [&](const T* h, int64_t apart, int64_t first, int64_t rows) {
    g.m = rows, g.a = h, g.a_rs = apart, g.c = rest + first * g.n;
    if (rows > 0) gemm(g, wide, stream);
  };
  int64_t at = 0, before = 0, before_at = 0;
  if (a.reverse)
    for (int64_t t = 0; t < a.steps; ++t) at += a.sizes[t];
  for (int64_t s = 0; s < a.steps; ++s) {
    const int64_t rows = a.sizes[a.reverse ? a.steps - 1 - s : s];
    if (a.reverse) at -= rows;
    const int64_t had = rows < before ? rows : before;
    product(v.y + before_at * v.ldy, v.ldy, 0, had);
    if (v.h0) product(v.h0 + had * a.hidden, a.hidden, had, rows - had);
    launch("rnn", rnn_gates_kernel<T, G>, rnn_blocks(rows * a.hidden), dim3(kRnnThreads), 0, stream, v, at,
           static_cast<int>(rows), static_cast<const A*>(rest), static_cast<int>(v.h0 ? rows : had));
    before = rows, before_at = at;
    if (!a.reverse) at += rows;
  }
}

// ---- all steps in one kernel ----

template <class T, int G>
__global__ void __launch_bounds__(kRnnThreads, 1)
    rnn_forward_kernel(const __grid_constant__ RnnView<T> v, const __grid_constant__ RnnPlan p, T* operand,
                       unsigned* counter) {
  FASTNN_DYNAMIC_SHARED(unsigned char, shared);
  T* const weights = reinterpret_cast<T*>(shared);
  float* const sums = reinterpret_cast<float*>(shared + p.weight_bytes);
  const int H = v.hidden, j0 = blockIdx.x * p.units, units = min(p.units, H - j0);
  const int b0 = blockIdx.y * p.group_batch, b1 = min(v.batch, b0 + p.group_batch);
  rnn_load_weights(p, weights, H, [&](int row, int k) {
    const int u = row % p.units;
    return u < units ? v.w_hh[(static_cast<int64_t>(row / p.units) * H + j0 + u) * H + k] : zero<T>();
  });
  // h0 into both buffers: where sequences of several lengths are read backwards, a later step is the first of some.
  for (int i = threadIdx.x; i < units * (b1 - b0); i += kRnnThreads) {
    const int j = j0 + i % units, b = b0 + i / units;
    const T h = v.h0 ? v.h0[static_cast<int64_t>(b) * H + j] : zero<T>();
    operand[operand_at<T>(p, j, b)] = operand[p.operand + operand_at<T>(p, j, b)] = h;
    if (G > 1) v.state[static_cast<int64_t>(b) * H + j] = v.template began<G>(b, j);
  }
  grid_barrier(counter);
#pragma unroll 1
  for (int s = 0; s < v.steps; ++s) {
    const RnnStep step = v.step(v.reverse ? v.steps - 1 - s : s);
    const T* const in = operand + (s % 2) * p.operand;
    T* const out = operand + (1 - s % 2) * p.operand;
    const int end = min(b1, step.rows);
#pragma unroll 1
    for (int column = b0; column < end; column += kRnnColumns) {
      const int columns = min(kRnnColumns, end - column);
      rnn_product<T>(p, weights, in, column, (columns + 7) / 8, sums);
      __syncthreads();
#pragma unroll 1
      for (int i = threadIdx.x; i < units * columns; i += kRnnThreads) {
        const int u = i % units, j = j0 + u, b = column + i / units;
        float rest[G];
#pragma unroll
        for (int g = 0; g < G; ++g) {
          rest[g] = rnn_sum(p, sums, g * p.units + u, i / units);
          if (rnn_doubtful<T>(rest[g])) {
            const T* const w = v.w_hh + (static_cast<int64_t>(g) * H + j) * H;
            rest[g] = 0;
#pragma unroll 1
            for (int k = 0; k < H; ++k) rest[g] = fmaf(to_acc(w[k]), to_acc(in[operand_at<T>(p, k, b)]), rest[g]);
          }
        }
        out[operand_at<T>(p, j, b)] = from_acc<T>(rnn_cell<T, G>(v, step.at + b, b, j, rest));
      }
      __syncthreads();  // the sums have been read
    }
    if (s + 1 < v.steps) {
      const RnnStep next = v.step(v.reverse ? v.steps - 2 - s : s + 1);
      rnn_prefetch(v.gates + (next.at + b0) * G * H + j0, int64_t(G) * H, min(b1, next.rows) - b0, G, H, units);
      grid_barrier(counter);
    }
  }
}

}  // namespace

void rnn(const RnnPass& p, RnnVariant variant, void* workspace, Stream stream) {
  rnn_run(
      "rnn", p, variant, false,
      [&](auto type, auto gates) {
        steps_forward<typename decltype(type)::type, decltype(gates)::value>(p, workspace, stream);
      },
      [&](auto type, auto gates, const RnnPlan& plan) {
        using T = typename decltype(type)::type;
        rnn_launch<T>("rnn", rnn_forward_kernel<T, decltype(gates)::value>, p, plan, workspace, stream);
      });
}

size_t rnn_workspace(const RnnPass& p, RnnVariant variant, bool backward) {
  const RnnPlan plan = rnn_plan(p.a, backward);
  if (rnn_persistent(p, variant, plan)) return plan.workspace;
  // The product of a step; backward of a GRU two, which meet different rows of the weights.
  const int64_t columns = backward ? p.a.cell == RnnCell::Gru ? 2 : 1 : rnn_gates(p.a.cell);
  return static_cast<size_t>(p.a.batch * columns * p.a.hidden * size_of(compute_dtype(p.a.dtype)));
}

}  // namespace cuda
}  // namespace fastnn
