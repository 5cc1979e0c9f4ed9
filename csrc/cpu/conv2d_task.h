// One convolution over staged tiles (conv2d.h): what conv2d.cpp's forward pass and gradient for the input both are.
//
// A tile's outputs are columns of a product  Y[M, columns] = A[M, C * taps] * B[C * taps, columns],  A the weights. Two
// ways to read B:
//   direct   rows of B where they are staged, at the offset of their tap; columns run on over the ends of image rows,
//            so that (pitch - q_block) of every pitch columns are computed in vain and dropped. No copy at all.
//   packed   rows of B copied into panels of kNr exact columns, several small images to a tile. Images of a few vectors
//            are not even staged: each tap's columns are picked from them by a table of indices (conv2d_indexed.h).
// make_cut chooses by counting vectors. Where there are fewer tiles than threads may want, the rows of A are cut too:
// then all panels are packed first, once, and shared.
#pragma once
#include "cpu/conv2d_indexed.h"
#include "cpu/conv2d_store.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// One convolution: y[n, g, m, p, q] from x[n, g, c, ...] and the weights a, in GEMM's panels of kMr rows: row m, column
// k of group g at a[((g * panels + m / kMr) * (C * taps) + k) * kMr + m % kMr]. Strides in elements. N images, C
// channels as Slices count them.
template <class T>
struct Task {
  int64_t N, G, M, C;
  Axis h, w;
  Slices<T> x;
  const T* a;
  const T* bias;  // [G * M] or null
  GemmAct act;
  T* y;
  int64_t y_depth, y_channel, y_row, y_col;

  FASTNN_INLINE T* image_out(int64_t image) const {
    return y + image / x.d.out * G * M * y_channel + image % x.d.out * y_depth;
  }
};

template <class T>
FASTNN_INLINE int64_t row_panels(int64_t M) {
  return ceil_div(M, GemmTile<T>::kMr);
}

// How a task is cut, by its shape alone.
struct Cut {
  Stage st;
  bool packed;
  bool shared;   // all panels are packed before any is used
  bool indexed;  // panels are packed from the images themselves
  int64_t images, image_groups, p_blocks, q_blocks, tiles, m_block, m_blocks, c_block, taps;  // m_block: at most
  int64_t dense_row;                          // of sums that wait for the next channel block; 0: they wait in y
  int64_t stage_elements, dense_at, scratch;  // elements a thread: staged channels, a panel, waiting sums
  int64_t block_elements, shared_elements;    // of one tile and channel block; of all
};

