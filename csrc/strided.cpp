#include "strided.h"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace fastnn {
namespace {
constexpr int64_t kTileRows = 16, kTileCols = 64;
constexpr int64_t kBlock = 512;  // elements gathered at a time: four operands of doubles take 16 KiB of the stack

void gather(char* to, const char* from, int64_t stride, int64_t n, int itemsize) {
  if (stride == 0) return kernels().copy_matrix({itemsize, 1, n, from, 0, 0, to, 0});
  switch (itemsize) {
    case 1:
      for (int64_t i = 0; i < n; ++i) to[i] = from[i * stride];
      break;
    case 4:
      for (int64_t i = 0; i < n; ++i) std::memcpy(to + 4 * i, from + i * stride, 4);
      break;
    default:
      for (int64_t i = 0; i < n; ++i) std::memcpy(to + 8 * i, from + i * stride, 8);
  }
}
void scatter(char* to, int64_t stride, const char* from, int64_t n, int itemsize) {
  switch (itemsize) {
    case 1:
      for (int64_t i = 0; i < n; ++i) to[i * stride] = from[i];
      break;
    case 4:
      for (int64_t i = 0; i < n; ++i) std::memcpy(to + i * stride, from + 4 * i, 4);
      break;
    default:
      for (int64_t i = 0; i < n; ++i) std::memcpy(to + i * stride, from + 8 * i, 8);
  }
}

// to[i] = from[i] past the caches, where the target has such stores.
void stream_copy(char* to, const char* from, int64_t bytes) {
#if defined(__SSE2__)
  const int64_t head = std::min<int64_t>(bytes, static_cast<int64_t>(-reinterpret_cast<uintptr_t>(to) % 16));
  std::memcpy(to, from, static_cast<size_t>(head));
  int64_t i = head;
  for (; i + 16 <= bytes; i += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), v);
  }
  std::memcpy(to + i, from + i, static_cast<size_t>(bytes - i));
  _mm_sfence();
#else
  std::memcpy(to, from, static_cast<size_t>(bytes));
#endif
}
}  // namespace

void StridedLoop::sort_by(int leader, int* order) {
  for (int i = 0; i < ndim; ++i) order[i] = i;
  const auto extent = [&](int d) { return strides[leader][d] < 0 ? -strides[leader][d] : strides[leader][d]; };
  // Dimensions of one element, and those that the leader repeats, keep their place among their neighbours: stable.
  for (int i = 1; i < ndim; ++i)
    for (int j = i; j > 0 && extent(order[j - 1]) < extent(order[j]) && extent(order[j - 1]) != 0; --j)
      std::swap(order[j - 1], order[j]);
  StridedLoop sorted = *this;
  for (int i = 0; i < ndim; ++i) {
    sorted.shape[i] = shape[order[i]];
    for (int k = 0; k < operands; ++k) sorted.strides[k][i] = strides[k][order[i]];
  }
  *this = sorted;
}

void StridedLoop::coalesce() {
  int last = -1;
  for (int d = 0; d < ndim; ++d) {
    if (shape[d] == 1) continue;
    bool merge = last >= 0;
    for (int k = 0; merge && k < operands; ++k) merge = strides[k][last] == strides[k][d] * shape[d];
    if (merge) {
      shape[last] *= shape[d];
    } else {
      shape[++last] = shape[d];
    }
    for (int k = 0; k < operands; ++k) strides[k][last] = strides[k][d];
  }
  ndim = last + 1;
  if (ndim == 0) {  // one element
    ndim = 1;
    shape[0] = 1;
    for (int k = 0; k < operands; ++k) strides[k][0] = itemsize[k];
  }
}

