// Fused attention, backward, by mma.sync (sm_80 and later; attention_backward_wgmma.cu has sm_90a's). The probabilities
// are computed again from lse, and with delta = sum of dout * out of each row, dp = dout vT and ds = p (dp - delta):
//     dv = pT dout      dk = dsT q scale      dq = ds k scale
// One kernel, two uses: a block of four warps keeps 64 rows of two tensors and goes through the rows of the two others.
// kKeys: it keeps k and v, and adds dk and dv up over the queries of all the heads of its group; else it keeps q and
// dout, and adds dq up over the keys. Every sum has one owner: no atomics, the same bits each time. The scores of a
// tile are the left operand of the following products where they are, in registers, because the tile's rows are those
// of the result.
//
// Limit: products, seven of them where a backward pass needs five (p and dp are computed twice; the price of
// determinism without partial sums in memory). Per mma.sync of 16 x 8 x 16 a warp reads 320 bytes of shared memory:
// 160 a cycle, above its 128; two or three blocks a multiprocessor share what time is left. Registers at D = 128,
// kKeys: sums 64 + 64, scores 16 + 16 (32 queries a step).
#include "cuda/attention_common.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kThreads = 128, kKept = 64;  // rows that a block keeps

template <class T, int D>
struct Backward {
  // Rows a step: as many as registers have room for their scores, and a block fits into 99 KB, the least that a device
  // has.
  static constexpr int rows = sizeof(T) == 4 ? 16 : D > 64 ? 32 : 64;
  static constexpr int stages = sizeof(T) * D > 256 ? 1 : 2;
  static constexpr int kept = kKept * kTilePitch<T, D>, moving = rows * kTilePitch<T, D>;
  static constexpr size_t bytes =
      (2 * kept + stages * 2 * moving) * sizeof(T) + static_cast<size_t>(stages) * 2 * rows * sizeof(float);
};

template <class T, int D, bool kKeys>
__global__ void __launch_bounds__(kThreads) backward_kernel(const __grid_constant__ AttentionWork work, int tiles) {
  using F = Backward<T, D>;
  constexpr int N = F::rows / 8, pitch = kTilePitch<T, D>;
  FASTNN_DYNAMIC_SHARED(T, shared);
  T *first = shared, *second = first + F::kept, *ring = second + F::kept;  // k and v, or q and dout
  float* statistics = reinterpret_cast<float*>(ring + F::stages * 2 * F::moving);
  const AttentionArgs& a = work.a;
  const int L = static_cast<int>(a.L), S = static_cast<int>(a.S), E = static_cast<int>(a.E),
            Ev = static_cast<int>(a.Ev);
  const int H = static_cast<int>(a.H), G = static_cast<int>(a.kv_heads), group = H / G;
  const int heads = kKeys ? G : H, all = kKeys ? S : L;
  const int owner = blockIdx.x / tiles, b = owner / heads;
  // Causal: the longest first.
  const int row0 = (kKeys ? blockIdx.x % tiles : tiles - 1 - blockIdx.x % tiles) * kKept;
  const int hk = kKeys ? owner % heads : owner % heads / group, h0 = kKeys ? hk * group : owner % heads;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = warp * 16;
  // The rows of the moving tensors that these see.
  const int from = kKeys && a.causal ? row0 / F::rows : 0, end = kKeys ? L : a.causal ? min(S, row0 + kKept) : S;
  const int each = max((end + F::rows - 1) / F::rows - from, 0), steps = each * (kKeys ? group : 1);

  if constexpr (kKeys) {
    fetch_tile<T, D, kKept, kThreads>(first, attention_at<T>(a.k, b, hk, 0), a.k.row, row0, S, E, work.k_vector);
    fetch_tile<T, D, kKept, kThreads>(second, attention_at<T>(a.v, b, hk, 0), a.v.row, row0, S, Ev, work.v_vector);
  } else {
    fetch_tile<T, D, kKept, kThreads>(first, attention_at<T>(a.q, b, h0, 0), a.q.row, row0, L, E, work.q_vector);
    fetch_tile<T, D, kKept, kThreads>(second, attention_at<T>(a.dout, b, h0, 0), a.dout.row, row0, L, Ev,
                                      work.dout_vector);
  }
  auto fetch = [&](int s) {
    const int h = h0 + (kKeys ? s / each : 0), at = (from + (kKeys ? s % each : s)) * F::rows;
    T* to = ring + s % F::stages * 2 * F::moving;
    if constexpr (kKeys) {
      fetch_tile<T, D, F::rows, kThreads>(to, attention_at<T>(a.q, b, h, 0), a.q.row, at, L, E, work.q_vector);
      fetch_tile<T, D, F::rows, kThreads>(to + F::moving, attention_at<T>(a.dout, b, h, 0), a.dout.row, at, L, Ev,
                                          work.dout_vector);
      float* both = statistics + s % F::stages * 2 * F::rows;
      const int64_t base = (static_cast<int64_t>(b) * H + h) * L;
      for (int i = threadIdx.x; i < F::rows; i += kThreads) {
        const bool here = at + i < L;  // beyond: exp(score - inf) = 0
        both[i] = here ? static_cast<const float*>(a.lse)[base + at + i] * kLog2e : INFINITY;
        both[F::rows + i] = here ? work.delta[base + at + i] : 0.0f;
      }
    } else {
      fetch_tile<T, D, F::rows, kThreads>(to, attention_at<T>(a.k, b, hk, 0), a.k.row, at, S, E, work.k_vector);
      fetch_tile<T, D, F::rows, kThreads>(to + F::moving, attention_at<T>(a.v, b, hk, 0), a.v.row, at, S, Ev,
                                          work.v_vector);
    }
    cp_async_commit();
  };

  // Of the first tensor's gradient (dk or dq), and of the second's (dv).
  float sum1[1][D / 8][4], sum2[1][kKeys ? D / 8 : 1][4];
#pragma unroll
  for (int e = 0; e < 4; ++e) {
#pragma unroll
    for (int n = 0; n < D / 8; ++n) sum1[0][n][e] = 0;
#pragma unroll
    for (int n = 0; n < (kKeys ? D / 8 : 1); ++n) sum2[0][n][e] = 0;
  }
  [[maybe_unused]] float row_lse[2], row_delta[2];
  if constexpr (!kKeys) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int i = row0 + row + lane / 4 + e * 8;
      const int64_t at = (static_cast<int64_t>(b) * H + h0) * L + i;
      row_lse[e] = i < L ? static_cast<const float*>(a.lse)[at] * kLog2e : INFINITY;
      row_delta[e] = i < L ? work.delta[at] : 0.0f;
    }
  }
  const float c = work.scale_last ? work.scale2 : 1.0f, up = static_cast<float>(a.kept_scale);
  if (F::stages == 2 && steps) fetch(0);