template <class T>
Cut make_cut(int64_t N, int64_t G, int64_t M, int64_t C, const Axis& h, const Axis& w, bool flat) {
  using Tile = GemmTile<T>;
  Cut cut{};
  cut.st = make_stage(h, w, kTilePixels, flat);
  if (!cut.st.ok) return cut;
  const Stage& st = cut.st;
  cut.taps = h.taps * w.taps;
  cut.p_blocks = ceil_div(h.out, st.p_block);
  cut.q_blocks = ceil_div(w.out, st.q_block);
  // A vector of B costs M fused multiply-adds. Direct: as many vectors as the columns with the gaps between rows fill.
  // Packed: only the real columns, but a vector is loaded and stored once for each piece of an image row in it. Several
  // small images can share the last vector of a tile.
  constexpr int64_t W = Vec<T>::size, kItems = 8;  // an item for each of some threads, if M can be cut for it
  const int64_t blocks = G * cut.p_blocks * cut.q_blocks, pixels = st.p_block * st.q_block;
  const auto m_blocks = [&](int64_t images) {
    const int64_t tiles = ceil_div(N, images) * blocks;
    return tiles >= kItems ? 1 : min_i(ceil_div(2 * kItems, tiles), ceil_div(M, 8 * Tile::kMr));
  };
  const double copy = 2.5 * (1 + static_cast<double>(W) / static_cast<double>(st.q_block));
  // The vectors of so many columns; those of a narrow tile at the end cost more, as each broadcast weight serves fewer.
  const auto vectors_of = [](int64_t columns) {
    const int64_t n = ceil_div(columns, W), missing = ceil_div(n, Tile::kNv) * Tile::kNv - n;
    return static_cast<double>(n) + 0.5 * static_cast<double>(missing) / Tile::kNv;
  };
  cut.images = 1;
  double best = vectors_of((st.p_block - 1) * st.pitch + st.q_block) * static_cast<double>(N * M);
  for (int64_t images = 1; images <= N && (images == 1 || images * pixels <= kTilePixels); images++) {
    const double vectors = vectors_of(images * pixels) * static_cast<double>(ceil_div(N, images));
    const double cost = vectors * (static_cast<double>(M) + copy);
    if (cost >= 0.99 * best) continue;
    best = cost;
    cut.packed = true;
    cut.images = images;
  }
  cut.image_groups = ceil_div(N, cut.images);
  cut.indexed = cut.packed && indexed_fits<T>(st, h, w);
  cut.c_block = channel_block<T>(st, C, cut.taps, cut.indexed ? 0 : cut.images);
  cut.tiles = cut.image_groups * blocks;
  const int64_t m_panels = ceil_div(M, Tile::kMr);
  cut.m_blocks = min_i(m_blocks(cut.images), m_panels);
  cut.m_block = ceil_div(m_panels, cut.m_blocks) * Tile::kMr;
  cut.stage_elements =
      st.in_place || cut.indexed ? 0 : align_elements(cut.c_block * st.channel * cut.images) + Tile::kNr;
  const int64_t panel = cut.packed ? Tile::kNr * min_i(cut.c_block * cut.taps, Tile::kKc) : 0;
  constexpr int64_t kDenseBytes = 256 * 1024;  // beside a panel (128 KiB) in a 1 MiB L2
  const int64_t columns = cut.packed ? cut.images * pixels : (st.p_block - 1) * st.pitch + st.q_block;
  if (cut.c_block < C && cut.m_block * round_up(columns, Tile::kNr) * static_cast<int64_t>(sizeof(T)) <= kDenseBytes)
    cut.dense_row = round_up(columns, Tile::kNr);
  cut.dense_at = cut.stage_elements + align_elements(panel + W);  // pack_panel's last store runs over
  cut.scratch = cut.dense_at + cut.m_block * cut.dense_row + 64;
  // A vector of slack per block: pack_panel's last store.
  constexpr int64_t kSharedBytes = 32 * 1024 * 1024;
  cut.block_elements = cut.c_block * cut.taps * round_up(cut.images * pixels, Tile::kNr) + 64;
  const int64_t c_blocks = ceil_div(C, cut.c_block), limit = kSharedBytes / static_cast<int64_t>(sizeof(T));
  cut.shared = cut.packed && cut.m_blocks > 1 && cut.block_elements <= limit / (cut.tiles * c_blocks);
  cut.shared_elements = cut.shared ? align_elements(cut.tiles * c_blocks * cut.block_elements) : 0;
  if (!cut.shared) cut.block_elements = 0;
  return cut;
}

// Where row k of B begins: at the staged offset of its tap, or in a packed panel.
template <class T>
struct StagedRows {
  const T* base;
  const int64_t* offsets;
  FASTNN_INLINE const T* row(int64_t k) const { return base + offsets[k]; }
  FASTNN_INLINE void prefetch(int64_t) const {}
};
template <class T>
struct PanelRows {
  const T* base;
  int64_t width;
  FASTNN_INLINE const T* row(int64_t k) const { return base + k * width; }
  FASTNN_INLINE void prefetch(int64_t k) const {  // the panel comes from L2 for every tile of rows
    unroll<GemmTile<T>::kNv>(
        [&](auto v) __attribute__((always_inline)) { __builtin_prefetch(base + (k + 8) * width + v * Vec<T>::size); });
  }
};

