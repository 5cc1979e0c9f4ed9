// Extremes with their places. The same two ways to read as reduce.cu; a value carries its place, and of equal ones the
// first wins, so that the order in which they meet does not matter.
#include <limits>

#include "cuda/reduce.h"
#include "cuda/reduce_plan.h"
#include "cuda/storage.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kWarps = kBlock / 32;

template <class C>
struct Found {
  C value;
  int64_t place;  // -1: none yet
};
// Whether b replaces a.
template <class C>
__device__ inline bool better(bool max, const Found<C>& a, const Found<C>& b) {
  if (b.place < 0) return false;
  if (a.place < 0) return true;
  const bool an = a.value != a.value, bn = b.value != b.value;
  if (an || bn) return an && bn ? b.place < a.place : bn;
  if (a.value == b.value) return b.place < a.place;
  return max ? b.value > a.value : b.value < a.value;
}
template <class C>
__device__ inline Found<C> warp_best(bool max, Found<C> v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) {
    const Found<C> other{__shfl_xor_sync(kFullWarp, v.value, o), __shfl_xor_sync(kFullWarp, v.place, o)};
    if (better(max, v, other)) v = other;
  }
  return v;
}

struct Work {
  Strided<1> kept, gone;
  bool max;
  const void* x;
  void* values;
  int64_t* indices;
  void* partial;  // parts > 1: [parts, outputs]
  uint32_t outputs, parts, each;
};

template <class T>
__device__ inline void leave(const Work& w, uint32_t part, uint32_t output, const Found<compute_t<T>>& v) {
  if (w.parts > 1) {
    static_cast<Found<compute_t<T>>*>(w.partial)[static_cast<int64_t>(part) * w.outputs + output] = v;
    return;
  }
  w.indices[output] = v.place;
  if (w.values) static_cast<T*>(w.values)[output] = narrowed<T>(v.value);
}

// A team an output: a block, or one warp of it.
template <class T>
__global__ void __launch_bounds__(kBlock) arg_rows_kernel(const __grid_constant__ Work w, bool block) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, Found<C>[kWarps]);
  const uint32_t team = block ? blockDim.x : 32, lane = threadIdx.x % team;
  const uint32_t output = block ? blockIdx.x : blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (output >= w.outputs) return;
  int64_t row[1];
  w.kept.offsets(output, row);
  const T* x = static_cast<const T*>(w.x) + row[0];
  Found<C> best{C(0), -1};
  const uint32_t begin = blockIdx.y * w.each, end = min(begin + w.each, w.gone.units);
  for (uint32_t u = begin + lane; u < end; u += team) {
    int64_t at[1];
    w.gone.offsets(u, at);
    const Found<C> v{widened(x[at[0]]), u};
    if (better(w.max, best, v)) best = v;
  }
  best = warp_best(w.max, best);
  if (block) {
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = best;
    __syncthreads();
    if (threadIdx.x) return;
    for (uint32_t i = 1; i < blockDim.x / 32; ++i)
      if (better(w.max, best, shared[i])) best = shared[i];
  }
  if (lane == 0) leave<T>(w, blockIdx.y, output, best);
}

// A thread an output, threadIdx.y cutting what is reduced once more.
template <class T>
__global__ void __launch_bounds__(kBlock) arg_columns_kernel(const __grid_constant__ Work w) {
  using C = compute_t<T>;
  FASTNN_SHARED(shared, Found<C>[kBlock]);
  const uint32_t output = blockIdx.x * blockDim.x + threadIdx.x;
  Found<C> best{C(0), -1};
  if (output < w.outputs) {
    int64_t column[1];
    w.kept.offsets(output, column);
    const T* x = static_cast<const T*>(w.x) + column[0];
    const uint32_t begin = blockIdx.y * w.each, end = min(begin + w.each, w.gone.units);
    for (uint32_t u = begin + threadIdx.y; u < end; u += blockDim.y) {
      int64_t at[1];
      w.gone.offsets(u, at);
      const Found<C> v{widened(x[at[0]]), u};
      if (better(w.max, best, v)) best = v;
    }
  }
  shared[threadIdx.y * blockDim.x + threadIdx.x] = best;
  __syncthreads();
  if (threadIdx.y || output >= w.outputs) return;
  for (uint32_t y = 1; y < blockDim.y; ++y) {
    const Found<C> other = shared[y * blockDim.x + threadIdx.x];
    if (better(w.max, best, other)) best = other;
  }
  leave<T>(w, blockIdx.y, output, best);
}

template <class T>
__global__ void __launch_bounds__(kBlock) arg_parts_kernel(__grid_constant__ const Work w) {
  using C = compute_t<T>;
  const uint32_t output = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (output >= w.outputs) return;
  Found<C> best{C(0), -1};
  for (uint32_t k = lane; k < w.parts; k += 32) {
    const Found<C> v = static_cast<const Found<C>*>(w.partial)[static_cast<int64_t>(k) * w.outputs + output];
    if (better(w.max, best, v)) best = v;
  }
  best = warp_best(w.max, best);
  if (lane) return;
  w.indices[output] = best.place;
  if (w.values) static_cast<T*>(w.values)[output] = narrowed<T>(best.value);
}

uint32_t arg_parts_of(const ReducePlan& p) {
  if (p.outputs == 0) return 1;
  return by_rows(p) ? cut_into(p.outputs, p.length, kLeastPart) : cut_into((p.outputs + 31) / 32, p.length, 128);
}

template <class T>
void run(const ArgReduceArgs& a, const ReducePlan& p, void* workspace, Stream stream) {
  Work w = {};
  w.kept = p.kept.one(1);
  w.gone = p.gone.one(1);
  w.max = a.max;
  w.x = a.x;
  w.values = a.values;
  w.indices = a.indices;
  w.partial = workspace;
  w.outputs = static_cast<uint32_t>(p.outputs);
  w.parts = arg_parts_of(p);
  w.each = (w.gone.units + w.parts - 1) / w.parts;
  if (by_rows(p)) {
    const bool block = w.each > 8 * 32;
    launch("arg_reduce", arg_rows_kernel<T>, dim3(block ? w.outputs : (w.outputs + kWarps - 1) / kWarps, w.parts),
           dim3(kBlock), 0, stream, w, block);
  } else {
    launch("arg_reduce", arg_columns_kernel<T>, dim3((w.outputs + 31) / 32, w.parts), dim3(32, kWarps), 0, stream, w);
  }
  if (w.parts > 1)
    launch("arg_reduce", arg_parts_kernel<T>, dim3((w.outputs + kWarps - 1) / kWarps), dim3(kBlock), 0, stream, w);
}

}  // namespace

size_t arg_reduce_workspace(const ArgReduceArgs& a) {
  const ReducePlan p = plan_of(a.ndim, a.shape, a.stride, a.reduced, false);
  const uint32_t parts = arg_parts_of(p);
  return parts > 1 ? static_cast<size_t>(parts) * static_cast<size_t>(p.outputs) * 16 : 0;
}

void arg_reduce(const ArgReduceArgs& a, void* workspace, Stream stream) {
  const ReducePlan p = plan_of(a.ndim, a.shape, a.stride, a.reduced, false);
  if (p.empty) return;
  if (p.length == 0) throw std::invalid_argument("arg_reduce: nothing to choose from");
  if (p.outputs >= (int64_t(1) << 31)) throw std::invalid_argument("arg_reduce: more than 2^31 results");
  with_any("arg_reduce", a.dtype, [&](auto type) { run<typename decltype(type)::type>(a, p, workspace, stream); });
}

}  // namespace cuda
}  // namespace fastnn
