// Fused attention, forward. A task is a block of queries of one head. For each block of keys (K packed in transposed
// panels, V in rows, both in L2) and each 6 queries: scores into a strip in L1, their largest value and exponentials,
// then the strip times V onto the result. A row's sum and result are scaled down whenever its largest value grows
// (online softmax), and divided at the end. Causal: a strip ends with its last query, so nothing beyond the diagonal's
// tile is computed. No more of the score matrix than a strip a thread is ever in memory.
#include "cpu/attention.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kForwardBytes = 256 * 1024;
constexpr int64_t kPackKeys = 256;  // keys of a packing task

template <class T>
struct Plan {
  int64_t blocks, key_block, ldq, ldv, head;  // head: elements of a head's packed keys and values
  bool direct_v;                              // V is read where it lies
  bool own;                                   // a task is a whole head: it packs for itself
};
template <class T>
Plan<T> plan_of(const AttentionArgs& a) {
  Plan<T> p;
  p.blocks = ceil_div(a.L, kQueryBlock);
  p.key_block = key_block<T>(a, kForwardBytes);
  p.ldq = padded<T>(a.E);
  p.direct_v = read_direct<T>(a.v, a.Ev);
  p.ldv = p.direct_v ? a.v.row : padded<T>(a.Ev);
  p.own = p.blocks == 1 && a.H == a.kv_heads;
  p.head = round_up(padded<T>(a.S) * a.E + (p.direct_v ? 0 : a.S * p.ldv), 64 / sizeof(T));
  return p;
}

// A thread's memory.
template <class T>
struct Local {
  T *q, *strip, *out, *largest, *sum, *packed;
};
template <class T>
Local<T> local_of(const AttentionArgs& a, const Plan<T>& p, Scratch& s) {
  Local<T> l;
  const int64_t rows = round_up(min_i(kQueryBlock, a.L), GemmTile<T>::kMr);
  l.q = s.take<T>(rows * p.ldq);
  l.strip = s.take<T>(GemmTile<T>::kMr * score_row<T>(min_i(p.key_block, a.S)));
  l.out = s.take<T>(rows * padded<T>(a.Ev));
  l.largest = s.take<T>(rows);  // of the padding rows too
  l.sum = s.take<T>(rows);
  l.packed = p.own ? s.take<T>(p.head) : nullptr;
  return l;
}

// Packs the keys j .. end of a head: panels of K, then rows of V.
template <class T>
void pack(const AttentionArgs& a, const Plan<T>& p, int64_t b, int64_t h, int64_t j, int64_t end, T* packed) {
  pack_panels(at<T>(a.k, b, h, j), a.k.row, end - j, a.E, packed + j * a.E);
  if (!p.direct_v)
    pack_rows(at<T>(a.v, b, h, j), a.v.row, end - j, a.Ev, T(1), packed + padded<T>(a.S) * a.E + j * p.ldv, p.ldv);
}

// What a strip's softmax leaves for each of its rows.
template <class T>
struct StripRows {
  Vec<T> shrink[GemmTile<T>::kMr];  // what the row's earlier sum and result are multiplied by
  bool grown;                       // some shrink is not 1
};
// exp(x - largest) in place, for the rows of a strip side by side: their chains of instructions overlap. n: columns, a
// multiple of the vector; hidden ones hold -inf. largest and sum (of each row, so far) are brought up to date.
template <class T>
FASTNN_INLINE StripRows<T> softmax_strip(T* x, int64_t ld, int64_t n, T* largest, T* sum) {
  constexpr int R = GemmTile<T>::kMr, W = Vec<T>::size;
  Vec<T> shift[R], total[R];
  unroll<R>([&](auto r) __attribute__((always_inline)) { shift[r] = lowest<T>(); });
  for (int64_t j = 0; j < n; j += W)
    unroll<R>([&](auto r) __attribute__((always_inline)) { shift[r] = max(shift[r], Vec<T>::load(x + r * ld + j)); });
  StripRows<T> out;
  out.grown = false;
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    const T before = largest[r], found = fold_max(shift[r])[0], now = found > before ? found : before;
    shift[r] = Vec<T>(now == -__builtin_inf() ? T(0) : now);  // nothing but hidden keys so far: exp(-inf) = 0
    out.shrink[r] = Vec<T>(before) - shift[r];
    out.grown |= now != before;
    largest[r] = now;
    total[r] = Vec<T>::zero();
  });
  for (int64_t j = 0; j < n; j += W)
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> e = vexp_nonpositive(Vec<T>::load(x + r * ld + j) - shift[r]);
      e.store(x + r * ld + j);
      total[r] += e;
    });
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    if (out.grown) {
      out.shrink[r] = vexp_nonpositive(out.shrink[r]);
      sum[r] *= out.shrink[r][0];
    }
    sum[r] += fold_sum(total[r])[0];
  });
  return out;
}

