// The elementwise kernels and how they are started, for the files that hold them: a kernel a dtype and family, the op's
// code a uniform branch inside.
#pragma once
#include "cuda/elementwise.h"
#include "cuda/elementwise_math.h"
#include "cuda/strides.h"

namespace fastnn {
namespace cuda {

// The ops of elementwise_math.h's *_rare. unary: of one operand.
void elementwise_rare(const ElementwiseArgs& a, bool unary, Stream stream);

namespace {

struct In {
  const void* p;
  double number;
  int64_t integer;
  bool inner;  // its elements along the innermost dimension are neighbours; else one for all
};

template <int N>  // inputs
struct Work {
  Op op;
  bool boolean;  // integers: the result is made 0 or 1
  Strided<N + 1> s;
  In in[N];
  void* out;
  double p[2];
};

template <class C>
__device__ inline C scalar_of(const In& in) {
  return C(0.5) == 0 ? static_cast<C>(in.integer) : static_cast<C>(in.number);
}
// n of V elements at `at`; the others are copies of the first, so that nothing that was not asked for is computed with.
template <class T, int V>
__device__ inline void fetch(const In& in, int64_t at, int n, compute_t<T> (&v)[V]) {
  using C = compute_t<T>;
  const T* p = static_cast<const T*>(in.p) + (in.p ? at : 0);
  if (in.p && in.inner && V > 1) {
    load(p, v, n, n < V ? widened(*p) : C(0));
    return;
  }
  const C one = in.p ? widened(*p) : scalar_of<C>(in);
#pragma unroll
  for (int i = 0; i < V; ++i) v[i] = one;
}
// Elements of this unit: all V, but for the last one of a single dimension.
template <int V, int N>
__device__ inline int count_of(const Strided<N>& s, uint32_t unit) {
  if (V == 1 || s.ndim > 1) return V;
  const int64_t left = s.inner - static_cast<int64_t>(unit) * V;
  return left < V ? static_cast<int>(left) : V;
}
template <int V>
__device__ inline void store_bytes(uint8_t* p, const uint8_t (&v)[V], int n) {
  if (n == V) {
    Pack<uint8_t, V> a;
#pragma unroll
    for (int i = 0; i < V; ++i) a.v[i] = v[i];
    *reinterpret_cast<Pack<uint8_t, V>*>(p) = a;
    return;
  }
#pragma unroll
  for (int i = 0; i < V; ++i)
    if (i < n) p[i] = v[i];
}
__device__ inline uint32_t unit_of_thread() { return blockIdx.x * blockDim.x + threadIdx.x; }

enum class Family { Plain, Rare, Integer, Bytes };  // Bytes: tests and comparisons

template <Family F, class T, int V>
__global__ void unary_kernel(const __grid_constant__ Work<1> w) {
  using C = compute_t<T>;
  const uint32_t unit = unit_of_thread();
  if (unit >= w.s.units) return;
  int64_t at[2];
  w.s.offsets(unit, at);
  const int n = count_of<V>(w.s, unit);
  C a[V];
  fetch<T>(w.in[0], at[1], n, a);
  if constexpr (F == Family::Bytes) {
    uint8_t r[V] = {};
    test(w.op, a, r);
    store_bytes(static_cast<uint8_t*>(w.out) + at[0], r, n);
  } else {
    C r[V] = {};
    if constexpr (F == Family::Plain) unary(w.op, a, static_cast<C>(w.p[0]), static_cast<C>(w.p[1]), r);
    if constexpr (F == Family::Rare) unary_rare(w.op, a, r);
    if constexpr (F == Family::Integer) {
      unary_integer(w.op, a, r);
      if (w.boolean)
#pragma unroll
        for (int i = 0; i < V; ++i) r[i] = w.op == Op::bitwise_not ? a[i] == 0 : r[i] != 0;
    }
    store(static_cast<T*>(w.out) + at[0], r, n);
  }
}

template <Family F, class T, int V>
__global__ void binary_kernel(const __grid_constant__ Work<2> w) {
  using C = compute_t<T>;
  const uint32_t unit = unit_of_thread();
  if (unit >= w.s.units) return;
  int64_t at[3];
  w.s.offsets(unit, at);
  const int n = count_of<V>(w.s, unit);
  C a[V], b[V];
  fetch<T>(w.in[0], at[1], n, a);
  fetch<T>(w.in[1], at[2], n, b);
  if constexpr (F == Family::Bytes) {
    uint8_t r[V] = {};
    compare(w.op, a, b, r);
    store_bytes(static_cast<uint8_t*>(w.out) + at[0], r, n);
  } else {
    C r[V] = {};
    if constexpr (F == Family::Plain) binary(w.op, a, b, static_cast<C>(w.p[0]), static_cast<C>(w.p[1]), r);
    if constexpr (F == Family::Rare) binary_rare(w.op, a, b, r);
    if constexpr (F == Family::Integer) {
      binary_integer(w.op, a, b, static_cast<int64_t>(w.p[0]), r);
      if (w.boolean)
#pragma unroll
        for (int i = 0; i < V; ++i) r[i] = r[i] != 0;
    }
    store(static_cast<T*>(w.out) + at[0], r, n);
  }
}

// ---- host ----
template <int N>
Layout<N + 1> layout_of(const ElementwiseArgs& a, const Operand* const (&in)[N]) {
  Layout<N + 1> l(a.ndim, a.shape);
  l.set(0, a.out_stride);
  for (int k = 0; k < N; ++k) l.set(k + 1, in[k]->p ? in[k]->stride : nullptr);
  l.drop_ones();
  l.sort();
  l.merge();
  return l;
}

// Whether packs of v elements can be moved: neighbours (or one for all) along the innermost dimension, at places that
// are multiples of the pack. bytes[k]: the size of an element.
template <int N>
bool packs(const Layout<N>& l, int v, const void* const (&p)[N], const int (&bytes)[N]) {
  if (v == 1 || l.ndim == 0) return false;
  const int last = l.ndim - 1;
  if (l.stride[0][last] != 1 || (l.ndim > 1 && l.shape[last] % v != 0)) return false;
  for (int k = 0; k < N; ++k) {
    if (!p[k]) continue;
    if (l.stride[k][last] == 0) continue;
    if (l.stride[k][last] != 1 || !aligned(p[k], static_cast<size_t>(v * bytes[k]))) return false;
    for (int d = 0; d < last; ++d)
      if (l.stride[k][d] % v != 0) return false;
  }
  return true;
}

template <int N, class Start>
void run(const ElementwiseArgs& a, const Operand* const (&in)[N], const int (&bytes)[N + 1], int v,
         const Start& start) {
  const Layout<N + 1> l = layout_of(a, in);
  if (l.empty) return;
  const void* p[N + 1] = {a.out};
  for (int k = 0; k < N; ++k) p[k + 1] = in[k]->p;
  const bool packed = packs(l, v, p, bytes);
  Work<N> w;
  w.op = a.op;
  w.boolean = a.dtype == Dtype::Bool;
  w.p[0] = a.p[0];
  w.p[1] = a.p[1];
  l.units(packed ? v : 1, [&](const Strided<N + 1>& s, const int64_t (&at)[N + 1]) {
    w.s = s;
    w.out = static_cast<char*>(a.out) + at[0] * bytes[0];
    for (int k = 0; k < N; ++k) {
      const char* base = static_cast<const char*>(in[k]->p);
      w.in[k] = {base ? base + at[k + 1] * bytes[k + 1] : nullptr, in[k]->number, in[k]->integer,
                 packed && l.stride[k + 1][l.ndim - 1] != 0};
    }
    start(w, packed);
  });
}

template <Family F, class T>
void run_unary(const ElementwiseArgs& a, Stream stream) {
  constexpr int V = F == Family::Rare ? 1 : kVector<T>;  // the rare ones are bound by arithmetic
  const int size = static_cast<int>(sizeof(T));
  run<1>(a, {&a.a}, {F == Family::Bytes ? 1 : size, size}, V, [&](const Work<1>& w, bool packed) {
    launch("elementwise", packed ? unary_kernel<F, T, V> : unary_kernel<F, T, 1>, blocks_for(w.s.units),
           block_for(w.s.units), 0, stream, w);
  });
}
template <Family F, class T>
void run_binary(const ElementwiseArgs& a, Stream stream) {
  constexpr int V = F == Family::Rare ? 1 : kVector<T>;  // the rare ones are bound by arithmetic
  const int size = static_cast<int>(sizeof(T));
  run<2>(a, {&a.a, &a.b}, {F == Family::Bytes ? 1 : size, size, size}, V, [&](const Work<2>& w, bool packed) {
    launch("elementwise", packed ? binary_kernel<F, T, V> : binary_kernel<F, T, 1>, blocks_for(w.s.units),
           block_for(w.s.units), 0, stream, w);
  });
}

}  // namespace
}  // namespace cuda
}  // namespace fastnn
