// The gradient for 3x3 weights of stride 1, through the products of conv2d_winograd.h turned around: with V = B^T d B
// of the image's tiles and D = A e A^T of dy's 2x2 tiles e,
//     S[c, k] = sum over tiles of V[c] * D[k]  (16 products of matrices),   dW[k, c] = G^T S[c, k] G.
// An item is 64 output channels by up to 64 input channels over a run of blocks of 64 tiles: V, D and S, 256 KiB each,
// stay in L2. V and D are made again for every such pair of blocks: at 64 by 64 that is about 15% of the products.
#pragma once
#include "cpu/conv2d_weight.h"
#include "cpu/conv2d_winograd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kWinogradSide = 64;  // channels of an item, of either kind

struct WinogradWeight {
  bool use;
  Axis h, w;
  Winograd tiles;
  int64_t G, M, C, k_blocks, c_block, c_blocks, chunks, width;  // width: of a row of D and S
  int64_t v, d, panel, s;                                       // elements of an item
};

template <class T>
WinogradWeight make_winograd_weight(const Conv2dShape& s) {
  WinogradWeight win{};
  if (s.variant == ConvVariant::Naive || s.variant == ConvVariant::Packed || s.N == 0 || s.C == 0) return win;
  forward_axes(s, &win.h, &win.w);
  if (!winograd_fits(win.h, win.w)) return win;
  winograd_tiles(&win.tiles, s.N * s.O, win.h, win.w);
  win.G = s.groups;
  win.M = s.K / s.groups;
  win.C = s.C / s.groups * s.T;
  const int64_t bytes = static_cast<int64_t>(sizeof(T)), limit = (int64_t{128} << 20) / bytes;
  win.width = round_up(min_i(win.M, kWinogradSide), Vec<T>::size);
  win.k_blocks = ceil_div(win.M, win.width);
  win.c_block = even_block(win.C, kWinogradSide);
  win.c_blocks = ceil_div(win.C, win.c_block);
  win.s = 16 * (win.c_block * win.width + 16);
  const int64_t pairs = win.G * win.k_blocks * win.c_blocks;
  if (pairs > limit / win.s) return win;
  if (s.variant == ConvVariant::Auto) {
    if (sizeof(T) != 4 || win.C < 8) return win;
    // Vectors of FMAs, and what is beside them counted as such.
    const double c = static_cast<double>(win.C), m = static_cast<double>(win.M);
    const double tiles = static_cast<double>(win.tiles.tiles), lanes = static_cast<double>(win.k_blocks * win.width);
    const double direct = 9 * static_cast<double>(s.N * s.O * s.P * s.Q) * c * lanes;
    // An image of less than a vector of tiles costs V as much as a whole one.
    const double rows = win.tiles.image_tiles < 16 ? 3500 * static_cast<double>(s.N * s.O) : 100 * tiles;
    const double here = tiles * (16 * c * lanes + 70 * lanes * static_cast<double>(win.c_blocks)) +
                        rows * c * static_cast<double>(win.k_blocks) + 200 * c * m;
    if (here > 0.85 * direct) return win;
  }
  win.use = true;
  win.chunks = min_i(min_i(ceil_div(16, pairs), win.tiles.blocks), limit / (win.s * pairs));
  win.v = 16 * winograd_plane(win.c_block);
  win.d = 16 * (kWinogradTiles * win.width + 16);
  win.panel = 4 * kWinogradTiles * win.width;
  return win;
}
template <class T>
size_t winograd_weight_workspace(int threads, const WinogradWeight& win) {
  const int64_t sums = win.G * win.k_blocks * win.c_blocks * win.chunks * win.s;
  return static_cast<size_t>(sums + threads * (win.v + win.d + win.panel)) * sizeof(T) + 64;
}

// D[16][tile][width] of `run` tiles in a row, from dy at the first one's first pixel: `rows` (1 or 2) rows of `pixels`.
template <class T>
void winograd_dy(const T* dy, int64_t channel, int64_t dy_row, int64_t rows, int64_t pixels, int64_t run,
                 int64_t m_left, int64_t width, T* panel, T* d, int64_t d_plane) {
  constexpr int W = Vec<T>::size;
  pack_dy(panel, static_cast<int>(width), m_left, dy, channel, rows, pixels, dy_row);
  for (int64_t t = 0; t < run; t++) {
    for (int64_t k = 0; k < width; k += W) {
      const T* from = panel + 2 * t * width + k;
      const bool two = 2 * t + 1 < pixels;
      const Vec<T> zero = Vec<T>::zero(), a = Vec<T>::load(from), b = two ? Vec<T>::load(from + width) : zero;
      const T* low = from + pixels * width;
      const Vec<T> e = rows > 1 ? Vec<T>::load(low) : zero, f = rows > 1 && two ? Vec<T>::load(low + width) : zero;
      const Vec<T> left[4] = {a, a + e, a - e, -e}, right[4] = {b, b + f, b - f, -f};
      T* to = d + t * width + k;
      unroll<4>([&](auto r) __attribute__((always_inline)) {
        left[r].store(to + (4 * r) * d_plane);
        (left[r] + right[r]).store(to + (4 * r + 1) * d_plane);
        (left[r] - right[r]).store(to + (4 * r + 2) * d_plane);
        (-right[r]).store(to + (4 * r + 3) * d_plane);
      });
    }
  }
}

