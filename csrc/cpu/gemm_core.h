// The blocked matrix product that GEMM and convolution share: C = A * B, M x K by K x N, accumulated in registers,
// given to a Store tile by tile. How A and B come into the panels (copied, transposed, im2col) is the caller's functor.
//
// Panels (T = float or double, W = Vec<T>::size, kMr and kNr from tuning.h):
//   A panel: the rows i0 .. i0 + kMr - 1 of one K block of kc columns, in one of two layouts, as Source::kRowPanel says
//       false   panel[k * kMr + r]                         (row r, column k of the block)
//       true    panel[r * row_panel_stride(kc) + k]
//     Rows beyond M are not read: they need not be written.
//   B panel: the columns j0 .. j0 + cols - 1 (cols = kNr, fewer in the last panel) of one K block:
//       panel[k * w + c],  w = cols rounded up to a multiple of W;  c in [cols, w) MUST be written, as 0.
//     Panel number p of a block starts at kc * kNr * p.
//
// Sources. A functor that packs:
//   struct PackA { static constexpr bool kPacks = true, kRowPanel = false;
//                  void operator()(T* panel, int64_t i0, int rows, int64_t k0, int64_t kc) const; };
//   struct PackB { static constexpr bool kPacks = true;
//                  void operator()(T* panel, int64_t j0, int cols, int64_t k0, int64_t kc) const; };
// It is called from several threads at once, for different panels. Or an operand read where it lies: DirectA, DirectB.
//
// Store: template <int R, int NV> void tile(Vec<T> (&acc)[R][NV], int64_t i, int64_t j, int cols, bool first, bool
// last)
//   gets the products of rows i .. i + R - 1 and columns j .. j + cols - 1 (lane l of acc[r][v] is column j + v * W +
//   l) over one K block. first / last: it is the first / last K block, so !first adds to what was stored before.
//   prefetch(i, j, rows, cols) is called before the products of a tile are computed; it may do nothing.
//   RowMajorStore below is the usual one: rows of C at stride ldc, bias, activation.
//
// Threads: packing is one parallel loop over panels, then the tiles are another. Both are cut by shape alone, and each
// element of C is one chain of FMAs per K block in the order of k whatever tile it falls in: the same bits always.
#pragma once
#include "cpu/gemm_act.h"
#include "cpu/tuning.h"
#include "cpu/vec.h"
#include "kernels.h"
#include "runtime/thread_pool.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

FASTNN_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
FASTNN_INLINE int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
FASTNN_INLINE int64_t min_i(int64_t a, int64_t b) { return a < b ? a : b; }
FASTNN_INLINE int64_t max_i(int64_t a, int64_t b) { return a > b ? a : b; }

// Rows of a row panel lie kc apart, plus a cache line so that the six do not fall into the same L1 set.
template <class T>
FASTNN_INLINE int64_t row_panel_stride(int64_t kc) {
  return kc + 64 / static_cast<int64_t>(sizeof(T));
}
template <class T>
FASTNN_INLINE int64_t a_panel_size(int64_t kc) {
  return round_up(GemmTile<T>::kMr * row_panel_stride<T>(kc), 64 / sizeof(T));
}

// What a product of elements T is accumulated in (bf16 pairs: floats; see gemm_bf16.cpp).
template <class T>
struct Accumulator {
  using type = T;
};
template <class T>
using Acc = Vec<typename Accumulator<T>::type>;

// A[i, k] at p[i * rs + k * ks].
template <class T>
struct DirectA {
  static constexpr bool kPacks = false, kRowPanel = false;
  const T* p;
  int64_t rs, ks;
  void operator()(T*, int64_t, int, int64_t, int64_t) const {}
};
// B[k, j] at p[k * ld + j].
template <class T>
struct DirectB {
  static constexpr bool kPacks = false;
  const T* p;
  int64_t ld;
  void operator()(T*, int64_t, int, int64_t, int64_t) const {}
};

// Tiles of full width are compiled with and without a partial last vector, narrower ones only with it where masked
// loads and stores are instructions: they cost nothing there, and code is saved.
template <class T>
constexpr bool prefer_whole(int nv) {
  return nv == GemmTile<T>::kNv || kVecBytes < 32;
}

// C[i, j] at c[i * ldc + j], c = act(sum + bias), or c += sum.
template <class T>
struct RowMajorStore {
  T* c;
  int64_t ldc;
  const T* col_bias;  // [N] or null
  const T* row_bias;  // [M] or null
  GemmAct act;
  bool accumulate;

