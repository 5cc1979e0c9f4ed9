// Tile sizes of every kernel, with the arithmetic that gives them.
#pragma once
#include "cpu/vec.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// GEMM's register tile is kMr rows x kNv vectors. A step in k costs kMr * kNv FMAs, kNv loads of B and kMr broadcasts
// of A, and needs kMr * kNv accumulators, kNv registers for B and one or two for A.
//   AVX-512, 32 registers: 6 x 4 = 24 + 4 + 2. 24 FMAs to 10 loads: at two of each a cycle (Zen 5, server Intel) the
//     loads take 5 of 12 cycles; at one 512-bit FMA and one 512-bit load (or two broadcasts) a cycle (Zen 4), 7 of 24.
//   AVX2 and SSE2/NEON, 16 registers: 6 x 2 = 12 + 2 + 2.
// Both hide the FMA latency of 4: at least 8 independent accumulators.
//
// kKc: a panel of B, kKc * kNr, is re-read from L2 for every 6 rows: 512 * 64 * 4 B = 128 KiB of the 1 MiB (AVX-512).
//   The tile of C is read and written once per kKc steps, 2 * 24 moves to 12,288 FMAs.
// kMc, kNc: the packed operands of one K block, 2 * 3072 * 512 * 4 B = 12 MiB, stay in a third of a 32 MiB L3.
template <class T>
struct GemmTile {
  static constexpr int kMr = 6;
#if defined(__AVX512F__)
  static constexpr int kNv = 4;
#else
  static constexpr int kNv = 2;
#endif
  static constexpr int kNr = kNv * Vec<T>::size;
  static constexpr int64_t kKc = 2048 / static_cast<int>(sizeof(T));
  static constexpr int64_t kMc = 3072;
  static constexpr int64_t kNc = 3072;
  static_assert(kMc % kMr == 0 && kNc % kNr == 0, "blocks are whole panels");
};

// One chunk of work handed to a thread is at least this many multiply-adds (~1 us of one core), unless that leaves
// fewer than two; a product is cut into at most kGemmMaxChunks a K block.
constexpr int64_t kGemmChunkMacs = 160 * 1024;
constexpr int64_t kGemmMaxChunks = 32;

// Up to this many rows a product with weights [out, in] takes the dot form; up to this many columns, its mirror image.
constexpr int64_t kGemmDotRows = 15, kGemmDotRowsDeep = 56;  // Deep: where K is long
constexpr int64_t kGemmDotColumns = 4;
// An operand of at most this many bytes stays in L2 and is read where it lies; so is B, whatever its size, for at most
// this many panels of A: copying it would cost more than it saves.
constexpr int64_t kGemmDirect = 1024 * 1024;
constexpr int64_t kGemmDirectPanels = 22;

// A product by columns (gemm_columns.h) is cut into at least this many chunks, where they have at least so many rows:
// packing a panel costs as much as multiplying it by 7 rows.
constexpr int64_t kColumnChunks = 8, kColumnRows = 192;

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
