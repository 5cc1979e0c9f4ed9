// Fused attention, forward, on sm_90a: bfloat16 and float16 by TMA and wgmma, without masks and dropout, causal or not
// (the order of FlashAttention-3). A block has 128 queries of one head: a producer lets TMA fill two stages of 128 keys
// and two of their values (128-byte swizzle); two consumer warpgroups have 64 queries each. The scores of the next keys
// are multiplied while those before become a result: in a warpgroup, the softmax of step s runs beside the product of
// step s - 1 with V; between the two, named barriers let one issue its products while the other's exponentials run.
// Probabilities are the left operand of the product with V in the registers where the softmax left them.
//
// Limit: products. 128 x 128 scores take 128 * 128 * D * 2 multiply-adds: at 2048 of them a cycle 2048 cycles a step at
// D = 128, 1024 at 64; their exponentials, 16 a cycle, 1024, hence the overlap. Shared memory at D = 128: Q 32 KB, K
// and V 2 * (32 + 32) KB, the way to memory 34 KB. Registers: result 64, scores 64, probabilities 32.
#include "cuda/attention_tma.h"

namespace fastnn {
namespace cuda {
namespace {

[[maybe_unused]] constexpr int kKeys = 128;
constexpr int kQueries = 128, kStages = 2, kConsumers = 2, kWgmmaThreads = 128 * (1 + kConsumers);
constexpr int kBox = 128 * 64 * 2;  // bytes of 128 rows of 64 columns

template <int D>
struct Layout {
  static constexpr int boxes = D / 64, tile = boxes * kBox;
  static constexpr int keys = tile, values = keys + kStages * tile, staging = values + kStages * tile;
  static constexpr int barriers = staging + kQueries * (D + 8) * 2, bytes = barriers + (1 + 4 * kStages) * 8;
};

template <class T, int D>
__global__ void __launch_bounds__(kWgmmaThreads, 1)
    wgmma_kernel(const __grid_constant__ TensorMap map_q, const __grid_constant__ TensorMap map_k,
                 const __grid_constant__ TensorMap map_v, const __grid_constant__ AttentionWork work,
                 const __grid_constant__ Slabs slabs_q, const __grid_constant__ Slabs slabs_k,
                 const __grid_constant__ Slabs slabs_v, int tiles) {
#ifdef FASTNN_HAS_WGMMA
  using P = Layout<D>;
  FASTNN_DYNAMIC_SHARED(unsigned char, shared);
  Mbarrier *full_q = reinterpret_cast<Mbarrier*>(shared + P::barriers), *full_k = full_q + 1,
           *full_v = full_k + kStages;
  Mbarrier *empty_k = full_v + kStages, *empty_v = empty_k + kStages;
  const AttentionArgs& a = work.a;
  const int L = static_cast<int>(a.L), S = static_cast<int>(a.S), H = static_cast<int>(a.H);
  const int head = blockIdx.x / tiles, i0 = (tiles - 1 - blockIdx.x % tiles) * kQueries;  // causal: the longest first
  const int b = head / H, h = head % H, hk = h / static_cast<int>(a.H / a.kv_heads);
  const int steps = ((a.causal ? min(S, i0 + kQueries) : S) + kKeys - 1) / kKeys;
  if (threadIdx.x == 0) {
    mbarrier_init(full_q, 1);
    for (int s = 0; s < kStages; ++s) {
      mbarrier_init(&full_k[s], 1);
      mbarrier_init(&full_v[s], 1);
      mbarrier_init(&empty_k[s], kConsumers * 4);  // one arrival a warp
      mbarrier_init(&empty_v[s], kConsumers * 4);
    }
    mbarrier_fence_init();
  }
  __syncthreads();
  const int group = threadIdx.x / 128;
  if (group == kConsumers) {
    registers_give<24>();
    if (threadIdx.x == kConsumers * 128) {
      auto load = [&](int at, const TensorMap* map, Mbarrier* full, int row, int slab) {
        mbarrier_arrive_expect(full, P::tile);
        for (int i = 0; i < P::boxes; ++i) tma_load(shared + at + i * kBox, map, full, i * 64, row, slab);
      };
      const int slab_k = b * slabs_k.batch + hk * slabs_k.head, slab_v = b * slabs_v.batch + hk * slabs_v.head;
      load(0, &map_q, full_q, i0, b * slabs_q.batch + h * slabs_q.head);
      // In the order of their use: the keys of step s before the values of step s - 1.
      for (int s = 0; s <= steps; ++s) {
        if (s < steps) {
          const int at = s % kStages;
          mbarrier_wait(&empty_k[at], (s / kStages & 1) ^ 1);
          load(P::keys + at * P::tile, &map_k, &full_k[at], s * kKeys, slab_k);
        }
        if (s > 0) {
          const int at = (s - 1) % kStages;
          mbarrier_wait(&empty_v[at], ((s - 1) / kStages & 1) ^ 1);
          load(P::values + at * P::tile, &map_v, &full_v[at], (s - 1) * kKeys, slab_v);
        }
      }
    }
    return;
  }
  registers_take<240>();
  const int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32, row = i0 + group * 64 + warp * 16;
  const uint32_t base = shared_address(shared);
  const float c = work.scale2;
  float result[D / 2], x[kKeys / 2], largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, shrink[2];
  uint32_t p[kKeys / 16][4];

  auto issue_scores = [&](int s) {
    const uint64_t q = wgmma_descriptor(base + group * 64 * 128, kBox, 1024);
    const uint64_t k = wgmma_descriptor(base + P::keys + s % kStages * P::tile, kBox, 1024);
#pragma unroll
    for (int d = 0; d < D / 16; ++d) {  // the next 16 columns: 32 bytes on, or in the next box
      const int on = d / 4 * (kBox / 16) + d % 4 * 2;
      wgmma_m64<T, kKeys, 0, 0>(x, q + on, k + on, d > 0);
    }
    wgmma_commit();
  };
  auto issue_result = [&](int s) {
    const uint64_t v = wgmma_descriptor(base + P::values + s % kStages * P::tile, kBox, 1024);
#pragma unroll
    for (int j = 0; j < kKeys / 16; ++j)  // the next 16 keys: 16 rows of 128 bytes
      wgmma_m64_registers<T, D, 1>(result, p[j], v + j * 128, s > 0 || j > 0);
    wgmma_commit();
  };
  // Scores to exponentials; the sums so far, and what the result so far is to be multiplied by.
  auto soften = [&](int j0) {
    if (j0 + kKeys > S || (a.causal && j0 + kKeys - 1 > row)) {
#pragma unroll
      for (int e = 0; e < kKeys / 2; ++e) {
        const int i = row + lane / 4 + e / 2 % 2 * 8, j = j0 + e / 4 * 8 + lane % 4 * 2 + e % 2;
        if (j >= S || (a.causal && j > i)) x[e] = -INFINITY;
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float top = largest[r];
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n) top = fmaxf(top, fmaxf(x[n * 4 + r * 2], x[n * 4 + r * 2 + 1]));
      top = fmaxf(top, __shfl_xor_sync(kFullWarp, top, 1));
      top = fmaxf(top, __shfl_xor_sync(kFullWarp, top, 2));
      const float shift = top == -INFINITY ? 0.0f : top * c;
      shrink[r] = fast_exp2(largest[r] * c - shift);
      largest[r] = top;
      float total = 0;
#pragma unroll
      for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
        for (int e = n * 4 + r * 2; e < n * 4 + r * 2 + 2; ++e) {
          x[e] = fast_exp2(x[e] * c - shift);
          total += x[e];
        }
      sum[r] = sum[r] * shrink[r] + total;
    }
  };
  auto pack = [&] {
#pragma unroll
    for (int j = 0; j < kKeys / 16; ++j)
#pragma unroll
      for (int r = 0; r < 4; ++r) p[j][r] = pack_pair<T>(x[j * 8 + r * 2], x[j * 8 + r * 2 + 1]);
  };

  mbarrier_wait(full_q, 0);
  mbarrier_wait(&full_k[0], 0);
  wgmma_fence();
  issue_scores(0);
  wgmma_wait<0>();
  if (lane == 0) mbarrier_arrive(&empty_k[0]);
  soften(0);
  pack();
  // Barrier 1 + group: the other warpgroup has issued its products.
  if (group == 1 && steps > 1) named_barrier_arrive(1, 256);
#pragma unroll 1
  for (int s = 1; s < steps; ++s) {
    mbarrier_wait(&full_k[s % kStages], s / kStages & 1);
    mbarrier_wait(&full_v[(s - 1) % kStages], (s - 1) / kStages & 1);
    named_barrier_sync(1 + group, 256);
    wgmma_fence();
    issue_scores(s);
    issue_result(s - 1);
    if (group == 0 || s + 1 < steps) named_barrier_arrive(2 - group, 256);
    wgmma_wait<1>();
    if (lane == 0) mbarrier_arrive(&empty_k[s % kStages]);
    soften(s * kKeys);
    wgmma_wait<0>();
    if (lane == 0) mbarrier_arrive(&empty_v[(s - 1) % kStages]);
#pragma unroll
    for (int e = 0; e < D / 2; ++e) result[e] *= shrink[e / 2 % 2];
    pack();
  }
  mbarrier_wait(&full_v[(steps - 1) % kStages], (steps - 1) / kStages & 1);
  wgmma_fence();
  issue_result(steps - 1);
  wgmma_wait<0>();

  float out[1][D / 8][4];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    sum[r] += __shfl_xor_sync(kFullWarp, sum[r], 1);
    sum[r] += __shfl_xor_sync(kFullWarp, sum[r], 2);
    const bool empty = sum[r] == 0;
    const float factor = 1 / sum[r];
#pragma unroll
    for (int n = 0; n < D / 8; ++n)
#pragma unroll
      for (int e = r * 2; e < r * 2 + 2; ++e) out[0][n][e] = empty ? 0.0f : result[n * 4 + e] * factor;
    const int i = row + lane / 4 + r * 8;
    if (lane % 4 == 0 && i < L)
      static_cast<float*>(a.lse)[static_cast<int64_t>(head) * L + i] =
          empty ? INFINITY : largest[r] * c * kLn2 + logf(sum[r]);
  }
  T* staging = reinterpret_cast<T*>(shared + P::staging) + (group * 64 + warp * 16) * kTilePitch<T, D>;
  store_rows<T, D, 1>(out, staging, attention_at<T>(a.out, b, h, row), a.out.row, L - row, static_cast<int>(a.Ev),
                      work.out_vector);
#endif
}

template <class T, int D>
void run(const AttentionWork& work, const Slabs (&slabs)[3], Stream stream) {
  const AttentionArgs& a = work.a;
  const int64_t tiles = (a.L + kQueries - 1) / kQueries;
  launch("attention", wgmma_kernel<T, D>,
         dim3(static_cast<unsigned>(attention_blocks_of("attention", a.B * a.H, tiles))), dim3(kWgmmaThreads),
         Layout<D>::bytes, stream, slab_map("attention", a.dtype, a.q, slabs[0], a.L, a.E, 128),
         slab_map("attention", a.dtype, a.k, slabs[1], a.S, a.E, 128),
         slab_map("attention", a.dtype, a.v, slabs[2], a.S, a.Ev, 128), work, slabs[0], slabs[1], slabs[2],
         static_cast<int>(tiles));
}

}  // namespace

bool attention_wgmma(const AttentionWork& work, Stream stream) {
  const AttentionArgs& a = work.a;
  if (!wgmma_takes(work)) return false;
  Slabs slabs[3];
  if (!slabs_of(a.q, a.B, a.H, &slabs[0]) || !slabs_of(a.k, a.B, a.kv_heads, &slabs[1]) ||
      !slabs_of(a.v, a.B, a.kv_heads, &slabs[2]))
    return false;
  with_wgmma_tile(a, [&](auto type, auto columns) {
    run<typename decltype(type)::type, decltype(columns)::value>(work, slabs, stream);
  });
  return true;
}

}  // namespace cuda
}  // namespace fastnn
