// The SIMT rung of the GEMM ladder: float32 and float64 everywhere. A block of 256 threads computes a BM x BN tile, 2 x
// 4 warps of 8 x 4 lanes each; a lane holds BM/16 x BN/16 sums. K goes by steps of 16 through two buffers in shared
// memory: while one is multiplied, the next is on its way from global memory in registers. Both operands lie there as
// [k][row or column], so that the inner loop reads 16 bytes at a time, without bank conflicts.
#include "cuda/gemm_common.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kStep = 16, kThreads = 256;

// How an operand's tile is read: 16 bytes at a time along k or along the rows (of A; columns of B), whichever is
// contiguous, where address, stride and extent are multiples of 16 bytes; else one element at a time.
enum class Load { AlongK, AlongRows, Elements };

template <class T, int kRows>
struct Staged {  // a thread's share of one operand's kRows x kStep tile
  static constexpr int V = Pack16<T>::size, packs = kRows * kStep / V / kThreads;
  Pack16<T> v[packs];
};

// The place in the tile of a thread's i-th piece of kWidth elements.
template <int kRows, int kWidth>
__device__ __forceinline__ void place(bool along_k, int i, int* row, int* k) {
  int piece = threadIdx.x + i * kThreads;
  if (along_k) {
    *row = piece / (kStep / kWidth);
    *k = piece % (kStep / kWidth) * kWidth;
  } else {
    *k = piece / (kRows / kWidth);
    *row = piece % (kRows / kWidth) * kWidth;
  }
}

template <class T, int kRows, Load kLoad>
__device__ __forceinline__ void fetch(Staged<T, kRows>& staged, const T* p, int64_t row_stride, int64_t k_stride,
                                      int row0, int k0, int rows, int ks) {
  using S = Staged<T, kRows>;
  if constexpr (kLoad == Load::Elements) {
#pragma unroll
    for (int i = 0; i < S::packs * S::V; ++i) {
      int row, k;
      place<kRows, 1>(k_stride == 1, i, &row, &k);
      row += row0, k += k0;
      staged.v[i / S::V][i % S::V] = row < rows && k < ks ? p[row * row_stride + k * k_stride] : T(0);
    }
  } else {
#pragma unroll
    for (int i = 0; i < S::packs; ++i) {
      int row, k;
      place<kRows, S::V>(kLoad == Load::AlongK, i, &row, &k);
      row += row0, k += k0;
      if (row < rows && k < ks) {
        staged.v[i] = load16(p + (kLoad == Load::AlongK ? row * row_stride + k : k * k_stride + row));
      } else {
#pragma unroll
        for (int j = 0; j < S::V; ++j) staged.v[i][j] = T(0);
      }
    }
  }
}

template <class T, int kRows, Load kLoad>
__device__ __forceinline__ void deposit(const Staged<T, kRows>& staged, T* tile, bool along_k) {
  using S = Staged<T, kRows>;
  constexpr int kPitch = kRows + S::V;
  if constexpr (kLoad == Load::Elements) {
#pragma unroll
    for (int i = 0; i < S::packs * S::V; ++i) {
      int row, k;
      place<kRows, 1>(along_k, i, &row, &k);
      tile[k * kPitch + row] = staged.v[i / S::V][i % S::V];
    }
  } else {
#pragma unroll
    for (int i = 0; i < S::packs; ++i) {
      int row, k;
      place<kRows, S::V>(kLoad == Load::AlongK, i, &row, &k);
      if constexpr (kLoad == Load::AlongK) {
#pragma unroll
        for (int j = 0; j < S::V; ++j) tile[(k + j) * kPitch + row] = staged.v[i][j];
      } else {
        store16(tile + k * kPitch + row, staged.v[i]);
      }
    }
  }
}

