// The product inside the persistent kernels of recurrent layers: a few rows of the recurrent weights, kept in shared
// memory, times the matrix that all blocks made in the step before (h, or the gates' gradients), on tensor cores.
//
// A block has `units` hidden units, with all their gates, of `group_batch` sequences; its weights lie in shared memory
// for the whole sequence. Blocks exchange the step's result, the operand of the next product, through two buffers of
// global memory that stay in L2, with one grid barrier a step.
// Layouts. mma.sync's k may be any permutation as long as both operands agree: 64 bytes of k are a chunk, of which lane
// t of a row of four has the 16 bytes at 16 t, two mma's worth. Weights: [plane of 8 rows][chunk][8 rows x 64 bytes];
// operand: [chunk][sequence][64 bytes]. Both are read 16 bytes a lane, 512 in a row: no bank conflicts, whole sectors.
// Warps share the block's product by rows (32 a warp) and, where rows are few, by chunks; their sums meet in shared
// memory and are added in a fixed order. float32 is the sum of two TF32 numbers, as in gemm_mma.h.
//
// Limits, a step of a block on sm_90, in clocks: weights from shared memory, their bytes / 128 for every 32 sequences;
// the operand from L2, its bytes / 48; mma.sync, 3 for each 16 rows x 8 sequences x chunk (9 of float32); the barrier,
// 2,000 to 3,000. LSTM, hidden 1024, batch 64, bfloat16: 16 units (128 KB of weights) x 32 sequences a block: 1,000 +
// 1,400 + 1,500 + the barrier, 3-4 us.
#pragma once
#include "cuda/gemm_mma.h"
#include "cuda/rnn_cell.h"

