// Layer and RMS normalisation of rows. Limit: the memory's bandwidth. Forward reads x and writes y once, backward reads
// dy and x and writes dx once; the row's second pass comes from L1 (48 KiB hold rows of 4096 floats, dy and x).
//
// The gradients of weight and bias are sums over the rows. Many rows: each of up to 32 chunks of rows keeps its own, of
// which the last pass adds up columns in order. Few rows: a second pass over columns.
#include "cpu/norm.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kFewRows = 16, kSubRows = 256, kColumns = 1024;

// Chunks of rows with sums of their own; 0: few rows.
FASTNN_INLINE int64_t chunks_of(int64_t rows, int64_t n) {
  if (rows < kFewRows) return 0;
  return most(1, least(least(32, rows / 8), rows * n / 16384));
}

template <class T, bool CENTRE>
void forward_row(const LayerNormArgs& a, const T* x, T* y, int64_t row) {
  const int64_t n = a.n;
  const T *weight = static_cast<const T*>(a.weight), *bias = static_cast<const T*>(a.bias);
  double mean = 0, var;
  if (CENTRE) {
    const Moments m = moments(x, 1, n, 0);
    mean = m.mean;
    var = m.m2 / m.n;
    static_cast<T*>(a.mean)[row] = static_cast<T>(mean);
  } else {
    Sums<T, 1> s;
    s.run(n, [&](int64_t i, auto w, Vec<T>(&v)[1]) __attribute__((always_inline)) {
      const Vec<T> u = get(x + i, w);
      v[0] = u * u;
    });
    s.flush();
    var = s.total[0] / static_cast<double>(n);
  }
  static_cast<T*>(a.var)[row] = static_cast<T>(var);
  const Affine<T> f = affine_of<T>(mean, rstd_of(var, a.eps), 1, 0);
  const Vec<T> centre(f.centre), scale(f.scale), shift(f.shift);
  if (!weight && !bias) return apply(x, y, n, f);
  across<T>(n, [&](int64_t i, auto w) __attribute__((always_inline)) {
    Vec<T> v = fma(get(x + i, w) - centre, scale, shift);
    if (weight) v *= get(weight + i, w);
    if (bias) v += get(bias + i, w);
    put(y + i, v, w);
  });
}

template <class T>
void forward(const LayerNormArgs& a) {
  const T* x = static_cast<const T*>(a.x);
  T* y = static_cast<T*>(a.y);
  in_tasks(a.rows, a.n, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      if (a.centre) {
        forward_row<T, true>(a, x + r * a.n, y + r * a.n, r);
      } else {
        forward_row<T, false>(a, x + r * a.n, y + r * a.n, r);
      }
    }
  });
}

template <class T>
struct Row {
  T centre, rstd;
};
template <class T>
FASTNN_INLINE Row<T> row_of(const LayerNormBackward& a, int64_t r) {
  return {a.mean ? static_cast<const T*>(a.mean)[r] : T(0),
          static_cast<T>(rstd_of(static_cast<double>(static_cast<const T*>(a.var)[r]), a.eps))};
}

// dx of one row, with g = dy w and xhat = (x - mean) rstd: rstd (g - mean(g) - xhat mean(g xhat)), without the mean's
// part where nothing was centred. dweight and dbias, where given, get this row's dy xhat and dy.
template <class T, bool WEIGHT, bool GRADS>
void backward_row(const LayerNormBackward& a, int64_t r, T* dweight, T* dbias) {
  const int64_t n = a.n;
  const T *dy = static_cast<const T*>(a.dy) + r * n, *x = static_cast<const T*>(a.x) + r * n;
  const T* weight = static_cast<const T*>(a.weight);
  const Row<T> row = row_of<T>(a, r);
  const Vec<T> centre(row.centre), rstd(row.rstd);
  Sums<T, 2> s;
  s.run(n, [&](int64_t i, auto w, Vec<T>(&v)[2]) __attribute__((always_inline)) {
    const Vec<T> d = get(dy + i, w), xhat = (get(x + i, w) - centre) * rstd;
    v[0] = WEIGHT ? d * get(weight + i, w) : d;
    v[1] = v[0] * xhat;
    if (GRADS) {
      put(dweight + i, fma(d, xhat, get(dweight + i, w)), w);
      put(dbias + i, get(dbias + i, w) + d, w);
    }
  });
  if (!a.dx) return;
  s.flush();
  T* dx = static_cast<T*>(a.dx) + r * n;
  const double scale = static_cast<double>(row.rstd) / static_cast<double>(n);
  const Vec<T> c0(static_cast<T>(a.mean ? s.total[0] * scale : 0)), c1(static_cast<T>(s.total[1] * scale));
  across<T>(n, [&](int64_t i, auto w) __attribute__((always_inline)) {
    const Vec<T> d = get(dy + i, w), xhat = (get(x + i, w) - centre) * rstd;
    put(dx + i, fma(WEIGHT ? d * get(weight + i, w) : d, rstd, -fma(xhat, c1, c0)), w);
  });
}