  // The lines of C that a tile will write, asked for before its products are computed.
  FASTNN_INLINE void prefetch(int64_t i, int64_t j, int rows, int cols) const {
    const T* p = c + i * ldc + j;
    for (int r = 0; r < rows; r++, p += ldc)
      for (int x = 0; x < cols; x += 64 / static_cast<int>(sizeof(T))) __builtin_prefetch(p + x, 1);
  }

  template <int R, int NV>
  FASTNN_INLINE void tile(Vec<T> (&acc)[R][NV], int64_t i, int64_t j, int cols, bool first, bool last) const {
    constexpr int W = Vec<T>::size;
    T* p = c + i * ldc + j;
    const int tail = cols - (NV - 1) * W;  // lanes of the last vector
    if (prefer_whole<T>(NV) && tail == W) {
      finish<R, NV, true>(acc, p, i, j, W, first, last);
    } else {
      finish<R, NV, false>(acc, p, i, j, tail, first, last);
    }
    if (last && act > GemmAct::Relu) activate_tile(p, ldc, R, cols, act);
  }

 private:
  template <int R, int NV, bool FULL>
  FASTNN_INLINE void finish(Vec<T> (&acc)[R][NV], T* p, int64_t i, int64_t j, int tail, bool first, bool last) const {
    constexpr int W = Vec<T>::size;
    auto load = [&](const T* q, int v) __attribute__((always_inline)) {
      return FULL || v < NV - 1 ? Vec<T>::load(q + v * W) : Vec<T>::load(q + v * W, tail);
    };
    if (!first || accumulate) {
      unroll<R>([&](auto r) __attribute__((always_inline)) {
        unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] += load(p + r * ldc, v); });
      });
    }
    if (last) {
      if (col_bias) {
        unroll<NV>([&](auto v) __attribute__((always_inline)) {
          const Vec<T> b = load(col_bias + j, v);
          unroll<R>([&](auto r) __attribute__((always_inline)) { acc[r][v] += b; });
        });
      }
      if (row_bias) {
        unroll<R>([&](auto r) __attribute__((always_inline)) {
          const Vec<T> b(row_bias[i + r]);
          unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] += b; });
        });
      }
      if (act == GemmAct::Relu) {
        unroll<R>([&](auto r) __attribute__((always_inline)) {
          unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] = max(Vec<T>::zero(), acc[r][v]); });
        });
      }
    }
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      unroll<NV>([&](auto v) __attribute__((always_inline)) {
        if (FULL || v < NV - 1) {
          acc[r][v].store(p + r * ldc + v * W);
        } else {
          acc[r][v].store(p + r * ldc + v * W, tail);
        }
      });
    });
  }
};

// acc[r][v] = sum over k < kc of a[r * ars + k * aks] * b[k * bks + v * W ..]. With TAIL the last vector of b has only
// `tail` elements that may be read.
template <class T, int R, int NV, bool TAIL>
FASTNN_INLINE void micro_kernel(int64_t kc, const T* a, int64_t ars, int64_t aks, const T* b, int64_t bks, int tail,
                                Acc<T> (&acc)[R][NV]) {
  constexpr int W = Vec<T>::size;
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] = Acc<T>::zero(); });
  });
  const T* a3 = a + 3 * ars;  // rows 3, 4, 5: addresses stay base + {0, 1, 2} * stride
  auto step = [&]() __attribute__((always_inline)) {
    Vec<T> bv[NV];
    unroll<NV>([&](auto v) __attribute__((always_inline)) {
      bv[v] = TAIL && v == NV - 1 ? Vec<T>::load(b + v * W, tail) : Vec<T>::load(b + v * W);
    });
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> x(r < 3 ? a[r * ars] : a3[(r - 3) * ars]);
      unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] = fma(x, bv[v], acc[r][v]); });
    });
    a += aks;
    a3 += aks;
    b += bks;
  };
  int64_t k = 0;
  if (R == GemmTile<T>::kMr) {
    for (; k + 4 <= kc; k += 4) unroll<4>([&](auto) __attribute__((always_inline)) { step(); });
  }
  for (; k < kc; k++) step();
}

// Where one K block of A is: panel p (kMr rows) starts at p * panel.
template <class T>
struct ASpan {
  const T* p;
  int64_t panel, rs, ks;
};

