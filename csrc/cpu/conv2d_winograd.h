// 3x3 convolution of stride 1 by Winograd's minimal filtering F(2x2, 3x3): 16 multiplications for the 36 of four
// outputs. With d a 4x4 tile of the image (tiles 2 apart), g the 3x3 weights,
//     U = G g G^T,  V = B^T d B,  M[k] = sum over c of U[k, c] * V[c] (element by element: 16 products of matrices),
//     y = A^T M A,  a tile of 2x2 outputs.
//     B^T = 1  0 -1  0     G = 1    0    0      A^T = 1 1  1  0
//           0  1  1  0        1/2  1/2  1/2           0 1 -1 -1
//           0 -1  1  0        1/2 -1/2  1/2
//           0  1  0 -1         0    0    1
// Why this one: an output depends on its own window alone, and numbers that are small multiples of a power of two stay
// exact, as with the direct sum; F(4x4, 3x3) has neither property. Where an output is not finite, intermediate
// infinities may have met: then the direct kernel computes everything again.
//
// Limit: FMAs, 16/36 of the direct ones where the image is an even number of outputs. Beside them, for 16 tiles: about
// 90 cycles a channel for V, 80 an output channel for the sums and y, against C or K * 16.
//
// A block is 64 tiles, across rows and images. Its V, [16][C][64], is made row by row: each image row is turned into
// the four combinations along the row (for every tile its own lane), then four such rows are combined. Where there are
// plenty of blocks, each is an item with a V of its own in L2; where there are few, V of all is computed first.
#pragma once
#include "cpu/conv2d_task.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int kWinogradTiles = 64;             // tiles of a block
constexpr int64_t kWinogradOwn = 32;           // at least so many blocks: each thread makes the V that it uses
constexpr int64_t kWinogradShared = 64 << 20;  // bytes of V of all blocks at most
constexpr int kWinogradRows = 96;              // output channels whose 16 sums are held at a time
constexpr int kWinogradStage = 1536;           // elements of a channel's rows: see winograd_spans
constexpr int64_t kWinogradWide = 32;          // rows of so many tiles are cut into spans of their own

struct Winograd {
  bool use, shared;
  int64_t down, across, image_tiles, tiles, blocks;  // of an image; of all images of a group
  int64_t rows, row_chunks, c_chunk, c_chunks;       // output channels, channels of an item
  int64_t u, v, m;                                   // elements: weights of all groups, a block's V and its sums
};

// Elements from one of the 16 planes to the next: not a multiple of 4 KiB.
FASTNN_INLINE int64_t winograd_plane(int64_t rows) { return rows * kWinogradTiles + 16; }

FASTNN_INLINE bool winograd_fits(const Axis& h, const Axis& w) {
  return h.taps == 3 && w.taps == 3 && h.step == 1 && w.step == 1 && h.gap == 1 && w.gap == 1 && h.out > 0 && w.out > 0;
}
FASTNN_INLINE void winograd_tiles(Winograd* win, int64_t N, const Axis& h, const Axis& w) {
  win->down = ceil_div(h.out, 2);
  win->across = ceil_div(w.out, 2);
  win->image_tiles = win->down * win->across;
  win->tiles = N * win->image_tiles;
  win->blocks = ceil_div(win->tiles, kWinogradTiles);
}

