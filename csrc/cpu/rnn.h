// What the passes over a recurrent layer share: steps that several threads take together, and the product of a few rows
// of h with a panel of packed weights.
//
// Limits of one core (AVX-512, f32). A step multiplies B rows by G * H x K weights, which were packed once per call. A
// panel is K x NV vectors; R rows of it cost R * NV FMAs to NV loads and R broadcasts per k, so from B = 3 on FMAs
// decide, below the stream of the weights: from L2 while each thread's share, G * H * K * 4 B / threads, fits. The
// gates' arithmetic, five divisions and exponentials per LSTM cell (~120 cycles a vector of 16), is 15% of the
// product's 4 * K FMAs at K = 200: it is done on the tile while it is in L1, and kept in vectors.
#pragma once
#include "cpu/gemm_pack.h"
#include "cpu/vecmath.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// ---- steps ----

constexpr int64_t kStepMacs = 24 * 1024;  // a thread's share of a step, at least: ~0.5 us, what the meeting costs
constexpr int64_t kCacheLine = 64;
constexpr int kMaxTeam = 64;

// How many threads take a step of `macs` together, at most one for each of `chunks`.
FASTNN_INLINE int team_size(int threads, int64_t macs, int64_t chunks) {
  const int64_t n = min_i(min_i(threads, kMaxTeam), min_i(chunks, macs / kStepMacs));
  return n < 1 ? 1 : static_cast<int>(n);
}
FASTNN_INLINE int64_t team_bytes(int team) { return (team + 1) * kCacheLine; }

