// Fused attention, backward, on sm_90a: bfloat16 and float16 by TMA and wgmma, without masks and dropout, causal or
// not. The order of attention_backward.cu, which has the formulas: one kernel, two uses, every sum with one owner, so
// no atomics and the same bits each time. A block keeps 128 rows of two tensors in shared memory (kKeys: k and v; else
// q and dout), 64 for each of two consumer warpgroups; a producer warp lets TMA bring 64 rows at a time of the two
// others through a ring of four stages (128-byte swizzle), with the lse and delta of queries beside them. A warpgroup
// multiplies scores = first thirdT and dp = second fourthT from shared memory; the probabilities p and ds = p (dp -
// delta) are the left operands of sum2 += p fourth (kKeys) and sum1 += ds third in the registers where they were
// computed, with the moving tiles read across their rows.
//
// Products are issued ahead: the scores of step s, then the sums of step s - 1, beside which the exponentials of s run;
// dp behind the sums as soon as there are registers (kKeys with D = 128: when sum2 is done, else at once). ds waits for
// all of them; meanwhile the other warpgroup, bound to this one by nothing but the ring, has the tensor cores. No
// product is in flight when a step ends and no sum begins with zeros: ptxas would make each product wait for the one
// before (gates.py looks).
//
// Limit: products, seven of them where a backward pass needs five (attention_backward.cu says why). kKeys, D = 128: a
// step is 4 * 128 * 64 * 128 multiply-adds, 2048 cycles at 2048 a cycle; its 8192 exponentials are 512 (16 a cycle). Of
// shared memory's 128 bytes a cycle the products take 1024 cycles (both operands of scores and dp: 4 KB each 32 cycles)
// + 512 (sums: 4 KB each 64), the way in 256. The other use: 1536 cycles, 512, and 1024 + 256 + 256 of shared memory.
// Shared memory at D = 128: 64 KB kept, 4 * 32.5 KB in the ring; the kept rows are the way out. Registers at D = 128,
// kKeys: sums 64 + 64, scores 32, dp 32 in the place of the last p, p and ds for the products 16 + 16.
#include "cuda/attention_tma.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kBackwardGroups = 2, kBackwardThreads = 128 * (1 + kBackwardGroups);
constexpr int kOwned = 64 * kBackwardGroups, kMoved = 64, kRing = 4;
constexpr int kTile64 = 64 * 64 * 2;  // bytes of a box of 64 rows of 64 columns

template <int D>
struct BackwardLayout {
  static constexpr int boxes = D / 64, tile = boxes * kTile64;
  static constexpr int ring = kBackwardGroups * 2 * tile, stage = 2 * tile;
  static constexpr int statistics = ring + kRing * stage, both = 2 * kMoved * 4;  // lse and delta
  static constexpr int barriers = statistics + kRing * both, bytes = barriers + (1 + 2 * kRing) * 8;
};

// The kept tensors, then the moving ones.
struct BackwardOperands {
  TensorMap map[4];
  int batch[4], head[4];  // slab b * batch + h * head
};

