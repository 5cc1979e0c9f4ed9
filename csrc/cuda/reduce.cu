// Reductions. Limit: the memory's bandwidth. Two ways to read: along what is reduced (a team of threads an output), or
// along what is kept (a thread an output, or a pack of them), whichever has the neighbours in memory. Where the outputs
// are too few to fill the device, what is reduced is cut, and a second kernel joins the parts in their order.
#include <limits>

#include "cuda/block.h"
#include "cuda/reduce.h"
#include "cuda/reduce_plan.h"
#include "cuda/storage.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kWarps = kBlock / 32;

enum class Join { Add, Multiply, Largest, Smallest };
__host__ __device__ inline Join join_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::Prod:
      return Join::Multiply;
    case ReduceOp::Max:
    case ReduceOp::MaxAbs:
    case ReduceOp::Any:
      return Join::Largest;
    case ReduceOp::Min:
    case ReduceOp::MinAbs:
    case ReduceOp::All:
      return Join::Smallest;
    default:
      return Join::Add;
  }
}

template <class A>
struct Limits {
  __device__ static A low() { return -static_cast<A>(INFINITY); }
  __device__ static A high() { return static_cast<A>(INFINITY); }
};
template <>
struct Limits<int64_t> {
  __device__ static int64_t low() { return INT64_MIN; }
  __device__ static int64_t high() { return INT64_MAX; }
};
template <class A>
__device__ inline A neutral(ReduceOp op) {
  switch (join_of(op)) {
    case Join::Multiply:
      return 1;
    case Join::Largest:
      return op == ReduceOp::Any || op == ReduceOp::MaxAbs ? A(0) : Limits<A>::low();
    case Join::Smallest:
      return op == ReduceOp::All ? A(1) : Limits<A>::high();
    default:
      return 0;
  }
}