// All rows of one column tile: sum over k < kc of a[k * kMr + r] * b.row(k)[v * W ..]. With TAIL only `tail` elements
// of the last vector of a row may be read.
template <class T, int NV, bool TAIL, class Rows>
__attribute__((noinline)) void strip_rows(int64_t m, int64_t kc, const T* a, int64_t panel, const Rows b, int tail,
                                          const SegmentStore<T>& store, bool first, bool last) {
  constexpr int W = Vec<T>::size, MR = GemmTile<T>::kMr;
  const auto rows = [&](int64_t i, auto count) __attribute__((always_inline)) {
    constexpr int R = decltype(count)::value;
    Vec<T> acc[R][NV];
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] = Vec<T>::zero(); });
    });
    const T* x = a + i / MR * panel;
    const auto step = [&](int64_t k) __attribute__((always_inline)) {
      const T* row = b.row(k);
      b.prefetch(k);
      Vec<T> bv[NV];
      unroll<NV>([&](auto v) __attribute__((always_inline)) {
        bv[v] = TAIL && v == NV - 1 ? Vec<T>::load(row + v * W, tail) : Vec<T>::load(row + v * W);
      });
      unroll<R>([&](auto r) __attribute__((always_inline)) {
        const Vec<T> w(x[r]);
        unroll<NV>([&](auto v) __attribute__((always_inline)) { acc[r][v] = fma(w, bv[v], acc[r][v]); });
      });
      x += MR;
    };
    int64_t k = 0;
    if (R == MR && !TAIL)
      for (; k + 4 <= kc; k += 4) unroll<4>([&](auto u) __attribute__((always_inline)) { step(k + u); });
    for (; k < kc; k++) step(k);
    store.tile(acc, i, first, last);
  };
  int64_t i = 0;
  for (; i + MR <= m; i += MR) rows(i, Int<MR>());
  switch (m - i) {
    case 1:
      rows(i, Int<1>());
      break;
    case 2:
      rows(i, Int<2>());
      break;
    case 3:
      rows(i, Int<3>());
      break;
    case 4:
      rows(i, Int<4>());
      break;
    case 5:
      rows(i, Int<5>());
      break;
    default:
      break;
  }
}
template <class T, class Rows>
FASTNN_INLINE void strip_cols(int cols, int64_t m, int64_t kc, const T* a, int64_t panel, const Rows& b,
                              const SegmentStore<T>& store, bool first, bool last) {
  constexpr int W = Vec<T>::size, NV = GemmTile<T>::kNv;
  const int nv = (cols + W - 1) / W, tail = cols - (nv - 1) * W;
  if (cols == NV * W) return strip_rows<T, NV, false>(m, kc, a, panel, b, tail, store, first, last);
  switch (nv) {
    case 1:
      strip_rows<T, 1, true>(m, kc, a, panel, b, tail, store, first, last);
      break;
    case 2:
      strip_rows<T, 2, true>(m, kc, a, panel, b, tail, store, first, last);
      break;
    default:
      if constexpr (NV == 4) {
        if (nv == 3) {
          strip_rows<T, 3, true>(m, kc, a, panel, b, tail, store, first, last);
        } else {
          strip_rows<T, 4, true>(m, kc, a, panel, b, tail, store, first, last);
        }
      }
  }
}

// The columns j0 .. j0 + cols - 1 of a tile of outputs (p, q), as runs within a row of y. Direct: j = p * pitch + q, q
// < q_count are real; packed (pitch == q_count): all are.
template <class T>
FASTNN_INLINE int add_segments(Segments<T>* out, int at, int64_t j, int cols, int64_t pitch, int64_t q_count,
                               int64_t st_pitch, T* y, const T* from, int64_t y_row, int64_t y_col) {
  int64_t p = j / pitch, q = j % pitch;
  int done = 0;
  while (done < cols) {
    const int64_t run = min_i(cols - done, pitch - q);
    if (q < q_count) {
      const int64_t real = min_i(run, q_count - q);
      out->s[out->count++] = {at + done, static_cast<int>(real), y + p * y_row + q * y_col, from + p * st_pitch + q};
    }
    done += static_cast<int>(run);
    p++;
    q = 0;
  }
  return done;
}

// One k range of one panel: the rows of the im2col matrix, copied from the staged buffer by pieces of at most a vector.
// A whole vector is stored for each: what is too much is overwritten by the next piece, or by the next row. A staged
// buffer ends with a vector of slack, so that all but a row's last piece are also read whole; an image read in place
// does not, and its rows are far apart: no hardware prefetch.
template <class T>
void pack_panel(T* panel, int width, const Segments<T>& seg, int64_t kc, const int64_t* off, bool in_place) {
  constexpr int W = Vec<T>::size, kPieces = 2 * GemmTile<T>::kNr;
  constexpr int64_t kAhead = 12;
  const T* from[kPieces];
  int column[kPieces], count[kPieces], pieces = 0;
  for (int i = 0; i < seg.count; i++) {
    for (int j = 0; j < seg.s[i].count; j += W) {
      from[pieces] = seg.s[i].from + j;
      column[pieces] = seg.s[i].column + j;
      count[pieces++] = seg.s[i].count - j < W ? seg.s[i].count - j : W;
    }
  }
  if (!in_place) {
    const int before = pieces - 1;
    for (int64_t k = 0; k < kc; k++, panel += width) {
      const int64_t o = off[k];
      for (int i = 0; i < before; i++) Vec<T>::load(from[i] + o).store(panel + column[i]);
      Vec<T>::load(from[before] + o, count[before]).store(panel + column[before]);
    }
    return;
  }
  for (int64_t k = 0; k < kc; k++, panel += width) {
    const int64_t o = off[k], ahead = off[min_i(k + kAhead, kc - 1)];
    for (int i = 0; i < pieces; i++) {
      __builtin_prefetch(from[i] + ahead);
      (count[i] == W ? Vec<T>::load(from[i] + o) : Vec<T>::load(from[i] + o, count[i])).store(panel + column[i]);
    }
  }
}