template <class T, int D, bool kKeys>
__global__ void __launch_bounds__(kBackwardThreads, 1)
    backward_wgmma_kernel(const __grid_constant__ BackwardOperands operands, const __grid_constant__ AttentionWork work,
                          int tiles) {
#ifdef FASTNN_HAS_WGMMA
  using P = BackwardLayout<D>;
  [[maybe_unused]] constexpr bool kEarly = !kKeys || D == 64;  // registers for dp beside everything else
  FASTNN_DYNAMIC_SHARED(unsigned char, shared);
  Mbarrier *kept = reinterpret_cast<Mbarrier*>(shared + P::barriers), *full = kept + 1, *empty = full + kRing;
  const AttentionArgs& a = work.a;
  const int L = static_cast<int>(a.L), S = static_cast<int>(a.S), H = static_cast<int>(a.H);
  const int G = static_cast<int>(a.kv_heads), each_group = H / G, heads = kKeys ? G : H;
  const int owner = blockIdx.x / tiles, b = owner / heads;
  // Causal: the longest first.
  const int row0 = (kKeys ? blockIdx.x % tiles : tiles - 1 - blockIdx.x % tiles) * kOwned;
  const int hk = kKeys ? owner % heads : owner % heads / each_group, h0 = kKeys ? hk * each_group : owner % heads;
  // The rows of the moving tensors that these see.
  const int from = kKeys && a.causal ? row0 / kMoved : 0, end = kKeys ? L : a.causal ? min(S, row0 + kOwned) : S;
  const int each = max((end + kMoved - 1) / kMoved - from, 0), steps = each * (kKeys ? each_group : 1);
  if (threadIdx.x == 0) {
    mbarrier_init(kept, 1);
    for (int s = 0; s < kRing; ++s) {
      mbarrier_init(&full[s], kKeys ? 2 : 1);         // what TMA brings, and lse and delta
      mbarrier_init(&empty[s], kBackwardGroups * 4);  // one arrival a warp
    }
    mbarrier_fence_init();
  }
  __syncthreads();
  const int group = threadIdx.x / 128, lane = threadIdx.x % 32;
  if (group == kBackwardGroups) {
    registers_give<24>();
    if (threadIdx.x < kBackwardGroups * 128 + 32 && steps) {
      auto load = [&](int at, int which, Mbarrier* barrier, int row, int h) {
        const int slab = b * operands.batch[which] + h * operands.head[which];
        for (int i = 0; i < P::boxes; ++i)
          tma_load(shared + at + i * kTile64, &operands.map[which], barrier, i * 64, row, slab);
      };
      if (lane == 0) {
        mbarrier_arrive_expect(kept, kBackwardGroups * 2 * P::tile);
        for (int g = 0; g < kBackwardGroups; ++g)
          for (int i = 0; i < 2; ++i) load((g * 2 + i) * P::tile, i, kept, row0 + g * 64, kKeys ? hk : h0);
      }
      for (int s = 0; s < steps; ++s) {
        const int stage = s % kRing, h = kKeys ? h0 + s / each : hk, at = (from + (kKeys ? s % each : s)) * kMoved;
        mbarrier_wait(&empty[stage], (s / kRing & 1) ^ 1);
        if (lane == 0) {
          mbarrier_arrive_expect(&full[stage], P::stage);
          load(P::ring + stage * P::stage, 2, &full[stage], at, h);
          load(P::ring + stage * P::stage + P::tile, 3, &full[stage], at, h);
        }
        if constexpr (kKeys) {
          float* both = reinterpret_cast<float*>(shared + P::statistics + stage * P::both);
          const int64_t base = (static_cast<int64_t>(b) * H + h) * L;
#pragma unroll
          for (int i = lane; i < kMoved; i += 32) {
            const bool here = at + i < L;  // beyond: exp(score - inf) = 0
            both[i] = here ? static_cast<const float*>(a.lse)[base + at + i] * kLog2e : INFINITY;
            both[kMoved + i] = here ? work.delta[base + at + i] : 0.0f;
          }
          __syncwarp();
          if (lane == 0) mbarrier_arrive(&full[stage]);
        }
      }
    }
    return;
  }
  registers_take<240>();
  const int row = row0 + group * 64 + threadIdx.x % 128 / 32 * 16;  // the warp's 16
  const uint32_t base = shared_address(shared);
  const float c = work.scale2;
  float sum1[D / 2], sum2[kKeys ? D / 2 : 1], x[kMoved / 2], dp[kMoved / 2];
  [[maybe_unused]] uint32_t p[kMoved / 16][4];
  uint32_t ds[kMoved / 16][4];
  [[maybe_unused]] float row_lse[2], row_delta[2];
  if constexpr (!kKeys) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int i = row + lane / 4 + r * 8;
      const int64_t at = (static_cast<int64_t>(b) * H + h0) * L + i;
      row_lse[r] = i < L ? static_cast<const float*>(a.lse)[at] * kLog2e : INFINITY;
      row_delta[r] = i < L ? work.delta[at] : 0.0f;
    }
  }

  auto tile = [&](int at) { return wgmma_descriptor(base + at, kTile64, 1024); };
  auto issue_scores = [&](float (&d)[kMoved / 2], int which, int s) {
    const uint64_t left = tile((group * 2 + which) * P::tile);
    const uint64_t right = tile(P::ring + s % kRing * P::stage + which * P::tile);
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {  // the next 16 columns: 32 bytes on, or in the next box
      const int on = k / 4 * (kTile64 / 16) + k % 4 * 2;
      wgmma_m64<T, kMoved, 0, 0>(d, left + on, right + on, k > 0);
    }
    wgmma_commit();
  };
  auto issue_sum = [&](float (&sum)[D / 2], const uint32_t (&left)[kMoved / 16][4], int which, int s) {
    const uint64_t right = tile(P::ring + s % kRing * P::stage + which * P::tile);
#pragma unroll
    for (int k = 0; k < kMoved / 16; ++k)  // the next 16 rows of 128 bytes
      wgmma_m64_registers<T, D, 1>(sum, left[k], right + k * 128, s > 0 || k > 0);
  };
  auto issue_sums = [&](int s) {
    if constexpr (kKeys) {
      issue_sum(sum2, p, 1, s);
      wgmma_commit();
    }
    issue_sum(sum1, ds, 0, s);
    wgmma_commit();
  };
  auto row_of = [&](int s) { return (from + (kKeys ? s % each : s)) * kMoved; };
  auto statistics = [&](int s) {  // of queries lane % 4 * 2 and the next
    return reinterpret_cast<const float*>(shared + P::statistics + s % kRing * P::both) + lane % 4 * 2;
  };
  // Scores to probabilities.
  auto soften = [&](int s) {
    const int at = row_of(s);
    [[maybe_unused]] const float* lse = statistics(s);
#pragma unroll
    for (int n = 0; n < kMoved / 8; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) x[n * 4 + e] = x[n * 4 + e] * c - (kKeys ? lse[n * 8 + e % 2] : row_lse[e / 2]);
    // Where keys are rows of the tile, those beyond the last make rows that are not written.
    const int first_i = kKeys ? at : row, last_j = (kKeys ? row + 16 : at + kMoved) - 1;
    if ((!kKeys && last_j >= S) || (a.causal && last_j > first_i)) {
#pragma unroll
      for (int e = 0; e < kMoved / 2; ++e) {
        const int own = row + lane / 4 + e / 2 % 2 * 8, other = at + e / 4 * 8 + lane % 4 * 2 + e % 2;
        const int i = kKeys ? other : own, j = kKeys ? own : other;
        if ((!kKeys && j >= S) || (a.causal && j > i)) x[e] = -INFINITY;
      }
    }
#pragma unroll
    for (int e = 0; e < kMoved / 2; ++e) x[e] = fast_exp2(x[e]);
  };
  // Probabilities and dp to the operands of the sums.
  auto operands_of_sums = [&](int s) {
    [[maybe_unused]] const float* delta = statistics(s) + kMoved;
#pragma unroll
    for (int k = 0; k < kMoved / 16; ++k)
#pragma unroll
      for (int r = 0; r < 4; ++r) {
        const int at = k * 8 + r * 2, n = at / 4;
        if constexpr (kKeys) p[k][r] = pack_pair<T>(x[at], x[at + 1]);
        ds[k][r] = pack_pair<T>(x[at] * (dp[at] - (kKeys ? delta[n * 8] : row_delta[r % 2])),
                                x[at + 1] * (dp[at + 1] - (kKeys ? delta[n * 8 + 1] : row_delta[r % 2])));
      }
    __syncwarp();  // lse and delta have been read
  };

  if (steps) {
    mbarrier_wait(kept, 0);
    mbarrier_wait(&full[0], 0);
    wgmma_fence();
    issue_scores(x, 0, 0);
    issue_scores(dp, 1, 0);
    wgmma_wait<1>();
    soften(0);
    wgmma_wait<0>();
    operands_of_sums(0);
#pragma unroll 1
    for (int s = 1; s < steps; ++s) {
      mbarrier_wait(&full[s % kRing], s / kRing & 1);
      wgmma_fence();
      issue_scores(x, 0, s);
      issue_sums(s - 1);
      if constexpr (kEarly) issue_scores(dp, 1, s);
      wgmma_wait<(kKeys ? 2 : 1) + kEarly>();
      soften(s);
      if constexpr (!kEarly) {
        wgmma_wait<1>();
        wgmma_fence();
        issue_scores(dp, 1, s);
      }
      wgmma_wait<1>();
      if (lane == 0) mbarrier_arrive(&empty[(s - 1) % kRing]);
      wgmma_wait<0>();
      operands_of_sums(s);
    }
    wgmma_fence();
    issue_sums(steps - 1);
    wgmma_wait<0>();
  } else {
#pragma unroll
    for (int e = 0; e < D / 2; ++e) {
      sum1[e] = 0;
      if constexpr (kKeys) sum2[e] = 0;
    }
  }

  // Out by way of the warpgroup's kept rows, which all of its warps have read.
  named_barrier_sync(1 + group, 128);
  T* staging = reinterpret_cast<T*>(shared + group * 2 * P::tile) + threadIdx.x % 128 / 32 * 16 * kTilePitch<T, D>;
  const int owned = kKeys ? hk : h0, left = (kKeys ? S : L) - row;
  auto write = [&](const float (&sum)[D / 2], float factor, const AttentionArray& to, int width, bool vector) {
    float out[1][D / 8][4];
#pragma unroll
    for (int e = 0; e < D / 2; ++e) out[0][e / 4][e % 4] = sum[e] * factor;
    store_rows<T, D, 1>(out, staging, attention_at<T>(to, b, owned, row), to.row, left, width, vector);
  };
  const AttentionArray& d1 = kKeys ? a.dk : a.dq;
  if (d1.p)
    write(sum1, static_cast<float>(a.scale), d1, static_cast<int>(a.E), kKeys ? work.dk_vector : work.dq_vector);
  if constexpr (kKeys)
    if (a.dv.p) write(sum2, 1, a.dv, static_cast<int>(a.Ev), work.dv_vector);