// M x C a group, N images. dense: outputs of a row are neighbours.
template <class T>
Winograd make_winograd(ConvVariant variant, int64_t N, int64_t G, int64_t M, int64_t C, const Axis& h, const Axis& w,
                       bool dense) {
  Winograd win{};
  if (variant == ConvVariant::Naive || variant == ConvVariant::Packed) return win;
  if (!dense || M * C == 0 || N == 0 || !winograd_fits(h, w)) return win;
  winograd_tiles(&win, N, h, w);
  if (variant == ConvVariant::Auto) {
    // Vectors of FMAs, and what is beside them counted as such.
    if (sizeof(T) != 4 || C > 4096) return win;
    const double c = static_cast<double>(C), m = static_cast<double>(M), tiles = static_cast<double>(win.tiles);
    const double direct = 9 * static_cast<double>(N * h.out * w.out) * c * m;
    const double here = tiles * (16 * c * m + 100 * c + 80 * m) + 150 * c * m;
    if (here > 0.85 * direct) return win;
  }
  constexpr int MR = GemmTile<T>::kMr;
  win.use = true;
  const int64_t panels = row_panels<T>(M), bytes = static_cast<int64_t>(sizeof(T));
  win.u = align_elements(G * panels * 16 * C * MR);
  win.v = 16 * winograd_plane(C);
  win.shared = G * win.blocks < kWinogradOwn && G * win.blocks * win.v <= kWinogradShared / bytes;
  win.rows = min_i(panels * MR, kWinogradRows);
  win.c_chunks = 1;
  if (win.shared) {
    const int64_t want = ceil_div(kWinogradOwn, G * win.blocks);
    win.rows = min_i(win.rows, round_up(max_i(ceil_div(M, want), 4 * MR), MR));
    win.c_chunks = min_i(want, ceil_div(C, 8));
  }
  win.row_chunks = ceil_div(M, win.rows);
  win.c_chunk = ceil_div(C, win.c_chunks);
  win.m = 16 * winograd_plane(win.rows);
  return win;
}
template <class T>
size_t winograd_workspace(int threads, const Winograd& win, int64_t G) {
  const int64_t v = win.shared ? G * win.blocks * win.v : threads * win.v;
  return static_cast<size_t>(win.u + v + threads * win.m) * sizeof(T) + 64;
}

// ---- U: from the direct kernel's panels, a[(c * 9 + tap) * kMr + row], to [panel][16][c][kMr] ----
template <class T>
void winograd_weights(const T* a, int64_t C, T* u) {
  constexpr int W = Vec<T>::size, MR = GemmTile<T>::kMr;
  const Vec<T> half(T(0.5));
  for (int64_t c = 0; c < C; c++, a += 9 * MR, u += MR) {
    for (int r = 0; r < MR; r += W) {
      const int n = MR - r < W ? MR - r : W;
      const auto filter = [&](Vec<T> x, Vec<T> y, Vec<T> z, Vec<T>(&out)[4]) __attribute__((always_inline)) {
        const Vec<T> sum = half * (x + z), middle = half * y;
        out[0] = x;
        out[1] = sum + middle;
        out[2] = sum - middle;
        out[3] = z;
      };
      Vec<T> column[3][4];  // G g, by columns of g
      unroll<3>([&](auto s) __attribute__((always_inline)) {
        filter(Vec<T>::load(a + s * MR + r, n), Vec<T>::load(a + (3 + s) * MR + r, n),
               Vec<T>::load(a + (6 + s) * MR + r, n), column[s]);
      });
      unroll<4>([&](auto i) __attribute__((always_inline)) {
        Vec<T> row[4];
        filter(column[0][i], column[1][i], column[2][i], row);
        unroll<4>([&](auto j) __attribute__((always_inline)) { row[j].store(u + (i * 4 + j) * C * MR + r, n); });
      });
    }
  }
}

// ---- V ----