namespace fastnn {
namespace cuda {

constexpr int kRnnThreads = 256, kRnnWarps = 8, kRnnColumns = 32, kRnnPitch = kRnnColumns + 8, kRnnChunkBytes = 64;

struct RnnPlan {
  int units, blocks, groups, group_batch;  // of the grid: blocks x groups
  int rows, planes, chunks, row_warps;     // of a block's weights; row_warps: warps that share the rows
  int padded_batch;
  int64_t operand;  // elements of one of the two buffers
  size_t weight_bytes, shared_bytes, workspace;
  double clocks;  // an estimate of a step; 0: does not fit
};

inline RnnPlan rnn_plan(const RnnArgs& a, bool backward) {
  const int64_t G = rnn_gates(a.cell), H = a.hidden, B = a.batch, item = size_of(a.dtype), per = kRnnChunkBytes / item;
  const int64_t chunks = ((backward ? G * H : H) + per - 1) / per, multiprocessors = device_multiprocessors();
  RnnPlan best = {};
  const auto least = [](int64_t x, int64_t y) { return x < y ? x : y; };
  if (item == 8) return best;
  const int64_t shared = static_cast<int64_t>(device_block_shared());
  for (int64_t want = least(multiprocessors, H); want >= 1; --want) {
    const int64_t units = (H + want - 1) / want, blocks = (H + units - 1) / units;
    const int64_t rows = backward ? units : G * units, planes = (rows + 7) / 8,
                  weights = planes * 8 * chunks * kRnnChunkBytes;
    int row_warps = 1;
    while (row_warps < kRnnWarps && row_warps * 8 <= planes) row_warps *= 2;
    const int64_t sums = kRnnWarps / row_warps * planes * 8 * kRnnPitch * 4;
    if (weights + sums > shared) break;  // and so on with more units
    int64_t groups = least(multiprocessors / blocks, (B + 7) / 8);
    const int64_t batch = ((B + groups - 1) / groups + 7) / 8 * 8;
    groups = (B + batch - 1) / batch;
    const double passes = static_cast<double>((batch + kRnnColumns - 1) / kRnnColumns);
    const double clocks = static_cast<double>(weights) * passes / 128 +
                          static_cast<double>(batch * chunks * kRnnChunkBytes) / 48 +
                          static_cast<double>((planes + 1) / 2 * (batch / 8) * chunks) * (item == 4 ? 9 : 3);
    if (best.clocks > 0 && best.clocks <= clocks) continue;
    best.units = static_cast<int>(units), best.blocks = static_cast<int>(blocks),
    best.groups = static_cast<int>(groups);
    best.group_batch = static_cast<int>(batch);
    best.rows = static_cast<int>(rows), best.planes = static_cast<int>(planes), best.chunks = static_cast<int>(chunks);
    best.row_warps = row_warps;
    best.padded_batch = static_cast<int>((B + 7) / 8 * 8);
    best.operand = chunks * per * best.padded_batch;
    best.weight_bytes = static_cast<size_t>(weights), best.shared_bytes = static_cast<size_t>(weights + sums);
    best.workspace = static_cast<size_t>(256 + 2 * best.operand * item);  // the barrier's counter, the two buffers
    best.clocks = clocks;
  }
  return best;
}

// Whether a step of the persistent kernel is faster than a product and a kernel for the gates: about 8,000 clocks for
// two launches, and the product at half of the tensor cores' rate.
inline bool rnn_persistent(const RnnPass& p, RnnVariant variant, const RnnPlan& plan) {
  const RnnArgs& a = p.a;
  const bool can = plan.clocks > 0 && !a.proj && a.steps > 1 && device_capability() >= 80;
  if (variant == RnnVariant::Steps) return false;
  if (variant == RnnVariant::Persistent) {
    if (!can)
      throw std::invalid_argument(
          "rnn: the persistent kernel takes several steps of float32, bfloat16 or float16 whose weights fit on the "
          "chip");
    return true;
  }
  const double macs = static_cast<double>(a.batch) * static_cast<double>(a.hidden * a.hidden * rnn_gates(a.cell));
  return can && plan.clocks + 2500 < 8000 + macs / (device_multiprocessors() * (a.dtype == Dtype::F32 ? 170 : 1000));
}

// The whole pass: persistent(type, gates, plan) where that kernel is to run, else steps(type, gates).
template <class Steps, class Persistent>
void rnn_run(const char* what, const RnnPass& p, RnnVariant variant, bool backward, const Steps& steps,
             const Persistent& persistent) {
  const RnnPlan plan = rnn_plan(p.a, backward);
  const bool on_chip = rnn_persistent(p, variant, plan);
  with_cell(what, p.a, [&](auto type, auto gates) {
    if constexpr (!std::is_same<typename decltype(type)::type, double>::value)
      if (on_chip) return persistent(type, gates, plan);
    steps(type, gates);
  });
}
// A persistent kernel: its arguments are the view, the plan, the two operands and the barrier's counter.
template <class T, class Kernel>
void rnn_launch(const char* what, Kernel kernel, const RnnPass& p, const RnnPlan& plan, void* workspace,
                Stream stream) {
  unsigned char* const memory = static_cast<unsigned char*>(workspace);
  launch_cooperative(what, kernel, dim3(plan.blocks, plan.groups), dim3(kRnnThreads), plan.shared_bytes, stream,
                     rnn_view<T>(p), plan, reinterpret_cast<T*>(memory + 256), reinterpret_cast<unsigned*>(memory));
}
// The grid of a kernel that goes over n elements.
inline dim3 rnn_blocks(int64_t n) {
  n = (n + kRnnThreads - 1) / kRnnThreads;
  return dim3(static_cast<unsigned>(n < 65535 ? n : 65535));
}

namespace {

// Where element k of sequence b lies in an operand.
template <class T>
__device__ __forceinline__ int64_t operand_at(const RnnPlan& p, int k, int b) {
  constexpr int kPer = kRnnChunkBytes / sizeof(T);
  return (static_cast<int64_t>(k / kPer) * p.padded_batch + b) * kPer + k % kPer;
}

// The block's weights into shared memory; weight(row, k) for row < p.rows, k < depth.
template <class T, class F>
__device__ __forceinline__ void rnn_load_weights(const RnnPlan& p, T* shared, int depth, const F& weight) {
  constexpr int V = 16 / sizeof(T), kPer = kRnnChunkBytes / sizeof(T);
#pragma unroll 1
  for (int at = threadIdx.x; at < p.planes * p.chunks * 32; at += kRnnThreads) {
    const int lane = at % 32, tile = at / 32, row = tile / p.chunks * 8 + lane / 4;
    const int k = tile % p.chunks * kPer + lane % 4 * V;
    Pack16<T> v;
#pragma unroll
    for (int i = 0; i < V; ++i) v[i] = row < p.rows && k + i < depth ? weight(row, k + i) : zero<T>();
    store16(shared + static_cast<int64_t>(at) * V, v);
  }
}

template <class T>
__device__ __forceinline__ void rnn_words(uint32_t (&to)[4], const T* from) {
  const Pack16<T> v = load16(from);
  memcpy(to, &v, 16);
}

// sums[part][row][column] of the block's rows times columns column0 .. column0 + 8 * tiles - 1 of the operand, for
// tiles <= 4; the parts are to be added up (rnn_sum) after a barrier.
template <class T>
__device__ __forceinline__ void rnn_product(const RnnPlan& p, const T* weights, const T* operand, int column0,
                                            int tiles, float* sums) {
  constexpr bool kFloat = std::is_same<T, float>::value;
  constexpr int V = 16 / sizeof(T), kPer = kRnnChunkBytes / sizeof(T), kTiles = kRnnColumns / 8;
  constexpr int kAhead = kFloat ? 2 : 4;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, parts = kRnnWarps / p.row_warps;
  const int part = warp / p.row_warps;
#pragma unroll 1
  for (int plane = warp % p.row_warps * 4; plane < p.planes; plane += p.row_warps * 4) {
    float sum[2][kTiles][4] = {};
    const auto fetch = [&](uint32_t (&to)[kTiles][4], int chunk) {
#pragma unroll
      for (int j = 0; j < kTiles; ++j)
        if (j < tiles)
          rnn_words(to[j],
                    operand + (static_cast<int64_t>(chunk) * p.padded_batch + column0 + j * 8) * kPer + lane * V);
    };
    // Chunks are asked for kAhead turns before they are needed: L2 takes as long as several products.
    uint32_t ahead[kAhead][kTiles][4] = {};
#pragma unroll
    for (int t = 0; t < kAhead; ++t)
      if (part + t * parts < p.chunks) fetch(ahead[t], part + t * parts);
    const auto multiply = [&](uint32_t (&next)[kTiles][4], int chunk) {
      uint32_t b[kTiles][4], b_low[kTiles][4];
#pragma unroll
      for (int j = 0; j < kTiles; ++j)
#pragma unroll
        for (int i = 0; i < 4; ++i) b[j][i] = next[j][i];
      if (chunk + kAhead * parts < p.chunks) fetch(next, chunk + kAhead * parts);
      if constexpr (kFloat) {
#pragma unroll
        for (int j = 0; j < kTiles; ++j)
#pragma unroll
          for (int i = 0; i < 4; ++i) split_tf32(b[j][i], b_low[j][i]);
      }
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const int upper = plane + 2 * m;
        if (upper >= p.planes) continue;
        uint32_t w[2][4] = {};
        const T* from = weights + (static_cast<int64_t>(upper) * p.chunks + chunk) * 32 * V + lane * V;
        rnn_words(w[0], from);
        if (upper + 1 < p.planes) rnn_words(w[1], from + static_cast<int64_t>(p.chunks) * 32 * V);
#pragma unroll
        for (int h = 0; h < 2; ++h) {  // the halves of the 16 bytes, an mma each
          uint32_t a[4] = {w[0][2 * h], w[1][2 * h], w[0][2 * h + 1], w[1][2 * h + 1]};
          if constexpr (kFloat) {
            uint32_t a_low[4];
            float small[kTiles][4] = {};
#pragma unroll
            for (int i = 0; i < 4; ++i) split_tf32(a[i], a_low[i]);
#pragma unroll
            for (int term = 0; term < 3; ++term)
#pragma unroll
              for (int j = 0; j < kTiles; ++j)
                if (j < tiles) {
                  const uint32_t (&of)[4] = term == 1 ? b_low[j] : b[j];
                  uint32_t pair[2] = {of[2 * h], of[2 * h + 1]};
                  mma_m16n8<T>(small[j], term == 0 ? a_low : a, pair);
                }
#pragma unroll
            for (int j = 0; j < kTiles; ++j)
#pragma unroll
              for (int e = 0; e < 4; ++e) sum[m][j][e] += small[j][e];
          } else {
#pragma unroll
            for (int j = 0; j < kTiles; ++j)
              if (j < tiles) {
                uint32_t pair[2] = {b[j][2 * h], b[j][2 * h + 1]};
                mma_m16n8<T>(sum[m][j], a, pair);
              }
          }
        }
      }
      (void)b_low;
    };
#pragma unroll 1
    for (int chunk = part; chunk < p.chunks; chunk += kAhead * parts) {
#pragma unroll
      for (int t = 0; t < kAhead; ++t)
        if (chunk + t * parts < p.chunks) multiply(ahead[t], chunk + t * parts);
    }
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int e = 0; e < 4; e += 2) {
        if (plane + 2 * m + e / 2 >= p.planes) continue;
        float* to = sums + ((part * p.planes + plane + 2 * m + e / 2) * 8 + lane / 4) * kRnnPitch + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < kTiles; ++j) {
          to[j * 8] = sum[m][j][e];
          to[j * 8 + 1] = sum[m][j][e + 1];
        }
      }
  }
}

__device__ __forceinline__ float rnn_sum(const RnnPlan& p, const float* sums, int row, int column) {
  float sum = 0;
#pragma unroll 1
  for (int part = 0; part < kRnnWarps / p.row_warps; ++part)
    sum += sums[(part * p.planes * 8 + row) * kRnnPitch + column];
  return sum;
}

// Asks for what the next step reads of an array with rows of `apart` elements, while the grid meets: `units` columns of
// `rows` rows, of each of `gates` blocks of `hidden` columns.
template <class A>
__device__ __forceinline__ void rnn_prefetch(const A* p, int64_t apart, int rows, int gates, int hidden, int units) {
  for (int i = threadIdx.x; i < rows * gates; i += kRnnThreads) {
    const A* const at = p + i / gates * apart + static_cast<int64_t>(i % gates) * hidden;
    prefetch_l2(at);
    prefetch_l2(at + units - 1);
  }
}

// Whether a sum of float32 must be done again: see plain_sum of gemm_mma.h.
template <class T>
__device__ __forceinline__ bool rnn_doubtful(float sum) {
  return std::is_same<T, float>::value && !(fabsf(sum) <= 3.402823466e38f);
}

}  // namespace
}  // namespace cuda
}  // namespace fastnn
