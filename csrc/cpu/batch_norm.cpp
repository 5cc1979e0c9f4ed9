// Batch normalisation of [N, C, L], statistics of each channel. Limit: the memory's bandwidth. A channel whose elements
// fit into L2 goes through it once, statistics and result in one task; else partial results of parts of about
// kNormPart elements are combined in order, and a second pass over memory follows. L == 1 (BatchNorm1d after a linear
// layer): columns of a matrix, kWidth at a time.
#include "cpu/norm.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kFusedBytes = 512 * 1024;  // half of L2
constexpr int64_t kWidth = 64;               // columns whose sums are kept at a time (L == 1)

// How the elements of a channel are cut: whole planes together, or pieces of one.
struct Parts {
  int64_t count, planes, pieces, piece;
};
FASTNN_INLINE Parts parts_of(int64_t N, int64_t L) {
  if (L == 1) return {(N + kNormPart / kWidth - 1) / (kNormPart / kWidth), kNormPart / kWidth, 1, 1};
  if (L < 2 * kNormPart) {
    const int64_t planes = most(1, kNormPart / L);
    return {(N + planes - 1) / planes, planes, 1, L};
  }
  const int64_t pieces = (L + kNormPart - 1) / kNormPart;
  return {N * pieces, 1, pieces, kNormPart};
}
struct Part {
  int64_t from, planes, len;  // from: elements after the channel's first
};
FASTNN_INLINE Part part(const Parts& p, int64_t i, int64_t N, int64_t C, int64_t L) {
  if (p.pieces == 1) return {i * p.planes * C * L, least(p.planes, N - i * p.planes), L};
  const int64_t n = i / p.pieces, at = i % p.pieces * p.piece;
  return {n * C * L + at, 1, least(p.piece, L - at)};
}

template <class T>
FASTNN_INLINE double at(const void* p, int64_t i, double other) {
  return p ? static_cast<double>(static_cast<const T*>(p)[i]) : other;
}

// f(first element, count, channel) over all planes or pieces of planes, in tasks, in the order of memory.
template <class F>
FASTNN_INLINE void over_planes(int64_t N, int64_t C, int64_t L, const F& f) {
  const int64_t piece = L < 2 * kNormPart ? L : kNormPart, pieces = (L + piece - 1) / piece;
  in_tasks(N * C * pieces, piece, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t plane = i / pieces, from = i % pieces * piece;
      f(plane * L + from, least(piece, L - from), plane % C);
    }
  });
}

// Each column's K sums over the rows begin .. end of [N, C], columns j .. j + width: f(element, count, column, v).
template <class T, int K, class F>
FASTNN_INLINE void column_sums(int64_t begin, int64_t end, int64_t C, int64_t j, int64_t width, T (&sums)[K][kWidth],
                               const F& f) {
  __builtin_memset(sums, 0, sizeof sums);
  for (int64_t r = begin; r < end; ++r) {
    across<T>(width, [&](int64_t i, auto w) __attribute__((always_inline)) {
      Vec<T> v[K];
      f(r * C + j + i, w, i, v);
      unroll<K>([&](auto k) __attribute__((always_inline)) { put(sums[k] + i, get(sums[k] + i, w) + v[k], w); });
    });
  }
}
// f(first column, width, part, begin row, end row) over blocks of columns and parts of rows.
template <class F>
FASTNN_INLINE void over_blocks(int64_t N, int64_t C, const Parts& parts, const F& f) {
  const int64_t blocks = (C + kWidth - 1) / kWidth;
  in_tasks(blocks * parts.count, least(C, kWidth) * least(N, parts.planes), [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; ++t) {
      const int64_t j = t % blocks * kWidth, p = t / blocks;
      f(j, least(kWidth, C - j), p, p * parts.planes, least(N, (p + 1) * parts.planes));
    }
  });
}