// Tiles of a block that lie together: `length` tiles from number `first` of `rows` x `count` tiles, the first of them
// (p0, q0), which become the block's columns from `column` on.
struct Span {
  int64_t image, p0, q0, rows, count, first, length, column;
};
struct Spans {
  int count;
  int64_t columns;
  Span s[kWinogradTiles];
};
// Narrow rows of tiles are taken together, an image at a time: at most 64 + 2 * 31 tiles in rows, and one row more:
// 8 * (64 + 3 * 31) elements of a channel. Wide ones each by itself: 8 * 2 * 64.
FASTNN_INLINE void winograd_spans(const Winograd& win, int64_t block, Spans* out) {
  const int64_t begin = block * kWinogradTiles, end = min_i(begin + kWinogradTiles, win.tiles);
  out->count = 0;
  out->columns = end - begin;
  for (int64_t t = begin; t < end;) {
    const int64_t image = t / win.image_tiles, in = t % win.image_tiles, p = in / win.across, q = in % win.across;
    int64_t stop = min_i(end, (image + 1) * win.image_tiles);
    if (win.across >= kWinogradWide) {
      stop = min_i(stop, t + win.across - q);
      out->s[out->count++] = {image, p, q, 1, stop - t, 0, stop - t, t - begin};
    } else {
      out->s[out->count++] = {image, p, 0, ceil_div(q + stop - t, win.across), win.across, q, stop - t, t - begin};
    }
    t = stop;
  }
}

// A row of the image, from column w0 on: of each of `count` tiles the four combinations, `plane` apart.
template <class T>
FASTNN_INLINE void winograd_row(const T* src, int64_t size, int64_t w0, int64_t count, T* z, int64_t plane) {
  constexpr int W = Vec<T>::size;
  const auto read = [&](int64_t at) __attribute__((always_inline)) {
    if (at >= 0 && at + W <= size) return Vec<T>::load(src + at);
    const int from = static_cast<int>(max_i(0, min_i(-at, W))), to = static_cast<int>(max_i(0, min_i(size - at, W)));
    return to > from ? load_lanes(src + at, from, to) : Vec<T>::zero();
  };
  for (int64_t i = 0; i < count; i += W) {
    const int64_t at = w0 + 2 * i;
    Vec<T> d0, d1, d2, d3;
    unzip(read(at), read(at + W), &d0, &d1);
    unzip(read(at + 2), read(at + 2 + W), &d2, &d3);
    const Vec<T> e[4] = {d0 - d2, d1 + d2, d2 - d1, d1 - d3};
    const int n = static_cast<int>(min_i(count - i, W));
    unroll<4>([&](auto s) __attribute__((always_inline)) {
      T* to = z + s * plane + i;
      if (n == W) {
        e[s].store(to);
      } else {
        e[s].store(to, n);
      }
    });
  }
}

// One channel of one span: v[(row * 4 + column) * v_plane + tile]. Lanes behind the span's are overwritten by the next
// one's, or are no tile's.
template <class T>
FASTNN_INLINE void winograd_channel(const Span& sp, const Axis& h, const Axis& w, const T* image, T* z, T* v,
                                    int64_t v_plane) {
  constexpr int W = Vec<T>::size;
  // z: [4 combinations][row & 1][row / 2][count]
  const int64_t half = (sp.rows + 1) * sp.count, plane = 2 * half;
  for (int64_t y = 0; y < 2 * sp.rows + 2; y++) {
    const int64_t row = 2 * sp.p0 + y + h.first;
    T* to = z + (y & 1) * half + y / 2 * sp.count;
    if (image && row >= 0 && row < h.size) {
      winograd_row(image + row * w.size, w.size, 2 * sp.q0 + w.first, sp.count, to, plane);
    } else {
      for (int s = 0; s < 4; s++) zero_row(to + s * plane, sp.count);
    }
  }
  for (int64_t j = 0; j < sp.length; j += W) {
    const int64_t room = kWinogradTiles - sp.column - j;
    unroll<4>([&](auto s) __attribute__((always_inline)) {
      const T* from = z + s * plane + sp.first + j;
      const Vec<T> a = Vec<T>::load(from), b = Vec<T>::load(from + half), c = Vec<T>::load(from + sp.count),
                   d = Vec<T>::load(from + half + sp.count);
      const Vec<T> out[4] = {a - c, b + c, c - b, b - d};
      unroll<4>([&](auto r) __attribute__((always_inline)) {
        T* to = v + (r * 4 + s) * v_plane + sp.column + j;
        if (room >= W) {
          out[r].store(to);
        } else {
          out[r].store(to, static_cast<int>(room));
        }
      });
    });
  }
}