// Tile number `tile` of a task: images n0 .. n0 + images - 1 of group g, outputs from (p0, q0) on.
struct TilePlace {
  int64_t g, n0, images, p0, q0, p_count, q_count;
};
template <class T>
FASTNN_INLINE TilePlace place_of(const Task<T>& t, const Cut& cut, int64_t tile) {
  TilePlace at;
  at.q0 = tile % cut.q_blocks * cut.st.q_block;
  tile /= cut.q_blocks;
  at.p0 = tile % cut.p_blocks * cut.st.p_block;
  tile /= cut.p_blocks;
  at.g = tile % t.G;
  at.n0 = tile / t.G * cut.images;
  at.images = min_i(cut.images, t.N - at.n0);
  at.p_count = min_i(cut.st.p_block, t.h.out - at.p0);
  at.q_count = min_i(cut.st.q_block, t.w.out - at.q0);
  return at;
}

// A tile's channels c0 .. of one block: staged, or where they lie. images lie *image apart.
template <class T>
const T* staged_block(const Task<T>& t, const Cut& cut, const TilePlace& at, int64_t c0, T* scratch, int64_t* image) {
  *image = cut.st.in_place ? t.G * t.C * t.x.plane : cut.c_block * cut.st.channel;
  if (cut.st.in_place) return in_place_tile(t.h, t.w, t.x(at.n0, at.g, c0), at.p0, at.q0);
  for (int64_t i = 0; i < at.images; i++)
    stage_tile(
        scratch + i * *image, cut.st, t.h, t.w, [&](int64_t c) { return t.x(at.n0 + i, at.g, c0 + c); },
        min_i(cut.c_block, t.C - c0), at.p0, at.q0, at.p_count);
  return scratch;
}

// The columns j .. j + cols - 1 of a packed tile; y is that of its first output, row 0.
template <class T>
FASTNN_INLINE void packed_segments(const Task<T>& t, const Cut& cut, const TilePlace& at, int64_t j, int cols, T* y,
                                   const T* staged, int64_t image, Segments<T>* out) {
  const int64_t pixels = at.p_count * at.q_count;
  out->count = 0;
  for (int done = 0; done < cols;) {
    const int64_t i = (j + done) / pixels, from = (j + done) % pixels;
    done += add_segments(out, done, from, static_cast<int>(min_i(cols - done, pixels - from)), at.q_count, at.q_count,
                         cut.st.pitch, y + (t.image_out(at.n0 + i) - t.image_out(at.n0)), staged + i * image, t.y_row,
                         t.y_col);
  }
}

// The columns j .. j + cols - 1 of an indexed tile and one channel block, as a panel.
template <class T>
void index_block(const Task<T>& t, const Cut& cut, const TilePlace& at, const int64_t* offsets, int64_t c0, int64_t j,
                 int cols, T* panel) {
  const int64_t pixels = at.p_count * at.q_count, pitch = indexed_pitch<T>(pixels);
  const int64_t channels = min_i(cut.c_block, t.C - c0), width = round_up(cols, Vec<T>::size);
  const int32_t* index = reinterpret_cast<const int32_t*>(offsets);
  for (int64_t c = 0; c < channels; c++, panel += cut.taps * width) {
    for (int64_t done = 0; done < cols;) {
      const int64_t i = (j + done) / pixels, from = (j + done) % pixels, count = min_i(cols - done, pixels - from);
      pick(t.x(at.n0 + i, at.g, c0 + c), t.h.size * t.w.size, index + from, pitch, cut.taps, count, width - done,
           panel + done, width);
      done += count;
    }
  }
}

