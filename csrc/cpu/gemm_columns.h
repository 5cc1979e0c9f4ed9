// C = A * B by columns: a chunk of work is one panel of B's columns, which the thread that takes it packs for itself,
// in scratch of its own, and multiplies with all rows of A at once. No thread waits for another's panel, and none is
// written by one core and read by the other: between cores a line takes 50-300 ns, as long as packing it eight times.
// For products whose rows are too few to share a packed panel. Operands, panels and stores are gemm_core.h's, and so
// are the bits: each element of C is one chain of FMAs per K block.
#pragma once
#include "cpu/gemm_core.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <class T>
FASTNN_INLINE int64_t column_panel_bytes(int64_t kc) {
  return round_up(kc * GemmTile<T>::kNr * static_cast<int64_t>(sizeof(T)), 64) + 64;
}

template <class T>
int64_t gemm_columns_workspace(int64_t K, int threads) {
  return threads * column_panel_bytes<T>(k_block<T>(K));
}

// workspace: gemm_columns_workspace<T>(K, threads) bytes, 64-byte aligned. With threads == 1 there is one panel, the
// caller's: then no loop over threads may be opened here. (A parallel loop of a single chunk runs in its caller without
// being a parallel region, and a batch of small products is such a loop around this one.)
template <class T, class SrcB, class Store>
void gemm_columns(int64_t M, int64_t N, int64_t K, const DirectA<T>& src_a, const SrcB& src_b, const Store& store,
                  void* workspace, int threads) {
  constexpr int64_t W = Vec<T>::size, MR = GemmTile<T>::kMr, NR = GemmTile<T>::kNr;
  if (M <= 0 || N <= 0) return;
  const int64_t kc_max = k_block<T>(K), pm = ceil_div(M, MR), panel_bytes = column_panel_bytes<T>(kc_max);
  // Few columns are cut into narrower panels, many rows into groups that pack the panel again each.
  const int64_t width = min_i(NR, max_i(2 * W, round_up(ceil_div(N, kColumnChunks), W))), pn = ceil_div(N, width);
  const int64_t gm = min_i(ceil_div(kColumnChunks, pn), max_i(1, M / kColumnRows));
  const auto chunk = [&](int64_t c, int thread) {
    T* const panel = reinterpret_cast<T*>(static_cast<char*>(workspace) + thread * panel_bytes);
    const int64_t j = c / gm * width, m = c % gm;
    const int cols = static_cast<int>(min_i(width, N - j));
    const int64_t i0 = m * pm / gm * MR, i1 = min_i((m + 1) * pm / gm * MR, M);
    for (int64_t pc = 0; pc == 0 || pc < K; pc += kc_max) {
      const int64_t kc = min_i(kc_max, K - pc);
      src_b(panel, j, cols, pc, kc);
      const ASpan<T> as{src_a.p + pc * src_a.ks, MR * src_a.rs, src_a.rs, src_a.ks};
      strip_any<T>(true, i0, i1, kc, as, panel, round_up(cols, W), 0, j, cols, store, pc == 0, pc + kc >= K);
    }
  };
  if (threads > 1) {
    parallel_for(pn * gm, chunk);
  } else {
    for (int64_t c = 0; c < pn * gm; c++) chunk(c, 0);
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