#pragma unroll 1
  for (int s = 0; s < steps; ++s) {
    if (F::stages == 1) {
      if (s) __syncthreads();  // the step before has been read
      fetch(s);
    }
    cp_async_wait<0>();
    __syncthreads();
    if (F::stages == 2 && s + 1 < steps) fetch(s + 1);
    const int h = h0 + (kKeys ? s / each : 0), at = (from + (kKeys ? s % each : s)) * F::rows;
    const T *third = ring + s % F::stages * 2 * F::moving, *fourth = third + F::moving;
    [[maybe_unused]] const float* both = statistics + s % F::stages * 2 * F::rows;
    float p[1][N][4], dp[1][N][4];
    scores_of<T, D>(p, first, row, third);
    finish_scores<T, kKeys>(p, work, b, h, row0 + row, at);
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        p[0][n][e] = fast_exp2(p[0][n][e] * c - (kKeys ? both[n * 8 + lane % 4 * 2 + e % 2] : row_lse[e / 2]));
    scores_of<T, D>(dp, second, row, fourth);
    const int64_t head = static_cast<int64_t>(b) * H + h;
    if (!work.seen_whole && (work.drop.on || a.kept)) {
      const uint64_t bits = kept_bits<kKeys, 1, N>(work, head, row0 + row, at);
      with_bits(dp, bits, [&](float x, bool kept) { return kept ? x * up : 0.0f; });
      if constexpr (kKeys) {  // dv takes p where it was kept, ds takes all of it: the sign, which p lacks, keeps the
                              // bit
        with_bits(p, bits, [](float x, bool kept) { return kept ? x : -x; });
      }
    }
    if constexpr (kKeys) {
      float kept[1][N][4];
#pragma unroll
      for (int n = 0; n < N; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          kept[0][n][e] = p[0][n][e] < 0 ? 0.0f : p[0][n][e];
          p[0][n][e] = fabsf(p[0][n][e]);
        }
      add_product<T, D>(sum2, kept, fourth);
    }
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        p[0][n][e] *= dp[0][n][e] - (kKeys ? both[F::rows + n * 8 + lane % 4 * 2 + e % 2] : row_delta[e / 2]);
    add_product<T, D>(sum1, p, third);
  }
  cp_async_wait<0>();
  __syncthreads();  // also where there were no steps: what was fetched has landed before it is overwritten

  const float scale = static_cast<float>(a.scale);
