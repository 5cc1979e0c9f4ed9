// What the rungs of the GEMM ladder share: the problem as kernels take it, and the epilogue.
#pragma once
#include "cuda/gemm.h"
#include "cuda/launch.h"

namespace fastnn {
namespace cuda {

struct GemmProblem {
  int m, n, k, batch;
  const void *a, *b, *bias;
  void* c;
  int64_t a_rs, a_cs, b_rs, b_cs, ldc, a_bs, b_bs, c_bs, bias_bs;
  GemmAct act;
  bool accumulate, bias_rows, wide;
  bool a_vector, b_vector, c_vector;  // 16 bytes at once: contiguous and aligned in every row and batch
};

template <class T>
struct Accumulator {
  using type = float;
};
template <>
struct Accumulator<double> {
  using type = double;
};

__device__ __forceinline__ double to_acc(double x) { return x; }
__device__ __forceinline__ float to_acc(float x) { return x; }
__device__ __forceinline__ float to_acc(bf16 x) { return to_float(x); }
__device__ __forceinline__ float to_acc(f16 x) { return to_float(x); }
template <class T>
__device__ __forceinline__ T from_acc(typename Accumulator<T>::type x) {
  if constexpr (std::is_same<T, double>::value)
    return x;
  else
    return from_float<T>(x);
}
template <class T>
__device__ __forceinline__ T zero() {
  return from_acc<T>(0);
}

template <class A>
__device__ __forceinline__ A activate(A v, GemmAct act) {
  switch (act) {
    case GemmAct::Relu:
      return v < A(0) ? A(0) : v;  // NaN stays
    case GemmAct::Gelu:
      return A(0.5) * v * (A(1) + erf(v * A(0.70710678118654752)));
    case GemmAct::GeluTanh:
      return A(0.5) * v * (A(1) + tanh(A(0.79788456080286536) * (v + A(0.044715) * v * v * v)));
    case GemmAct::Tanh:
      return tanh(v);
    case GemmAct::Sigmoid:
      return A(1) / (A(1) + exp(-v));
    default:
      return v;
  }
}

// What becomes of one sum: C's old value, the bias, the activation.
template <class T>
__device__ __forceinline__ T finish(const GemmProblem& p, typename Accumulator<T>::type v, int z, int row, int column,
                                    const T* old) {
  if (p.accumulate) v += to_acc(*old);
  if (p.bias) v += to_acc(static_cast<const T*>(p.bias)[z * p.bias_bs + (p.bias_rows ? row : column)]);
  return from_acc<T>(activate(v, p.act));
}

template <class T>
__device__ __forceinline__ void store_one(const GemmProblem& p, T* c, typename Accumulator<T>::type v, int z, int row,
                                          int column) {
  if (row < p.m && column < p.n) {
    if (sizeof(T) == 2 && p.wide) {
      static_cast<float*>(p.c)[z * p.c_bs + row * p.ldc + column] = static_cast<float>(v);
      return;
    }
    T* at = c + row * p.ldc + column;
    *at = finish<T>(p, v, z, row, column, at);
  }
}

// The tile that a block computes: tiles are visited in bands of eight rows of tiles, so that blocks which run together
// read the same columns of B from the L2 cache.
__device__ __forceinline__ void tile_of(int index, int tiles_m, int tiles_n, int* tm, int* tn) {
  constexpr int kBand = 8;
  int band = index / (kBand * tiles_n), first = band * kBand;
  int rows = min(kBand, tiles_m - first), within = index - band * kBand * tiles_n;
  *tm = first + within % rows;
  *tn = within / rows;
}

GemmProblem problem_of(const GemmArgs& args, const GemmOptions& options);

// The rungs, each in a file of its own. They throw std::invalid_argument for a dtype that they do not cover.
void gemm_naive(const GemmProblem& p, Dtype dtype, Stream stream);
void gemm_tiled(const GemmProblem& p, Dtype dtype, Stream stream);
void gemm_warptiled(const GemmProblem& p, Dtype dtype, Stream stream);
void gemm_mma(const GemmProblem& p, Dtype dtype, Stream stream);     // sm_80: bf16, f16, f32 as tf32
void gemm_3xtf32(const GemmProblem& p, Dtype dtype, Stream stream);  // sm_80: f32
bool gemm_wgmma(const GemmProblem& p, Dtype dtype, Stream stream);   // sm_90a: bf16, f16; false: not for this layout

}  // namespace cuda
}  // namespace fastnn