// s[r][..] (+)= sum over t < tiles of v[r * kWinogradTiles + t] * d[t * width ..].
template <class T, int R, int NV>
FASTNN_INLINE void winograd_sum(int64_t tiles, const T* v, const T* d, int64_t width, T* s, bool first) {
  constexpr int W = Vec<T>::size;
  Vec<T> acc[R][NV];
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    unroll<NV>([&](auto j) __attribute__((always_inline)) {
      acc[r][j] = first ? Vec<T>::zero() : Vec<T>::load(s + r * width + j * W);
    });
  });
  const auto step = [&]() __attribute__((always_inline)) {
    Vec<T> b[NV];
    unroll<NV>([&](auto j) __attribute__((always_inline)) {
      b[j] = Vec<T>::load(d + j * W);
      __builtin_prefetch(d + 8 * width + j * W);
    });
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> x(v[r * kWinogradTiles]);
      unroll<NV>([&](auto j) __attribute__((always_inline)) { acc[r][j] = fma(x, b[j], acc[r][j]); });
    });
    v++;
    d += width;
  };
  int64_t t = 0;
  for (; t + 4 <= tiles; t += 4) unroll<4>([&](auto) __attribute__((always_inline)) { step(); });
  for (; t < tiles; t++) step();
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    unroll<NV>([&](auto j) __attribute__((always_inline)) { acc[r][j].store(s + r * width + j * W); });
  });
}
template <class T, int NV>
__attribute__((noinline)) void winograd_sums(int64_t rows, int64_t tiles, const T* v, const T* d, int64_t width, T* s,
                                             bool first) {
  constexpr int MR = GemmTile<T>::kMr;
  const int64_t blocks = ceil_div(rows, MR);
  for (int64_t i = 0; i < blocks; i++) {  // of equal height
    const int64_t r0 = i * rows / blocks;
    const T* a = v + r0 * kWinogradTiles;
    T* out = s + r0 * width;
    switch ((i + 1) * rows / blocks - r0) {
      case 1:
        winograd_sum<T, 1, NV>(tiles, a, d, width, out, first);
        break;
      case 2:
        winograd_sum<T, 2, NV>(tiles, a, d, width, out, first);
        break;
      case 3:
        winograd_sum<T, 3, NV>(tiles, a, d, width, out, first);
        break;
      case 4:
        winograd_sum<T, 4, NV>(tiles, a, d, width, out, first);
        break;
      case 5:
        winograd_sum<T, 5, NV>(tiles, a, d, width, out, first);
        break;
      default:
        winograd_sum<T, 6, NV>(tiles, a, d, width, out, first);
        break;
    }
  }
}

template <class T>
void winograd_weight_item(const Conv2dShape& s, const WinogradWeight& win, const T* dy, const Slices<T>& slices, T* v,
                          T* sums, int64_t g, int64_t k0, int64_t c0, int64_t chunk) {
  constexpr int W = Vec<T>::size, NR = GemmTile<T>::kNr;
  T* const d = v + win.v;
  T* const panel = d + win.d;
  const int64_t channels = min_i(win.c_block, win.C - c0), v_plane = winograd_plane(win.c_block);
  const int64_t d_plane = kWinogradTiles * win.width + 16, s_plane = win.c_block * win.width + 16;
  const int64_t image = s.P * s.Q, channel = s.O * image, blocks = win.tiles.blocks;
  const int64_t begin = chunk * blocks / win.chunks, end = (chunk + 1) * blocks / win.chunks;
  for (int64_t block = begin; block < end; block++) {
    Spans spans;
    winograd_spans(win.tiles, block, &spans);
    winograd_input(
        spans, win.h, win.w, [&](int64_t i, int64_t c) { return slices(i, g, c0 + c); }, channels, v, v_plane);
    for (int i = 0; i < spans.count; i++) {
      const Span& sp = spans.s[i];
      const T* from = dy + (sp.image / s.O * s.K + g * win.M + k0) * channel + sp.image % s.O * image;
      for (int64_t done = 0; done < sp.length;) {
        const int64_t at = sp.first + done, p = sp.p0 + at / sp.count, q = sp.q0 + at % sp.count;
        const int64_t run = min_i(sp.length - done, sp.count - at % sp.count);
        winograd_dy(from + 2 * p * s.Q + 2 * q, channel, s.Q, min_i(2, s.P - 2 * p), min_i(2 * run, s.Q - 2 * q), run,
                    win.M - k0, win.width, panel, d + (sp.column + done) * win.width, d_plane);
        done += run;
      }
    }
    const bool first = block == begin;
    for (int j = 0; j < 16; j++) {
      for (int64_t k = 0; k < win.width; k += NR) {
        const T *a = v + j * v_plane, *b = d + j * d_plane + k;
        T* const out = sums + j * s_plane + k;
        const int64_t n = ceil_div(min_i(NR, win.width - k), W);
        if (n == 1) winograd_sums<T, 1>(channels, spans.columns, a, b, win.width, out, first);
        if (n == 2) winograd_sums<T, 2>(channels, spans.columns, a, b, win.width, out, first);
        if constexpr (GemmTile<T>::kNv == 4) {
          if (n == 3) winograd_sums<T, 3>(channels, spans.columns, a, b, win.width, out, first);
          if (n == 4) winograd_sums<T, 4>(channels, spans.columns, a, b, win.width, out, first);
        }
      }
    }
  }
}

