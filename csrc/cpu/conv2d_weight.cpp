// The gradient for the weights: dW^T[(c, r, s), k] = sum over pixels of x[tap (c, r, s) of the pixel] * dy[k, pixel].
//
// A row of the left operand is, per image row, a run of the staged tile (conv2d.h): the kernel broadcasts from it in
// place. The right operand is a panel of dy turned around, [pixel][64 k], packed once for all rows. The work is cut by
// the shape alone, by input and output channels and into chunks of the sum over images and tiles: each chunk's sum is
// kept, and they are added as a tree.
#include "cpu/conv2d_depthwise_weight.h"
#include "cpu/conv2d_winograd_weight.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

struct WeightCut {
  Stage st;
  bool dot;  // lanes are pixels instead of output channels
  Axis h, w;
  int64_t G, M, C, taps;       // M output channels and C input channels of a group, as Slices count them
  int64_t outer, inner;        // images are outer x inner: those of a tile lie within one outer
  int64_t dy_outer, dy_image;  // apart in dy
  int64_t images, p_blocks, q_blocks, tiles, c_block, c_blocks, m_block, m_blocks, chunks;
  int64_t padded;                                   // M in whole vectors
  int64_t stage_elements, panel_elements, partial;  // partial: elements of one chunk's dW^T
};

template <class T>
WeightCut make_weight_cut(const Conv2dShape& s) {
  using Tile = GemmTile<T>;
  constexpr int64_t kRows = 24 * Tile::kMr;            // rows that share a packed panel of dy
  constexpr int64_t kItems = 16;                       // for all threads
  constexpr int64_t kChunkMacs = 512 * 1024;           // of an item at least
  constexpr int64_t kPartialBytes = 64 * 1024 * 1024;  // of all chunks' sums together at most
  WeightCut c{};
  forward_axes(s, &c.h, &c.w);
  c.st = make_stage(c.h, c.w, kWeightTilePixels, is_flat(s));
  if (s.variant == ConvVariant::Naive) c.st.ok = false;
  if (!c.st.ok) return c;
  c.G = s.groups;
  c.M = s.K / s.groups;
  c.C = s.C / s.groups * s.T;
  c.outer = s.O > 1 ? s.N : 1;
  c.inner = s.O > 1 ? s.O : s.N;
  c.dy_outer = s.K * s.O * s.P * s.Q;
  c.dy_image = s.O > 1 ? s.P * s.Q : s.K * s.P * s.Q;
  c.taps = s.R * s.S;
  c.p_blocks = ceil_div(c.h.out, c.st.p_block);
  c.q_blocks = ceil_div(c.w.out, c.st.q_block);
  int64_t n = kRows / c.taps;
  if (!c.st.in_place) n = min_i(n, kStageBytes / (c.st.channel * static_cast<int64_t>(sizeof(T))));
  c.c_block = even_block(c.C, max_i(n, 1));
  // Small images: several to a tile, for a longer run between the visits to the sums.
  c.images = kWeightTilePixels / (c.st.p_block * c.st.q_block);
  if (!c.st.in_place)
    c.images = min_i(c.images, kStageBytes / (c.st.channel * c.c_block * static_cast<int64_t>(sizeof(T))));
  c.images = even_block(c.inner, max_i(c.images, 1));
  c.tiles = c.outer * ceil_div(c.inner, c.images) * c.p_blocks * c.q_blocks;
  c.c_blocks = ceil_div(c.C, c.c_block);
  c.dot = 2 * c.M <= Vec<T>::size;
  c.padded = c.dot ? c.M : round_up(c.M, Vec<T>::size);
  c.partial = c.G * c.C * c.taps * c.padded;
  // Items enough, by chunks of the sum, each of which leaves a dW^T to be written and read, and by blocks of output
  // channels, each of which reads all of x: whatever moves least.
  const double macs = static_cast<double>(c.outer * c.inner) * c.h.out * c.w.out * c.c_block * c.taps * c.padded;
  const int64_t panels = c.dot ? 1 : ceil_div(c.padded, Tile::kNr),
                image = c.outer * c.inner * c.C * c.h.size * c.w.size;
  const int64_t worth = max_i(static_cast<int64_t>(macs / kChunkMacs), 1);
  int64_t most = 0, least = 0;
  for (int64_t m = 1; m <= min_i(min_i(panels, worth), kItems); m *= 2) {
    int64_t chunks = min_i(ceil_div(kItems, c.G * c.c_blocks * m), max_i(worth / m, 1));
    chunks = min_i(chunks, max_i(kPartialBytes / (c.partial * static_cast<int64_t>(sizeof(T))), 1));
    chunks = min_i(chunks, c.tiles);
    const int64_t items = min_i(c.G * c.c_blocks * m * chunks, kItems);
    const int64_t moved = (m - 1) * c.G * image + 3 * (chunks - 1) * c.partial;
    if (items < most || (items == most && moved >= least)) continue;
    most = items;
    least = moved;
    c.chunks = chunks;
    c.m_block = ceil_div(panels, m) * Tile::kNr;
    c.m_blocks = ceil_div(c.padded, c.m_block);
  }
  c.stage_elements = c.st.in_place ? 0 : align_elements(c.images * c.c_block * c.st.channel);
  c.panel_elements = c.images * c.st.p_block * c.st.q_block * min_i(Tile::kNr, c.padded);
  return c;
}