// The channels c0 .. c0 + channels - 1 of a block: v is that of the first.
template <class T, class Planes>
void winograd_input(const Spans& spans, const Axis& h, const Axis& w, const Planes& planes, int64_t channels, T* v,
                    int64_t v_plane) {
  alignas(64) T z[kWinogradStage + Vec<T>::size];
  for (int64_t c = 0; c < channels; c++)
    for (int i = 0; i < spans.count; i++)
      winograd_channel(spans.s[i], h, w, planes(spans.s[i].image, c), z, v + c * kWinogradTiles, v_plane);
}

// ---- the products ----
template <class T, int R, int NV>
FASTNN_INLINE void winograd_tile(int64_t depth, const T* a, const T* b, T* out) {
  constexpr int W = Vec<T>::size, MR = GemmTile<T>::kMr;
  Vec<T> acc[R][NV];
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] = Vec<T>::zero(); });
  });
  const auto step = [&]() __attribute__((always_inline)) {
    Vec<T> bv[NV];
    unroll<NV>([&](auto v) __attribute__((always_inline)) {
      bv[v] = Vec<T>::load(b + v * W);
      __builtin_prefetch(b + 8 * kWinogradTiles + v * W);
    });
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> x(a[r]);
      unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] = fma(x, bv[v], acc[r][v]); });
    });
    a += MR;
    b += kWinogradTiles;
  };
  int64_t k = 0;
  for (; k + 4 <= depth; k += 4) unroll<4>([&](auto) __attribute__((always_inline)) { step(); });
  for (; k < depth; k++) step();
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v].store(out + r * kWinogradTiles + v * W); });
  });
}
// `rows` rows of weights (panels of kMr, `panel` apart) against up to kNr columns.
template <class T, int NV>
__attribute__((noinline)) void winograd_strip(int64_t rows, int64_t depth, const T* a, int64_t panel, const T* b,
                                              T* out) {
  constexpr int MR = GemmTile<T>::kMr;
  int64_t i = 0;
  for (; i + MR <= rows; i += MR, a += panel) winograd_tile<T, MR, NV>(depth, a, b, out + i * kWinogradTiles);
  out += i * kWinogradTiles;
  switch (rows - i) {
    case 1:
      return winograd_tile<T, 1, NV>(depth, a, b, out);
    case 2:
      return winograd_tile<T, 2, NV>(depth, a, b, out);
    case 3:
      return winograd_tile<T, 3, NV>(depth, a, b, out);
    case 4:
      return winograd_tile<T, 4, NV>(depth, a, b, out);
    case 5:
      return winograd_tile<T, 5, NV>(depth, a, b, out);
    default:
      return;
  }
}
template <class T>
FASTNN_INLINE void winograd_strips(int64_t columns, int64_t rows, int64_t depth, const T* a, int64_t panel, const T* b,
                                   T* out) {
  constexpr int W = Vec<T>::size, NR = GemmTile<T>::kNr;
  for (int64_t j = 0; j < columns; j += NR) {
    switch (ceil_div(min_i(NR, columns - j), W)) {
      case 1:
        winograd_strip<T, 1>(rows, depth, a, panel, b + j, out + j);
        break;
      case 2:
        winograd_strip<T, 2>(rows, depth, a, panel, b + j, out + j);
        break;
      default:
        if constexpr (GemmTile<T>::kNv == 4) {
          if (ceil_div(min_i(NR, columns - j), W) == 3) {
            winograd_strip<T, 3>(rows, depth, a, panel, b + j, out + j);
          } else {
            winograd_strip<T, 4>(rows, depth, a, panel, b + j, out + j);
          }
        }
    }
  }
}

// ---- y ----

