#include "strided.h"

#include <algorithm>
#include <cstring>

namespace fastnn {
namespace {
constexpr int64_t kBlock = 512;  // elements gathered at a time: four operands of doubles take 16 KiB of the stack

void gather(char* to, const char* from, int64_t stride, int64_t n, int itemsize) {
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
      fn(n, const_cast<char*>(q[0]), q[1], q[2], q[3], p);
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

void StridedLoop::run_parallel(int64_t grain) const {
  const int64_t n = size();
  if (n <= grain) {
    if (n > 0) run(0, n);
    return;
  }
  parallel_for((n + grain - 1) / grain,
               [&](int64_t i, int) { run(i * grain, std::min(n, (i + 1) * grain)); });
}

}  // namespace fastnn
