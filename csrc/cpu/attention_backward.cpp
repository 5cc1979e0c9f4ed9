// Fused attention, backward. The probabilities are computed again, p = exp(q kT scale + mask - lse), and with
// D = sum over columns of dout out, dp = dout vT and ds = p (dp - D):
//     dv = pT dout      dk = dsT q scale      dq = ds k scale
// five products. A task is a range of keys of one key head (the whole of it where there are heads enough): for each
// block of keys, with K and V packed and dk, dv kept in L2, it goes through the blocks of queries of each query head
// that sees them. p and ds of a block of queries by a block of keys are all of the score matrix that is in memory. dq
// is added up over the blocks of keys in order; where a head's keys are several tasks, each has a dq of its own, and
// the last pass adds these. Causal: every product leaves out what lies beyond the diagonal's tiles.
#include "cpu/attention.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kBackwardBytes = 128 * 1024;
constexpr int64_t kTasks = 16;  // aimed at where heads are few

template <class T>
struct Plan {
  int64_t key_block, ranges, range, lde, ldv, lds;
  // Of a head's dq where it has several ranges: [range][b][h][L][lde].
  FASTNN_INLINE int64_t partial(const AttentionArgs& a) const {
    return ranges == 1 ? 0 : ranges * a.B * a.H * a.L * lde;
  }
};
template <class T>
Plan<T> plan_of(const AttentionArgs& a) {
  Plan<T> p;
  p.key_block = min_i(key_block<T>(a, kBackwardBytes), round_up(a.S, GemmTile<T>::kNr));
  const int64_t blocks = ceil_div(a.S, p.key_block), heads = a.B * a.kv_heads;
  p.ranges = min_i(blocks, heads >= kTasks ? 1 : ceil_div(kTasks, heads));
  p.range = ceil_div(blocks, p.ranges) * p.key_block;
  p.ranges = ceil_div(a.S, p.range);
  p.lde = padded<T>(a.E);
  p.ldv = padded<T>(a.Ev);
  p.lds = score_row<T>(p.key_block);
  return p;
}

template <class T>
struct Local {
  T *k_panels, *v_panels, *k, *dk, *dv, *q, *dout, *p, *ds, *lse, *d;
};
template <class T>
Local<T> local_of(const AttentionArgs& a, const Plan<T>& plan, Scratch& s) {
  const int64_t rows = round_up(min_i(kQueryBlock, a.L), GemmTile<T>::kMr), keys = plan.key_block;
  const int64_t key_rows = round_up(keys, GemmTile<T>::kMr);
  Local<T> l;
  l.k_panels = s.take<T>(keys * a.E);
  l.v_panels = s.take<T>(keys * a.Ev);
  l.k = s.take<T>(keys * plan.lde);
  l.dk = s.take<T>(key_rows * plan.lde);
  l.dv = s.take<T>(key_rows * plan.ldv);
  l.q = s.take<T>(rows * plan.lde);
  l.dout = s.take<T>(rows * plan.ldv);
  l.p = s.take<T>(rows * plan.lds);
  l.ds = s.take<T>(rows * plan.lds);
  l.lse = s.take<T>(rows);
  l.d = s.take<T>(rows);
  return l;
}

// p = exp(score - lse of its row); with `add` the scores are added to what is there, the mask. cut: row i sees the keys
// before seen + i, of the others p and ds are 0.
template <class T>
struct ProbabilityStore {
  T* p;
  int64_t ld;
  const T* lse;
  bool add, cut;
  int64_t seen;
  FASTNN_INLINE void prefetch(int64_t, int64_t, int, int) const {}
  template <int R, int NV>
  FASTNN_INLINE void tile(Vec<T> (&acc)[R][NV], int64_t i, int64_t j, int, bool, bool) const {
    T* to = p + i * ld + j;
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> l(lse[i + r]);
      unroll<NV>([&](auto v) __attribute__((always_inline)) {
        T* q = to + r * ld + v * Vec<T>::size;
        const Vec<T> e = vexp_nonpositive((add ? acc[r][v] + Vec<T>::load(q) : acc[r][v]) - l);
        (cut ? first_seen(e, seen + i + r - j - v * Vec<T>::size) : e).store(q);
      });
    });
  }
};
// ds = p (dp - D of its row).
template <class T>
struct ScoreGradientStore {
  T* ds;
  const T* p;
  int64_t ld;
  const T* d;
  bool cut;
  int64_t seen;
  FASTNN_INLINE void prefetch(int64_t, int64_t, int, int) const {}
  template <int R, int NV>
  FASTNN_INLINE void tile(Vec<T> (&acc)[R][NV], int64_t i, int64_t j, int, bool, bool) const {
    const int64_t at = i * ld + j;
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> own(d[i + r]);
      unroll<NV>([&](auto v) __attribute__((always_inline)) {
        const int64_t e = at + r * ld + v * Vec<T>::size;
        const Vec<T> g = (acc[r][v] - own) * Vec<T>::load(p + e);
        (cut ? first_seen(g, seen + i + r - j - v * Vec<T>::size) : g).store(ds + e);
      });
    });
  }
};