// Integers wrap around.
template <class A>
__device__ inline A plus(A a, A b) {
  return a + b;
}
__device__ inline int64_t plus(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}
template <class A>
__device__ inline A times(A a, A b) {
  return a * b;
}
__device__ inline int64_t times(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
template <class A>
__device__ inline A largest(A a, A b) {  // a NaN wins
  return a > b || a != a ? a : b;
}
template <class A>
__device__ inline A smallest(A a, A b) {
  return a < b || a != a ? a : b;
}
template <class A>
struct Joined {
  Join how;
  __device__ A operator()(A a, A b) const {
    switch (how) {
      case Join::Add:
        return plus(a, b);
      case Join::Multiply:
        return times(a, b);
      case Join::Largest:
        return largest(a, b);
      default:
        return smallest(a, b);
    }
  }
};

// v into V running results at once: the op is decided once a pack.
template <class A, class C, int V>
__device__ inline void accumulate(ReduceOp op, A (&r)[V], const C (&v)[V], const A (&centre)[V], A p) {
#define FASTNN_EACH(name, expression)               \
  case ReduceOp::name:                              \
    _Pragma("unroll") for (int i = 0; i < V; ++i) { \
      const A x = static_cast<A>(v[i]);             \
      r[i] = expression;                            \
    }                                               \
    break;
  (void)p;
  if constexpr (std::is_same<A, C>::value) {
    switch (op) {
      FASTNN_EACH(Sum, plus(r[i], x))
      FASTNN_EACH(Prod, times(r[i], x))
      FASTNN_EACH(Max, largest(r[i], x))
      FASTNN_EACH(Min, smallest(r[i], x))
      FASTNN_EACH(SumSquare, plus(r[i], times(x, x)))
      FASTNN_EACH(SumAbs, plus(r[i], x < 0 ? A(0) - x : x))
      FASTNN_EACH(MaxAbs, largest(r[i], x < 0 ? A(0) - x : x))
      FASTNN_EACH(MinAbs, smallest(r[i], x < 0 ? A(0) - x : x))
      FASTNN_EACH(SumSquareDiff, plus(r[i], times(x - centre[i], x - centre[i])))
      case ReduceOp::SumPow:
        if constexpr (!std::is_same<A, int64_t>::value && V == 1)
          r[0] += pow(fabs(v[0]), p);  // run() asks for no packs
        break;
      default:
        break;
    }
  }
  if constexpr (std::is_same<A, int64_t>::value) {
    switch (op) {
      case ReduceOp::CountNonzero:
#pragma unroll
        for (int i = 0; i < V; ++i) r[i] += v[i] != 0;
        break;
      case ReduceOp::All:
#pragma unroll
        for (int i = 0; i < V; ++i) r[i] &= v[i] != 0;
        break;
      case ReduceOp::Any:
#pragma unroll
        for (int i = 0; i < V; ++i) r[i] |= v[i] != 0;
        break;
      default:
        break;
    }
  }
#undef FASTNN_EACH
}

struct Work {
  Strided<1> kept, gone;  // outputs and what is reduced, each with its offset in x
  ReduceOp op;
  Finish finish;
  Dtype out_dtype;
  double scale, p;
  const void *x, *centre;
  void* out;
  void* partial;                  // parts > 1: [parts, outputs]
  uint32_t outputs, parts, each;  // each: units of `gone` a part
};

template <class A>
__device__ inline void finish(const Work& w, uint32_t output, A v) {
  if constexpr (!std::is_same<A, int64_t>::value) {
    if (w.scale != 1) v *= static_cast<A>(w.scale);
    if (w.finish == Finish::Sqrt) v = sqrt(v);
    if (w.finish == Finish::Root) v = pow(v, static_cast<A>(1 / w.p));
  }
  store_as(w.out_dtype, w.out, output, v);
}
template <class A>
__device__ inline void leave(const Work& w, uint32_t part, uint32_t output, A v) {
  if (w.parts > 1)
    static_cast<A*>(w.partial)[static_cast<int64_t>(part) * w.outputs + output] = v;
  else
    finish(w, output, v);
}

// A team an output (a block, or one warp of it); packs of V along what is reduced.
template <class T, class A, int V>
__global__ void __launch_bounds__(kBlock) rows_kernel(const __grid_constant__ Work w, bool block) {
  FASTNN_SHARED(shared, A[kWarps]);
  const uint32_t team = block ? blockDim.x : 32, lane = threadIdx.x % team;
  const uint32_t output = block ? blockIdx.x : blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (output >= w.outputs) return;  // whole warps only
  int64_t row[1];
  w.kept.offsets(output, row);
  const T* x = static_cast<const T*>(w.x) + row[0];
  A r[V], centre[V];
#pragma unroll
  for (int i = 0; i < V; ++i) {
    r[i] = neutral<A>(w.op);
    centre[i] = w.centre ? static_cast<const A*>(w.centre)[output] : A(0);
  }
  const uint32_t begin = blockIdx.y * w.each, end = min(begin + w.each, w.gone.units);
  const A p = static_cast<A>(w.p);
  uint32_t u = begin + lane;
  if (w.gone.ndim == 1) {  // several loads on their way at once
    constexpr uint32_t kAtOnce = V > 4 ? 2 : 4;
    const int64_t step = w.gone.stride[0][0];
    for (; u + (kAtOnce - 1) * team < end; u += kAtOnce * team) {
      compute_t<T> v[kAtOnce][V];
#pragma unroll
      for (uint32_t k = 0; k < kAtOnce; ++k) load(x + static_cast<int64_t>(u + k * team) * step, v[k]);
#pragma unroll
      for (uint32_t k = 0; k < kAtOnce; ++k) accumulate(w.op, r, v[k], centre, p);
    }
  }
  for (; u < end; u += team) {
    int64_t at[1];
    w.gone.offsets(u, at);
    compute_t<T> v[V];
    load(x + at[0], v);
    accumulate(w.op, r, v, centre, p);
  }
  const Joined<A> join{join_of(w.op)};
#pragma unroll
  for (int i = 1; i < V; ++i) r[0] = join(r[0], r[i]);
  const A all = team_join(block, r[0], join, &shared[0]);
  if (lane == 0) leave(w, blockIdx.y, output, all);
}

// A thread V neighbouring outputs, threadIdx.y cutting what is reduced once more.
template <class T, class A, int V>
__global__ void __launch_bounds__(kBlock) columns_kernel(const __grid_constant__ Work w) {
  FASTNN_SHARED(shared, A[kBlock][V]);
  const uint32_t unit = blockIdx.x * blockDim.x + threadIdx.x, output = unit * V;
  const bool here = unit < w.kept.units;
  A r[V], centre[V];
#pragma unroll
  for (int i = 0; i < V; ++i) {
    r[i] = neutral<A>(w.op);
    centre[i] = here && w.centre ? static_cast<const A*>(w.centre)[output + i] : A(0);
  }
  if (here) {
    int64_t column[1];
    w.kept.offsets(unit, column);
    const T* x = static_cast<const T*>(w.x) + column[0];
    const uint32_t begin = blockIdx.y * w.each, end = min(begin + w.each, w.gone.units);
    const A p = static_cast<A>(w.p);
    for (uint32_t u = begin + threadIdx.y; u < end; u += blockDim.y) {
      int64_t at[1];
      w.gone.offsets(u, at);
      compute_t<T> v[V];
      load(x + at[0], v);
      accumulate(w.op, r, v, centre, p);
    }
  }
#pragma unroll
  for (int i = 0; i < V; ++i) shared[threadIdx.y * blockDim.x + threadIdx.x][i] = r[i];
  __syncthreads();
  if (threadIdx.y || !here) return;
  const Joined<A> join{join_of(w.op)};
#pragma unroll
  for (int i = 0; i < V; ++i) {
    A all = r[i];
    for (uint32_t y = 1; y < blockDim.y; ++y) all = join(all, shared[y * blockDim.x + threadIdx.x][i]);
    leave(w, blockIdx.y, output + static_cast<uint32_t>(i), all);
  }
}

// The parts of each output, in their order: a warp an output.
template <class A>
__global__ void __launch_bounds__(kBlock) parts_kernel(const __grid_constant__ Work w) {
  const uint32_t output = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (output >= w.outputs) return;
  const Joined<A> join{join_of(w.op)};
  A r = neutral<A>(w.op);
  for (uint32_t k = lane; k < w.parts; k += 32)
    r = join(r, static_cast<const A*>(w.partial)[static_cast<int64_t>(k) * w.outputs + output]);
  r = warp_join(r, join);
  if (lane == 0) finish(w, output, r);
}

// ---- host ----
// Whether packs of v can be read along `inner`, with steps of `outer` between.
bool packs(const Layout<1>& inner, const Layout<1>& outer, const void* x, int v, int size) {
  if (inner.ndim == 0 || inner.stride[0][inner.ndim - 1] != 1 || inner.shape[inner.ndim - 1] % v != 0) return false;
  for (int d = 0; d < inner.ndim - 1; ++d)
    if (inner.stride[0][d] % v != 0) return false;
  for (int d = 0; d < outer.ndim; ++d)
    if (outer.stride[0][d] % v != 0) return false;
  return aligned(x, static_cast<size_t>(v * size));
}

// Threads of a column block along the outputs.
unsigned width_of(int64_t units) {
  unsigned x = 4;
  while (x < 32 && x < units) x *= 2;
  return x;
}
uint32_t parts_of(const ReducePlan& p) {
  if (p.outputs == 0) return 1;
  if (by_rows(p)) return cut_into(p.outputs, p.length, kLeastPart);
  const unsigned x = width_of(p.outputs);
  // By columns every thread reads alone: fewer elements are enough for a part.
  return cut_into((p.outputs + x - 1) / x, p.length, 16 * kBlock / x);
}

template <class T, class A>
void run(const ReduceArgs& a, const ReducePlan& p, void* workspace, Stream stream) {
  // Running results are of 8 bytes for integers: at most 4 a thread.
  constexpr int kMost = std::is_same<A, int64_t>::value ? 4 : 8;
  constexpr int V = !std::is_same<A, compute_t<T>>::value ? 1 : kVector<T> < kMost ? kVector<T> : kMost;
  const bool rows = by_rows(p);
  const bool packed = V > 1 && a.op != ReduceOp::SumPow &&
                      packs(rows ? p.gone : p.kept, rows ? p.kept : p.gone, a.x, V, static_cast<int>(sizeof(T)));
  const int v = packed ? V : 1;
  Work w = {};
  w.kept = p.kept.one(rows ? 1 : v);
  if (p.length)
    w.gone = p.gone.one(rows ? v : 1);
  else
    w.gone.ndim = 1, w.gone.units = 0;
  w.op = a.op;
  w.finish = a.finish;
  w.out_dtype = a.out_dtype;
  w.scale = a.scale;
  w.p = a.p;
  w.x = a.x;
  w.centre = a.centre;
  w.out = a.out;
  w.partial = workspace;
  w.outputs = static_cast<uint32_t>(p.outputs);
  w.parts = parts_of(p);
  w.each = (w.gone.units + w.parts - 1) / w.parts;
  if (rows) {
    const bool block = w.each > 4 * 32;
    launch("reduce", packed ? rows_kernel<T, A, V> : rows_kernel<T, A, 1>,
           dim3(block ? w.outputs : (w.outputs + kWarps - 1) / kWarps, w.parts), dim3(kBlock), 0, stream, w, block);
  } else {
    const unsigned x = width_of(w.kept.units);
    launch("reduce", packed ? columns_kernel<T, A, V> : columns_kernel<T, A, 1>,
           dim3((w.kept.units + x - 1) / x, w.parts), dim3(x, kBlock / x), 0, stream, w);
  }
  if (w.parts > 1)
    launch("reduce", parts_kernel<A>, dim3((w.outputs + kWarps - 1) / kWarps), dim3(kBlock), 0, stream, w);
}

bool is_logical(ReduceOp op) { return op == ReduceOp::CountNonzero || op == ReduceOp::All || op == ReduceOp::Any; }
bool takes_integers(ReduceOp op) {
  return is_logical(op) || op == ReduceOp::Sum || op == ReduceOp::Prod || op == ReduceOp::Max || op == ReduceOp::Min;
}

}  // namespace

size_t reduce_workspace(const ReduceArgs& a) {
  const ReducePlan p = plan_of(a.ndim, a.shape, a.stride, a.reduced, true);
  const uint32_t parts = parts_of(p);
  return parts > 1 ? static_cast<size_t>(parts) * static_cast<size_t>(p.outputs) * 8 : 0;
}

void reduce(const ReduceArgs& a, void* workspace, Stream stream) {
  const ReducePlan p = plan_of(a.ndim, a.shape, a.stride, a.reduced, true);
  if (!is_floating(a.dtype) && !takes_integers(a.op)) refuse("reduce", a.dtype);
  if (p.empty) return;
  if (p.outputs >= (int64_t(1) << 31)) throw std::invalid_argument("reduce: more than 2^31 results");
  if (!is_floating(a.dtype))
    return with_integer("reduce", a.dtype,
                        [&](auto type) { run<typename decltype(type)::type, int64_t>(a, p, workspace, stream); });
  with_float("reduce", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    is_logical(a.op) ? run<T, int64_t>(a, p, workspace, stream) : run<T, compute_t<T>>(a, p, workspace, stream);
  });
}

}  // namespace cuda
}  // namespace fastnn