// The panels of one tile and channel block in `out`: panel number i at i * kNr * k_count.
template <class T>
void pack_block(const Task<T>& t, const Cut& cut, const int64_t* offsets, T* scratch, int64_t tile, int64_t c0,
                T* out) {
  constexpr int W = Vec<T>::size, NR = GemmTile<T>::kNr;
  const TilePlace at = place_of(t, cut, tile);
  const int64_t k_count = min_i(cut.c_block, t.C - c0) * cut.taps, columns = at.images * at.p_count * at.q_count;
  if (cut.indexed) {
    for (int64_t j = 0; j < columns; j += NR)
      index_block(t, cut, at, offsets, c0, j, static_cast<int>(min_i(NR, columns - j)), out + j * k_count);
    return;
  }
  int64_t image;
  const T* staged = staged_block(t, cut, at, c0, scratch, &image);
  Segments<T> segments;
  for (int64_t j = 0; j < columns; j += NR) {
    const int cols = static_cast<int>(min_i(NR, columns - j));
    packed_segments(t, cut, at, j, cols, static_cast<T*>(nullptr), staged, image, &segments);
    pack_panel(out + j * k_count, static_cast<int>(round_up(cols, W)), segments, k_count, offsets, cut.st.in_place);
  }
}

// Block of rows number m_index of one tile. packed: the tile's panels, if they are shared.
template <class T>
void run_item(const Task<T>& t, const Cut& cut, const int64_t* offsets, T* scratch, int64_t tile, int64_t m_index,
              const T* packed) {
  using Tile = GemmTile<T>;
  constexpr int W = Vec<T>::size, NR = Tile::kNr;
  const TilePlace at = place_of(t, cut, tile);
  const auto first_row = [&](int64_t i) { return i * row_panels<T>(t.M) / cut.m_blocks * Tile::kMr; };
  const int64_t m0 = first_row(m_index), m = min_i(first_row(m_index + 1), t.M) - m0;
  const int64_t row_panel = t.C * cut.taps * Tile::kMr;
  const T* a = t.a + (at.g * row_panels<T>(t.M) + m0 / Tile::kMr) * row_panel;
  T* y = t.image_out(at.n0) + (at.g * t.M + m0) * t.y_channel + at.p0 * t.y_row + at.q0 * t.y_col;

  Segments<T> segments;
  T* const dense = cut.dense_row ? scratch + cut.dense_at : nullptr;
  SegmentStore<T> store{&segments,    t.bias ? t.bias + at.g * t.M + m0 : nullptr, t.act, t.y_channel, t.y_col, dense,
                        cut.dense_row};
  for (int64_t c0 = 0; c0 < t.C; c0 += cut.c_block, packed += cut.block_elements) {
    const int64_t k_count = min_i(cut.c_block, t.C - c0) * cut.taps;
    const bool first = c0 == 0, last = c0 + cut.c_block >= t.C;
    const T* block = a + c0 * cut.taps * Tile::kMr;
    const T* staged = nullptr;
    int64_t image = 0;
    if (!cut.shared && !cut.indexed) staged = staged_block(t, cut, at, c0, scratch, &image);
    if (!cut.packed) {
      const int64_t columns = (at.p_count - 1) * cut.st.pitch + at.q_count;
      for (int64_t j = 0; j < columns; j += NR) {
        const int cols = static_cast<int>(min_i(NR, columns - j));
        segments.count = 0;
        add_segments(&segments, 0, j, cols, cut.st.pitch, at.q_count, cut.st.pitch, y, staged, t.y_row, t.y_col);
        segments.cut_pieces();
        if (dense) store.dense = dense + j;
        strip_cols(cols, m, k_count, block, row_panel, StagedRows<T>{staged + j, offsets}, store, first, last);
      }
      continue;
    }
    const int64_t columns = at.images * at.p_count * at.q_count;
    for (int64_t j = 0; j < columns; j += NR) {
      const int cols = static_cast<int>(min_i(NR, columns - j)), width = static_cast<int>(round_up(cols, W));
      packed_segments(t, cut, at, j, cols, y, staged, image, &segments);
      segments.cut_pieces();
      if (dense) store.dense = dense + j;
      for (int64_t k0 = 0; k0 < k_count; k0 += Tile::kKc) {
        const int64_t kc = min_i(Tile::kKc, k_count - k0);
        const T* panel = scratch + cut.stage_elements;
        if (cut.shared) {
          panel = packed + j * k_count + k0 * width;
        } else if (cut.indexed) {  // k_count <= kKc
          index_block(t, cut, at, offsets, c0, j, cols, scratch + cut.stage_elements);
        } else {
          pack_panel(scratch + cut.stage_elements, width, segments, kc, offsets + k0, cut.st.in_place);
        }
        strip_cols(cols, m, kc, block + k0 * Tile::kMr, row_panel, PanelRows<T>{panel, width}, store, first && k0 == 0,
                   last && k0 + Tile::kKc >= k_count);
      }
    }
  }
}

