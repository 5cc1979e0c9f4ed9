// Recurrent layers, backward: the gradients of the gates, from the pass's last step back. dh of a step is its output's
// gradient plus the product of the later step's gates' gradients with w_hh; persistent or a step at a time as in
// rnn.cu. Those of the weights and of the input are products over all steps at once, made of these.
#include "cuda/rnn_persistent.h"

namespace fastnn {
namespace cuda {
namespace {

// What of the gradient of h does not come from a later step.
template <class T>
__device__ __forceinline__ acc_t<T> from_output(const RnnView<T>& v, int64_t row, int b, int j, bool last) {
  acc_t<T> d = v.dy ? to_acc(v.dy[row * v.lddy + j]) : acc_t<T>(0);
  if (last && v.dh) d += to_acc(v.dh[static_cast<int64_t>(b) * v.hidden + j]);
  return d;
}
template <class T, int G>
__device__ __forceinline__ acc_t<T> carry_began(const RnnView<T>& v, int64_t at) {
  return G == 4 && v.dc ? to_acc(v.dc[at]) : acc_t<T>(0);
}

// ---- a kernel a step ----

template <class T, int G>
__global__ void __launch_bounds__(kRnnThreads) rnn_carry_kernel(const __grid_constant__ RnnView<T> v) {
  const int64_t n = static_cast<int64_t>(v.batch) * v.hidden;
  for (int64_t i = blockIdx.x * int64_t(kRnnThreads) + threadIdx.x; i < n; i += int64_t(gridDim.x) * kRnnThreads)
    v.carry[i] = carry_began<T, G>(v, i);
}

// later: rows that have a step after this one, whose share of dh is `share` (and of a GRU's n gate `more`).
template <class T, int G>
__global__ void __launch_bounds__(kRnnThreads)
    rnn_gates_backward_kernel(const __grid_constant__ RnnView<T> v, int64_t at, int rows, int later, int64_t earlier_at,
                              int earlier_rows, const acc_t<T>* share, const acc_t<T>* more) {
  const int64_t n = static_cast<int64_t>(rows) * v.hidden;
  for (int64_t i = blockIdx.x * int64_t(kRnnThreads) + threadIdx.x; i < n; i += int64_t(gridDim.x) * kRnnThreads) {
    const int b = static_cast<int>(i / v.hidden), j = static_cast<int>(i % v.hidden);
    acc_t<T> d = from_output(v, at + b, b, j, b >= later), out[G];
    if (b < later) d += G == 3 ? share[i] + more[i] : share[i];
    rnn_cell_backward<T, G>(v, at + b, b < earlier_rows ? earlier_at + b : -1, b, j, d, out);
  }
}

template <class T, int G>
void steps_backward(const RnnPass& p, void* workspace, Stream stream) {
  using A = acc_t<T>;
  const RnnArgs& a = p.a;
  const RnnView<T> v = rnn_view<T>(p);
  const int64_t H = a.hidden, width = (G == 3 ? 4 : G) * H;
  A *const share = static_cast<A*>(workspace), *const more = share + a.batch * H;
  if (G > 1) launch("rnn_backward", rnn_carry_kernel<T, G>, rnn_blocks(a.batch * H), dim3(kRnnThreads), 0, stream, v);
  GemmOptions wide;
  wide.wide = true;
  const auto product = [&](const T* d, int64_t rows, int64_t first, int64_t depth, A* to) {
    GemmArgs g = {};
    g.dtype = a.dtype;
    g.m = rows, g.n = H, g.k = depth, g.batch = 1;
    g.a = d, g.a_rs = width, g.a_cs = 1;
    g.b = v.w_hh + first * H, g.b_rs = H, g.b_cs = 1;
    g.c = to, g.ldc = H;
    if (rows > 0) gemm(g, wide, stream);
  };
  int64_t at = 0, later_rows = 0, later_at = 0;
  if (!a.reverse)
    for (int64_t t = 0; t < a.steps; ++t) at += a.sizes[t];
  for (int64_t s = 0; s < a.steps; ++s) {
    const int64_t t = a.reverse ? s : a.steps - 1 - s, rows = a.sizes[t];
    if (!a.reverse) at -= rows;
    const int64_t later = rows < later_rows ? rows : later_rows;
    const T* const d = v.dgates + later_at * width;
    if (G == 3) {  // dgates begin with those of the n gate
      product(d + H, later, 0, 2 * H, share);
      product(d, later, 2 * H, H, more);
    } else {
      product(d, later, 0, G * H, share);
    }
    int64_t earlier_rows = 0, earlier_at = 0;
    if (s + 1 < a.steps) {
      earlier_rows = a.sizes[a.reverse ? t + 1 : t - 1];
      earlier_at = a.reverse ? at + rows : at - earlier_rows;
    }
    launch("rnn_backward", rnn_gates_backward_kernel<T, G>, rnn_blocks(rows * H), dim3(kRnnThreads), 0, stream, v, at,
           static_cast<int>(rows), static_cast<int>(later), earlier_at, static_cast<int>(earlier_rows),
           static_cast<const A*>(share), static_cast<const A*>(more));
    later_rows = rows, later_at = at;
    if (a.reverse) at += rows;
  }
}

// ---- all steps in one kernel ----

template <class T, int G>
__global__ void __launch_bounds__(kRnnThreads, 1)
    rnn_backward_kernel(const __grid_constant__ RnnView<T> v, const __grid_constant__ RnnPlan p, T* operand,
                        unsigned* counter) {
  FASTNN_DYNAMIC_SHARED(unsigned char, shared);
  T* const weights = reinterpret_cast<T*>(shared);
  float* const sums = reinterpret_cast<float*>(shared + p.weight_bytes);
  const int H = v.hidden, j0 = blockIdx.x * p.units, units = min(p.units, H - j0);
  const int b0 = blockIdx.y * p.group_batch, b1 = min(v.batch, b0 + p.group_batch);
  rnn_load_weights(p, weights, G * H,
                   [&](int u, int k) { return u < units ? v.w_hh[static_cast<int64_t>(k) * H + j0 + u] : zero<T>(); });
  if (G > 1)
    for (int i = threadIdx.x; i < units * (b1 - b0); i += kRnnThreads) {
      const int64_t at = static_cast<int64_t>(b0 + i / units) * H + j0 + i % units;
      v.carry[at] = carry_began<T, G>(v, at);
    }
  __syncthreads();
  int later_rows = 0;
#pragma unroll 1
  for (int s = 0; s < v.steps; ++s) {
    const int t = v.reverse ? s : v.steps - 1 - s;
    const RnnStep step = v.step(t);
    RnnStep earlier = {0, 0};
    if (s + 1 < v.steps) earlier = v.step(v.reverse ? t + 1 : t - 1);
    const T* const in = operand + (s % 2) * p.operand;
    T* const out = operand + (1 - s % 2) * p.operand;
    const int end = min(b1, step.rows), later = min(step.rows, later_rows);
#pragma unroll 1
    for (int column = b0; column < end; column += kRnnColumns) {
      const int columns = min(kRnnColumns, end - column);
      if (column < later) rnn_product<T>(p, weights, in, column, (columns + 7) / 8, sums);
      __syncthreads();
#pragma unroll 1
      for (int i = threadIdx.x; i < units * columns; i += kRnnThreads) {
        const int u = i % units, j = j0 + u, b = column + i / units;
        const int64_t row = step.at + b;
        float d = from_output(v, row, b, j, b >= later), dgates[G];
        if (b < later) {
          float share = rnn_sum(p, sums, u, i / units);
          if (rnn_doubtful<T>(share)) {
            share = 0;
#pragma unroll 1
            for (int k = 0; k < G * H; ++k)
              share = fmaf(to_acc(v.w_hh[static_cast<int64_t>(k) * H + j]), to_acc(in[operand_at<T>(p, k, b)]), share);
          }
          d += share;
        }
        rnn_cell_backward<T, G>(v, row, b < earlier.rows ? earlier.at + b : -1, b, j, d, dgates);
#pragma unroll
        for (int g = 0; g < G; ++g) out[operand_at<T>(p, g * H + j, b)] = from_acc<T>(dgates[g]);
      }
      __syncthreads();  // the sums have been read
    }
    later_rows = step.rows;
    if (s + 1 < v.steps) {
      const int64_t row = earlier.at + b0;
      const int rows = min(b1, earlier.rows) - b0;
      if (G > 1) rnn_prefetch(v.gates + row * G * H + j0, int64_t(G) * H, rows, G, H, units);
      if (G == 3) rnn_prefetch(v.hn + row * H + j0, H, rows, 1, H, units);
      if (v.dy) rnn_prefetch(v.dy + row * v.lddy + j0, v.lddy, rows, 1, H, units);
      grid_barrier(counter);
    }
  }
}

}  // namespace

void rnn_backward(const RnnPass& p, RnnVariant variant, void* workspace, Stream stream) {
  rnn_run(
      "rnn_backward", p, variant, true,
      [&](auto type, auto gates) {
        steps_backward<typename decltype(type)::type, decltype(gates)::value>(p, workspace, stream);
      },
      [&](auto type, auto gates, const RnnPlan& plan) {
        using T = typename decltype(type)::type;
        rnn_launch<T>("rnn_backward", rnn_backward_kernel<T, decltype(gates)::value>, p, plan, workspace, stream);
      });
}

}  // namespace cuda
}  // namespace fastnn