template <class T>
FASTNN_INLINE void zero_rows(T* p, int64_t rows, int64_t stride, int64_t width) {
  for (int64_t r = 0; r < rows; ++r) __builtin_memset(p + r * stride, 0, static_cast<size_t>(width) * sizeof(T));
}
// dst[r][c] = src[r][c]
template <class T>
FASTNN_INLINE void copy_rows(const T* src, int64_t ld, int64_t rows, int64_t width, T* dst, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, src += ld, dst += stride)
    across<T>(width, [&](int64_t c, auto w) __attribute__((always_inline)) { put(dst + c, get(src + c, w), w); });
}

// One block of queries of head h against the packed keys j0 .. j0 + n. add: to dq, which these keys are not the first
// to reach.
template <class T>
void block_pair(const AttentionArgs& a, const Plan<T>& plan, const Local<T>& l, int64_t b, int64_t h, int64_t i0,
                int64_t j0, int64_t n, T* dq, int64_t dq_row, bool add) {
  constexpr int64_t MR = GemmTile<T>::kMr, W = Vec<T>::size;
  const int64_t rows = min_i(kQueryBlock, a.L - i0), ld = plan.lds;
  pack_rows(at<T>(a.q, b, h, i0), a.q.row, rows, a.E, static_cast<T>(a.scale), l.q, plan.lde);
  const T* dout = l.dout;
  int64_t ldo = plan.ldv;
  if (read_direct<T>(a.dout, a.Ev)) {
    dout = at<T>(a.dout, b, h, i0);
    ldo = a.dout.row;
  } else {
    pack_rows(at<T>(a.dout, b, h, i0), a.dout.row, rows, a.Ev, T(1), l.dout, plan.ldv);
  }
  for (int64_t r = 0; r < rows; ++r) {
    Vec<T> s = Vec<T>::zero();
    const T *g = dout + r * ldo, *out = at<T>(a.out, b, h, i0 + r);
    across<T>(a.Ev,
              [&](int64_t c, auto w) __attribute__((always_inline)) { s = fma(get(g + c, w), get(out + c, w), s); });
    l.d[r] = sum(s);
    l.lse[r] = static_cast<const T*>(a.lse)[(b * a.H + h) * a.L + i0 + r];
  }
  const bool masked = a.mask_kind != AttentionMask::None;
  for (int64_t r0 = 0; r0 < rows; r0 += MR) {
    const int64_t R = min_i(MR, rows - r0);
    const int64_t limit = a.causal ? max_i(0, min_i(n, i0 + r0 + R - j0)) : n;
    T *p = l.p + r0 * ld, *ds = l.ds + r0 * ld;
    if (limit == 0) {
      if (dq && !add) zero_rows(dq + (i0 + r0) * dq_row, R, dq_row, a.E);
      continue;
    }
    const int64_t seen = i0 + r0 + 1 - j0;  // keys of these that the first of the rows sees
    const bool diagonal = a.causal && seen < limit;
    if (masked)
      for (int64_t r = 0; r < R; ++r) mask_row(a, b, h, i0 + r0 + r, j0, limit, p + r * ld);
    against_panels(l.q + r0 * plan.lde, plan.lde, R, limit, a.E, l.k_panels, n,
                   ProbabilityStore<T>{p, ld, l.lse + r0, masked, diagonal, seen});
    if (a.kept) {
      against_panels(dout + r0 * ldo, ldo, R, limit, a.Ev, l.v_panels, n, ScratchStore<T>{ds, ld, false});
      const T up = static_cast<T>(a.kept_scale);
      for (int64_t r = 0; r < R; ++r) {
        const uint8_t* kept = a.kept + ((b * a.H + h) * a.L + i0 + r0 + r) * a.S + j0;
        T *pr = p + r * ld, *dr = ds + r * ld, own = l.d[r0 + r];
        for (int64_t j = 0; j < limit; ++j) {
          const T factor = kept[j] ? up : T(0);
          dr[j] = pr[j] * (dr[j] * factor - own);
          pr[j] *= factor;
        }
      }
    } else {
      against_panels(dout + r0 * ldo, ldo, R, limit, a.Ev, l.v_panels, n,
                     ScoreGradientStore<T>{ds, p, ld, l.d + r0, diagonal, seen});
    }
    if (dq)
      against_rows(ds, ld, 1, R, a.E, limit, l.k, plan.lde,
                   RowMajorStore<T>{dq + (i0 + r0) * dq_row, dq_row, nullptr, nullptr, GemmAct::None, add});
    // The products below read up to MR - 1 keys more than a row's tile has.
    for (int64_t r = 0; r < R; ++r)
      for (int64_t j = limit; j < min_i(n, limit + MR - 1); j += W) {
        Vec<T>::zero().store(p + r * ld + j);
        Vec<T>::zero().store(ds + r * ld + j);
      }
  }
  // dv += pT dout, dk += dsT q; the first row that sees the keys g .. is that of the tile of query j0 + g.
  const bool cut = a.causal && i0 < j0 + n - 1;
  for (int64_t g = 0; g < n; g += cut ? MR : n) {
    const int64_t R = cut ? min_i(MR, n - g) : n, from = cut ? max_i(0, j0 + g - i0) : 0;
    if (from >= rows) break;
    if (a.dv.p)
      against_rows(l.p + from * ld + g, 1, ld, R, a.Ev, rows - from, dout + from * ldo, ldo,
                   ScratchStore<T>{l.dv + g * plan.ldv, plan.ldv, true});
    if (a.dk.p)
      against_rows(l.ds + from * ld + g, 1, ld, R, a.E, rows - from, l.q + from * plan.lde, plan.lde,
                   ScratchStore<T>{l.dk + g * plan.lde, plan.lde, true});
  }
}

