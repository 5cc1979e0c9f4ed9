// Max and average pooling, forward and backward. Rows are staged (pool2d.h) so that every tap is a run of consecutive
// elements: 16 outputs (AVX-512) at a time whatever stride, padding and dilation. Backward gathers: every input element
// collects from the windows that cover it, in a fixed order, and is written once; nothing is zeroed or scattered.
#include "cpu/pool2d.h"

#include "cpu/pool2d_pairs.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr float kInf = __builtin_inff();

// Which taps feed one residue of the columns: the tap's number, and how far it looks in the staged row.
struct Taps {
  int count;
  int tap[kMaxTaps];
  int64_t at[kMaxTaps];
};

// ---- forward ----

// One row of x into its slot of the ring. Elements of padding and slack keep the fill they were given at the start.
template <class T>
FASTNN_INLINE void stage_input(const Pool2dShape& s, const Staging& g, const T* x, T* slot) {
  constexpr int W = Vec<T>::size;
  if (s.stride_w == 1) {
    for (int64_t w = 0; w < s.W; w += W) {
      const int n = lanes<T>(s.W - w);
      store_n(slot + s.pad_w + w, load_n(x + w, n), n);
    }
  } else if (s.stride_w == 2) {
    // The column w = 0 has u = pad_w; even and odd columns go to one phase each.
    T* even = slot + (s.pad_w & 1) * g.length + s.pad_w / 2;
    T* odd = slot + (~s.pad_w & 1) * g.length + (s.pad_w + 1) / 2;
    for (int64_t w = 0; w < s.W; w += 2 * W) {
      Vec<T> e, o;
      const int64_t left = s.W - w;
      unzip(load_n(x + w, lanes<T>(left)), load_n(x + w + W, lanes<T>(left - W)), &e, &o);
      store_n(even + w / 2, e, lanes<T>((left + 1) / 2));
      store_n(odd + w / 2, o, lanes<T>(left / 2));
    }
  } else {
    int64_t phase = s.pad_w % s.stride_w, pos = s.pad_w / s.stride_w;
    for (int64_t w = 0; w < s.W; w++) {
      slot[phase * g.length + pos] = x[w];
      if (++phase == s.stride_w) phase = 0, pos++;
    }
  }
}

