// Rows of a table. Limit: the memory's bandwidth; rows lie anywhere, so those of a few look-ups ahead are asked for
// early. Backward: the look-ups come sorted by row, each row of the gradient is written once, by one thread, in the
// order of the look-ups; a row that none names is filled with zeros on the way.
#include "cpu/rows.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kAhead = 8;  // look-ups between asking for a row and reading it

template <class T>
FASTNN_INLINE void ask(const T* row, int64_t width) {
  // The first four lines; the processor's own prefetcher follows on longer rows.
  const int64_t bytes = width * static_cast<int64_t>(sizeof(T));
  for (int64_t at = 0; at < bytes && at < 256; at += 64) __builtin_prefetch(reinterpret_cast<const char*>(row) + at);
}
template <class T>
FASTNN_INLINE T factor_of(const EmbeddingArgs& a, int64_t i) {
  return a.factor ? static_cast<const T*>(a.factor)[i] : T(1);
}

template <class T>
void forward(const EmbeddingArgs& a) {
  const T* w = static_cast<const T*>(a.w);
  T* out = static_cast<T*>(a.out);
  for (int64_t i = a.begin; i < a.end; ++i) {
    if (i + kAhead < a.end) ask(w + a.index[i + kAhead] * a.width, a.width);
    const T* row = w + a.index[i] * a.width;
    T* to = out + i * a.width;
    across<T>(a.width, [&](int64_t j, auto n) __attribute__((always_inline)) { put(to + j, get(row + j, n), n); });
  }
}

template <class T>
void backward(const EmbeddingArgs& a) {
  const T* dy = static_cast<const T*>(a.w);
  T* out = static_cast<T*>(a.out);
  const auto row_of = [&](int64_t k) {
    const int64_t i = a.index[k];
    return dy + (a.source ? a.source[i] : i) * a.width;
  };
  const int64_t last = a.end > a.begin ? a.start[a.end] : 0;
  for (int64_t r = a.begin; r < a.end; ++r) {
    T* to = out + r * a.width;
    const int64_t from = a.start[r], end = a.start[r + 1];
    if (a.stream && end - from <= 1) {  // most rows of a large table: nothing, or one look-up
      if (from == end) {
        for (int64_t j = 0; j < a.width; j += Vec<T>::size) stream(to + j, Vec<T>::zero());
      } else {
        if (from + kAhead < last) ask(row_of(from + kAhead), a.width);
        const T* row = row_of(from);
        const Vec<T> f(factor_of<T>(a, a.index[from]));
        for (int64_t j = 0; j < a.width; j += Vec<T>::size) stream(to + j, Vec<T>::load(row + j) * f);
      }
      continue;
    }
    if (from == end) {
      __builtin_memset(to, 0, static_cast<size_t>(a.width) * sizeof(T));
      continue;
    }
    for (int64_t k = from; k < end; ++k) {
      if (k + kAhead < last) ask(row_of(k + kAhead), a.width);
      const T* row = row_of(k);
      const Vec<T> f(factor_of<T>(a, a.index[k]));
      if (k == from) {
        across<T>(a.width,
                  [&](int64_t j, auto n) __attribute__((always_inline)) { put(to + j, get(row + j, n) * f, n); });
      } else {
        across<T>(a.width, [&](int64_t j, auto n) __attribute__((always_inline)) {
          put(to + j, fma(get(row + j, n), f, get(to + j, n)), n);
        });
      }
    }
  }
  if (a.stream) stream_end();
}

template <class T>
void bags(const EmbeddingArgs& a) {
  const T* w = static_cast<const T*>(a.w);
  T* out = static_cast<T*>(a.out);
  for (int64_t b = a.begin; b < a.end; ++b) {
    T* to = out + b * a.width;
    int64_t* chosen = a.bag == Bag::Max ? a.chosen + b * a.width : nullptr;
    int64_t count = 0;
    for (int64_t i = a.start[b]; i < a.start[b + 1]; ++i) {
      if (i + kAhead < a.start[a.end]) ask(w + a.index[i + kAhead] * a.width, a.width);
      if (a.index[i] == a.padding) continue;
      const T* row = w + a.index[i] * a.width;
      const Vec<T> f(factor_of<T>(a, i));
      if (chosen) {
        for (int64_t j = 0; j < a.width; ++j) {
          if (count == 0 || row[j] > to[j] || row[j] != row[j]) {
            to[j] = row[j];
            chosen[j] = i;
          }
        }
      } else if (count == 0) {
        across<T>(a.width,
                  [&](int64_t j, auto n) __attribute__((always_inline)) { put(to + j, get(row + j, n) * f, n); });
      } else {
        across<T>(a.width, [&](int64_t j, auto n) __attribute__((always_inline)) {
          put(to + j, fma(get(row + j, n), f, get(to + j, n)), n);
        });
      }
      ++count;
    }
    if (count == 0) {
      __builtin_memset(to, 0, static_cast<size_t>(a.width) * sizeof(T));
      for (int64_t j = 0; chosen && j < a.width; ++j) chosen[j] = -1;
    } else if (a.bag == Bag::Mean) {
      const Vec<T> n_of(static_cast<T>(count));
      across<T>(a.width,
                [&](int64_t j, auto n) __attribute__((always_inline)) { put(to + j, get(to + j, n) / n_of, n); });
    }
  }
}

}  // namespace

void embedding(const EmbeddingArgs& a) { a.dtype == Dtype::F32 ? forward<float>(a) : forward<double>(a); }
void embedding_backward(const EmbeddingArgs& a) { a.dtype == Dtype::F32 ? backward<float>(a) : backward<double>(a); }
void embedding_bag(const EmbeddingArgs& a) { a.dtype == Dtype::F32 ? bags<float>(a) : bags<double>(a); }

}  // namespace FASTNN_ISA
}  // namespace fastnn
