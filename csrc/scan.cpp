// Running sums and products. Rows: several at once, whose chains of additions overlap; sums of 4-byte floats go four
// elements at a time (their totals in double cannot overflow on the way). Columns: side by side, in memory's order.
#include <algorithm>

#include "along.h"

namespace fastnn {
namespace {

constexpr int64_t kTask = 16384;   // elements a task
constexpr int64_t kColumns = 256;  // columns at a time: their totals take 2 KiB of the stack
constexpr int kRows = 4;

template <class T>
struct Total {
  using type = T;
};
template <>
struct Total<float> {
  using type = double;
};
template <>
struct Total<uint8_t> {
  using type = uint64_t;
};
template <bool Product, class A>
inline A joined(A a, A b) {
  if constexpr (Product) {
    return a * b;
  } else {
    return a + b;
  }
}

// R rows of n.
template <class T, class Out, bool Product, int R>
void some_rows(const T* x, Out* out, int64_t n, bool reverse) {
  using A = typename Total<T>::type;
  A total[R];
  for (int r = 0; r < R; ++r) total[r] = A(Product);
  const int64_t step = reverse ? -1 : 1;
  int64_t j = reverse ? n - 1 : 0, left = n;
  if constexpr (!Product && sizeof(A) > sizeof(T)) {
    for (; left >= 4; left -= 4, j += 4 * step) {
      for (int r = 0; r < R; ++r) {
        const T* p = x + r * n + j;
        Out* q = out + r * n + j;
        const A a = static_cast<A>(p[0]), b = static_cast<A>(p[step]), c = static_cast<A>(p[2 * step]);
        const A ab = a + b, cd = c + static_cast<A>(p[3 * step]);
        q[0] = static_cast<Out>(total[r] + a);
        q[step] = static_cast<Out>(total[r] + ab);
        q[2 * step] = static_cast<Out>(total[r] + (ab + c));
        total[r] += ab + cd;
        q[3 * step] = static_cast<Out>(total[r]);
      }
    }
  }
  for (; left > 0; --left, j += step)
    for (int r = 0; r < R; ++r) {
      total[r] = joined<Product>(total[r], static_cast<A>(x[r * n + j]));
      out[r * n + j] = static_cast<Out>(total[r]);
    }
}

template <class T, class Out, bool Product>
void scan_of(const ScanArgs& s) {
  using A = typename Total<T>::type;
  const T* x = static_cast<const T*>(s.x);
  Out* out = static_cast<Out*>(s.out);
  if (s.inner == 1) {
    const int64_t group = std::max<int64_t>(kRows, kTask / s.n / kRows * kRows);
    parallel_for((s.outer + group - 1) / group, [&](int64_t task, int) {
      const int64_t end = std::min(s.outer, (task + 1) * group);
      int64_t i = task * group;
      for (; i + kRows <= end; i += kRows)
        some_rows<T, Out, Product, kRows>(x + i * s.n, out + i * s.n, s.n, s.reverse);
      for (; i < end; ++i) some_rows<T, Out, Product, 1>(x + i * s.n, out + i * s.n, s.n, s.reverse);
    });
    return;
  }
  const int64_t tiles = (s.inner + kColumns - 1) / kColumns;
  const int64_t group = std::max<int64_t>(1, kTask / (s.n * std::min(s.inner, kColumns)));
  parallel_for((s.outer * tiles + group - 1) / group, [&](int64_t task, int) {
    for (int64_t t = task * group; t < std::min(s.outer * tiles, (task + 1) * group); ++t) {
      const int64_t first = t % tiles * kColumns, width = std::min(kColumns, s.inner - first);
      A total[kColumns];
      std::fill(total, total + width, A(Product));
      for (int64_t k = 0; k < s.n; ++k) {
        const int64_t at = (t / tiles * s.n + (s.reverse ? s.n - 1 - k : k)) * s.inner + first;
        const T* from = x + at;
        Out* to = out + at;
        for (int64_t l = 0; l < width; ++l) {
          total[l] = joined<Product>(total[l], static_cast<A>(from[l]));
          to[l] = static_cast<Out>(total[l]);
        }
      }
    }
  });
}
template <class T, class Out>
void scan_as(const ScanArgs& s) {
  s.product ? scan_of<T, Out, true>(s) : scan_of<T, Out, false>(s);
}

}  // namespace

void scan(const ScanArgs& s) {
  switch (s.dtype) {
    case Dtype::F32:
      return scan_as<float, float>(s);
    case Dtype::F64:
      return scan_as<double, double>(s);
    case Dtype::I64:
      return scan_as<uint64_t, uint64_t>(s);
    default:
      return scan_as<uint8_t, uint64_t>(s);
  }
}

}  // namespace fastnn