// Output rows p0 .. p1 - 1 of one plane. RR, RS > 0: windows are RR x RS, unrolled. table: the first tap inside the
// image per column (max, integers of T's width), or the divisor per column (average).
template <class T, bool MAX, int RR, int RS>
void forward_rows(const Pool2dShape& s, const Staging& g, const int64_t* at, const T* x, T* y, uint8_t* idx, int64_t p0,
                  int64_t p1, T* ring, const T* table) {
  constexpr int W = Vec<T>::size;
  using Int = typename Native<T>::int_t;
  const int S = RS ? RS : static_cast<int>(s.S);
  const int64_t row = s.stride_w * g.length;
  int64_t staged = 0;  // rows of x before this one are in the ring, if still needed
  const T* base[RR ? RR : kMaxTaps];
  base[0] = ring;  // for the compiler, which does not see that a window has a row inside
  for (int64_t p = p0; p < p1; p++) {
    const int64_t start = p * s.stride_h - s.pad_h;
    const TapRange in = taps_inside(start, s.R, s.dilation_h, s.H);
    for (int64_t h = imax(staged, imax(0, start)); h <= start + (in.end - 1) * s.dilation_h; h++) {
      stage_input(s, g, x + h * s.W, ring + (h & (g.rows - 1)) * row);
      staged = h + 1;
    }
    const int r0 = static_cast<int>(in.begin), r1 = static_cast<int>(in.end);
    for (int r = r0; r < r1; r++) base[r] = ring + ((start + r * s.dilation_h) & (g.rows - 1)) * row;
    const T rows_in =
        static_cast<T>(MAX || s.divisor_override ? 1 : divisor_along(start, s.R, s.H, s.pad_h, s.count_include_pad));
    const Int first = static_cast<Int>(imin(r0, s.R - 1) * S);
    for (int64_t q = 0; q < s.Q; q += W) {
      const int n = lanes<T>(s.Q - q);
      if constexpr (MAX) {
        Vec<T> best(static_cast<T>(-kInf)), which;
        which = Vec<T>::from_bits(Vec<T>::load(table + q).bits() + first);
        const auto tap = [&](int r, int k) __attribute__((always_inline)) {
          const Vec<T> v = Vec<T>::load(base[r] + at[k] + q);
          const Mask<T> take = gt(v, best) | isnan(v);
          best = select(take, v, best);
          which = select(take, Vec<T>::from_bits(typename Vec<T>::I{} + static_cast<Int>(r * S + k)), which);
        };
        if (RR && r0 == 0 && r1 == RR) {
          unroll<RR>([&](auto r) __attribute__((always_inline)) {
            unroll<RS>([&](auto k) __attribute__((always_inline)) { tap(r, k); });
          });
        } else {
          for (int r = r0; r < r1; r++)
            for (int k = 0; k < S; k++) tap(r, k);
        }
        store_n(y + p * s.Q + q, best, n);
        store_bytes<T>(idx + p * s.Q + q, which.bits(), n);
      } else {
        Vec<T> sum = Vec<T>::zero();
        if (RR && r0 == 0 && r1 == RR) {
          unroll<RR>([&](auto r) __attribute__((always_inline)) {
            unroll<RS>([&](auto k) __attribute__((always_inline)) { sum += Vec<T>::load(base[r] + at[k] + q); });
          });
        } else {
          for (int r = r0; r < r1; r++)
            for (int k = 0; k < S; k++) sum += Vec<T>::load(base[r] + at[k] + q);
        }
        store_n(y + p * s.Q + q, sum / (Vec<T>(rows_in) * Vec<T>::load(table + q)), n);
      }
    }
  }
}

// Divisors per column, for outputs q < Q; 1 beyond.
template <class T>
FASTNN_INLINE void divisor_table(const Pool2dShape& s, const Staging& g, T* table) {
  for (int64_t q = 0; q < g.length; q++) {
    int64_t d = 1;
    if (q < s.Q && s.divisor_override) d = s.divisor_override;
    if (q < s.Q && !s.divisor_override)
      d = divisor_along(q * s.stride_w - s.pad_w, s.S, s.W, s.pad_w, s.count_include_pad);
    table[q] = static_cast<T>(d);
  }
}

template <class T, bool MAX>
void forward_staged(const Ctx& ctx, const Pool2dShape& s, const Staging& g, const T* x, T* y, uint8_t* idx) {
  const int64_t scratch = staging_elements<T>(s, g, false), ring_elements = g.rows * s.stride_w * g.length;
  int64_t at[kMaxTaps];
  for (int64_t k = 0; k < s.S; k++) {
    const int64_t u = k * s.dilation_w;
    at[k] = u % s.stride_w * g.length + u / s.stride_w;
  }
  auto rows = forward_rows<T, MAX, 0, 0>;
  if (s.R == 2 && s.S == 2) rows = forward_rows<T, MAX, 2, 2>;
  if (s.R == 3 && s.S == 3) rows = forward_rows<T, MAX, 3, 3>;
  if (s.R == 1 && s.S == 2) rows = forward_rows<T, MAX, 1, 2>;
  if (s.R == 1 && s.S == 3) rows = forward_rows<T, MAX, 1, 3>;
  for_chunks(
      make_chunks(s.planes, s.P, imax(s.H * s.W, s.P * s.Q)),
      [&](int thread) {
        T* ring = static_cast<T*>(ctx.workspace) + thread * scratch;
        const T fill = MAX ? static_cast<T>(-kInf) : T(0);
        for (int64_t i = 0; i < ring_elements; i++) ring[i] = fill;
        T* table = ring + ring_elements;
        if (MAX) {
          for (int64_t q = 0; q < g.length; q++) {
            const auto first = static_cast<typename Native<T>::int_t>(
                imin(taps_inside(q * s.stride_w - s.pad_w, s.S, s.dilation_w, s.W).begin, s.S - 1));
            __builtin_memcpy(table + q, &first, sizeof(T));
          }
        } else {
          divisor_table(s, g, table);
        }
      },
      [&](int64_t plane, int64_t p0, int64_t p1, int thread) {
        T* ring = static_cast<T*>(ctx.workspace) + thread * scratch;
        rows(s, g, at, x + plane * s.H * s.W, y + plane * s.P * s.Q, MAX ? idx + plane * s.P * s.Q : nullptr, p0, p1,
             ring, ring + ring_elements);
      });
}