template <class T>
FASTNN_INLINE int64_t weight_scratch(const WeightCut& c) {  // bytes a thread
  return round_up((c.stage_elements + c.panel_elements) * static_cast<int64_t>(sizeof(T)), 64);
}
template <class T>
FASTNN_INLINE int64_t partial_bytes(const WeightCut& c) {
  return round_up(c.chunks * c.partial * static_cast<int64_t>(sizeof(T)), 64);
}
FASTNN_INLINE int64_t offset_bytes(const WeightCut& c) { return round_up(c.c_block * c.taps * 8, 64); }

// The pixels of a tile: of each image, `rows` runs of `count`, in the staged buffer `pitch` and `image` apart.
struct Runs {
  int64_t images, rows, count, pitch, image;
};

// acc[r][v] = sum over i < images, p < rows, q < count of
//             tile[off[r] + i * image + p * pitch + q] * panel[((i * rows + p) * count + q) * width + v * W ..]
template <class T, int R, int NV>
FASTNN_INLINE void weight_kernel(const Runs& n, const T* tile, const int64_t* off, const T* panel,
                                 Vec<T> (&acc)[R][NV]) {
  constexpr int W = Vec<T>::size;
  unroll<R>([&](auto r) __attribute__((always_inline)) {
    unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] = Vec<T>::zero(); });
  });
  for (int64_t i = 0; i < n.images; i++, tile += n.image) {
    const T* a[R];
    unroll<R>([&](auto r) __attribute__((always_inline)) { a[r] = tile + off[r]; });
    for (int64_t p = 0; p < n.rows; p++) {
      for (int64_t q = 0; q < n.count; q++, panel += NV * W) {
        Vec<T> b[NV];
        unroll<NV>([&](auto v) __attribute__((always_inline)) { b[v] = Vec<T>::load(panel + v * W); });
        unroll<R>([&](auto r) __attribute__((always_inline)) {
          const Vec<T> x(a[r][q]);
          unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] = fma(x, b[v], acc[r][v]); });
        });
      }
      unroll<R>([&](auto r) __attribute__((always_inline)) { a[r] += n.pitch; });
    }
  }
}

// m rows of dW^T against one panel, stored to or added to out.
template <class T, int NV>
__attribute__((noinline)) void weight_strip(int64_t m, const Runs& runs, const T* tile, const int64_t* off,
                                            const T* panel, T* out, int64_t ld, bool first) {
  constexpr int MR = GemmTile<T>::kMr, W = Vec<T>::size;
  const int64_t tiles = ceil_div(m, MR);
  for (int64_t i = 0; i < tiles; i++) {
    const int64_t m0 = i * m / tiles, n = (i + 1) * m / tiles - m0;  // tiles of equal height: a lone row would be slow
    auto block = [&](auto r) __attribute__((always_inline)) {
      constexpr int R = decltype(r)::value;
      Vec<T> acc[R][NV];
      weight_kernel<T, R, NV>(runs, tile, off + m0, panel, acc);
      unroll<R>([&](auto j) __attribute__((always_inline)) {
        unroll<NV>([&](auto v) __attribute__((always_inline)) {
          T* p = out + (m0 + j) * ld + v * W;
          if (!first) acc[j][v] += Vec<T>::load(p);
          acc[j][v].store(p);
        });
      });
    };
    switch (n) {
      case 1:
        block(Int<1>());
        break;
      case 2:
        block(Int<2>());
        break;
      case 3:
        block(Int<3>());
        break;
      case 4:
        block(Int<4>());
        break;
      case 5:
        block(Int<5>());
        break;
      default:
        block(Int<6>());
        break;
    }
  }
}