FASTNN_INLINE void spin_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// f(phase, part) for every part < team of every phase, a phase after all of the one before. Thread i takes part i,
// whose weights its L2 then holds; the part of a thread that does not come (the pool may run everything on one) is
// taken over by one that waits. `sync` is team_bytes(team) long. What a part computes must not depend on who computes
// it.
template <class F>
void run_steps(int64_t phases, int team, void* sync, const F& f) {
  if (team <= 1) {
    for (int64_t phase = 0; phase < phases; phase++) f(phase, 0);
    return;
  }
  char* const memory = static_cast<char*>(sync);
  __builtin_memset(memory, 0, static_cast<size_t>(team_bytes(team)));
  int64_t* const done = reinterpret_cast<int64_t*>(memory + team * kCacheLine);
  const auto next = [&](int part) { return reinterpret_cast<int64_t*>(memory + part * kCacheLine); };
  parallel_for(team, [&](int64_t me, int) {
    constexpr int kPatience = 64;  // pauses, ~1 us, before a thread takes over another's part
    int patience = kPatience;
    const auto take = [&](int64_t phase, int part) {
      int64_t expected = phase;  // the next phase of this part
      if (__atomic_load_n(next(part), __ATOMIC_RELAXED) != phase ||
          !__atomic_compare_exchange_n(next(part), &expected, phase + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return false;
      f(phase, part);
      __atomic_fetch_add(done, 1, __ATOMIC_RELEASE);
      return true;
    };
    for (int64_t phase = 0; phase < phases; phase++) {
      take(phase, static_cast<int>(me));
      int waited = 0;
      bool helped = false;
      while (__atomic_load_n(done, __ATOMIC_ACQUIRE) < (phase + 1) * team) {
        spin_pause();
        if (++waited < patience) continue;
        for (int part = 0; part < team; part++) helped = take(phase, part) || helped;
      }
      patience = helped ? 1 : kPatience;
    }
  });
}

// ---- rows ----

// The steps in the order of a pass, with where each one's rows begin, and how many of its rows had a step before it:
// the others are sequences that start (in a pass backwards: end) here.
struct StepRows {
  int64_t at, rows, before, before_at;
};
// step[i] for the i-th step of the pass. order: +1 from the first step to the last, -1 from the last to the first.
FASTNN_INLINE void list_steps(const RnnArgs& a, int order, StepRows* step) {
  int64_t at = 0;
  for (int64_t t = 0; t < a.steps; t++) {
    StepRows& s = step[order > 0 ? t : a.steps - 1 - t];
    s.at = at;
    s.rows = a.sizes[t];
    at += s.rows;
  }
  for (int64_t i = 0; i < a.steps; i++) {
    step[i].before = i ? min_i(step[i].rows, step[i - 1].rows) : 0;
    step[i].before_at = i ? step[i - 1].at : 0;
  }
}
FASTNN_INLINE int64_t steps_bytes(const RnnArgs& a) {
  return round_up(a.steps * static_cast<int64_t>(sizeof(StepRows)), 64);
}

// ---- product ----

// Rows of a tile with NV vectors of columns: as many accumulators as leave room for one operand of the other side.
template <int NV>
constexpr int kTileRows = kVecBytes == 64 ? 24 / NV : 12 / NV;

// out[r * NV * W + c] = sum over k < K of a[r * lda + k] * panel[k * NV * W + c]. Few accumulators take several sets of
// k, to hide the latency of FMA.
template <class T, int NV, int R>
FASTNN_INLINE void product_tile(int64_t K, const T* a, int64_t lda, const T* panel, T* out) {
  constexpr int W = Vec<T>::size, U = R * NV >= 8 ? 1 : R * NV >= 4 ? 2 : 4, kAhead = 8;
  Vec<T> acc[U][R][NV];
  unroll<U>([&](auto u) __attribute__((always_inline)) {
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[u][r][v] = Vec<T>::zero(); });
    });
  });
  const auto step = [&](auto u, int64_t k) __attribute__((always_inline)) {
    const T* b = panel + k * NV * W;
    if constexpr (R * NV <= 12)  // few FMAs a load: L2's stream decides, and wants to be asked early
      unroll<NV>([&](auto v) __attribute__((always_inline)) { __builtin_prefetch(b + (kAhead * NV + v) * W); });
    if constexpr (NV > R) {  // hold the smaller side
      Vec<T> x[R];
      unroll<R>([&](auto r) __attribute__((always_inline)) { x[r] = Vec<T>(a[r * lda + k]); });
      unroll<NV>([&](auto v) __attribute__((always_inline)) {
        const Vec<T> w = Vec<T>::load(b + v * W);
        unroll<R>([&](auto r) __attribute__((always_inline)) { acc[u][r][v] = fma(x[r], w, acc[u][r][v]); });
      });
    } else {
      Vec<T> w[NV];
      unroll<NV>([&](auto v) __attribute__((always_inline)) { w[v] = Vec<T>::load(b + v * W); });
      unroll<R>([&](auto r) __attribute__((always_inline)) {
        const Vec<T> x(a[r * lda + k]);
        unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[u][r][v] = fma(x, w[v], acc[u][r][v]); });
      });
    }
  };
  int64_t k = 0;
  for (; k + U <= K; k += U) unroll<U>([&](auto u) __attribute__((always_inline)) { step(u, k + u); });
  for (; k < K; k++) step(Int<0>(), k);
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    unroll<NV>([&](auto v) __attribute__((always_inline)) {
      Vec<T> s = acc[0][r][v];
      if (U > 1) s += acc[U - 1][r][v];
      if (U > 2) s += acc[1][r][v] + acc[U - 2][r][v];
      s.store(out + (r * NV + v) * W);
    });
  });
}

template <class T, int NV, int R>
__attribute__((noinline)) void product_rows(int64_t rows, int64_t K, const T* a, int64_t lda, const T* panel, T* out) {
  if (rows == R) return product_tile<T, NV, R>(K, a, lda, panel, out);
  if constexpr (R > 1) product_rows<T, NV, R - 1>(rows, K, a, lda, panel, out);
}

// panel[k * cols + c] = w[(row0 + c) * ld + k] for c < live, zeros for live <= c < cols; cols a multiple of W.
template <class T>
FASTNN_INLINE void pack_transposed(T* panel, int64_t cols, const T* w, int64_t ld, int64_t live, int64_t K) {
  if (live < cols)
    for (int64_t k = 0; k < K; k++)
      for (int64_t c = round_up(live, Vec<T>::size); c < cols; c++) panel[k * cols + c] = 0;
  if (live > 0) transpose(w, ld, K, static_cast<int>(live), panel, cols);
}
// panel[k * cols + c] = w[k * ld + c] for c < live, 0 beyond.
template <class T>
FASTNN_INLINE void pack_rows(T* panel, int64_t cols, const T* w, int64_t ld, int64_t live, int64_t K) {
  constexpr int W = Vec<T>::size;
  for (int64_t k = 0; k < K; k++)
    for (int64_t c = 0; c < cols; c += W) {
      const int n = static_cast<int>(live - c < 0 ? 0 : min_i(W, live - c));
      (n == W ? Vec<T>::load(w + k * ld + c)
       : n    ? Vec<T>::load(w + k * ld + c, n)
              : Vec<T>::zero())
          .store(panel + k * cols + c);
    }
}

