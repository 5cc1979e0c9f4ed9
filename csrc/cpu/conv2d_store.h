// Where the tiles of a convolution (conv2d_task.h) go: columns of a tile are runs within rows of images.
#pragma once
#include "cpu/conv2d.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// A run of a tile's columns that go to consecutive (y_col apart) elements of y.
template <class T>
struct Segment {
  int column, count;
  T* y;           // row 0 of A
  const T* from;  // packed: the first column in the staged buffer
};

// The lanes lo .. hi - 1 of one of a tile's vectors, which go to y + lo .. of row 0.
template <class T>
struct Piece {
  int lo, hi;
  T* y;
};

template <class T>
struct Segments {
  static constexpr int kNv = GemmTile<T>::kNv, W = Vec<T>::size;
  int count;
  Segment<T> s[GemmTile<T>::kNr];
  Piece<T> pieces[GemmTile<T>::kNr + kNv];
  int begin[kNv + 1];  // of the pieces of each vector

  void cut_pieces() {
    int n = 0, v = 0;
    begin[0] = 0;
    for (int i = 0; i < count; i++) {
      const int end = s[i].column + s[i].count;
      for (int u = s[i].column / W; u * W < end; u++) {
        while (v < u) begin[++v] = n;
        const int lo = s[i].column - u * W, hi = end - u * W;
        pieces[n++] = {lo > 0 ? lo : 0, hi < W ? hi : W, s[i].y - lo};
      }
    }
    while (v < kNv) begin[++v] = n;
  }
};

// Where the finished tiles go. Gets rows i .. i + R - 1 of A. Sums over several K blocks wait in `dense`, if that is
// given: [row][column of the tile].
template <class T>
struct SegmentStore {
  const Segments<T>* segments;
  const T* bias;  // of row 0, or null
  GemmAct act;
  int64_t y_channel, y_col;
  T* dense = nullptr;
  int64_t dense_row = 0;

  template <int R, int NV>
  FASTNN_INLINE void tile(Vec<T> (&acc)[R][NV], int64_t i, bool first, bool last) const {
    constexpr int W = Vec<T>::size;
    if (bias && first) {
      unroll<R>([&](auto r) __attribute__((always_inline)) {
        const Vec<T> b(bias[i + r]);
        unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] += b; });
      });
    }
    if (dense && !(first && last)) {
      unroll<R>([&](auto r) __attribute__((always_inline)) {
        unroll<NV>([&](auto v) __attribute__((always_inline)) {
          T* const d = dense + (i + r) * dense_row + v * W;
          if (!first) acc[r][v] += Vec<T>::load(d);
          if (!last) acc[r][v].store(d);
        });
      });
      if (!last) return;
      first = true;
    }
    if (y_col == 1 && (!last || act <= GemmAct::Relu)) {
      const bool relu = last && act == GemmAct::Relu;
      unroll<NV>([&](auto v) __attribute__((always_inline)) {
        for (int k = segments->begin[v]; k < segments->begin[v + 1]; k++) {
          const Piece<T> piece = segments->pieces[k];
          T* y = piece.y + i * y_channel;
          const bool whole = piece.hi - piece.lo == W;
          unroll<R>([&](auto r) __attribute__((always_inline)) {
            Vec<T> x = acc[r][v];
            if (!first) x += whole ? Vec<T>::load(y) : load_lanes(y, piece.lo, piece.hi);
            if (relu) x = max(Vec<T>::zero(), x);
            if (whole) {
              x.store(y);
            } else {
              store_lanes(y, x, piece.lo, piece.hi);
            }
            y += y_channel;
          });
        }
      });
      return;
    }
    alignas(64) T buffer[R][NV * W];
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v].store(&buffer[r][v * W]); });
    });
    place(&buffer[0][0], R, NV * W, i, first, last);
  }

  // Adds what earlier K blocks left in y, applies the activation, and writes the segments.
  __attribute__((noinline)) void place(T* buffer, int rows, int width, int64_t i, bool first, bool last) const {
    constexpr int W = Vec<T>::size;
    for (int k = 0; k < segments->count; k++) {
      const Segment<T>& s = segments->s[k];
      for (int r = 0; r < rows; r++) {
        T* b = buffer + r * width + s.column;
        T* y = s.y + (i + r) * y_channel;
        if (y_col > 2) {
          for (int j = 0; j < s.count && !first; j++) b[j] += y[j * y_col];
          if (last && act != GemmAct::None) activate_tile(b, 0, 1, s.count, act);
          for (int j = 0; j < s.count; j++) y[j * y_col] = b[j];
          continue;
        }
        for (int j = 0; j < s.count; j += W) {
          const int n = s.count - j < W ? s.count - j : W;
          Vec<T> v = n == W ? Vec<T>::load(b + j) : Vec<T>::load(b + j, n);
          if (!first)
            v += y_col == 2 ? load_alternate(y + 2 * j, n) : n == W ? Vec<T>::load(y + j) : Vec<T>::load(y + j, n);
          if (last && act != GemmAct::None) v = act == GemmAct::Relu ? max(Vec<T>::zero(), v) : activate(v, act);
          if (y_col == 2) {
            store_alternate(y + 2 * j, v, n);
          } else if (n == W) {
            v.store(y + j);
          } else {
            v.store(y + j, n);
          }
        }
      }
    }
  }
};

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