// Few output channels a group (depthwise, LeNet's first layer) would leave most lanes of a panel empty. There the lanes
// are pixels: MK rows of dy against NT taps, summed across lanes at the end. dy's runs lie dy_row, dy_image apart.
template <class T, int MK, int NT>
__attribute__((noinline)) void dot_tile(const Runs& n, const T* tile, const int64_t* off, const T* dy,
                                        int64_t dy_channel, int64_t dy_row, int64_t dy_image, T* out, int64_t ld,
                                        bool first) {
  constexpr int W = Vec<T>::size;
  Vec<T> acc[MK][NT];
  unroll<MK>([&](auto k) __attribute__((always_inline)) {
    unroll<NT>([&](auto t) __attribute__((always_inline)) { acc[k][t] = Vec<T>::zero(); });
  });
  for (int64_t i = 0; i < n.images; i++) {
    for (int64_t p = 0; p < n.rows; p++) {
      const T* x = tile + i * n.image + p * n.pitch;
      const T* y = dy + i * dy_image + p * dy_row;
      const auto step = [&](int64_t q, auto load) __attribute__((always_inline)) {
        Vec<T> yv[MK];
        unroll<MK>([&](auto k) __attribute__((always_inline)) { yv[k] = load(y + k * dy_channel + q); });
        unroll<NT>([&](auto t) __attribute__((always_inline)) {
          const Vec<T> xv = load(x + off[t] + q);
          unroll<MK>([&](auto k) __attribute__((always_inline)) { acc[k][t] = fma(yv[k], xv, acc[k][t]); });
        });
      };
      int64_t q = 0;
      for (; q + W <= n.count; q += W)
        step(q, [](const T* from) __attribute__((always_inline)) { return Vec<T>::load(from); });
      const int left = static_cast<int>(n.count - q);
      if (left) step(q, [left](const T* from) __attribute__((always_inline)) { return Vec<T>::load(from, left); });
    }
  }
  unroll<MK>([&](auto k) __attribute__((always_inline)) {
    unroll<NT>([&](auto t) __attribute__((always_inline)) {
      T* o = out + t * ld + k;
      *o = sum(acc[k][t]) + (first ? T(0) : *o);
    });
  });
}
template <class T, int MK>
FASTNN_INLINE void dot_taps(int64_t m, const Runs& n, const T* tile, const int64_t* off, const T* dy,
                            int64_t dy_channel, int64_t dy_row, int64_t dy_image, T* out, int64_t ld, bool first) {
  int64_t i = 0;
  const auto taps = [&](auto t) __attribute__((always_inline)) {
    constexpr int NT = decltype(t)::value;
    for (; i + NT <= m; i += NT)
      dot_tile<T, MK, NT>(n, tile, off + i, dy, dy_channel, dy_row, dy_image, out + i * ld, ld, first);
  };
  taps(Int<6>());
  taps(Int<3>());
  taps(Int<1>());
}