#endif
}

template <class T, int D>
void backward_wgmma(const AttentionWork& work, const Slabs (&slabs)[4], Stream stream) {
  constexpr const char* fn = "attention_backward";
  const AttentionArgs& a = work.a;
  TensorMap maps[4] = {
      slab_map(fn, a.dtype, a.q, slabs[0], a.L, a.E, 64),
      slab_map(fn, a.dtype, a.dout, slabs[1], a.L, a.Ev, 64),
      slab_map(fn, a.dtype, a.k, slabs[2], a.S, a.E, 64),
      slab_map(fn, a.dtype, a.v, slabs[3], a.S, a.Ev, 64),
  };
  auto use = [&](auto keys, int64_t heads, int64_t rows) {
    BackwardOperands operands;
    for (int i = 0; i < 4; ++i) {
      const int from = decltype(keys)::value ? (i + 2) % 4 : i;
      operands.map[i] = maps[from];
      operands.batch[i] = slabs[from].batch, operands.head[i] = slabs[from].head;
    }
    const int64_t tiles = (rows + kOwned - 1) / kOwned;
    launch(fn, backward_wgmma_kernel<T, D, decltype(keys)::value>,
           dim3(static_cast<unsigned>(attention_blocks_of(fn, a.B * heads, tiles))), dim3(kBackwardThreads),
           BackwardLayout<D>::bytes, stream, operands, work, static_cast<int>(tiles));
  };
  if (a.dq.p) use(std::false_type(), a.H, a.L);
  if (a.dk.p || a.dv.p) use(std::true_type(), a.kv_heads, a.S);
}

}  // namespace

bool attention_backward_wgmma(const AttentionWork& work, Stream stream) {
  const AttentionArgs& a = work.a;
  if (!wgmma_takes(work) || !work.dout_vector) return false;
  Slabs slabs[4];
  if (!slabs_of(a.q, a.B, a.H, &slabs[0]) || !slabs_of(a.dout, a.B, a.H, &slabs[1]) ||
      !slabs_of(a.k, a.B, a.kv_heads, &slabs[2]) || !slabs_of(a.v, a.B, a.kv_heads, &slabs[3]))
    return false;
  with_wgmma_tile(a, [&](auto type, auto columns) {
    backward_wgmma<typename decltype(type)::type, decltype(columns)::value>(work, slabs, stream);
  });
  return true;
}

}  // namespace cuda
}  // namespace fastnn