// How rows x columns are cut: tiles of columns, and blocks of at most `tile` rows of about one height.
struct Grid {
  int64_t tiles, blocks, batch;
  FASTNN_INLINE int64_t size() const { return tiles * blocks; }
  FASTNN_INLINE int64_t first_row(int64_t block) const { return block * batch / blocks; }
};
FASTNN_INLINE Grid make_grid(int64_t columns, int64_t width, int64_t batch, int64_t tile_rows) {
  return {ceil_div(columns, width), ceil_div(batch, tile_rows), batch};
}
// g(tile, tiles, first row, last row) for one part's share of a step of `rows` rows: tile by tile, so that a thread
// stays with its panels. Where the batch is small, as many tiles at a time as have tile_rows rows together: the cells'
// long chains of dependent instructions then overlap.
template <class G>
FASTNN_INLINE void share(const Grid& grid, int part, int team, int64_t tile_rows, int64_t rows, const G& g) {
  const int64_t begin = part * grid.size() / team, end = (part + 1) * grid.size() / team;
  if (grid.blocks == 1) {
    const int64_t group = tile_rows / grid.batch;
    for (int64_t i = begin; i < end; i += group) g(i, min_i(group, end - i), 0, rows);
    return;
  }
  for (int64_t i = begin; i < end; i++) {
    const int64_t b = i % grid.blocks, r0 = grid.first_row(b), r1 = min_i(grid.first_row(b + 1), rows);
    if (r0 < r1) g(i / grid.blocks, 1, r0, r1);
  }
}

FASTNN_INLINE int64_t rnn_gates(RnnCell cell) { return cell == RnnCell::Lstm ? 4 : cell == RnnCell::Gru ? 3 : 1; }
FASTNN_INLINE int64_t rnn_width(const RnnArgs& a) { return a.proj ? a.proj : a.hidden; }

// Vectors of one column's gates side by side in a panel, and columns of h (in vectors) a panel covers.
template <RnnCell C>
struct CellTile {
  static constexpr int kGates = C == RnnCell::Lstm ? 4 : C == RnnCell::Gru ? 3 : 1;
  static constexpr int kColumns = kGates == 1 ? 2 : 1;
  static constexpr int kNv = kGates * kColumns;
  static constexpr int kRows = kTileRows<kNv>;
};
constexpr int kPlainNv = 2;  // vectors of a panel whose columns are just columns
constexpr int kPlainRows = kTileRows<kPlainNv>;

// n lanes: all of a vector, or its first ones.
template <class T>
FASTNN_INLINE Vec<T> load_some(const T* p, int n) {
  return n == Vec<T>::size ? Vec<T>::load(p) : Vec<T>::load(p, n);
}
template <class T>
FASTNN_INLINE void store_some(T* p, Vec<T> v, int n) {
  if (n == Vec<T>::size) {
    v.store(p);
  } else {
    v.store(p, n);
  }
}

// The lines of n elements that a tile's cells will read, asked for before its product: `rows` of them, ld apart.
template <class T>
FASTNN_INLINE void prefetch_rows(const T* p, int64_t rows, int64_t ld, int64_t n) {
  for (int64_t r = 0; r < rows; r++, p += ld) {
    __builtin_prefetch(p);
    __builtin_prefetch(p + n - 1);
  }
}

// f(Pass<T, cell>(a)) for the arguments' type and cell.
template <template <class, RnnCell> class Pass, class T, class F>
FASTNN_INLINE auto with_cell(const RnnArgs& a, const F& f) {
  switch (a.cell) {
    case RnnCell::Tanh:
      return f(Pass<T, RnnCell::Tanh>(a));
    case RnnCell::Relu:
      return f(Pass<T, RnnCell::Relu>(a));
    case RnnCell::Lstm:
      return f(Pass<T, RnnCell::Lstm>(a));
    default:
      return f(Pass<T, RnnCell::Gru>(a));
  }
}
template <template <class, RnnCell> class Pass, class F>
FASTNN_INLINE auto with_pass(const RnnArgs& a, const F& f) {
  return a.dtype == Dtype::F32 ? with_cell<Pass, float>(a, f) : with_cell<Pass, double>(a, f);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