// ---- backward ----

// Input rows h0 .. h1 - 1 of one plane from the ring's staged rows of dy (and positions). taps[c] are those that reach
// the columns w = c (mod stride_w).
template <class T, bool MAX>
void backward_rows(const Pool2dShape& s, const Staging& g, const Taps* taps, const T* dy, const uint8_t* idx, T* dx,
                   int64_t h0, int64_t h1, T* ring, T* phases, const T* table) {
  constexpr int W = Vec<T>::size;
  using Int = typename Native<T>::int_t;
  using I = typename Vec<T>::I;
  int64_t staged = 0;
  // The windows p_begin .. p_end - 1 reach row h.
  int64_t p_begin = imax(0, ceil_to(h0 + s.pad_h - (s.R - 1) * s.dilation_h, s.stride_h));
  int64_t p_end = imin(s.P, (h0 + s.pad_h) / s.stride_h + 1);
  for (int64_t h = h0; h < h1; h++) {
    const int64_t top = h + s.pad_h;
    while (p_begin * s.stride_h + (s.R - 1) * s.dilation_h < top) p_begin++;
    while (p_end < s.P && p_end * s.stride_h <= top) p_end++;
    for (int64_t p = imax(staged, p_begin); p < p_end; p++) {
      T* values = ring + (p & (g.rows - 1)) * 2 * g.length + g.reach;
      Vec<T> rows_in(static_cast<T>(1));
      if (!MAX && !s.divisor_override)
        rows_in =
            Vec<T>(static_cast<T>(divisor_along(p * s.stride_h - s.pad_h, s.R, s.H, s.pad_h, s.count_include_pad)));
      for (int64_t q = 0; q < s.Q; q += W) {
        const int n = lanes<T>(s.Q - q);
        const Vec<T> v = load_n(dy + p * s.Q + q, n);
        if constexpr (MAX) {
          store_n(values + q, v, n);
          store_n(values + g.length + q, Vec<T>::from_bits(load_bytes<T>(idx + p * s.Q + q, n)), n);
        } else {
          store_n(values + q, v / (rows_in * Vec<T>::load(table + q)), n);
        }
      }
      staged = p + 1;
    }
    // The sum over the windows for the columns c, c + stride_w, ...: element k of this residue.
    const auto gather = [&](int64_t c, int64_t k) __attribute__((always_inline)) {
      Vec<T> sum = Vec<T>::zero();
      const Taps& t = taps[c];
      for (int64_t p = p_begin; p < p_end; p++) {
        int64_t below = top - p * s.stride_h;
        if (s.dilation_h != 1) {
          if (below % s.dilation_h) continue;
          below /= s.dilation_h;
        }
        const T* values = ring + (p & (g.rows - 1)) * 2 * g.length + k;
        const Int code = static_cast<Int>(below * s.S);
        for (int i = 0; i < t.count; i++) {
          const Vec<T> v = Vec<T>::load(values + t.at[i]);
          if constexpr (MAX) {
            const I from = Vec<T>::load(values + g.length + t.at[i]).bits(), want = I{} + (code + t.tap[i]);
            sum += Vec<T>::from_bits(v.bits() & (from == want));
          } else {
            sum += v;
          }
        }
      }
      return sum;
    };
    T* out = dx + h * s.W;
    if (s.stride_w == 1) {
      for (int64_t w = 0; w < s.W; w += W) store_n(out + w, gather(0, w), lanes<T>(s.W - w));
    } else if (s.stride_w == 2) {
      for (int64_t w = 0; w < s.W; w += 2 * W) {
        Vec<T> a, b;
        zip(gather(0, w / 2), gather(1, w / 2), &a, &b);
        store_n(out + w, a, lanes<T>(s.W - w));
        if (s.W - w > W) store_n(out + w + W, b, lanes<T>(s.W - w - W));
      }
    } else {
      for (int64_t c = 0; c < imin(s.stride_w, s.W); c++) {
        const int64_t count = (s.W - c - 1) / s.stride_w + 1;
        for (int64_t k = 0; k < count; k += W) gather(c, k).store(phases + c * g.length + k);
      }
      int64_t c = 0, k = 0;
      for (int64_t w = 0; w < s.W; w++) {
        out[w] = phases[c * g.length + k];
        if (++c == s.stride_w) c = 0, k++;
      }
    }
  }
}