template <class T>
FASTNN_INLINE void zero(T* p, int64_t n) {
  __builtin_memset(p, 0, static_cast<size_t>(n) * sizeof(T));
}
template <class T>
FASTNN_INLINE void add_to(T* to, const T* from, int64_t n) {
  across<T>(
      n, [&](int64_t i, auto w) __attribute__((always_inline)) { put(to + i, get(to + i, w) + get(from + i, w), w); });
}

template <class T>
void backward(const Ctx& ctx, const LayerNormBackward& a) {
  const int64_t n = a.n;
  T *dweight = static_cast<T*>(a.dweight), *dbias = static_cast<T*>(a.dbias);
  const bool grads = dweight || dbias;
  const int64_t chunks = grads ? chunks_of(a.rows, n) : 0;
  if (chunks == 0) {
    if (a.dx) {
      in_tasks(a.rows, n, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          a.weight ? backward_row<T, true, false>(a, r, nullptr, nullptr)
                   : backward_row<T, false, false>(a, r, nullptr, nullptr);
        }
      });
    }
    if (!grads) return;
    parallel_for((n + kColumns - 1) / kColumns, [&](int64_t block, int) {
      alignas(64) T sums[2][kColumns];
      const int64_t j = block * kColumns, width = least(kColumns, n - j);
      zero(sums[0], 2 * kColumns);
      for (int64_t r = 0; r < a.rows; ++r) {
        const T *dy = static_cast<const T*>(a.dy) + r * n + j, *x = static_cast<const T*>(a.x) + r * n + j;
        const Row<T> row = row_of<T>(a, r);
        const Vec<T> centre(row.centre), rstd(row.rstd);
        across<T>(width, [&](int64_t i, auto w) __attribute__((always_inline)) {
          const Vec<T> d = get(dy + i, w);
          put(sums[0] + i, fma(d, (get(x + i, w) - centre) * rstd, get(sums[0] + i, w)), w);
          put(sums[1] + i, get(sums[1] + i, w) + d, w);
        });
      }
      if (dweight) __builtin_memcpy(dweight + j, sums[0], static_cast<size_t>(width) * sizeof(T));
      if (dbias) __builtin_memcpy(dbias + j, sums[1], static_cast<size_t>(width) * sizeof(T));
    });
    return;
  }
  // Of each chunk: its sums, and those of the last kSubRows rows, so that no sum has many terms.
  T* const partial = static_cast<T*>(ctx.workspace);
  parallel_for(chunks, [&](int64_t c, int) {
    T *total = partial + c * 4 * n, *sub = total + 2 * n;
    zero(total, 4 * n);
    const int64_t begin = c * a.rows / chunks, end = (c + 1) * a.rows / chunks;
    T* const into = end - begin <= kSubRows ? total : sub;
    for (int64_t r = begin; r < end; ++r) {
      a.weight ? backward_row<T, true, true>(a, r, into, into + n) : backward_row<T, false, true>(a, r, into, into + n);
      if (into == sub && ((r - begin) % kSubRows == kSubRows - 1 || r == end - 1)) {
        add_to(total, sub, 2 * n);
        zero(sub, 2 * n);
      }
    }
  });
  parallel_for((n + kColumns - 1) / kColumns, [&](int64_t block, int) {
    const int64_t j = block * kColumns, width = least(kColumns, n - j);
    for (int which = 0; which < 2; ++which) {
      T* const to = which ? dbias : dweight;
      if (!to) continue;
      const T* from = partial + which * n + j;
      __builtin_memcpy(to + j, from, static_cast<size_t>(width) * sizeof(T));
      for (int64_t c = 1; c < chunks; ++c) add_to(to + j, from + c * 4 * n, width);
    }
  });
}

}  // namespace

void layer_norm(const Ctx&, const LayerNormArgs& a) { a.dtype == Dtype::F32 ? forward<float>(a) : forward<double>(a); }
void layer_norm_backward(const Ctx& ctx, const LayerNormBackward& a) {
  a.dtype == Dtype::F32 ? backward<float>(ctx, a) : backward<double>(ctx, a);
}
size_t layer_norm_workspace(Dtype dtype, int64_t rows, int64_t n) {
  return static_cast<size_t>(chunks_of(rows, n) * 4 * n) * (dtype == Dtype::F32 ? 4 : 8);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
