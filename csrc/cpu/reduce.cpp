// Reductions of a matrix's rows or columns. Sums run in eight accumulators a block of 4096 elements; blocks are added
// pairwise, so the error grows with the logarithm of the length. The order depends on the shape alone.
#include "cpu/rows.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kBlock = 4096;   // elements of a row summed without pairwise steps
constexpr int64_t kRowBlock = 64;  // rows of a column sum held in registers before they join the result

// map: what is reduced; join: the reduction, of vectors and of numbers; identity: its neutral element.
template <class T>
struct Plus {
  static constexpr T identity = 0;
  static FASTNN_INLINE Vec<T> map(Vec<T> x, Vec<T>) { return x; }
  static FASTNN_INLINE Vec<T> join(Vec<T> a, Vec<T> b) { return a + b; }
  static FASTNN_INLINE T join(T a, T b) { return a + b; }
  static FASTNN_INLINE T across(Vec<T> a) { return sum(a); }
};
template <class T, class Derived>
struct Tree {  // across for the others: lane i meets lane i + half
  static FASTNN_INLINE T across(Vec<T> a) {
    T x[Vec<T>::size];
    a.store(x);
    for (int h = Vec<T>::size / 2; h > 0; h /= 2)
      for (int i = 0; i < h; ++i) x[i] = Derived::join(x[i], x[i + h]);
    return x[0];
  }
};
template <class T>
struct Sum : Plus<T> {};
template <class T>
struct SumSquare : Plus<T> {
  static FASTNN_INLINE Vec<T> map(Vec<T> x, Vec<T>) { return x * x; }
};
template <class T>
struct SumAbs : Plus<T> {
  static FASTNN_INLINE Vec<T> map(Vec<T> x, Vec<T>) { return abs(x); }
};
template <class T>
struct SumSquareDiff : Plus<T> {
  static FASTNN_INLINE Vec<T> map(Vec<T> x, Vec<T> c) { return (x - c) * (x - c); }
};
template <class T>
struct Prod : Tree<T, Prod<T>> {
  static constexpr T identity = 1;
  static FASTNN_INLINE Vec<T> map(Vec<T> x, Vec<T>) { return x; }
  static FASTNN_INLINE Vec<T> join(Vec<T> a, Vec<T> b) { return a * b; }
  static FASTNN_INLINE T join(T a, T b) { return a * b; }
};
template <class T>
struct Max : Tree<T, Max<T>> {
  static constexpr T identity = -__builtin_inf();
  static FASTNN_INLINE Vec<T> map(Vec<T> x, Vec<T>) { return x; }
  // The machine's max gives b where either is NaN: b's NaN passes, a's is put back.
  static FASTNN_INLINE Vec<T> join(Vec<T> a, Vec<T> b) { return select(isnan(a), a, max(a, b)); }
  static FASTNN_INLINE T join(T a, T b) { return a != a || a > b ? a : b; }
};
template <class T>
struct Min : Tree<T, Min<T>> {
  static constexpr T identity = __builtin_inf();
  static FASTNN_INLINE Vec<T> map(Vec<T> x, Vec<T>) { return x; }
  static FASTNN_INLINE Vec<T> join(Vec<T> a, Vec<T> b) { return select(isnan(a), a, min(a, b)); }
  static FASTNN_INLINE T join(T a, T b) { return a != a || a < b ? a : b; }
};
template <class T>
struct MaxAbs : Max<T> {
  static FASTNN_INLINE Vec<T> map(Vec<T> x, Vec<T>) { return abs(x); }
};
template <class T>
struct MinAbs : Min<T> {
  static FASTNN_INLINE Vec<T> map(Vec<T> x, Vec<T>) { return abs(x); }
};

template <class T, class Op>
FASTNN_INLINE T block(const T* x, int64_t n, Vec<T> c) {
  constexpr int L = Vec<T>::size;
  const Vec<T> identity(Op::identity);
  Vec<T> a0 = identity;
  int64_t i = 0;
  if (n >= 8 * L) {
    Vec<T> a1 = identity, a2 = identity, a3 = identity, a4 = identity, a5 = identity, a6 = identity, a7 = identity;
    for (; i + 8 * L <= n; i += 8 * L) {
      const T* p = x + i;
      a0 = Op::join(a0, Op::map(Vec<T>::load(p), c));
      a1 = Op::join(a1, Op::map(Vec<T>::load(p + L), c));
      a2 = Op::join(a2, Op::map(Vec<T>::load(p + 2 * L), c));
      a3 = Op::join(a3, Op::map(Vec<T>::load(p + 3 * L), c));
      a4 = Op::join(a4, Op::map(Vec<T>::load(p + 4 * L), c));
      a5 = Op::join(a5, Op::map(Vec<T>::load(p + 5 * L), c));
      a6 = Op::join(a6, Op::map(Vec<T>::load(p + 6 * L), c));
      a7 = Op::join(a7, Op::map(Vec<T>::load(p + 7 * L), c));
    }
    a0 = Op::join(Op::join(Op::join(a0, a4), Op::join(a2, a6)), Op::join(Op::join(a1, a5), Op::join(a3, a7)));
  }
  for (; i + L <= n; i += L) a0 = Op::join(a0, Op::map(Vec<T>::load(x + i), c));
  const int rest = static_cast<int>(n - i);
  if (rest > 0) a0 = Op::join(a0, first(Op::map(Vec<T>::load(x + i, rest), c), rest, identity));
  return Op::across(a0);
}