#pragma unroll
  for (int n = 0; n < D / 8; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      sum1[0][n][e] *= scale;
      if constexpr (kKeys) sum2[0][n][e] *= up;
    }
  const AttentionArray& d1 = kKeys ? a.dk : a.dq;
  const int owned = kKeys ? hk : h0, left = all - row0 - row;
  if (d1.p)
    store_rows<T, D, 1>(sum1, first + row * pitch, attention_at<T>(d1, b, owned, row0 + row), d1.row, left, E,
                        kKeys ? work.dk_vector : work.dq_vector);
  if constexpr (kKeys)
    if (a.dv.p)
      store_rows<T, D, 1>(sum2, second + row * pitch, attention_at<T>(a.dv, b, owned, row0 + row), a.dv.row, left, Ev,
                          work.dv_vector);
}

// delta = sum of dout * out over a row's columns: 16 bytes of each a thread, so that half a warp (float32: a warp) has
// the longest row. Limit: memory.
constexpr int kDeltaThreads = 256;
template <class T>
constexpr int kDeltaLanes = kAttentionHead * static_cast<int>(sizeof(T)) / 16;

template <class T>
__global__ void __launch_bounds__(kDeltaThreads) delta_kernel(const __grid_constant__ AttentionWork work) {
  constexpr int V = 16 / sizeof(T), kLanes = kDeltaLanes<T>;
  const AttentionArgs& a = work.a;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * (kDeltaThreads / kLanes) + threadIdx.x / kLanes;
  const int column = threadIdx.x % kLanes * V;
  const bool here = at < a.B * a.H * a.L;
  float sum = 0;
  if (here && column < a.Ev) {
    const int64_t b = at / a.L / a.H, h = at / a.L % a.H, i = at % a.L;
    const T *dout = attention_at<T>(a.dout, b, h, i) + column, *out = attention_at<T>(a.out, b, h, i) + column;
    if (work.dout_vector && work.out_vector) {
      const Pack16<T> x = load16(dout), y = load16(out);
#pragma unroll
      for (int j = 0; j < V; ++j) sum += widened(x[j]) * widened(y[j]);
    } else {
      for (int j = 0; j < V && column + j < a.Ev; ++j) sum += widened(dout[j]) * widened(out[j]);
    }
  }
#pragma unroll
  for (int o = kLanes / 2; o > 0; o /= 2) sum += __shfl_xor_sync(kFullWarp, sum, o);
  if (here && column == 0) work.delta[at] = sum;
}

template <class T, int D>
void backward(const AttentionWork& work, Stream stream) {
  using F = Backward<T, D>;
  const AttentionArgs& a = work.a;
  const int64_t rows = (a.L + kKept - 1) / kKept, keys = (a.S + kKept - 1) / kKept;
  auto grid = [](int64_t heads, int64_t tiles) {
    return dim3(static_cast<unsigned>(attention_blocks_of("attention_backward", heads, tiles)));
  };
  if (a.dq.p)
    launch("attention_backward", backward_kernel<T, D, false>, grid(a.B * a.H, rows), dim3(kThreads), F::bytes, stream,
           work, static_cast<int>(rows));
  if (a.dk.p || a.dv.p)
    launch("attention_backward", backward_kernel<T, D, true>, grid(a.B * a.kv_heads, keys), dim3(kThreads), F::bytes,
           stream, work, static_cast<int>(keys));
}

}  // namespace

void attention_backward(const AttentionArgs& a, const AttentionDropout& d, float* delta, Stream stream) {
  const AttentionWork work = attention_work("attention_backward", a, d, delta);
  if (a.B * a.H * a.L * a.S == 0) return;
  const bool narrow = a.E <= 64 && a.Ev <= 64;
  with_attention_dtype("attention_backward", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    constexpr int each = kDeltaThreads / kDeltaLanes<T>;
    const int64_t blocks = (a.B * a.H * a.L + each - 1) / each;
    if (blocks > 0x7fffffff) throw std::invalid_argument("attention_backward: too many rows");
    launch("attention_backward", delta_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(kDeltaThreads), 0, stream,
           work);
    if (attention_backward_wgmma(work, stream)) return;
    narrow ? backward<T, 64>(work, stream) : backward<T, 128>(work, stream);
  });
}

}  // namespace cuda
}  // namespace fastnn