template <class T, bool MAX>
void backward_staged(const Ctx& ctx, const Pool2dShape& s, const Staging& g, const T* dy, const uint8_t* idx, T* dx) {
  const int64_t scratch = staging_elements<T>(s, g, true), ring_elements = g.rows * 2 * g.length;
  Taps taps[kMaxStride];
  for (int64_t c = 0; c < s.stride_w; c++) {
    const int64_t phase = (s.pad_w + c) % s.stride_w, pos = (s.pad_w + c) / s.stride_w;
    taps[c].count = 0;
    for (int64_t k = 0; k < s.S; k++) {
      const int64_t u = k * s.dilation_w;
      if (u % s.stride_w != phase) continue;
      taps[c].tap[taps[c].count] = static_cast<int>(k);
      taps[c].at[taps[c].count++] = g.reach + pos - u / s.stride_w;
    }
  }
  for_chunks(
      make_chunks(s.planes, s.H, imax(s.H * s.W, s.P * s.Q)),
      [&](int thread) {
        T* ring = static_cast<T*>(ctx.workspace) + thread * scratch;
        // Around each row: the value 0 and a position that no tap has (all bits set).
        for (int64_t i = 0; i < ring_elements; i++) ring[i] = 0;
        if (MAX)
          for (int64_t r = 0; r < g.rows; r++)
            __builtin_memset(ring + (2 * r + 1) * g.length, 0xff, g.length * sizeof(T));
        if (!MAX) divisor_table(s, g, ring + ring_elements + s.stride_w * g.length);
      },
      [&](int64_t plane, int64_t h0, int64_t h1, int thread) {
        T* ring = static_cast<T*>(ctx.workspace) + thread * scratch;
        T* phases = ring + ring_elements;
        backward_rows<T, MAX>(s, g, taps, dy + plane * s.P * s.Q, MAX ? idx + plane * s.P * s.Q : nullptr,
                              dx + plane * s.H * s.W, h0, h1, ring, phases, phases + s.stride_w * g.length);
      });
}

// ---- windows or strides too large to stage: plain loops over the taps inside the image ----