template <class T, class Op>
T long_row(const T* x, int64_t n, Vec<T> c) {
  T levels[64];  // sums of 1, 2, 4 ... blocks that wait for a partner: the binary digits of the count
  int top = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    T v = block<T, Op>(x + i, n - i < kBlock ? n - i : kBlock, c);
    for (int64_t k = count++; k & 1; k >>= 1) v = Op::join(levels[--top], v);
    levels[top++] = v;
  }
  T v = levels[--top];
  while (top > 0) v = Op::join(levels[--top], v);
  return v;
}

template <class T, template <class> class Op>
void rows(const ReduceArgs& a) {
  const T *x = static_cast<const T*>(a.x), *c = static_cast<const T*>(a.centre);
  T* out = static_cast<T*>(a.out);
  for (int64_t i = 0; i < a.rows; ++i, x += a.row_stride) {
    const Vec<T> centre(c ? c[i] : T(0));
    out[i] = a.cols <= kBlock ? block<T, Op<T>>(x, a.cols, centre) : long_row<T, Op<T>>(x, a.cols, centre);
  }
}

// Narrow: a strip keeps its sums in registers for 64 rows, four rows at a time, then joins the result.
template <class T, class Op>
void narrow_columns(const T* x, int64_t rows, int64_t stride, int64_t cols, const T* c, T* out) {
  constexpr int L = Vec<T>::size;
  for (int64_t r0 = 0; r0 < rows; r0 += kRowBlock, x += kRowBlock * stride) {
    const int64_t n = rows - r0 < kRowBlock ? rows - r0 : kRowBlock;
    for (int64_t j = 0; j < cols; j += L) {
      const int w = static_cast<int>(cols - j < L ? cols - j : L);
      const Vec<T> m = c ? Vec<T>::load(c + j, w) : Vec<T>::zero();
      const auto at = [&](int64_t r) { return Op::map(Vec<T>::load(x + r * stride + j, w), m); };
      Vec<T> s0 = at(0);
      int64_t r = 1;
      if (n >= 8) {
        Vec<T> s1 = at(1), s2 = at(2), s3 = at(3);
        for (r = 4; r + 4 <= n; r += 4) {
          s0 = Op::join(s0, at(r));
          s1 = Op::join(s1, at(r + 1));
          s2 = Op::join(s2, at(r + 2));
          s3 = Op::join(s3, at(r + 3));
        }
        s0 = Op::join(Op::join(s0, s2), Op::join(s1, s3));
      }
      for (; r < n; ++r) s0 = Op::join(s0, at(r));
      (r0 ? Op::join(Vec<T>::load(out + j, w), s0) : s0).store(out + j, w);
    }
  }
}

// Wide: eight rows at a time, each read from left to right (eight streams that the hardware prefetches), added as a
// tree, joined to the result, which stays in the first cache.
template <class T, class Op>
void wide_columns(const T* x, int64_t rows, int64_t stride, int64_t cols, const T* c, T* out) {
  constexpr int L = Vec<T>::size;
  for (int64_t r = 0; r < rows; r += 8, x += 8 * stride) {
    const int64_t n = rows - r < 8 ? rows - r : 8;
    for (int64_t j = 0; j < cols; j += L) {
      const int w = static_cast<int>(cols - j < L ? cols - j : L);
      const bool full = w == L;
      const auto load = [&](const T* p) { return full ? Vec<T>::load(p) : Vec<T>::load(p, w); };
      const Vec<T> m = c ? load(c + j) : Vec<T>::zero();
      const auto at = [&](int64_t i) { return Op::map(load(x + i * stride + j), m); };
      Vec<T> s;
      if (n == 8) {
        s = Op::join(Op::join(Op::join(at(0), at(1)), Op::join(at(2), at(3))),
                     Op::join(Op::join(at(4), at(5)), Op::join(at(6), at(7))));
      } else {
        s = at(0);
        for (int64_t i = 1; i < n; ++i) s = Op::join(s, at(i));
      }
      if (r) s = Op::join(load(out + j), s);
      if (full) {
        s.store(out + j);
      } else {
        s.store(out + j, w);
      }
    }
  }
}

template <class T, template <class> class Op>
void columns(const ReduceArgs& a) {
  const T *x = static_cast<const T*>(a.x), *c = static_cast<const T*>(a.centre);
  T* out = static_cast<T*>(a.out);
  if (a.cols <= 8 * Vec<T>::size) {
    narrow_columns<T, Op<T>>(x, a.rows, a.row_stride, a.cols, c, out);
  } else {
    wide_columns<T, Op<T>>(x, a.rows, a.row_stride, a.cols, c, out);
  }
}

