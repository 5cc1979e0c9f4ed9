// Fused attention, forward, by mma.sync (sm_80 and later; attention_wgmma.cu has sm_90a's). A block of four warps has
// 128 queries of one head (float32: 64), 32 (16) a warp, whose running maximum, sum and result stay in registers, and
// goes through the keys 64 at a time (online softmax, Milakov and Gimelshein; the order of FlashAttention-2): the
// scores of a tile are in registers only, and as probabilities they are the left operand of the product with V where
// they are. cp.async brings V while the scores are multiplied, the next K while the result is.
//
// Limit: products. A score costs 2 D multiply-adds, half for K, half for V; an mma.sync of 16 x 8 x 16 takes 2 cycles
// of a multiprocessor and, with 32 rows a warp, half of a 256-byte operand from shared memory: 64 of its 128 bytes a
// cycle. exp2 (16 a cycle) takes 1/16 cycle a score beside D / 512: half of the products' time at D = 64, a quarter at
// 128. Registers: the result 2 * D / 2 = 128 and the scores 64 at D = 128; shared memory (128 + 2 * 64) * (D + 8) * 2
// bytes = 68 KB, which lets two blocks run on an A100.
#include "cuda/attention_common.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kThreads = 128;

template <class T, int D>
struct Forward {
  static constexpr int M = sizeof(T) == 2 ? 2 : 1;  // tiles of 16 queries a warp
  static constexpr int rows = 64 * M, keys = D > 64 ? 32 : 64;
  static constexpr size_t bytes = (rows + 2 * keys) * kTilePitch<T, D> * sizeof(T);
};

template <class T, int D>
__global__ void __launch_bounds__(kThreads) forward_kernel(const __grid_constant__ AttentionWork work, int tiles) {
  using F = Forward<T, D>;
  constexpr int M = F::M, N = F::keys / 8;
  FASTNN_DYNAMIC_SHARED(T, shared);
  T *qs = shared, *ks = qs + F::rows * kTilePitch<T, D>, *vs = ks + F::keys * kTilePitch<T, D>;
  const AttentionArgs& a = work.a;
  const int L = static_cast<int>(a.L), S = static_cast<int>(a.S), E = static_cast<int>(a.E),
            Ev = static_cast<int>(a.Ev);
  const int head = blockIdx.x / tiles, i0 = (tiles - 1 - blockIdx.x % tiles) * F::rows;  // causal: the longest first
  const int b = head / static_cast<int>(a.H), h = head % static_cast<int>(a.H);
  const int hk = h / static_cast<int>(a.H / a.kv_heads);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = warp * 16 * M;
  const T *k = attention_at<T>(a.k, b, hk, 0), *v = attention_at<T>(a.v, b, hk, 0);
  const int seen = a.causal ? min(S, i0 + F::rows) : S, steps = (seen + F::keys - 1) / F::keys;
  auto fetch = [&](T* tile, const T* x, int64_t stride, int j0, int width, bool vector) {
    fetch_tile<T, D, F::keys, kThreads>(tile, x, stride, j0, S, width, vector);
    cp_async_commit();
  };
  fetch_tile<T, D, F::rows, kThreads>(qs, attention_at<T>(a.q, b, h, 0), a.q.row, i0, L, E, work.q_vector);
  fetch(ks, k, a.k.row, 0, E, work.k_vector);

  float result[M][D / 8][4], largest[M][2], sum[M][2];
#pragma unroll
  for (int m = 0; m < M; ++m) {
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) result[m][n][e] = 0;
#pragma unroll
    for (int e = 0; e < 2; ++e) largest[m][e] = -INFINITY, sum[m][e] = 0;
  }
  const float c = work.scale_last ? work.scale2 : 1.0f;
#pragma unroll 1
  for (int s = 0; s < steps; ++s) {
    const int j0 = s * F::keys;
    cp_async_wait<0>();
    __syncthreads();  // K is there, and the V before has been read
    fetch(vs, v, a.v.row, j0, Ev, work.v_vector);
    float x[M][N][4];
    scores_of<T, D>(x, qs, row, ks);
    finish_scores<T, false>(x, work, b, h, i0 + row, j0);
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float top = largest[m][e];
#pragma unroll
        for (int n = 0; n < N; ++n) top = fmaxf(top, fmaxf(x[m][n][e * 2], x[m][n][e * 2 + 1]));
#pragma unroll
        for (int o = 1; o < 4; o *= 2) top = fmaxf(top, __shfl_xor_sync(kFullWarp, top, o));
        const float shift = top == -INFINITY ? 0.0f : top * c;  // nothing seen so far: exp2(-inf) = 0
        const float shrink = fast_exp2(largest[m][e] * c - shift);
        largest[m][e] = top;
        float total = 0;
#pragma unroll
        for (int n = 0; n < N; ++n)
#pragma unroll
          for (int i = e * 2; i < e * 2 + 2; ++i) {
            x[m][n][i] = fast_exp2(x[m][n][i] * c - shift);
            total += x[m][n][i];
          }
        sum[m][e] = sum[m][e] * shrink + total;
#pragma unroll
        for (int n = 0; n < D / 8; ++n)
#pragma unroll
          for (int i = e * 2; i < e * 2 + 2; ++i) result[m][n][i] *= shrink;
      }
    if (!work.seen_whole && (work.drop.on || a.kept))
      with_bits(x, kept_bits<false, M, N>(work, head, i0 + row, j0),
                [](float p, bool kept) { return kept ? p : 0.0f; });
    cp_async_wait<0>();
    __syncthreads();  // V is there, and K has been read
    if (s + 1 < steps) fetch(ks, k, a.k.row, j0 + F::keys, E, work.k_vector);
    add_product<T, D>(result, x, vs);
  }
  cp_async_wait<0>();

  float* lse = static_cast<float*>(a.lse) + static_cast<int64_t>(head) * a.L;
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
#pragma unroll
      for (int o = 1; o < 4; o *= 2) sum[m][e] += __shfl_xor_sync(kFullWarp, sum[m][e], o);
      const bool empty = sum[m][e] == 0;  // a row that saw nothing: of it the products may hold 0 * inf
      const float factor = static_cast<float>(a.kept_scale) / sum[m][e];
