// Work on rows of neighbouring elements: a warp a row while rows are short, else a block; the row kept in shared memory
// between the passes where it fits, so that it is read once. Every thread comes back to its own elements only.
#pragma once
#include <initializer_list>

#include "cuda/block.h"
#include "cuda/storage.h"
#include "cuda/strides.h"

namespace fastnn {
namespace cuda {

constexpr int kRowWarps = kBlock / 32, kMostWarps = 32;
#ifndef FASTNN_ROW_SHARED  // the sanitizers' builds have less, so that short rows go the long ones' way
#define FASTNN_ROW_SHARED (96 * 1024)
#endif
constexpr size_t kRowShared = FASTNN_ROW_SHARED;  // every architecture we build for has it, and two blocks fit on most
// Bytes of a warp's row at most: two such rows for every warp, as layer norm's backward keeps, still fit.
constexpr int64_t kWarpRow = kRowShared / (2 * kRowWarps) < 4096 ? kRowShared / (2 * kRowWarps) : 4096;

struct RowPlan {
  bool block, cached;  // a block a row; the row is kept
  unsigned blocks, threads;
  size_t shared;
};
// size: bytes an element takes in shared memory.
inline RowPlan row_plan(int64_t rows, int64_t n, int64_t size) {
  RowPlan p;
  p.block = n > 1024 || n * size > kWarpRow;
  p.threads = n > 16384 ? 1024 : n > 4096 ? 512 : kBlock;
  const int64_t bytes = n * size;
  p.cached = bytes <= static_cast<int64_t>(kRowShared);
  const int64_t at_once = p.block ? 1 : kRowWarps;
  p.shared = p.cached ? static_cast<size_t>(at_once * ((bytes + 15) / 16 * 16)) : 0;
  const int64_t blocks = (rows + at_once - 1) / at_once;
  if (blocks >= (int64_t(1) << 31)) throw std::invalid_argument("more than 2^31 rows");
  p.blocks = static_cast<unsigned>(blocks);
  return p;
}

// The thread's place in its team.
struct Team {
  bool block;
  int size, lane;
  int64_t row;
  __device__ explicit Team(bool whole_block) : block(whole_block) {
    size = block ? static_cast<int>(blockDim.x) : 32;
    lane = static_cast<int>(threadIdx.x) % size;
    row = block ? static_cast<int64_t>(blockIdx.x)
                : static_cast<int64_t>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
  }
  // This team's part of dynamic shared memory, of n elements.
  template <class C>
  __device__ C* part(C* all, int64_t n) const {
    constexpr int64_t kAlign = 16 / static_cast<int64_t>(sizeof(C));
    return block ? all : all + static_cast<int64_t>(threadIdx.x / 32) * ((n + kAlign - 1) / kAlign * kAlign);
  }
};

// Whether rows of n elements at p can be moved in packs of v.
inline bool row_packs(int64_t n, int v, size_t size, std::initializer_list<const void*> arrays) {
  if (n % v != 0) return false;
  for (const void* p : arrays)
    if (p && !aligned(p, static_cast<size_t>(v) * size)) return false;
  return true;
}

}  // namespace cuda
}  // namespace fastnn