template <class T>
void pick_rows(const ReduceArgs& a) {
  switch (a.op) {
#define FASTNN_CASE(name) \
  case Reduce::name:      \
    return rows<T, name>(a);
    FASTNN_REDUCE_OPS(FASTNN_CASE)
#undef FASTNN_CASE
  }
}
template <class T>
void pick_columns(const ReduceArgs& a) {
  switch (a.op) {
#define FASTNN_CASE(name) \
  case Reduce::name:      \
    return columns<T, name>(a);
    FASTNN_REDUCE_OPS(FASTNN_CASE)
#undef FASTNN_CASE
  }
}

// ---- places ----

// The extreme first, then the first element equal to it: that scan stops early, and ties and NaN come out right.
template <class T, template <class> class Op>
void arg_rows(const ArgReduceArgs& a) {
  constexpr int L = Vec<T>::size;
  const T* x = static_cast<const T*>(a.x);
  T* values = static_cast<T*>(a.values);
  for (int64_t i = 0; i < a.rows; ++i, x += a.row_stride) {
    const T best =
        a.cols <= kBlock ? block<T, Op<T>>(x, a.cols, Vec<T>::zero()) : long_row<T, Op<T>>(x, a.cols, Vec<T>::zero());
    const Vec<T> wanted(best);
    const bool nan = best != best;
    int64_t j = 0;
    for (; j + L <= a.cols; j += L) {
      const Vec<T> v = Vec<T>::load(x + j);
      if (any(nan ? isnan(v) : eq(v, wanted))) break;
    }
    while (j < a.cols - 1 && !(nan ? x[j] != x[j] : x[j] == best)) ++j;
    values[i] = x[j];  // not best: the sign of a zero is that of the first
    a.indices[i] = j;
  }
}

// Row after row; a column's place is kept as a T, which holds the numbers of kExact rows, beside its value.
template <class T>
void arg_columns(const ArgReduceArgs& a) {
  constexpr int L = Vec<T>::size;
  constexpr int64_t kExact = int64_t(1) << 24;
  constexpr int kWidth = 256;
  alignas(64) T place[kWidth];
  const bool max = a.max;
  for (int64_t j0 = 0; j0 < a.cols; j0 += kWidth) {
    const int width = static_cast<int>(a.cols - j0 < kWidth ? a.cols - j0 : kWidth);
    const T* x = static_cast<const T*>(a.x) + j0;
    T* values = static_cast<T*>(a.values) + j0;
    int64_t* indices = a.indices + j0;
    for (int j = 0; j < width; ++j) {
      values[j] = x[j];
      indices[j] = 0;
    }
    for (int64_t i0 = 0; i0 < a.rows; i0 += kExact) {
      const int64_t rows = a.rows - i0 < kExact ? a.rows - i0 : kExact;
      for (int j = 0; j < width; ++j) place[j] = -1;
      for (int64_t i = i0 == 0 ? 1 : 0; i < rows; ++i) {
        const T* row = x + (i0 + i) * a.row_stride;
        const Vec<T> here(static_cast<T>(i));
        for (int j = 0; j < width; j += L) {
          const int w = width - j < L ? width - j : L;
          const Vec<T> v = w == L ? Vec<T>::load(row + j) : Vec<T>::load(row + j, w);
          const Vec<T> old = w == L ? Vec<T>::load(values + j) : Vec<T>::load(values + j, w);
          // Better, or NaN; what is NaN already stays.
          const Mask<T> better = ~(max ? le(v, old) : ge(v, old)) & eq(old, old);
          const Vec<T> now = select(better, v, old), at = select(better, here, Vec<T>::load(place + j));
          at.store(place + j);
          if (w == L) {
            now.store(values + j);
          } else {
            now.store(values + j, w);
          }
        }
      }
      for (int j = 0; j < width; ++j)
        if (place[j] >= 0) indices[j] = i0 + static_cast<int64_t>(place[j]);
    }
  }
}

}  // namespace

void reduce_rows(const ReduceArgs& a) { a.dtype == Dtype::F32 ? pick_rows<float>(a) : pick_rows<double>(a); }
void reduce_columns(const ReduceArgs& a) { a.dtype == Dtype::F32 ? pick_columns<float>(a) : pick_columns<double>(a); }
void arg_reduce_rows(const ArgReduceArgs& a) {
  if (a.dtype == Dtype::F32) {
    a.max ? arg_rows<float, Max>(a) : arg_rows<float, Min>(a);
  } else {
    a.max ? arg_rows<double, Max>(a) : arg_rows<double, Min>(a);
  }
}
void arg_reduce_columns(const ArgReduceArgs& a) {
  a.dtype == Dtype::F32 ? arg_columns<float>(a) : arg_columns<double>(a);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