// The lanes lo .. of a vector of tiles whose outputs are a run of `count` elements of one or two rows of y; y is where
// the outputs of lane 0 would be.
struct WinogradPiece {
  int lo, count;
  bool two;
  int64_t y;
};
template <class T>
struct WinogradPieces {
  static constexpr int kVectors = kWinogradTiles / Vec<T>::size;
  WinogradPiece p[kWinogradTiles + kVectors];
  int begin[kVectors + 1];
};
template <class T>
void winograd_pieces(const Winograd& win, const Task<T>& t, int64_t block, WinogradPieces<T>* out) {
  constexpr int W = Vec<T>::size;
  const int64_t begin = block * kWinogradTiles, end = min_i(begin + kWinogradTiles, win.tiles);
  int n = 0, v = 0;
  out->begin[0] = 0;
  for (int64_t i = begin; i < end;) {
    const int64_t image = i / win.image_tiles, in = i % win.image_tiles, p = in / win.across, q = in % win.across;
    const int64_t lane = (i - begin) % W, run = min_i(min_i(win.across - q, W - lane), end - i);
    while (v < (i - begin) / W) out->begin[++v] = n;
    out->p[n++] = {static_cast<int>(lane), static_cast<int>(min_i(2 * run, t.w.out - 2 * q)), 2 * p + 1 < t.h.out,
                   (t.image_out(image) - t.y) + 2 * p * t.y_row + 2 * (q - lane)};
    i += run;
  }
  while (v < WinogradPieces<T>::kVectors) out->begin[++v] = n;
}

// Stores even and odd outputs of a vector's tiles.
template <class T>
FASTNN_INLINE void winograd_store(T* y, Vec<T> even, Vec<T> odd, int lo, int hi) {
  constexpr int W = Vec<T>::size;
  Vec<T> a, b;
  zip(even, odd, &a, &b);
  if (lo == 0 && hi == 2 * W) {
    a.store(y);
    b.store(y + W);
    return;
  }
#if defined(__AVX512F__)
  if (lo < W) store_lanes(y, a, lo, hi < W ? hi : W);
  if (hi > W) store_lanes(y + W, b, lo > W ? lo - W : 0, hi - W);
#else
  T buffer[2 * W];
  a.store(buffer);
  b.store(buffer + W);
  for (int i = lo; i < hi; i++) y[i] = buffer[i];
#endif
}

// `rows` output channels from row0 on. False: some output was not finite.
template <class T>
bool winograd_output(const Task<T>& t, const WinogradPieces<T>& pieces, int64_t columns, const T* m, int64_t m_plane,
                     int64_t rows, int64_t row0) {
  constexpr int W = Vec<T>::size;
  Vec<T> bad = Vec<T>::zero();
  for (int64_t i = 0; i < rows; i++) {
    T* y = t.y + (row0 + i) * t.y_channel;
    const Vec<T> bias(t.bias ? t.bias[row0 + i] : T(0));
    for (int v = 0; v * W < columns; v++) {
      const T* from = m + i * kWinogradTiles + v * W;
      const int n = static_cast<int>(min_i(W, columns - v * W));
      const auto sums = [&](auto load) __attribute__((always_inline)) {
        Vec<T> top[4], low[4];
        unroll<4>([&](auto s) __attribute__((always_inline)) {
          const Vec<T> a = load(from + s * m_plane), b = load(from + (4 + s) * m_plane),
                       c = load(from + (8 + s) * m_plane), d = load(from + (12 + s) * m_plane);
          top[s] = a + b + c;
          low[s] = b - c - d;
        });
        Vec<T> out[4] = {top[0] + top[1] + top[2], top[1] - top[2] - top[3], low[0] + low[1] + low[2],
                         low[1] - low[2] - low[3]};
        unroll<4>([&](auto o) __attribute__((always_inline)) {
          bad = fma(out[o], Vec<T>::zero(), bad);
          if (t.bias) out[o] += bias;
          if (t.act != GemmAct::None) out[o] = activate(out[o], t.act);
        });
        for (int k = pieces.begin[v]; k < pieces.begin[v + 1]; k++) {
          const WinogradPiece& piece = pieces.p[k];
          const int lo = 2 * piece.lo, hi = lo + piece.count;
          winograd_store(y + piece.y, out[0], out[1], lo, hi);
          if (piece.two) winograd_store(y + piece.y + t.y_row, out[2], out[3], lo, hi);
        }
      };
      if (n == W) {
        sums([](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p); });
      } else {
        sums([n](const T* p) __attribute__((always_inline)) { return Vec<T>::load(p, n); });
      }
    }
  }
  return !any(isnan(bad));
}

