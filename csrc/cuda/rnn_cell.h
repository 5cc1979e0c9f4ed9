// What the forward and the backward kernels of recurrent layers share: the arguments as kernels take them, and the
// gates' arithmetic of one hidden unit of one sequence at one step.
#pragma once
#include <math.h>  // not <cmath>: exp(float) and its like are to be found without std::

#include "cuda/gemm_common.h"
#include "cuda/rnn.h"
#include "cuda/storage.h"

namespace fastnn {
namespace cuda {

template <class T>
using acc_t = typename Accumulator<T>::type;

struct RnnStep {
  int64_t at;
  int rows;
};

template <class T>
struct RnnView {
  using A = acc_t<T>;
  int hidden, batch, steps;
  bool relu, reverse, keep;
  const int* starts;
  const T *w_hh, *h0, *c0, *dy, *dh, *dc;
  const A *bias, *b_hn;
  T *y, *dgates;
  int64_t ldy, lddy;
  A *gates, *cells, *hn, *state, *carry;

  __device__ __forceinline__ RnnStep step(int t) const {
    if (!starts) return {static_cast<int64_t>(t) * batch, batch};
    return {starts[t], starts[t + 1] - starts[t]};
  }
  // Of sequence b's unit j before its first step: an LSTM's c, a GRU's h.
  template <int G>
  __device__ __forceinline__ A began(int b, int j) const {
    const T* from = G == 4 ? c0 : h0;
    return from ? to_acc(from[static_cast<int64_t>(b) * hidden + j]) : A(0);
  }
};

template <class A>
__device__ __forceinline__ A rnn_sigmoid(A x) {
  return A(1) / (A(1) + exp(-x));
}

// h of unit j of sequence b at the step of `row`; rest: the recurrent share of its gates.
template <class T, int G>
__device__ __forceinline__ acc_t<T> rnn_cell(const RnnView<T>& v, int64_t row, int b, int j,
                                             const acc_t<T> (&rest)[G]) {
  using A = acc_t<T>;
  const int64_t at = static_cast<int64_t>(b) * v.hidden + j;
  A* const gates = v.gates + row * G * v.hidden + j;
  A g[G], h;
#pragma unroll
  for (int i = 0; i < G; ++i) g[i] = gates[i * v.hidden] + (v.bias ? v.bias[i * v.hidden + j] : A(0));
  if constexpr (G == 1) {
    const A x = g[0] + rest[0];
    h = v.relu ? (x <= A(0) ? A(0) : x) : tanh(x);  // NaN stays
  } else if constexpr (G == 4) {
    g[0] = rnn_sigmoid(g[0] + rest[0]), g[1] = rnn_sigmoid(g[1] + rest[1]);
    g[2] = tanh(g[2] + rest[2]), g[3] = rnn_sigmoid(g[3] + rest[3]);
    const A c = g[1] * v.state[at] + g[0] * g[2];
    v.state[at] = c;
    if (v.keep) v.cells[row * v.hidden + j] = c;
    h = g[3] * tanh(c);
  } else {
    const A m = rest[2] + (v.b_hn ? v.b_hn[j] : A(0)), before = v.state[at];
    g[0] = rnn_sigmoid(g[0] + rest[0]), g[1] = rnn_sigmoid(g[1] + rest[1]);
    g[2] = tanh(g[2] + g[0] * m);
    h = g[2] + g[1] * (before - g[2]);
    v.state[at] = h;
    if (v.keep) v.hn[row * v.hidden + j] = m;
  }
  if (G > 1 && v.keep) {
#pragma unroll
    for (int i = 0; i < G; ++i) gates[i * v.hidden] = g[i];
  }
  v.y[row * v.ldy + j] = from_acc<T>(h);
  return h;
}

// From d, the gradient of h, those of the gates: into dgates, and out[i] those of row i * hidden + j of w_hh h.
// earlier: the row of the step before, or -1 where the sequence began with h0 and c0.
template <class T, int G>
__device__ __forceinline__ void rnn_cell_backward(const RnnView<T>& v, int64_t row, int64_t earlier, int b, int j,
                                                  acc_t<T> d, acc_t<T> (&out)[G]) {
  using A = acc_t<T>;
  const int64_t H = v.hidden, at = b * H + j;
  const A* const gates = v.gates + row * G * H + j;
  T* const to = v.dgates + row * (G == 3 ? 4 : G) * H + j;
  if constexpr (G == 1) {
    const A h = to_acc(v.y[row * v.ldy + j]);
    out[0] = v.relu ? (h <= A(0) ? A(0) : d) : d * (A(1) - h * h);
    to[0] = from_acc<T>(out[0]);
  } else if constexpr (G == 4) {
    const A i = gates[0], f = gates[H], u = gates[2 * H], o = gates[3 * H];
    const A t = tanh(v.cells[row * H + j]), dc = d * o * (A(1) - t * t) + v.carry[at];
    const A before = earlier >= 0 ? v.cells[earlier * H + j] : v.template began<G>(b, j);
    out[0] = dc * u * i * (A(1) - i), out[1] = dc * before * f * (A(1) - f);
    out[2] = dc * i * (A(1) - u * u), out[3] = d * t * o * (A(1) - o);
    v.carry[at] = dc * f;
#pragma unroll
    for (int k = 0; k < 4; ++k) to[k * H] = from_acc<T>(out[k]);
  } else {
    const A r = gates[0], z = gates[H], u = gates[2 * H], m = v.hn[row * H + j];
    const A before = earlier >= 0 ? to_acc(v.y[earlier * v.ldy + j]) : v.template began<G>(b, j);
    d += v.carry[at];
    const A du = d * (A(1) - z) * (A(1) - u * u);
    out[0] = du * m * r * (A(1) - r), out[1] = d * (before - u) * z * (A(1) - z), out[2] = du * r;
    v.carry[at] = d * z;
    to[0] = from_acc<T>(out[2]), to[H] = from_acc<T>(out[0]), to[2 * H] = from_acc<T>(out[1]);
    to[3 * H] = from_acc<T>(du);
  }
}

// ---- host ----
template <class T>
RnnView<T> rnn_view(const RnnPass& p) {
  using A = acc_t<T>;
  const RnnArgs& a = p.a;
  RnnView<T> v = {};
  v.hidden = static_cast<int>(a.hidden), v.batch = static_cast<int>(a.batch), v.steps = static_cast<int>(a.steps);
  v.relu = a.cell == RnnCell::Relu, v.reverse = a.reverse, v.keep = a.keep;
  v.starts = p.starts;
  v.w_hh = static_cast<const T*>(a.w_hh), v.h0 = static_cast<const T*>(a.h0), v.c0 = static_cast<const T*>(a.c0);
  v.dy = static_cast<const T*>(a.dy), v.dh = static_cast<const T*>(a.dh), v.dc = static_cast<const T*>(a.dc);
  v.bias = static_cast<const A*>(p.bias), v.b_hn = static_cast<const A*>(a.b_hn);
  v.y = static_cast<T*>(a.y), v.dgates = static_cast<T*>(a.dgates);
  v.ldy = a.ldy, v.lddy = a.lddy;
  v.gates = static_cast<A*>(a.gates), v.cells = static_cast<A*>(a.cells), v.hn = static_cast<A*>(a.hn);
  v.state = static_cast<A*>(p.state), v.carry = static_cast<A*>(a.carry);
  return v;
}
inline int rnn_gates(RnnCell cell) { return cell == RnnCell::Lstm ? 4 : cell == RnnCell::Gru ? 3 : 1; }

template <int N>
struct Count {
  static constexpr int value = N;
};
// f(Type of the dtype, Count<gates>()).
template <class F>
void with_cell(const char* what, const RnnArgs& a, const F& f) {
  with_float(what, a.dtype, [&](auto type) {
    switch (rnn_gates(a.cell)) {
      case 1:
        return f(type, Count<1>());
      case 3:
        return f(type, Count<3>());
      default:
        return f(type, Count<4>());
    }
  });
}

}  // namespace cuda
}  // namespace fastnn