template <class T, bool MAX, class Index>
void forward_plain(const Pool2dShape& s, const T* x_all, T* y_all, Index* idx_all) {
  parallel_for(s.planes, [&](int64_t plane, int) {
    const T* x = x_all + plane * s.H * s.W;
    for (int64_t p = 0; p < s.P; p++) {
      const int64_t top = p * s.stride_h - s.pad_h;
      const TapRange rows = taps_inside(top, s.R, s.dilation_h, s.H);
      for (int64_t q = 0; q < s.Q; q++) {
        const int64_t left = q * s.stride_w - s.pad_w;
        const TapRange cols = taps_inside(left, s.S, s.dilation_w, s.W);
        const bool any = rows.begin < rows.end && cols.begin < cols.end;
        const auto code = [&](int64_t r, int64_t k) {
          const int64_t flat = (top + r * s.dilation_h) * s.W + left + k * s.dilation_w;
          return static_cast<Index>(sizeof(Index) == 1 ? r * s.S + k : flat);
        };
        T best = MAX ? static_cast<T>(-kInf) : T(0);
        Index which = any ? code(rows.begin, cols.begin) : static_cast<Index>(-1);
        for (int64_t r = rows.begin; r < rows.end; r++) {
          for (int64_t k = cols.begin; k < cols.end; k++) {
            const T v = x[(top + r * s.dilation_h) * s.W + left + k * s.dilation_w];
            if (!MAX) {
              best += v;
            } else if (v > best || v != v) {
              best = v;
              which = code(r, k);
            }
          }
        }
        const int64_t o = (plane * s.P + p) * s.Q + q;
        if (MAX) {
          idx_all[o] = which;
        } else if (s.divisor_override) {
          best /= static_cast<T>(s.divisor_override);
        } else {
          best /= static_cast<T>(divisor_along(top, s.R, s.H, s.pad_h, s.count_include_pad)) *
                  static_cast<T>(divisor_along(left, s.S, s.W, s.pad_w, s.count_include_pad));
        }
        y_all[o] = best;
      }
    }
  });
}

// The plane's position that an index names, or -1 for one that names none.
template <class Index>
FASTNN_INLINE int64_t flat_index(const Pool2dShape& s, Index which, int64_t p, int64_t q) {
  if (sizeof(Index) > 1) {
    const auto i = static_cast<int64_t>(which);
    return i >= 0 && i < s.H * s.W ? i : -1;
  }
  const int64_t h = p * s.stride_h - s.pad_h + which / s.S * s.dilation_h;
  const int64_t w = q * s.stride_w - s.pad_w + which % s.S * s.dilation_w;
  return h >= 0 && h < s.H && w >= 0 && w < s.W ? h * s.W + w : -1;
}

template <class T, bool MAX, class Index>
void backward_plain(const Pool2dShape& s, const T* dy, const Index* idx, T* dx_all) {
  parallel_for(s.planes, [&](int64_t plane, int) {
    T* dx = dx_all + plane * s.H * s.W;
    for (int64_t i = 0; i < s.H * s.W; i++) dx[i] = 0;
    for (int64_t p = 0; p < s.P; p++) {
      for (int64_t q = 0; q < s.Q; q++) {
        const int64_t o = (plane * s.P + p) * s.Q + q;
        if (MAX) {
          const int64_t at = flat_index(s, idx[o], p, q);
          if (at >= 0) dx[at] += dy[o];
          continue;
        }
        const int64_t top = p * s.stride_h - s.pad_h, left = q * s.stride_w - s.pad_w;
        const TapRange rows = taps_inside(top, s.R, 1, s.H), cols = taps_inside(left, s.S, 1, s.W);
        const T divisor = s.divisor_override
                              ? static_cast<T>(s.divisor_override)
                              : static_cast<T>(divisor_along(top, s.R, s.H, s.pad_h, s.count_include_pad)) *
                                    static_cast<T>(divisor_along(left, s.S, s.W, s.pad_w, s.count_include_pad));
        for (int64_t r = rows.begin; r < rows.end; r++)
          for (int64_t k = cols.begin; k < cols.end; k++) dx[(top + r) * s.W + left + k] += dy[o] / divisor;
      }
    }
  });
}

