// gather and scatter. The dimensions are merged where all operands allow, then one whose elements cannot meet in x (for
// reading: any) is cut into tasks; within one the elements come in the order of the index, so that what is written
// last, and the order of additions, never depend on the threads.
#include "along.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace fastnn {
namespace {

constexpr int64_t kTask = 16384;  // elements a task

template <int Size>
struct Bytes {
  char b[Size];
};

inline int64_t index_at(const char* p) { return *reinterpret_cast<const int64_t*>(p); }

// Whether all of a row's indices are in [0, n): the sign of v or of n - 1 - v tells.
bool within(const char* index, int64_t stride, int64_t count, int64_t n) {
  uint64_t outside = 0;
  const uint64_t last = static_cast<uint64_t>(n) - 1;
  if (stride == 8) {
    const auto* i = reinterpret_cast<const uint64_t*>(index);
    for (int64_t j = 0; j < count; ++j) outside |= i[j] | (last - i[j]);
  } else {
    for (int64_t j = 0; j < (stride ? count : 1); ++j) {
      const auto v = static_cast<uint64_t>(index_at(index + j * stride));
      outside |= v | (last - v);
    }
  }
  return n > 0 && !(outside >> 63);
}

// f(place in x, place in other) for the elements of a row.
template <class T, class F>
inline void each(const AlongArgs& a, const char* index, char* x, char* other, const F& f) {
  const int d = a.ndim - 1;
  const int64_t count = a.shape[d], is = a.index_strides[d], xs = a.x_strides[d], os = a.other_strides[d];
  constexpr int64_t kItem = sizeof(T);
  T* const to = reinterpret_cast<T*>(other);
  if (is == 0) {  // a whole row at one place
    T* const row = reinterpret_cast<T*>(x + index_at(index) * a.step);
    if (xs == kItem && os == kItem) {
      for (int64_t j = 0; j < count; ++j) f(row[j], to[j]);
    } else {
      for (int64_t j = 0; j < count; ++j)
        f(*reinterpret_cast<T*>(reinterpret_cast<char*>(row) + j * xs), *reinterpret_cast<T*>(other + j * os));
    }
  } else if (is == 8 && xs == 0 && a.step == kItem && os == kItem) {
    const auto* i = reinterpret_cast<const int64_t*>(index);
    T* const row = reinterpret_cast<T*>(x);
    for (int64_t j = 0; j < count; ++j) f(row[i[j]], to[j]);
  } else {
    for (int64_t j = 0; j < count; ++j)
      f(*reinterpret_cast<T*>(x + index_at(index + j * is) * a.step + j * xs), *reinterpret_cast<T*>(other + j * os));
  }
}

template <class T, class F>
bool rows(const AlongArgs& a, const F& f) {
  const int last = a.ndim - 1;
  int64_t at[kMaxDims] = {}, count = 1;
  for (int d = 0; d < last; ++d) count *= a.shape[d];
  const char* index = a.index;
  char *x = a.x, *other = a.other;
  for (int64_t r = 0; r < count; ++r) {
    if (!within(index, a.index_strides[last], a.shape[last], a.n)) return false;
    each<T>(a, index, x, other, f);
    for (int d = last - 1; d >= 0; --d) {
      index += a.index_strides[d];
      x += a.x_strides[d];
      other += a.other_strides[d];
      if (++at[d] < a.shape[d]) break;
      index -= a.index_strides[d] * at[d];
      x -= a.x_strides[d] * at[d];
      other -= a.other_strides[d] * at[d];
      at[d] = 0;
    }
  }
  return true;
}

template <class T>
bool arithmetic(const AlongArgs& a) {
  switch (a.op) {
    case Along::Add:
      return rows<T>(a, [](T& x, T& v) { x = x + v; });
    case Along::Mul:
      return rows<T>(a, [](T& x, T& v) { x = x * v; });
    case Along::Max:
      return rows<T>(a, [](T& x, T& v) { x = v > x || v != v ? v : x; });
    default:
      return rows<T>(a, [](T& x, T& v) { x = v < x || v != v ? v : x; });
  }
}
template <class T>
bool moves(const AlongArgs& a) {
  if (a.op == Along::Read) return rows<T>(a, [](T& x, T& v) { v = x; });
  return rows<T>(a, [](T& x, T& v) { x = v; });
}

bool serial(const AlongArgs& a) {
  const bool move = a.op == Along::Read || a.op == Along::Write;
  switch (a.dtype) {
    case Dtype::F32:
      return move ? moves<uint32_t>(a) : arithmetic<float>(a);
    case Dtype::F64:
      return move ? moves<uint64_t>(a) : arithmetic<double>(a);
    case Dtype::I64:  // sums wrap
      if (a.op == Along::Max || a.op == Along::Min) return arithmetic<int64_t>(a);
      return move ? moves<uint64_t>(a) : arithmetic<uint64_t>(a);
    default:
      return moves<uint8_t>(a);
  }
}

void merge(AlongArgs& a) {
  int k = 0;
  const auto copy = [&](int to, int from) {
    a.shape[to] = a.shape[from];
    a.index_strides[to] = a.index_strides[from];
    a.x_strides[to] = a.x_strides[from];
    a.other_strides[to] = a.other_strides[from];
  };
  for (int d = 0; d < a.ndim; ++d) {
    if (a.shape[d] == 1) continue;
    const int64_t n = a.shape[d];
    if (k && a.index_strides[k - 1] == a.index_strides[d] * n && a.x_strides[k - 1] == a.x_strides[d] * n &&
        a.other_strides[k - 1] == a.other_strides[d] * n && a.x_strides[d]) {
      const int64_t before = a.shape[k - 1];
      copy(k - 1, d);
      a.shape[k - 1] = before * n;
    } else {
      copy(k++, d);
    }
  }
  if (!k) {
    a.shape[0] = 1;
    a.index_strides[0] = a.x_strides[0] = a.other_strides[0] = 0;
    k = 1;
  }
  a.ndim = k;
}

}  // namespace