// The rows i0 .. i1 - 1 (i0 a multiple of kMr) against one panel of B. TAIL: see prefer_whole.
template <class T, int NV, bool TAIL, class Store>
__attribute__((noinline)) void strip(int64_t i0, int64_t i1, int64_t kc, const ASpan<T>& as, const T* b, int64_t bks,
                                     int64_t i_base, int64_t j, int cols, const Store& store, bool first, bool last) {
  constexpr int MR = GemmTile<T>::kMr;
  const int tail = cols - (NV - 1) * Vec<T>::size;
  const T* a = as.p + i0 / MR * as.panel;
  int64_t i = i0;
  auto rows = [&](auto r) __attribute__((always_inline)) {
    Acc<T> acc[decltype(r)::value][NV];
    store.prefetch(i_base + i, j, decltype(r)::value, cols);
    micro_kernel<T, decltype(r)::value, NV, TAIL>(kc, a, as.rs, as.ks, b, bks, tail, acc);
    store.tile(acc, i_base + i, j, cols, first, last);
  };
  for (; i + MR <= i1; i += MR, a += as.panel) rows(Int<MR>());
  switch (i1 - i) {
    case 1:
      rows(Int<1>());
      break;
    case 2:
      rows(Int<2>());
      break;
    case 3:
      rows(Int<3>());
      break;
    case 4:
      rows(Int<4>());
      break;
    case 5:
      rows(Int<5>());
      break;
    default:
      break;
  }
}

template <class T, class Store>
FASTNN_INLINE void strip_any(bool whole, int64_t i0, int64_t i1, int64_t kc, const ASpan<T>& as, const T* b,
                             int64_t bks, int64_t i_base, int64_t j, int cols, const Store& store, bool first,
                             bool last) {
  constexpr int W = Vec<T>::size;
  auto run = [&](auto nv) __attribute__((always_inline)) {
    constexpr int NV = decltype(nv)::value;
    if constexpr (prefer_whole<T>(NV)) {
      if (whole) return strip<T, NV, false>(i0, i1, kc, as, b, bks, i_base, j, cols, store, first, last);
    }
    strip<T, NV, true>(i0, i1, kc, as, b, bks, i_base, j, cols, store, first, last);
  };
  switch ((cols + W - 1) / W) {
    case 1:
      return run(Int<1>());
    case 2:
      return run(Int<2>());
    case 3:
      if constexpr (GemmTile<T>::kNv == 4) return run(Int<3>());
      return;
    default:
      if constexpr (GemmTile<T>::kNv == 4) return run(Int<4>());
  }
}

// K is cut into equal blocks of at most kKc; K == 0 is one empty block.
template <class T>
FASTNN_INLINE int64_t k_block(int64_t K) {
  return K == 0 ? 1 : round_up(ceil_div(K, ceil_div(K, GemmTile<T>::kKc)), 4);
}

// How the tiles of an m x n block are cut into gm x gn chunks.
template <class T>
FASTNN_INLINE void chunk_grid(int64_t m, int64_t n, int64_t kc, int64_t* gm, int64_t* gn) {
  const int64_t pm = ceil_div(m, GemmTile<T>::kMr), pn = ceil_div(n, GemmTile<T>::kNr);
  const int64_t want = min_i(max_i(m * n * kc / kGemmChunkMacs, 1), kGemmMaxChunks);
  // Rows first, as long as a panel of B, once in L2, serves 16 panels of A; then columns; then rows again.
  *gm = min_i(want, ceil_div(pm, 16));
  *gn = min_i(pn, ceil_div(want, *gm));
  if (*gm * *gn < want) *gm = min_i(pm, ceil_div(want, *gn));
}

template <class T, class SrcA, class SrcB>
int64_t gemm_blocked_workspace(int64_t M, int64_t N, int64_t K) {
  using Tile = GemmTile<T>;
  const int64_t kc = k_block<T>(K);
  int64_t elements = 0;
  if (SrcA::kPacks) elements += ceil_div(min_i(M, Tile::kMc), Tile::kMr) * a_panel_size<T>(kc);
  if (SrcB::kPacks) elements += ceil_div(min_i(N, Tile::kNc), Tile::kNr) * Tile::kNr * kc;
  return elements ? elements * static_cast<int64_t>(sizeof(T)) + 64 : 0;
}