#pragma unroll
      for (int n = 0; n < D / 8; ++n)
#pragma unroll
        for (int i = e * 2; i < e * 2 + 2; ++i) result[m][n][i] = empty ? 0.0f : result[m][n][i] * factor;
      const int i = i0 + row + m * 16 + lane / 4 + e * 8;
      if (lane % 4 == 0 && i < L) lse[i] = empty ? INFINITY : largest[m][e] * c * kLn2 + logf(sum[m][e]);
    }
  store_rows<T, D, M>(result, qs + row * kTilePitch<T, D>, attention_at<T>(a.out, b, h, i0 + row), a.out.row,
                      L - i0 - row, Ev, work.out_vector);
}

template <class T, int D>
void forward(const AttentionWork& work, Stream stream) {
  using F = Forward<T, D>;
  const int64_t tiles = (work.a.L + F::rows - 1) / F::rows;
  launch("attention", forward_kernel<T, D>,
         dim3(static_cast<unsigned>(attention_blocks_of("attention", work.a.B * work.a.H, tiles))), dim3(kThreads),
         F::bytes, stream, work, static_cast<int>(tiles));
}

__global__ void kept_kernel(const __grid_constant__ AttentionDropout d, uint8_t* out, int64_t heads, int L, int S) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= heads * L * S) return;
  const int64_t head = at / S / L;
  const int i = static_cast<int>(at / S % L), j = static_cast<int>(at % S);
  const Words words = words_of(d.g, dropout_block(head, L, S, i, j));
  const uint32_t upper = j / 8 % 2 ? words.w[1] : words.w[0], lower = j / 8 % 2 ? words.w[3] : words.w[2];
  out[at] = (i / 8 % 2 ? lower : upper) < d.keep;
}

}  // namespace

AttentionWork attention_work(const char* fn, const AttentionArgs& a, const AttentionDropout& d, float* delta) {
  auto need = [&](bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(std::string(fn) + ": " + what);
  };
  need(a.E >= 1 && a.Ev >= 1 && a.E <= kAttentionHead && a.Ev <= kAttentionHead, "head sizes from 1 to 128 are served");
  need(a.kv_heads >= 1 && a.H % a.kv_heads == 0, "the heads of the queries are no multiple of the keys'");
  need(a.L < 0x7fffff00 && a.S < 0x7fffff00, "sequences that are too long");
  need(!(d.on && a.kept), "two masks for dropout");
  const size_t item = static_cast<size_t>(size_of(a.dtype));
  auto vector = [&](const AttentionArray& x, int64_t width) {
    const int64_t v = static_cast<int64_t>(16 / item);
    return aligned(x.p, 16) && x.batch % v == 0 && x.head % v == 0 && x.row % v == 0 && width % v == 0;
  };
  AttentionWork w = {};
  w.a = a;
  w.drop = d;
  w.delta = delta;
  w.scale2 = static_cast<float>(a.scale * 1.4426950408889634);
  w.scale_last = w.scale2 > 0 && w.scale2 < INFINITY && a.mask_kind != AttentionMask::Additive;
  w.seen_whole = a.mask_kind == AttentionMask::None && !d.on && !a.kept;
  if (!d.on && !a.kept) w.a.kept_scale = 1;
  w.q_vector = vector(a.q, a.E), w.k_vector = vector(a.k, a.E), w.v_vector = vector(a.v, a.Ev);
  w.out_vector = vector(a.out, a.Ev), w.dout_vector = vector(a.dout, a.Ev);
  w.dq_vector = vector(a.dq, a.E), w.dk_vector = vector(a.dk, a.E), w.dv_vector = vector(a.dv, a.Ev);
  return w;
}

void attention(const AttentionArgs& a, const AttentionDropout& d, Stream stream) {
  const AttentionWork work = attention_work("attention", a, d, nullptr);
  if (a.B * a.H * a.L * a.S == 0) return;
  if (attention_wgmma(work, stream)) return;
  const bool narrow = a.E <= 64 && a.Ev <= 64;
  with_attention_dtype("attention", a.dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    narrow ? forward<T, 64>(work, stream) : forward<T, 128>(work, stream);
  });
}

int64_t attention_blocks(int64_t heads, int64_t L, int64_t S) { return heads * ((L + 15) / 16) * ((S + 15) / 16) * 64; }

void attention_kept(const AttentionDropout& d, uint8_t* out, int64_t heads, int64_t L, int64_t S, Stream stream) {
  const int64_t n = heads * L * S, blocks = (n + 255) / 256;
  if (L > 0x7fffffff || S > 0x7fffffff || blocks > 0x7fffffff)
    throw std::invalid_argument("attention_kept: too many scores");
  if (n)
    launch("attention_kept", kept_kernel, dim3(static_cast<unsigned>(blocks)), dim3(256), 0, stream, d, out, heads,
           static_cast<int>(L), static_cast<int>(S));
}

}  // namespace cuda
}  // namespace fastnn