template <class T>
void forward(const Ctx& ctx, const ChannelNormArgs& a) {
  const int64_t N = a.N, C = a.C, L = a.L;
  const T* x = static_cast<const T*>(a.x);
  T *y = static_cast<T*>(a.y), *mean = static_cast<T*>(a.mean), *var = static_cast<T*>(a.var);
  const Parts parts = parts_of(N, L);
  Affine<T>* const affine = static_cast<Affine<T>*>(ctx.workspace);  // [C]
  Moments* const partial = reinterpret_cast<Moments*>(static_cast<char*>(ctx.workspace) + C * 4 * sizeof(double));
  const auto finish = [&](int64_t c, double m, double v) {
    affine[c] = affine_of<T>(m, rstd_of(v, a.eps), at<T>(a.weight, c, 1), at<T>(a.bias, c, 0));
  };
  const auto combine = [&](int64_t c, const Moments* p) {
    Moments m = p[0];
    for (int64_t i = 1; i < parts.count; ++i) m = merge(m, p[i]);
    mean[c] = static_cast<T>(m.mean);
    var[c] = static_cast<T>(m.m2 / m.n);
    finish(c, m.mean, m.m2 / m.n);
  };
  const auto moments_of = [&](int64_t c, int64_t i) {
    const Part p = part(parts, i, N, C, L);
    partial[c * parts.count + i] = moments<T, true>(x + c * L + p.from, p.planes, p.len, C * L);
  };
  if (!a.given && L > 1 && C >= 8 && N * L * static_cast<int64_t>(sizeof(T)) <= kFusedBytes) {
    in_tasks(C, N * L, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        for (int64_t i = 0; i < parts.count; ++i) moments_of(c, i);
        combine(c, partial + c * parts.count);
        for (int64_t n = 0; n < N; ++n) apply(x + (n * C + c) * L, y + (n * C + c) * L, L, affine[c]);
      }
    });
    return;
  }
  if (a.given) {
    for (int64_t c = 0; c < C; ++c) finish(c, static_cast<double>(mean[c]), static_cast<double>(var[c]));
  } else {
    if (L == 1) {
      over_blocks(N, C, parts, [&](int64_t j, int64_t width, int64_t p, int64_t begin, int64_t end) {
        alignas(64) T s[1][kWidth], d[2][kWidth], centre[kWidth];
        const double n = static_cast<double>(end - begin);
        column_sums<T, 1>(begin, end, C, j, width, s,
                          [&](int64_t e, auto w, int64_t, Vec<T>(&v)[1]) { v[0] = get(x + e, w); });
        for (int64_t i = 0; i < width; ++i) centre[i] = static_cast<T>(static_cast<double>(s[0][i]) / n);
        column_sums<T, 2>(begin, end, C, j, width, d, [&](int64_t e, auto w, int64_t i, Vec<T>(&v)[2]) {
          v[0] = get(x + e, w) - get(centre + i, w);
          v[1] = v[0] * v[0];
        });
        for (int64_t i = 0; i < width; ++i) {
          const double d0 = static_cast<double>(d[0][i]), m2 = static_cast<double>(d[1][i]) - d0 * d0 / n;
          partial[(j + i) * parts.count + p] = {n, static_cast<double>(centre[i]) + d0 / n, m2 < 0 ? 0 : m2};
        }
      });
    } else {
      in_tasks(C * parts.count, least(N * L, kNormPart), [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) moments_of(t / parts.count, t % parts.count);
      });
    }
    for (int64_t c = 0; c < C; ++c) combine(c, partial + c * parts.count);
  }
  if (L > 1) {
    over_planes(N, C, L, [&](int64_t from, int64_t n, int64_t c) { apply(x + from, y + from, n, affine[c]); });
    return;
  }
  over_blocks(N, C, parts, [&](int64_t j, int64_t width, int64_t, int64_t begin, int64_t end) {
    alignas(64) T f[3][kWidth];
    for (int64_t i = 0; i < width; ++i) {
      f[0][i] = affine[j + i].centre;
      f[1][i] = affine[j + i].scale;
      f[2][i] = affine[j + i].shift;
    }
    for (int64_t r = begin; r < end; ++r) {
      const int64_t e = r * C + j;
      across<T>(width, [&](int64_t i, auto w) __attribute__((always_inline)) {
        put(y + e + i, fma(get(x + e + i, w) - get(f[0] + i, w), get(f[1] + i, w), get(f[2] + i, w)), w);
      });
    }
  });
}

struct Products {
  double dy, dyx;  // sum dy, sum dy (x - mean)
};