// workspace: gemm_blocked_workspace<T, SrcA, SrcB>(M, N, K) bytes, 64-byte aligned. K == 0 stores zeros (bias, act).
template <class T, class SrcA, class SrcB, class Store>
void gemm_blocked(int64_t M, int64_t N, int64_t K, const SrcA& src_a, const SrcB& src_b, const Store& store,
                  void* workspace) {
  using Tile = GemmTile<T>;
  constexpr int W = Vec<T>::size, MR = Tile::kMr, NR = Tile::kNr;
  if (M <= 0 || N <= 0) return;
  const int64_t kc_max = k_block<T>(K);
  T* const packed_b = static_cast<T*>(workspace);
  T* const packed_a = packed_b + (SrcB::kPacks ? ceil_div(min_i(N, Tile::kNc), NR) * NR * kc_max : 0);
  const int64_t a_panel = a_panel_size<T>(kc_max);

  for (int64_t jc = 0; jc < N; jc += Tile::kNc) {
    const int64_t nc = min_i(Tile::kNc, N - jc), pn = ceil_div(nc, NR);
    for (int64_t pc = 0; pc == 0 || pc < K; pc += kc_max) {
      const int64_t kc = min_i(kc_max, K - pc);
      const bool first = pc == 0, last = pc + kc >= K;
      for (int64_t ic = 0; ic < M; ic += Tile::kMc) {
        const int64_t mc = min_i(Tile::kMc, M - ic), pm = ceil_div(mc, MR);

        // Pack: a chunk is one panel of B, or as many panels of A as hold the same number of elements.
        constexpr int64_t kGroup = NR > MR ? NR / MR : 1;
        const int64_t b_chunks = SrcB::kPacks && ic == 0 ? pn : 0;
        const int64_t a_chunks = SrcA::kPacks ? ceil_div(pm, kGroup) : 0;
        auto pack = [&](int64_t c, int) {
          if (c < b_chunks) {
            src_b(packed_b + c * NR * kc, jc + c * NR, static_cast<int>(min_i(NR, nc - c * NR)), pc, kc);
            return;
          }
          const int64_t p0 = (c - b_chunks) * kGroup;
          for (int64_t p = p0; p < min_i(p0 + kGroup, pm); p++)
            src_a(packed_a + p * a_panel, ic + p * MR, static_cast<int>(min_i(MR, mc - p * MR)), pc, kc);
        };
        const int64_t chunks = b_chunks + a_chunks;
        if (chunks * NR * kc >= 16 * 1024) {
          parallel_for(chunks, pack);
        } else {
          for (int64_t c = 0; c < chunks; c++) pack(c, 0);
        }

        ASpan<T> as;
        if constexpr (SrcA::kPacks) {
          as.p = packed_a;
          as.panel = a_panel;
          as.rs = SrcA::kRowPanel ? row_panel_stride<T>(kc) : 1;
          as.ks = SrcA::kRowPanel ? 1 : MR;
        } else {
          as.p = src_a.p + ic * src_a.rs + pc * src_a.ks;
          as.panel = MR * src_a.rs;
          as.rs = src_a.rs;
          as.ks = src_a.ks;
        }
        int64_t gm, gn;
        chunk_grid<T>(mc, nc, kc, &gm, &gn);
        // Neighbouring chunks, which one thread tends to get, share what does not fit into its L2 for good.
        const bool rows_first = mc * kc * static_cast<int64_t>(sizeof(T)) <= kGemmDirect;
        parallel_for(gm * gn, [&](int64_t c, int) {
          const int64_t m = rows_first ? c % gm : c / gn, n = rows_first ? c / gm : c % gn;
          const int64_t i0 = m * pm / gm * MR, i1 = min_i((m + 1) * pm / gm * MR, mc);
          for (int64_t p = n * pn / gn; p < (n + 1) * pn / gn; p++) {
            const int cols = static_cast<int>(min_i(NR, nc - p * NR));
            if constexpr (SrcB::kPacks) {
              strip_any<T>(true, i0, i1, kc, as, packed_b + p * NR * kc, round_up(cols, W), ic, jc + p * NR, cols,
                           store, first, last);
            } else {
              const T* b = src_b.p + pc * src_b.ld + jc + p * NR;
              strip_any<T>(cols % W == 0, i0, i1, kc, as, b, src_b.ld, ic, jc + p * NR, cols, store, first, last);
            }
          }
        });
      }
    }
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