// dW of W output channels (from k0 + k on, `real` of them) and one block of input channels. False: not finite.
template <class T>
bool winograd_weight_collect(const WinogradWeight& win, const T* sums, int64_t k, int real, int64_t channels, T* dw,
                             int64_t dw_row) {
  constexpr int W = Vec<T>::size;
  const int64_t s_plane = win.c_block * win.width + 16;
  const Vec<T> half(T(0.5));
  Vec<T> bad = Vec<T>::zero();
  const auto fold = [&](Vec<T> a, Vec<T> b, Vec<T> c, Vec<T> d, Vec<T>(&out)[3]) __attribute__((always_inline)) {
    const Vec<T> sum = half * (b + c);
    out[0] = a + sum;
    out[1] = half * (b - c);
    out[2] = sum + d;
  };
  for (int64_t c0 = 0; c0 < channels; c0 += W) {
    const int64_t count = min_i(W, channels - c0);
    alignas(64) T columns[9 * W * W];
    for (int64_t c = 0; c < count; c++) {
      Vec<T> down[4][3];
      unroll<4>([&](auto j) __attribute__((always_inline)) {
        const auto at = [&](int i) __attribute__((always_inline)) {
          return tree_sum(sums + (4 * i + j) * s_plane + (c0 + c) * win.width + k, win.s, W, 0, win.chunks);
        };
        fold(at(0), at(1), at(2), at(3), down[j]);
      });
      unroll<3>([&](auto r) __attribute__((always_inline)) {
        Vec<T> row[3];
        fold(down[0][r], down[1][r], down[2][r], down[3][r], row);
        unroll<3>([&](auto u) __attribute__((always_inline)) {
          row[u].store(columns + (9 * c + 3 * r + u) * W);
          bad = fma(row[u], Vec<T>::zero(), bad);
        });
      });
    }
    for (int64_t j = 0; j < 9 * count; j += W) {
      const int n = static_cast<int>(min_i(W, 9 * count - j));
      Vec<T> v[W];
      for (int i = 0; i < W; i++) v[i] = i < n ? Vec<T>::load(columns + (j + i) * W) : Vec<T>::zero();
      transpose(v);
      for (int i = 0; i < real; i++) v[i].store(dw + i * dw_row + 9 * c0 + j, n);
    }
  }
  return !any(isnan(bad));
}

// False: some element was not finite, and what is in dw is no result.
template <class T>
bool winograd_backward_weight(const Conv2dShape& s, const WinogradWeight& win, const T* dy, const T* x, T* dw,
                              void* workspace) {
  constexpr int W = Vec<T>::size;
  int* const failed = static_cast<int*>(workspace);
  *failed = 0;
  T* const sums = reinterpret_cast<T*>(static_cast<char*>(workspace) + 64);
  const int64_t pairs = win.G * win.k_blocks * win.c_blocks;
  T* const scratch = sums + pairs * win.chunks * win.s;
  const Slices<T> slices{x, forward_depth(s), win.G, win.C, s.H * s.W};
  parallel_for(pairs * win.chunks, [&](int64_t i, int thread) {
    const int64_t pair = i / win.chunks, g = pair / (win.c_blocks * win.k_blocks);
    winograd_weight_item(s, win, dy, slices, scratch + thread * (win.v + win.d + win.panel), sums + i * win.s, g,
                         pair / win.c_blocks % win.k_blocks * win.width, pair % win.c_blocks * win.c_block,
                         i % win.chunks);
  });
  const int64_t vectors = win.width / W, row = win.C * 9;
  parallel_for(pairs * vectors, [&](int64_t i, int) {
    const int64_t pair = i / vectors, k = i % vectors * W, c0 = pair % win.c_blocks * win.c_block;
    const int64_t g = pair / (win.c_blocks * win.k_blocks), k0 = pair / win.c_blocks % win.k_blocks * win.width + k;
    if (k0 >= win.M) return;
    if (!winograd_weight_collect(win, sums + pair * win.chunks * win.s, k, static_cast<int>(min_i(W, win.M - k0)),
                                 min_i(win.c_block, win.C - c0), dw + (g * win.M + k0) * row + c0 * 9, row))
      __atomic_store_n(failed, 1, __ATOMIC_RELAXED);
  });
  return !__atomic_load_n(failed, __ATOMIC_RELAXED);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
