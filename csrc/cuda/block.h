// What the threads of a warp or a block find out together. Always in the same order, so that results are the same bits
// each time.
#pragma once
#include "cuda/prim.h"

namespace fastnn {
namespace cuda {

struct Add {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Larger {  // a NaN wins
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

template <class T, class F>
__device__ inline T warp_join(T v, F join) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v = join(v, __shfl_xor_sync(kFullWarp, v, o));
  return v;
}
// Every thread of the block gets the result; shared: one value a warp, free to be overwritten once all are through the
// first barrier.
template <class T, class F>
__device__ inline T block_join(T v, F join, T* shared) {
  v = warp_join(v, join);
  const unsigned warp = threadIdx.x / 32, warps = blockDim.x / 32;
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[warp] = v;
  __syncthreads();
  v = shared[0];
  for (unsigned i = 1; i < warps; ++i) v = join(v, shared[i]);
  return v;
}
// A team works on one row: a warp (whole rows of several warps a block), or all of the block.
template <class T, class F>
__device__ inline T team_join(bool block, T v, F join, T* shared) {
  return block ? block_join(v, join, shared) : warp_join(v, join);
}

}  // namespace cuda
}  // namespace fastnn