template <class T>
void backward(const Ctx& ctx, const ChannelNormBackward& a) {
  const int64_t N = a.N, C = a.C, L = a.L;
  const T *x = static_cast<const T*>(a.x), *dy = static_cast<const T*>(a.dy), *mean = static_cast<const T*>(a.mean);
  T *dx = static_cast<T*>(a.dx), *dweight = static_cast<T*>(a.dweight), *dbias = static_cast<T*>(a.dbias);
  const Parts parts = parts_of(N, L);
  AffineBackward<T>* const affine = static_cast<AffineBackward<T>*>(ctx.workspace);  // [C]
  Products* const partial = reinterpret_cast<Products*>(static_cast<char*>(ctx.workspace) + C * 4 * sizeof(double));
  const double count = static_cast<double>(N * L);
  // dx = w rstd (dy - mean(dy) - xhat mean(dy xhat)); with given statistics w rstd dy
  const auto combine = [&](int64_t c, const Products* p) {
    Products s{0, 0};
    for (int64_t i = 0; i < parts.count; ++i) {
      s.dy += p[i].dy;
      s.dyx += p[i].dyx;
    }
    const double rstd = rstd_of(at<T>(a.var, c, 0), a.eps), g = rstd * at<T>(a.weight, c, 1);
    if (dweight) dweight[c] = static_cast<T>(s.dyx * rstd);
    if (dbias) dbias[c] = static_cast<T>(s.dy);
    affine[c] = {static_cast<T>(g), static_cast<T>(a.given ? 0 : -g * rstd * rstd * s.dyx / count),
                 static_cast<T>(a.given ? 0 : -g * s.dy / count), mean[c]};
  };
  const auto products_of = [&](int64_t c, int64_t i) {
    const Part p = part(parts, i, N, C, L);
    Sums<T, 2> s;
    for (int64_t n = 0; n < p.planes; ++n) {
      const int64_t from = (n * C + c) * L + p.from;
      add_products<T, true>(s, dy + from, x + from, mean[c], p.len, C * L);
    }
    s.flush();
    partial[c * parts.count + i] = {s.total[0], s.total[1]};
  };
  const bool sums = !a.given || dweight || dbias;
  if (sums && L > 1 && C >= 8 && 2 * N * L * static_cast<int64_t>(sizeof(T)) <= kFusedBytes) {
    in_tasks(C, N * L, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        for (int64_t i = 0; i < parts.count; ++i) products_of(c, i);
        combine(c, partial + c * parts.count);
        for (int64_t n = 0; dx && n < N; ++n) {
          const int64_t from = (n * C + c) * L;
          apply_backward(dy + from, x + from, dx + from, L, affine[c], !a.given);
        }
      }
    });
    return;
  }
  if (!sums) {
    __builtin_memset(partial, 0, static_cast<size_t>(C * parts.count) * sizeof(Products));
  } else if (L == 1) {
    over_blocks(N, C, parts, [&](int64_t j, int64_t width, int64_t p, int64_t begin, int64_t end) {
      alignas(64) T s[2][kWidth];
      column_sums<T, 2>(begin, end, C, j, width, s, [&](int64_t e, auto w, int64_t i, Vec<T>(&v)[2]) {
        v[0] = get(dy + e, w);
        v[1] = v[0] * (get(x + e, w) - get(mean + j + i, w));
      });
      for (int64_t i = 0; i < width; ++i)
        partial[(j + i) * parts.count + p] = {static_cast<double>(s[0][i]), static_cast<double>(s[1][i])};
    });
  } else {
    in_tasks(C * parts.count, least(N * L, kNormPart), [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) products_of(t / parts.count, t % parts.count);
    });
  }
  for (int64_t c = 0; c < C; ++c) combine(c, partial + c * parts.count);
  if (!dx) return;
  if (L > 1) {
    over_planes(N, C, L, [&](int64_t from, int64_t n, int64_t c) {
      apply_backward(dy + from, x + from, dx + from, n, affine[c], !a.given);
    });
    return;
  }
  over_blocks(N, C, parts, [&](int64_t j, int64_t width, int64_t, int64_t begin, int64_t end) {
    alignas(64) T f[4][kWidth];
    for (int64_t i = 0; i < width; ++i) {
      f[0][i] = affine[j + i].g;
      f[1][i] = affine[j + i].h;
      f[2][i] = affine[j + i].shift;
      f[3][i] = affine[j + i].centre;
    }
    for (int64_t r = begin; r < end; ++r) {
      const int64_t e = r * C + j;
      across<T>(width, [&](int64_t i, auto w) __attribute__((always_inline)) {
        const Vec<T> g = get(dy + e + i, w) * get(f[0] + i, w);
        const Vec<T> rest = fma(get(x + e + i, w) - get(f[3] + i, w), get(f[1] + i, w), get(f[2] + i, w));
        put(dx + e + i, a.given ? g : g + rest, w);
      });
    }
  });
}

}  // namespace

void batch_norm(const Ctx& ctx, const ChannelNormArgs& a) {
  a.dtype == Dtype::F32 ? forward<float>(ctx, a) : forward<double>(ctx, a);
}
void batch_norm_backward(const Ctx& ctx, const ChannelNormBackward& a) {
  a.dtype == Dtype::F32 ? backward<float>(ctx, a) : backward<double>(ctx, a);
}
size_t channel_norm_workspace(int64_t N, int64_t C, int64_t L) {
  // Four numbers a channel, then three a part (batch_norm) or two a plane (group_norm).
  return static_cast<size_t>(C * 4 + most(C * parts_of(N, L).count * 3, N * C * 2)) * sizeof(double);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