template <class T>
void query_block(const AttentionArgs& a, const Plan<T>& p, int64_t b, int64_t h, int64_t i0, const T* packed,
                 const Local<T>& l) {
  constexpr int64_t MR = GemmTile<T>::kMr, W = Vec<T>::size;
  const int64_t rows = min_i(kQueryBlock, a.L - i0), ldo = padded<T>(a.Ev);
  const int64_t ld = score_row<T>(min_i(p.key_block, a.S)), hk = h / (a.H / a.kv_heads);
  const T* const values = p.direct_v ? at<T>(a.v, b, hk, 0) : packed + padded<T>(a.S) * a.E;
  pack_rows(at<T>(a.q, b, h, i0), a.q.row, rows, a.E, static_cast<T>(a.scale), l.q, p.ldq);
  const T hidden = -__builtin_inf();
  for (int64_t r = 0; r < round_up(rows, MR); ++r) {
    l.largest[r] = hidden;
    l.sum[r] = 0;
  }
  const int64_t keys = a.causal ? min_i(a.S, i0 + rows) : a.S;  // that any of these queries sees
  for (int64_t j0 = 0; j0 < keys; j0 += p.key_block) {
    const int64_t n = min_i(p.key_block, a.S - j0);
    for (int64_t r0 = 0; r0 < rows; r0 += MR) {
      const int64_t R = min_i(MR, rows - r0);
      const int64_t limit = a.causal ? min_i(n, i0 + r0 + R - j0) : n;  // keys that the last of these rows sees
      if (limit <= 0) continue;
      const bool masked = a.mask_kind != AttentionMask::None;
      if (masked)
        for (int64_t r = 0; r < R; ++r) mask_row(a, b, h, i0 + r0 + r, j0, limit, l.strip + r * ld);
      against_panels(l.q + r0 * p.ldq, p.ldq, R, limit, a.E, packed + j0 * a.E, a.S - j0,
                     ScratchStore<T>{l.strip, ld, masked});
      // Beyond what a row sees, and up to a whole vector: hidden.
      const int64_t whole = padded<T>(limit);
      for (int64_t r = 0; r < R; ++r) {
        const int64_t seen = a.causal ? max_i(0, min_i(limit, i0 + r0 + r + 1 - j0)) : limit;
        for (int64_t j = seen / W * W; j < whole; j += W) {
          T* const x = l.strip + r * ld + j;
          first_seen(Vec<T>::load(x), seen - j, Vec<T>(hidden)).store(x);
        }
      }
      T *largest = l.largest + r0, *sum = l.sum + r0, *out = l.out + r0 * ldo;
      const StripRows<T> done = softmax_strip(l.strip, ld, whole, largest, sum);
      if (j0 > 0 && done.grown)
        for (int64_t r = 0; r < R; ++r)
          for (int64_t c = 0; c < ldo; c += Vec<T>::size)
            (Vec<T>::load(out + r * ldo + c) * done.shrink[r]).store(out + r * ldo + c);
      if (a.kept) {
        const T up = static_cast<T>(a.kept_scale);
        for (int64_t r = 0; r < R; ++r) {
          const uint8_t* kept = a.kept + ((b * a.H + h) * a.L + i0 + r0 + r) * a.S + j0;
          for (int64_t j = 0; j < limit; ++j) l.strip[r * ld + j] *= kept[j] ? up : T(0);
        }
      }
      against_rows(l.strip, ld, 1, R, a.Ev, limit, values + j0 * p.ldv, p.ldv, ScratchStore<T>{out, ldo, j0 > 0});
    }
  }
  T* lse = static_cast<T*>(a.lse) + (b * a.H + h) * a.L + i0;
  across<T>(rows, [&](int64_t r, auto w) __attribute__((always_inline)) {
    const Vec<T> sum = get(l.sum + r, w), none = Vec<T>::zero();
    const auto empty = eq(sum, none);
    put(lse + r, select(empty, Vec<T>(-hidden), get(l.largest + r, w) + log_of(sum)), w);
    put(l.sum + r, select(empty, none, Vec<T>(T(1)) / sum), w);
  });
  for (int64_t r = 0; r < rows; ++r) {
    const bool seen = l.sum[r] != 0;  // of a row that saw nothing the products may hold 0 * inf
    const Vec<T> scale(l.sum[r]);
    const T* from = l.out + r * ldo;
    T* to = at<T>(a.out, b, h, i0 + r);
    across<T>(a.Ev, [&](int64_t c, auto w) __attribute__((always_inline)) {
      put(to + c, seen ? get(from + c, w) * scale : Vec<T>::zero(), w);
    });
  }
}