bool along(AlongArgs a) {
  merge(a);
  int64_t total = 1;
  for (int d = 0; d < a.ndim; ++d) total *= a.shape[d];
  if (total == 0) return true;
  const int64_t wanted = (total + kTask - 1) / kTask;
  int cut = -1;
  for (int d = 0; d < a.ndim; ++d) {
    if (a.op != Along::Read && a.x_strides[d] == 0) continue;  // the dimension itself: its elements may meet
    if (cut < 0 || (a.shape[cut] < wanted && a.shape[d] > a.shape[cut])) cut = d;
  }
  if (wanted == 1 || cut < 0 || num_threads() == 1) return serial(a);
  // Rows of x stay whole lines of the caches: a task takes at least 64 bytes of the last dimension.
  const int64_t least = cut == a.ndim - 1 ? 64 : 1;
  const int64_t group = std::max(least, (a.shape[cut] + wanted - 1) / wanted);
  std::atomic<bool> good{true};
  parallel_for((a.shape[cut] + group - 1) / group, [&](int64_t task, int) {
    AlongArgs part = a;
    const int64_t begin = task * group;
    part.shape[cut] = std::min(group, a.shape[cut] - begin);
    part.index += begin * a.index_strides[cut];
    part.x += begin * a.x_strides[cut];
    part.other += begin * a.other_strides[cut];
    if (!serial(part)) good.store(false, std::memory_order_relaxed);
  });
  return good.load(std::memory_order_relaxed);
}

bool index_within(const char* index, int ndim, const int64_t* shape, const int64_t* strides, int64_t n) {
  int64_t sizes[kMaxDims], steps[kMaxDims], at[kMaxDims] = {}, rows = 1;
  int k = 0;
  for (int d = 0; d < ndim; ++d) {
    if (shape[d] == 0) return true;
    if (shape[d] == 1 || strides[d] == 0) continue;  // a repetition has nothing new
    if (k && steps[k - 1] == strides[d] * shape[d]) {
      sizes[k - 1] *= shape[d];
      steps[k - 1] = strides[d];
    } else {
      sizes[k] = shape[d];
      steps[k++] = strides[d];
    }
  }
  if (!k) return within(index, 0, 1, n);
  for (int d = 0; d < k - 1; ++d) rows *= sizes[d];
  for (int64_t r = 0; r < rows; ++r) {
    if (!within(index, steps[k - 1], sizes[k - 1], n)) return false;
    for (int d = k - 2; d >= 0; --d) {
      index += steps[d];
      if (++at[d] < sizes[d]) break;
      index -= steps[d] * at[d];
      at[d] = 0;
    }
  }
  return true;
}

}  // namespace fastnn