template <class T, int BM, int BN, Load kLoadA, Load kLoadB>
__global__ void __launch_bounds__(kThreads, 1) warptiled_kernel(const GemmProblem p, int tiles_m, int tiles_n) {
  constexpr int V = Pack16<T>::size, TM = BM / 16, TN = BN / 16, kPitchA = BM + V, kPitchB = BN + V;
  constexpr int kBuffer = kStep * (kPitchA + kPitchB);
  FASTNN_SHARED(tiles, T[2 * kBuffer]);
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int row = warp / 4 * (BM / 2) + lane / 4 * V, column = warp % 4 * (BN / 4) + lane % 4 * V;
  int tm, tn;
  tile_of(blockIdx.x, tiles_m, tiles_n, &tm, &tn);
  int steps = (p.k + kStep - 1) / kStep;
  for (int z = blockIdx.y; z < p.batch; z += gridDim.y) {
    const T* a = static_cast<const T*>(p.a) + z * p.a_bs;
    const T* b = static_cast<const T*>(p.b) + z * p.b_bs;
    T sum[TM][TN] = {};
    Staged<T, BM> next_a;
    Staged<T, BN> next_b;
    for (int s = -1; s < steps; ++s) {
      bool more = s + 1 < steps;
      if (more) {
        fetch<T, BM, kLoadA>(next_a, a, p.a_rs, p.a_cs, tm * BM, (s + 1) * kStep, p.m, p.k);
        fetch<T, BN, kLoadB>(next_b, b, p.b_cs, p.b_rs, tn * BN, (s + 1) * kStep, p.n, p.k);
      }
      if (s >= 0) {
        const T* as = tiles + (s & 1) * kBuffer;
        const T* bs = as + kStep * kPitchA;
#pragma unroll
        for (int k = 0; k < kStep; ++k) {
          T x[TM], y[TN];
#pragma unroll
          for (int i = 0; i < TM; i += V) {
            Pack16<T> v = load16(as + k * kPitchA + row + i * 8);
#pragma unroll
            for (int j = 0; j < V; ++j) x[i + j] = v[j];
          }
#pragma unroll
          for (int i = 0; i < TN; i += V) {
            Pack16<T> v = load16(bs + k * kPitchB + column + i * 4);
#pragma unroll
            for (int j = 0; j < V; ++j) y[i + j] = v[j];
          }
#pragma unroll
          for (int i = 0; i < TM; ++i)
#pragma unroll
            for (int j = 0; j < TN; ++j) sum[i][j] += x[i] * y[j];
        }
      }
      if (more) {
        T* as = tiles + ((s + 1) & 1) * kBuffer;
        deposit<T, BM, kLoadA>(next_a, as, p.a_cs == 1);
        deposit<T, BN, kLoadB>(next_b, as + kStep * kPitchA, p.b_rs == 1);
      }
      __syncthreads();
    }
    // The sums go to C by way of shared memory, 16 V rows at a time: whole rows are written, and the epilogue's code
    // exists once instead of once a register.
    static_assert(16 * V * kPitchB <= 2 * kBuffer, "the rows of one pass");
    T* c = static_cast<T*>(p.c) + z * p.c_bs;
#pragma unroll
    for (int g = 0; g < TM / V; ++g) {
#pragma unroll
      for (int i = 0; i < V; ++i)
#pragma unroll
        for (int j = 0; j < TN; j += V) {
          Pack16<T> v;
#pragma unroll
          for (int l = 0; l < V; ++l) v[l] = sum[g * V + i][j + l];
          store16(tiles + (warp / 4 * (8 * V) + lane / 4 * V + i) * kPitchB + column + j * 4, v);
        }
      __syncthreads();
#pragma unroll 1
      for (int at = threadIdx.x; at < 16 * BN; at += kThreads) {
        int r = at / (BN / V), col = at % (BN / V) * V;
        Pack16<T> v = load16(tiles + r * kPitchB + col);
        r = tm * BM + r / (8 * V) * (BM / 2) + g * (8 * V) + r % (8 * V);
        col += tn * BN;
        T* to = c + r * p.ldc + col;
        if (p.c_vector && r < p.m && col + V <= p.n) {
          Pack16<T> old;
          if (p.accumulate) old = load16(to);
#pragma unroll
          for (int l = 0; l < V; ++l) v[l] = finish<T>(p, v[l], z, r, col + l, &old[l]);
          store16(to, v);
        } else if (r < p.m) {
#pragma unroll
          for (int l = 0; l < V; ++l)
            if (col + l < p.n) to[l] = finish<T>(p, v[l], z, r, col + l, to + l);
        }
      }
      __syncthreads();
    }
  }
}

template <class T, int BM, int BN>
void warptiled_run(const GemmProblem& p, Stream stream) {
  constexpr int V = Pack16<T>::size;
  int tiles_m = (p.m + BM - 1) / BM, tiles_n = (p.n + BN - 1) / BN;
  if (int64_t(tiles_m) * tiles_n > 0x7fffffff) throw std::invalid_argument("gemm: too many tiles");
  dim3 grid(tiles_m * tiles_n, p.batch < 65535 ? p.batch : 65535);
  bool along_a = p.a_cs == 1, along_b = p.b_rs == 1;
  bool whole = p.a_vector && p.b_vector && (along_a ? p.k : p.m) % V == 0 && (along_b ? p.k : p.n) % V == 0;
  auto go = [&](auto kernel) { launch("gemm", kernel, grid, dim3(kThreads), 0, stream, p, tiles_m, tiles_n); };
  constexpr Load K = Load::AlongK, R = Load::AlongRows, E = Load::Elements;
  if (!whole)
    go(warptiled_kernel<T, BM, BN, E, E>);
  else if (along_a && along_b)
    go(warptiled_kernel<T, BM, BN, K, K>);
  else if (along_a)
    go(warptiled_kernel<T, BM, BN, K, R>);
  else if (along_b)
    go(warptiled_kernel<T, BM, BN, R, K>);
  else
    go(warptiled_kernel<T, BM, BN, R, R>);
}

}  // namespace

void gemm_warptiled(const GemmProblem& p, Dtype dtype, Stream stream) {
  if (dtype == Dtype::F64) return warptiled_run<double, 64, 64>(p, stream);
  if (dtype != Dtype::F32) throw std::invalid_argument("gemm: the variant 'warptiled' multiplies float32 and float64");
  // Below a wave of large tiles on the smallest of the devices, small ones keep more of them busy.
  int64_t large = int64_t((p.m + 127) / 128) * ((p.n + 127) / 128) * p.batch;
  if (large >= 96)
    warptiled_run<float, 128, 128>(p, stream);
  else
    warptiled_run<float, 64, 64>(p, stream);
}

}  // namespace cuda
}  // namespace fastnn