// The definition, for shapes that cannot be staged (taps or strides wider than any tile).
template <class T>
void run_plain(const Task<T>& t) {
  constexpr int MR = GemmTile<T>::kMr;
  parallel_for(t.N * t.G * t.M, [&](int64_t i, int) {
    const int64_t n = i / (t.G * t.M), row = i % (t.G * t.M), g = row / t.M;
    const int64_t m = row % t.M, k_total = t.C * t.h.taps * t.w.taps;
    const T* a = t.a + (g * row_panels<T>(t.M) + m / MR) * k_total * MR + m % MR;
    T* y = t.image_out(n) + row * t.y_channel;
    for (int64_t p = 0; p < t.h.out; p++) {
      for (int64_t q = 0; q < t.w.out; q++) {
        T sum = t.bias ? t.bias[row] : T(0);
        for (int64_t c = 0; c < t.C; c++) {
          const T* x = t.x(n, g, c);
          if (!x) continue;
          for (int64_t r = 0; r < t.h.taps; r++) {
            const int64_t h = p * t.h.step + t.h.first + r * t.h.gap;
            if (h < 0 || h >= t.h.size) continue;
            for (int64_t s = 0; s < t.w.taps; s++) {
              const int64_t w = q * t.w.step + t.w.first + s * t.w.gap;
              if (w < 0 || w >= t.w.size) continue;
              sum += x[h * t.w.size + w] * a[((c * t.h.taps + r) * t.w.taps + s) * MR];
            }
          }
        }
        y[p * t.y_row + q * t.y_col] = activate_one(sum, t.act);
      }
    }
  });
}

// Workspace: the offsets or indices, the shared panels, then each thread's scratch.
template <class T>
FASTNN_INLINE int64_t offset_bytes(const Cut& cut) {
  const int64_t each = cut.indexed ? indexed_pitch<T>(cut.st.p_block * cut.st.q_block) * 4 : cut.c_block * 8;
  return round_up(each * cut.taps, 64);
}
template <class T>
FASTNN_INLINE int64_t scratch_bytes(const Cut& cut) {
  return round_up(cut.scratch * static_cast<int64_t>(sizeof(T)), 64);
}
template <class T>
size_t task_workspace(int threads, const Cut& cut) {
  if (!cut.st.ok) return 0;
  const int64_t shared = round_up(cut.shared_elements * static_cast<int64_t>(sizeof(T)), 64);
  return static_cast<size_t>(offset_bytes<T>(cut) + shared + threads * scratch_bytes<T>(cut));
}

template <class T>
void run_task(const Task<T>& t, void* workspace) {
  if (t.C == 0) return run_plain(t);
  const Cut cut = make_cut<T>(t.N, t.G, t.M, t.C, t.h, t.w, t.x.flat());
  if (!cut.st.ok) return run_plain(t);
  char* memory = static_cast<char*>(workspace);
  int64_t* offsets = reinterpret_cast<int64_t*>(memory);
  if (cut.indexed) {
    make_index<T>(t.h, t.w, reinterpret_cast<int32_t*>(memory));
  } else {
    for (int64_t c = 0, k = 0; c < cut.c_block; c++)
      for (int64_t r = 0; r < t.h.taps; r++)
        for (int64_t s = 0; s < t.w.taps; s++) offsets[k++] = c * cut.st.channel + tap_offset(cut.st, t.h, t.w, r, s);
  }
  T* packed = reinterpret_cast<T*>(memory + offset_bytes<T>(cut));
  char* scratch = memory + offset_bytes<T>(cut) + round_up(cut.shared_elements * static_cast<int64_t>(sizeof(T)), 64);
  const auto own = [&](int thread) { return reinterpret_cast<T*>(scratch + thread * scratch_bytes<T>(cut)); };
  const int64_t c_blocks = ceil_div(t.C, cut.c_block);
  if (cut.shared) {
    parallel_for(cut.tiles * c_blocks, [&](int64_t i, int thread) {
      pack_block(t, cut, offsets, own(thread), i / c_blocks, i % c_blocks * cut.c_block,
                 packed + i * cut.block_elements);
    });
  }
  parallel_for(cut.tiles * cut.m_blocks, [&](int64_t i, int thread) {
    const int64_t tile = i / cut.m_blocks;
    run_item(t, cut, offsets, own(thread), tile, i % cut.m_blocks, packed + tile * c_blocks * cut.block_elements);
  });
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