// False: some output was not finite, and what is in y is no result.
template <class T>
bool run_winograd(const Task<T>& t, const Winograd& win, void* workspace) {
  constexpr int MR = GemmTile<T>::kMr;
  int* const failed = static_cast<int*>(workspace);
  *failed = 0;
  T* const u = reinterpret_cast<T*>(static_cast<char*>(workspace) + 64);
  T* const v_all = u + win.u;
  const int64_t panels = row_panels<T>(t.M), panel = 16 * t.C * MR, v_plane = winograd_plane(t.C),
                m_plane = winograd_plane(win.rows);
  const auto weights = [&](int64_t i, int) { winograd_weights(t.a + i * 9 * t.C * MR, t.C, u + i * panel); };
  if (t.G * t.M * t.C > 2048) {
    parallel_for(t.G * panels, weights);
  } else {
    for (int64_t i = 0; i < t.G * panels; i++) weights(i, 0);
  }
  const auto input = [&](int64_t g, const Spans& spans, int64_t c0, int64_t channels, T* v) {
    winograd_input(
        spans, t.h, t.w, [&](int64_t image, int64_t c) { return t.x(image, g, c0 + c); }, channels,
        v + c0 * kWinogradTiles, v_plane);
  };
  const auto rows = [&](int64_t g, int64_t block, int64_t chunk, const T* v, T* m) {
    const int64_t m0 = chunk * win.rows, count = min_i(win.rows, t.M - m0);
    const int64_t columns = min_i(kWinogradTiles, win.tiles - block * kWinogradTiles);
    WinogradPieces<T> pieces;
    winograd_pieces(win, t, block, &pieces);
    const T* a = u + (g * panels + m0 / MR) * panel;
    for (int i = 0; i < 16; i++)
      winograd_strips(columns, count, t.C, a + i * t.C * MR, panel, v + i * v_plane, m + i * m_plane);
    if (!winograd_output(t, pieces, columns, m, m_plane, count, g * t.M + m0))
      __atomic_store_n(failed, 1, __ATOMIC_RELAXED);
  };
  T* const m_all = v_all + (win.shared ? t.G * win.blocks * win.v : 0);
  if (win.shared) {
    parallel_for(t.G * win.blocks * win.c_chunks, [&](int64_t i, int) {
      const int64_t c0 = i % win.c_chunks * win.c_chunk, at = i / win.c_chunks;
      Spans spans;
      winograd_spans(win, at % win.blocks, &spans);
      if (c0 < t.C) input(at / win.blocks, spans, c0, min_i(win.c_chunk, t.C - c0), v_all + at * win.v);
    });
    parallel_for(t.G * win.blocks * win.row_chunks, [&](int64_t i, int thread) {
      const int64_t at = i / win.row_chunks;
      rows(at / win.blocks, at % win.blocks, i % win.row_chunks, v_all + at * win.v, m_all + thread * win.m);
    });
  } else {
    parallel_for(t.G * win.blocks, [&](int64_t i, int thread) {
      T* const v = v_all + thread * (win.v + win.m);
      Spans spans;
      winograd_spans(win, i % win.blocks, &spans);
      input(i / win.blocks, spans, 0, t.C, v);
      for (int64_t chunk = 0; chunk < win.row_chunks; chunk++)
        rows(i / win.blocks, i % win.blocks, chunk, v, v + win.v);
    });
  }
  return !__atomic_load_n(failed, __ATOMIC_RELAXED);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