void StridedLoop::run(int64_t begin, int64_t end) const {
  alignas(64) char buffer[kMaxOperands][kBlock * 8];
  const char* repeated[kMaxOperands] = {};  // the element that a buffer holds copies of, and how many
  int64_t copies[kMaxOperands] = {};
  const int inner = ndim - 1;
  const int64_t length = shape[inner];
  int64_t index[kMaxDims];
  int64_t row = begin / length, at = begin % length;
  const char* base[kMaxOperands];
  for (int k = 0; k < operands; ++k) base[k] = data[k];
  for (int d = inner - 1; d >= 0; --d) {
    index[d] = row % shape[d];
    row /= shape[d];
    for (int k = 0; k < operands; ++k) base[k] += index[d] * strides[k][d];
  }
  bool direct = true;
  for (int k = 0; k < operands; ++k) direct &= strides[k][inner] == itemsize[k];
  for (int64_t done = begin; done < end;) {
    const int64_t n = std::min(length - at, end - done);
    if (direct) {
      const char* q[kMaxOperands] = {};
      for (int k = 0; k < operands; ++k) q[k] = base[k] + at * itemsize[k];
      if (!stream) {
        fn(n, const_cast<char*>(q[0]), q[1], q[2], q[3], p);
      } else {
        for (int64_t i = 0; i < n; i += kBlock) {
          const int64_t m = std::min(kBlock, n - i);
          fn(m, buffer[0], q[1], q[2], q[3], p);
          stream_copy(const_cast<char*>(q[0]) + i * itemsize[0], buffer[0], m * itemsize[0]);
          for (int k = 1; k < operands; ++k) q[k] += m * itemsize[k];
        }
      }
    } else {
      for (int64_t i = 0; i < n; i += kBlock) {
        const int64_t m = std::min(kBlock, n - i);
        const char* q[kMaxOperands] = {};
        for (int k = 1; k < operands; ++k) {
          const int64_t s = strides[k][inner];
          const char* from = base[k] + (at + i) * s;
          if (s == itemsize[k]) {
            q[k] = from;
            continue;
          }
          q[k] = buffer[k];
          if (s == 0) {
            if (repeated[k] == from && copies[k] >= m) continue;
            repeated[k] = from;
            copies[k] = m;
          }
          gather(buffer[k], from, s, m, itemsize[k]);
        }
        const int64_t s0 = strides[0][inner];
        char* to = const_cast<char*>(base[0]) + (at + i) * s0;
        const bool straight = s0 == itemsize[0];
        fn(m, straight ? to : buffer[0], q[1], q[2], q[3], p);
        if (!straight) scatter(to, s0, buffer[0], m, itemsize[0]);
      }
    }
    done += n;
    at = 0;
    for (int d = inner - 1; d >= 0; --d) {
      for (int k = 0; k < operands; ++k) base[k] += strides[k][d];
      if (++index[d] < shape[d]) break;
      for (int k = 0; k < operands; ++k) base[k] -= index[d] * strides[k][d];
      index[d] = 0;
    }
  }
}

// A transposed operand read along a row would touch a cache line for each element. So tiles of 16 x 64 are copied, read
// along the operand's own rows.
void StridedLoop::run_tiles(int64_t block) const {
  alignas(64) char buffer[kMaxOperands][kTileRows * kTileCols * 8];
  const int inner = ndim - 1, outer = ndim - 2;
  const int64_t per_matrix = (shape[outer] + kTileRows - 1) / kTileRows, row = block % per_matrix * kTileRows;
  const int64_t rows = std::min(kTileRows, shape[outer] - row);
  char* base[kMaxOperands];
  for (int k = 0; k < operands; ++k) {
    base[k] = data[k] + row * strides[k][outer];
    int64_t matrix = block / per_matrix;
    for (int d = outer - 1; d >= 0; --d) {
      base[k] += matrix % shape[d] * strides[k][d];
      matrix /= shape[d];
    }
  }
  for (int64_t column = 0; column < shape[inner]; column += kTileCols) {
    const int64_t cols = std::min(kTileCols, shape[inner] - column);
    for (int k = 1; k < operands; ++k) {
      const char* from = base[k] + column * strides[k][inner];
      if (!transposed(k)) continue;
      for (int64_t c = 0; c < cols; ++c)
        scatter(buffer[k] + c * itemsize[k], kTileCols * itemsize[k], from + c * strides[k][inner], rows, itemsize[k]);
    }
    for (int64_t r = 0; r < rows; ++r) {
      char* q[kMaxOperands] = {};
      for (int k = 0; k < operands; ++k) {
        const int64_t s = strides[k][inner];
        char* const at = base[k] + r * strides[k][outer] + column * s;
        q[k] = s == itemsize[k] ? at : buffer[k] + r * kTileCols * itemsize[k];
        if (k > 0 && s != itemsize[k] && !transposed(k)) gather(q[k], at, s, cols, itemsize[k]);
      }
      fn(cols, q[0], q[1], q[2], q[3], p);
      const int64_t s0 = strides[0][inner];
      if (s0 != itemsize[0] && !transposed(0))
        scatter(base[0] + r * strides[0][outer] + column * s0, s0, q[0], cols, itemsize[0]);
    }
    if (transposed(0))
      for (int64_t c = 0; c < cols; ++c)
        gather(base[0] + (column + c) * strides[0][inner], buffer[0] + c * itemsize[0], kTileCols * itemsize[0], rows,
               itemsize[0]);
  }
}

void StridedLoop::run_parallel(int64_t grain) const {
  const int64_t n = size();
  if (n <= grain) {
    if (n > 0) run(0, n);
    return;
  }
  bool tiles = false;
  for (int k = 0; k < operands; ++k) tiles |= transposed(k);
  if (tiles && shape[ndim - 1] >= 8 && shape[ndim - 2] >= 8) {
    const int64_t blocks = n / shape[ndim - 1] / shape[ndim - 2] * ((shape[ndim - 2] + kTileRows - 1) / kTileRows);
    const int64_t group = std::max<int64_t>(1, grain / (kTileRows * shape[ndim - 1]));
    parallel_for((blocks + group - 1) / group, [&](int64_t i, int) {
      for (int64_t b = i * group; b < std::min(blocks, (i + 1) * group); ++b) run_tiles(b);
    });
    return;
  }
  parallel_for((n + grain - 1) / grain, [&](int64_t i, int) { run(i * grain, std::min(n, (i + 1) * grain)); });
}

}  // namespace fastnn