template <class T>
void forward(const Ctx& ctx, const AttentionArgs& a) {
  const Plan<T> p = plan_of<T>(a);
  Scratch shared{static_cast<char*>(ctx.workspace)}, count{nullptr};
  T* const packed = p.own ? nullptr : shared.take<T>(a.B * a.kv_heads * p.head);
  local_of(a, p, count);
  char* const locals = shared.p + shared.used;
  if (!p.own) {
    const int64_t parts = ceil_div(a.S, kPackKeys);
    parallel_for(a.B * a.kv_heads * parts, [&](int64_t t, int) {
      const int64_t head = t / parts, j = t % parts * kPackKeys;
      pack(a, p, head / a.kv_heads, head % a.kv_heads, j, min_i(a.S, j + kPackKeys), packed + head * p.head);
    });
  }
  parallel_for(a.B * a.H * p.blocks, [&](int64_t t, int thread) {
    const int64_t head = t / p.blocks, block = p.blocks - 1 - t % p.blocks;  // causal: the longest first
    const int64_t b = head / a.H, h = head % a.H;
    Scratch s{locals + static_cast<size_t>(thread) * count.used};
    const Local<T> l = local_of(a, p, s);
    if (p.own) pack(a, p, b, h, 0, a.S, l.packed);
    const T* mine = p.own ? l.packed : packed + (b * a.kv_heads + h / (a.H / a.kv_heads)) * p.head;
    query_block(a, p, b, h, block * kQueryBlock, mine, l);
  });
}

template <class T>
size_t workspace(int threads, const AttentionArgs& a) {
  const Plan<T> p = plan_of<T>(a);
  Scratch shared{nullptr}, count{nullptr};
  if (!p.own) shared.take<T>(a.B * a.kv_heads * p.head);
  local_of(a, p, count);
  return shared.used + static_cast<size_t>(threads) * count.used;
}

}  // namespace

void attention(const Ctx& ctx, const AttentionArgs& a) {
  a.dtype == Dtype::F32 ? forward<float>(ctx, a) : forward<double>(ctx, a);
}
size_t attention_workspace(int threads, const AttentionArgs& a) {
  return a.dtype == Dtype::F32 ? workspace<float>(threads, a) : workspace<double>(threads, a);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