template <class T>
void backward(const Ctx& ctx, const AttentionArgs& a) {
  const Plan<T> plan = plan_of<T>(a);
  Scratch shared{static_cast<char*>(ctx.workspace)}, count{nullptr};
  T* const partial = shared.take<T>(plan.partial(a));
  local_of(a, plan, count);
  const int64_t group = a.H / a.kv_heads;
  parallel_for(a.B * a.kv_heads * plan.ranges, [&](int64_t t, int thread) {
    const int64_t head = t / plan.ranges, range = t % plan.ranges, b = head / a.kv_heads, hk = head % a.kv_heads;
    Scratch s{shared.p + shared.used + static_cast<size_t>(thread) * count.used};
    const Local<T> l = local_of(a, plan, s);
    const auto dq_of = [&](int64_t h) {
      return plan.ranges == 1 ? at<T>(a.dq, b, h, 0) : partial + ((range * a.B + b) * a.H + h) * a.L * plan.lde;
    };
    const int64_t dq_row = plan.ranges == 1 ? a.dq.row : plan.lde;
    const int64_t begin = range * plan.range, end = min_i(a.S, begin + plan.range);
    for (int64_t j0 = begin; j0 < end; j0 += plan.key_block) {
      const int64_t n = min_i(plan.key_block, end - j0), first = a.causal ? j0 / kQueryBlock * kQueryBlock : 0;
      pack_panels(at<T>(a.k, b, hk, j0), a.k.row, n, a.E, l.k_panels);
      pack_panels(at<T>(a.v, b, hk, j0), a.v.row, n, a.Ev, l.v_panels);
      pack_rows(at<T>(a.k, b, hk, j0), a.k.row, n, a.E, static_cast<T>(a.scale), l.k, plan.lde);
      __builtin_memset(l.dk, 0, static_cast<size_t>(n * plan.lde) * sizeof(T));
      __builtin_memset(l.dv, 0, static_cast<size_t>(n * plan.ldv) * sizeof(T));
      for (int64_t h = hk * group; h < (hk + 1) * group; ++h) {
        T* const dq = a.dq.p ? dq_of(h) : nullptr;
        if (dq && j0 == begin) zero_rows(dq, min_i(first, a.L), dq_row, a.E);  // these see none of the range
        for (int64_t i0 = first; i0 < a.L; i0 += kQueryBlock)
          block_pair(a, plan, l, b, h, i0, j0, n, dq, dq_row, j0 > begin);
      }
      if (a.dk.p) copy_rows(l.dk, plan.lde, n, a.E, at<T>(a.dk, b, hk, j0), a.dk.row);
      if (a.dv.p) copy_rows(l.dv, plan.ldv, n, a.Ev, at<T>(a.dv, b, hk, j0), a.dv.row);
    }
  });
  if (plan.ranges == 1 || !a.dq.p) return;
  const int64_t each = a.B * a.H * a.L;
  parallel_for(ceil_div(each, kQueryBlock), [&](int64_t t, int) {
    for (int64_t i = t * kQueryBlock; i < min_i(each, (t + 1) * kQueryBlock); ++i) {
      T* to = at<T>(a.dq, i / a.L / a.H, i / a.L % a.H, i % a.L);
      across<T>(a.E, [&](int64_t c, auto w) __attribute__((always_inline)) {
        Vec<T> s = get(partial + i * plan.lde + c, w);
        for (int64_t r = 1; r < plan.ranges; ++r) s += get(partial + (r * each + i) * plan.lde + c, w);
        put(to + c, s, w);
      });
    }
  });
}

template <class T>
size_t workspace(int threads, const AttentionArgs& a) {
  const Plan<T> plan = plan_of<T>(a);
  Scratch shared{nullptr}, count{nullptr};
  shared.take<T>(plan.partial(a));
  local_of(a, plan, count);
  return shared.used + static_cast<size_t>(threads) * count.used;
}

}  // namespace

void attention_backward(const Ctx& ctx, const AttentionArgs& a) {
  a.dtype == Dtype::F32 ? backward<float>(ctx, a) : backward<double>(ctx, a);
}
size_t attention_backward_workspace(int threads, const AttentionArgs& a) {
  return a.dtype == Dtype::F32 ? workspace<float>(threads, a) : workspace<double>(threads, a);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