template <class T, bool MAX>
void forward(const Ctx& ctx, const Pool2dShape& s, const void* x, void* y, void* idx) {
  const Staging g = staging<T>(s, false);
  const T* in = static_cast<const T*>(x);
  T* out = static_cast<T*>(y);
  if (is_pairs(s)) {
    uint8_t* which = static_cast<uint8_t*>(idx);
    for_chunks(
        make_chunks(s.planes, s.P, s.H * s.W), [](int) {},
        [&](int64_t plane, int64_t p0, int64_t p1, int) {
          const int64_t o = plane * s.P * s.Q;
          pairs_forward<T, MAX>(s, in + plane * s.H * s.W, out + o, MAX ? which + o : nullptr, p0, p1);
        });
  } else if (g.fits) {
    forward_staged<T, MAX>(ctx, s, g, in, out, static_cast<uint8_t*>(idx));
  } else if (max_pool2d_compact(s)) {
    forward_plain<T, MAX>(s, in, out, static_cast<uint8_t*>(idx));
  } else {
    forward_plain<T, MAX>(s, in, out, static_cast<int64_t*>(idx));
  }
}
template <class T, bool MAX>
void backward(const Ctx& ctx, const Pool2dShape& s, const void* dy, const void* idx, void* dx) {
  const Staging g = staging<T>(s, true);
  const T* in = static_cast<const T*>(dy);
  T* out = static_cast<T*>(dx);
  if (is_pairs(s)) {
    const uint8_t* which = static_cast<const uint8_t*>(idx);
    for_chunks(
        make_chunks(s.planes, s.P, s.H * s.W), [](int) {},
        [&](int64_t plane, int64_t p0, int64_t p1, int) {
          const int64_t o = plane * s.P * s.Q;
          pairs_backward<T, MAX>(s, in + o, MAX ? which + o : nullptr, out + plane * s.H * s.W, p0, p1);
        });
  } else if (g.fits) {
    backward_staged<T, MAX>(ctx, s, g, in, static_cast<const uint8_t*>(idx), out);
  } else if (max_pool2d_compact(s)) {
    backward_plain<T, MAX>(s, in, static_cast<const uint8_t*>(idx), out);
  } else {
    backward_plain<T, MAX>(s, in, static_cast<const int64_t*>(idx), out);
  }
}

template <class Index>
void flatten(const Pool2dShape& s, const Index* idx, int64_t* flat) {
  parallel_for(s.planes, [&](int64_t plane, int) {
    for (int64_t p = 0; p < s.P; p++) {
      for (int64_t q = 0; q < s.Q; q++) {
        const int64_t o = (plane * s.P + p) * s.Q + q;
        flat[o] = imax(0, flat_index(s, idx[o], p, q));
      }
    }
  });
}

}  // namespace

void max_pool2d(const Ctx& ctx, Dtype dtype, const Pool2dShape& s, const void* x, void* y, void* idx) {
  (dtype == Dtype::F32 ? forward<float, true> : forward<double, true>)(ctx, s, x, y, idx);
}
void max_pool2d_backward(const Ctx& ctx, Dtype dtype, const Pool2dShape& s, const void* dy, const void* idx, void* dx) {
  (dtype == Dtype::F32 ? backward<float, true> : backward<double, true>)(ctx, s, dy, idx, dx);
}
void max_pool2d_indices(const Ctx&, const Pool2dShape& s, const void* idx, int64_t* flat) {
  if (max_pool2d_compact(s)) {
    flatten(s, static_cast<const uint8_t*>(idx), flat);
  } else {
    flatten(s, static_cast<const int64_t*>(idx), flat);
  }
}
void avg_pool2d(const Ctx& ctx, Dtype dtype, const Pool2dShape& s, const void* x, void* y) {
  (dtype == Dtype::F32 ? forward<float, false> : forward<double, false>)(ctx, s, x, y, nullptr);
}
void avg_pool2d_backward(const Ctx& ctx, Dtype dtype, const Pool2dShape& s, const void* dy, void* dx) {
  (dtype == Dtype::F32 ? backward<float, false> : backward<double, false>)(ctx, s, dy, nullptr, dx);
}
size_t pool2d_workspace(int threads, Dtype dtype, const Pool2dShape& s, bool backward) {
  const int64_t n = dtype == Dtype::F32 ? staging_elements<float>(s, staging<float>(s, backward), backward)
                                        : staging_elements<double>(s, staging<double>(s, backward), backward);
  return is_pairs(s) ? 0 : static_cast<size_t>(threads) * static_cast<size_t>(n) * (dtype == Dtype::F32 ? 4 : 8);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