template <class T>
void weight_item(const Conv2dShape& s, const WeightCut& c, const T* dy, const T* x, const int64_t* offsets, T* scratch,
                 T* partial, int64_t item) {
  constexpr int W = Vec<T>::size, NR = GemmTile<T>::kNr;
  const int64_t chunk = item % c.chunks;
  item /= c.chunks;
  const int64_t k_begin = item % c.m_blocks * c.m_block, k_end = min_i(k_begin + c.m_block, c.padded);
  item /= c.m_blocks;
  const int64_t c0 = item % c.c_blocks * c.c_block, channels = min_i(c.c_block, c.C - c0), g = item / c.c_blocks;
  const int64_t plane = c.h.size * c.w.size, pixels = s.O * c.h.out * c.w.out, m = channels * c.taps;
  const Slices<T> slices{x, forward_depth(s), c.G, c.C, plane};
  T* sums = partial + chunk * c.partial + (g * c.C + c0) * c.taps * c.padded;
  T* panel = scratch + c.stage_elements;
  const int64_t begin = chunk * c.tiles / c.chunks, end = (chunk + 1) * c.tiles / c.chunks;
  for (int64_t tile = begin; tile < end; tile++) {
    const bool first = tile == begin;
    const int64_t q0 = tile % c.q_blocks * c.st.q_block, p0 = tile / c.q_blocks % c.p_blocks * c.st.p_block;
    const int64_t groups = ceil_div(c.inner, c.images), number = tile / (c.q_blocks * c.p_blocks);
    const int64_t outer = number / groups, n0 = number % groups * c.images, image0 = outer * c.inner + n0;
    const Runs runs{min_i(c.images, c.inner - n0), min_i(c.st.p_block, c.h.out - p0), min_i(c.st.q_block, c.w.out - q0),
                    c.st.pitch, c.st.in_place ? s.C * plane : c.c_block * c.st.channel};
    const T* staged = scratch;
    if (c.st.in_place) {
      staged = in_place_tile(c.h, c.w, slices(image0, g, c0), p0, q0);
    } else {
      for (int64_t i = 0; i < runs.images; i++)
        stage_tile(
            scratch + i * runs.image, c.st, c.h, c.w, [&](int64_t k) { return slices(image0 + i, g, c0 + k); },
            channels, p0, q0, runs.rows);
    }
    const T* dy0 = dy + outer * c.dy_outer + n0 * c.dy_image + g * c.M * pixels + p0 * c.w.out + q0;
    if (c.dot) {
      int64_t k = 0;
      for (; k + 4 <= c.M; k += 4)
        dot_taps<T, 4>(m, runs, staged, offsets, dy0 + k * pixels, pixels, c.w.out, c.dy_image, sums + k, c.padded,
                       first);
      for (; k < c.M; k++)
        dot_taps<T, 1>(m, runs, staged, offsets, dy0 + k * pixels, pixels, c.w.out, c.dy_image, sums + k, c.padded,
                       first);
      continue;
    }
    for (int64_t k = k_begin; k < k_end; k += NR) {
      const int width = static_cast<int>(min_i(NR, c.padded - k));
      for (int64_t i = 0; i < runs.images; i++)
        pack_dy(panel + i * runs.rows * runs.count * width, width, c.M - k, dy0 + i * c.dy_image + k * pixels, pixels,
                runs.rows, runs.count, c.w.out);
      T* out = sums + k;
      switch (width / W) {
        case 1:
          weight_strip<T, 1>(m, runs, staged, offsets, panel, out, c.padded, first);
          break;
        case 2:
          weight_strip<T, 2>(m, runs, staged, offsets, panel, out, c.padded, first);
          break;
        default:
          if constexpr (GemmTile<T>::kNv == 4) {
            if (width / W == 3) {
              weight_strip<T, 3>(m, runs, staged, offsets, panel, out, c.padded, first);
            } else {
              weight_strip<T, 4>(m, runs, staged, offsets, panel, out, c.padded, first);
            }
          }
      }
    }
  }
}

// dw[g * M + k][c, r, s] from the chunks' dW^T.
template <class T>
void collect(const WeightCut& c, const T* partial, T* dw) {
  constexpr int W = Vec<T>::size;
  const int64_t rows = c.C * c.taps, blocks = ceil_div(c.padded, W);
  const auto block = [&](int64_t i, int) {
    const int64_t g = i / blocks, k = i % blocks * W;
    const int real = static_cast<int>(min_i(W, c.M - k)), lanes = static_cast<int>(min_i(W, c.padded - k));
    for (int64_t m = 0; m < rows; m += W) {
      const int n = static_cast<int>(min_i(W, rows - m));
      Vec<T> v[W];
      for (int j = 0; j < W; j++)
        v[j] = j < n ? tree_sum(partial + (g * rows + m + j) * c.padded + k, c.partial, lanes, 0, c.chunks)
                     : Vec<T>::zero();
      transpose(v);
      for (int j = 0; j < real; j++) v[j].store(dw + (g * c.M + k + j) * rows + m, n);
    }
  };
  if (c.partial * c.chunks > 65536) {
    parallel_for(c.G * blocks, block);
  } else {
    for (int64_t i = 0; i < c.G * blocks; i++) block(i, 0);
  }
}

// The definition, where a tile cannot be staged.
template <class T>
void weight_plain(const Conv2dShape& s, const T* dy, const T* x, T* dw) {
  const int64_t cg = s.C / s.groups, kg = s.K / s.groups;
  const Slices<T> slices{x, forward_depth(s), s.groups, cg * s.T, s.H * s.W};
  parallel_for(s.K * cg * s.T, [&](int64_t i, int) {
    const int64_t k = i / (cg * s.T), g = k / kg;
    for (int64_t r = 0; r < s.R; r++) {
      for (int64_t u = 0; u < s.S; u++) {
        T sum = 0;
        for (int64_t n = 0; n < s.N * s.O; n++) {
          const T* plane = slices(n, g, i % (cg * s.T));
          if (!plane) continue;
          const T* d = dy + ((n / s.O * s.K + k) * s.O + n % s.O) * s.P * s.Q;
          for (int64_t p = 0; p < s.P; p++) {
            const int64_t h = p * s.stride_h - s.pad_h + r * s.dilation_h;
            if (h < 0 || h >= s.H) continue;
            for (int64_t q = 0; q < s.Q; q++) {
              const int64_t w = q * s.stride_w - s.pad_w + u * s.dilation_w;
              if (w >= 0 && w < s.W) sum += d[p * s.Q + q] * plane[h * s.W + w];
            }
          }
        }
        dw[(i * s.R + r) * s.S + u] = sum;
      }
    }
  });
}

template <class T>
void backward_weight(const Ctx& ctx, const Conv2dShape& s, const T* dy, const T* x, T* dw) {
  if (s.C == 0) return;
  if (s.N == 0) return weight_plain(s, dy, x, dw);  // zeros
  if (depthwise_weight_fits(s)) return depthwise_backward_weight(s, dy, x, dw);
  const WinogradWeight win = make_winograd_weight<T>(s);
  if (win.use && winograd_backward_weight(s, win, dy, x, dw, ctx.workspace)) return;
  const WeightCut c = make_weight_cut<T>(s);
  if (!c.st.ok) return weight_plain(s, dy, x, dw);
  char* memory = static_cast<char*>(ctx.workspace);
  int64_t* offsets = reinterpret_cast<int64_t*>(memory);
  T* partial = reinterpret_cast<T*>(memory + offset_bytes(c));
  char* scratch = memory + offset_bytes(c) + partial_bytes<T>(c);
  for (int64_t i = 0, k = 0; i < c.c_block; i++)
    for (int64_t r = 0; r < s.R; r++)
      for (int64_t u = 0; u < s.S; u++) offsets[k++] = i * c.st.channel + tap_offset(c.st, c.h, c.w, r, u);
  parallel_for(c.G * c.c_blocks * c.m_blocks * c.chunks, [&](int64_t item, int thread) {
    weight_item(s, c, dy, x, offsets, reinterpret_cast<T*>(scratch + thread * weight_scratch<T>(c)), partial, item);
  });
  collect(c, partial, dw);
}

template <class T>
size_t workspace_of(int threads, const Conv2dShape& s) {
  const WeightCut c = make_weight_cut<T>(s);
  if (!c.st.ok) return 0;
  const size_t direct = static_cast<size_t>(offset_bytes(c) + partial_bytes<T>(c) + threads * weight_scratch<T>(c));
  const WinogradWeight win = make_winograd_weight<T>(s);
  const size_t most = win.use ? winograd_weight_workspace<T>(threads, win) : 0;
  return most > direct ? most : direct;
}

}  // namespace

void conv2d_backward_weight(const Ctx& ctx, Dtype dtype, const Conv2dShape& s, const void* dy, const void* x,
                            void* dw) {
  if (dtype == Dtype::F32) {
    backward_weight(ctx, s, static_cast<const float*>(dy), static_cast<const float*>(x), static_cast<float*>(dw));
  } else {
    backward_weight(ctx, s, static_cast<const double*>(dy), static_cast<const double*>(x), static_cast<double*>(dw));
  }
}
size_t conv2d_weight_workspace(int threads, Dtype dtype, const Conv2dShape& s) {
  if (s.N == 0 || s.C == 0) return 0;
  return dtype == Dtype::F32 ? workspace_of<float>(threads, s) : workspace_of<double>(threads, s);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
