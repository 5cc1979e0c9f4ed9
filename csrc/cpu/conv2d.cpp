// Convolution forward and its gradient for the input: one driver over staged tiles (conv2d.h).
//
// A tile's outputs are columns of a product  Y[M, columns] = A[M, C * taps] * B[C * taps, columns],  A the weights. Two
// ways to read B:
//   direct   rows of B where they are staged, at the offset of their tap; columns run on over the ends of image rows,
//            so that (pitch - q_block) of every pitch columns are computed in vain and dropped. No copy at all.
//   packed   rows of B copied into panels of kNr exact columns, several small images to a tile.
// Direct wins where few output channels would share a packed row, and where little is computed in vain.
//
// The gradient for the input: dx[h] collects dy[p] * w[r] where p * stride + r * dilation = h + padding. For the h of
// one residue modulo the stride, those r are every (stride / gcd)-th, and p = h / stride + a constant per r: a
// convolution of dy with step 1, whose taps are that subset of w, reversed. One such convolution per residue pair.
#include "cpu/conv2d.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// One convolution: y[n, g, m, p, q] from x[n, g, c, ...] and the weights a, in GEMM's panels of kMr rows: row m, column
// k of group g at a[((g * panels + m / kMr) * (C * taps) + k) * kMr + m % kMr]. Strides in elements.
template <class T>
struct Task {
  int64_t N, G, M, C;
  Axis h, w;
  const T* x;
  const T* a;
  const T* bias;  // [G * M] or null
  GemmAct act;
  T* y;
  int64_t y_channel, y_row, y_col;
};

template <class T>
FASTNN_INLINE int64_t row_panels(int64_t M) {
  return ceil_div(M, GemmTile<T>::kMr);
}

// How a task is cut, by its shape alone.
struct Cut {
  Stage st;
  bool packed;
  int64_t images, image_groups, p_blocks, q_blocks, m_block, m_blocks, c_block, taps, items;
  int64_t stage_elements, scratch;  // elements a thread
};

template <class T>
Cut make_cut(int64_t N, int64_t G, int64_t M, int64_t C, const Axis& h, const Axis& w) {
  using Tile = GemmTile<T>;
  Cut cut{};
  cut.st = make_stage(h, w, kTilePixels);
  if (!cut.st.ok) return cut;
  const Stage& st = cut.st;
  cut.taps = h.taps * w.taps;
  cut.p_blocks = ceil_div(h.out, st.p_block);
  cut.q_blocks = ceil_div(w.out, st.q_block);
  // Columns computed direct, against those needed; a packed row costs about a load and a store per vector and some more
  // per image row, against M fused multiply-adds per vector.
  const double direct = static_cast<double>(round_up((st.p_block - 1) * st.pitch + st.q_block, Tile::kNr)) /
                        static_cast<double>(st.p_block * st.q_block);
  const double per_vector = 3.0 + 4.0 * Vec<T>::size / static_cast<double>(min_i(st.q_block, Tile::kNr));
  cut.packed = direct > 1.03 + per_vector / static_cast<double>(M);
  const int64_t pixels = st.p_block * st.q_block;
  cut.images = cut.packed ? even_block(N, max_i(1, 512 / pixels)) : 1;
  cut.image_groups = ceil_div(N, cut.images);
  cut.c_block = channel_block<T>(st, C, cut.taps, cut.images);
  const int64_t tiles = cut.image_groups * G * cut.p_blocks * cut.q_blocks;
  // Few tiles: the rows of A are cut too, each part staging for itself.
  cut.m_blocks = tiles >= 16 ? 1 : min_i(ceil_div(16, tiles), ceil_div(M, 16 * Tile::kMr));
  cut.m_block = round_up(ceil_div(M, cut.m_blocks), Tile::kMr);
  cut.m_blocks = ceil_div(M, cut.m_block);
  cut.items = tiles * cut.m_blocks;
  cut.stage_elements = st.in_place ? 0 : align_elements(cut.c_block * st.channel * cut.images) + Tile::kNr;
  const int64_t panel = cut.packed ? Tile::kNr * min_i(cut.c_block * cut.taps, Tile::kKc) : 0;
  cut.scratch = cut.stage_elements + align_elements(panel) + 64;
  return cut;
}

// A run of a tile's columns that go to consecutive (y_col apart) elements of y.
template <class T>
struct Segment {
  int column, count;
  T* y;           // row 0 of A
  const T* from;  // packed: the first column in the staged buffer
};

template <class T>
struct Segments {
  int count;
  Segment<T> s[GemmTile<T>::kNr];
};

// Where the finished tiles go. Gets rows i .. i + R - 1 of A.
template <class T>
struct SegmentStore {
  const Segments<T>* segments;
  const T* bias;  // of row 0, or null
  GemmAct act;
  int64_t y_channel, y_col;

  template <int R, int NV>
  FASTNN_INLINE void tile(Vec<T> (&acc)[R][NV], int64_t i, bool first, bool last) const {
    constexpr int W = Vec<T>::size;
    alignas(64) T buffer[R][NV * W];
    unroll<R>([&](auto r) __attribute__((always_inline)) {
      const Vec<T> b(bias && first ? bias[i + r] : T(0));
      unroll<NV>([&](auto v) __attribute__((always_inline)) { (acc[r][v] + b).store(&buffer[r][v * W]); });
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
        if (y_col != 1) {
          for (int j = 0; j < s.count && !first; j++) b[j] += y[j * y_col];
          if (last && act != GemmAct::None) activate_tile(b, 0, 1, s.count, act);
          for (int j = 0; j < s.count; j++) y[j * y_col] = b[j];
          continue;
        }
        for (int j = 0; j < s.count; j += W) {
          const int n = s.count - j < W ? s.count - j : W;
          Vec<T> v = n == W ? Vec<T>::load(b + j) : Vec<T>::load(b + j, n);
          if (!first) v += n == W ? Vec<T>::load(y + j) : Vec<T>::load(y + j, n);
          if (last && act != GemmAct::None) v = act == GemmAct::Relu ? max(Vec<T>::zero(), v) : activate(v, act);
          if (n == W) {
            v.store(y + j);
          } else {
            v.store(y + j, n);
          }
        }
      }
    }
  }
};

// Where row k of B begins: at the staged offset of its tap, or in a packed panel.
template <class T>
struct StagedRows {
  const T* base;
  const int64_t* offsets;
  FASTNN_INLINE const T* row(int64_t k) const { return base + offsets[k]; }
};
template <class T>
struct PanelRows {
  const T* base;
  int64_t width;
  FASTNN_INLINE const T* row(int64_t k) const { return base + k * width; }
};

// All rows of one column tile: sum over k < kc of a[k * kMr + r] * b.row(k)[v * W ..]. With TAIL only `tail` elements of
// the last vector of a row may be read.
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
    case 1: rows(i, Int<1>()); break;
    case 2: rows(i, Int<2>()); break;
    case 3: rows(i, Int<3>()); break;
    case 4: rows(i, Int<4>()); break;
    case 5: rows(i, Int<5>()); break;
    default: break;
  }
}
template <class T, class Rows>
FASTNN_INLINE void strip_cols(int cols, int64_t m, int64_t kc, const T* a, int64_t panel, const Rows& b,
                              const SegmentStore<T>& store, bool first, bool last) {
  constexpr int W = Vec<T>::size, NV = GemmTile<T>::kNv;
  const int nv = (cols + W - 1) / W, tail = cols - (nv - 1) * W;
  if (cols == NV * W) return strip_rows<T, NV, false>(m, kc, a, panel, b, tail, store, first, last);
  switch (nv) {
    case 1: strip_rows<T, 1, true>(m, kc, a, panel, b, tail, store, first, last); break;
    case 2: strip_rows<T, 2, true>(m, kc, a, panel, b, tail, store, first, last); break;
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

// The columns j0 .. j0 + cols - 1 of a tile of outputs (p, q), as runs within a row of y. Direct: j = p * pitch + q, q <
// q_count are real; packed (pitch == q_count): all are.
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

// One k range of one panel: the rows of the im2col matrix, copied from the staged buffer.
template <class T>
void pack_panel(T* panel, int width, int cols, const Segments<T>& seg, int64_t kc, const int64_t* off) {
  constexpr int W = Vec<T>::size;
  for (int64_t k = 0; k < kc; k++, panel += width) {
    for (int i = 0; i < seg.count; i++) {
      const T* from = seg.s[i].from + off[k];
      T* to = panel + seg.s[i].column;
      int j = 0;
      const int count = seg.s[i].count;
      for (; j + W <= count; j += W) Vec<T>::load(from + j).store(to + j);
      if (j < count) Vec<T>::load(from + j, count - j).store(to + j, count - j);
    }
    for (int j = cols; j < width; j++) panel[j] = 0;
  }
}

template <class T>
void run_item(const Task<T>& t, const Cut& cut, const int64_t* offsets, T* scratch, int64_t item) {
  using Tile = GemmTile<T>;
  constexpr int W = Vec<T>::size, NR = Tile::kNr;
  const Stage& st = cut.st;
  const int64_t m_index = item % cut.m_blocks;
  item /= cut.m_blocks;
  const int64_t q0 = item % cut.q_blocks * st.q_block;
  item /= cut.q_blocks;
  const int64_t p0 = item % cut.p_blocks * st.p_block;
  item /= cut.p_blocks;
  const int64_t g = item % t.G, n0 = item / t.G * cut.images, images = min_i(cut.images, t.N - n0);
  const int64_t m0 = m_index * cut.m_block, m = min_i(cut.m_block, t.M - m0);
  const int64_t p_count = min_i(st.p_block, t.h.out - p0), q_count = min_i(st.q_block, t.w.out - q0);
  const int64_t plane = t.h.size * t.w.size, image = t.G * t.C * plane, k_total = t.C * cut.taps;
  const int64_t row_panel = k_total * Tile::kMr;
  const T* a = t.a + (g * row_panels<T>(t.M) + m0 / Tile::kMr) * row_panel;
  const int64_t y_image = t.G * t.M * t.y_channel;
  T* y = t.y + n0 * y_image + (g * t.M + m0) * t.y_channel + p0 * t.y_row + q0 * t.y_col;

  Segments<T> segments;
  SegmentStore<T> store{&segments, t.bias ? t.bias + g * t.M + m0 : nullptr, t.act, t.y_channel, t.y_col};
  T* panel = scratch + cut.stage_elements;
  const int64_t staged_image = st.in_place ? image : cut.c_block * st.channel;
  for (int64_t c0 = 0; c0 == 0 || c0 < t.C; c0 += cut.c_block) {
    const int64_t channels = min_i(cut.c_block, t.C - c0), k_count = channels * cut.taps;
    const T* tile = scratch;
    const T* source = t.x + n0 * image + (g * t.C + c0) * plane;
    if (st.in_place) {
      tile = in_place_tile(t.h, t.w, source, p0, q0);
    } else {
      for (int64_t i = 0; i < images; i++)
        stage_tile(scratch + i * staged_image, st, t.h, t.w, source + i * image, plane, channels, p0, q0, p_count);
    }
    const bool first = c0 == 0, last = c0 + cut.c_block >= t.C;
    const T* block = a + c0 * cut.taps * Tile::kMr;
    if (!cut.packed) {
      const int64_t columns = (p_count - 1) * st.pitch + q_count;
      for (int64_t j = 0; j < columns; j += NR) {
        const int cols = static_cast<int>(min_i(NR, columns - j));
        segments.count = 0;
        add_segments(&segments, 0, j, cols, st.pitch, q_count, st.pitch, y, tile, t.y_row, t.y_col);
        strip_cols(cols, m, k_count, block, row_panel, StagedRows<T>{tile + j, offsets}, store, first, last);
      }
      continue;
    }
    const int64_t pixels = p_count * q_count, columns = images * pixels;
    for (int64_t j = 0; j < columns; j += NR) {
      const int cols = static_cast<int>(min_i(NR, columns - j)), width = static_cast<int>(round_up(cols, W));
      segments.count = 0;
      for (int done = 0; done < cols;) {
        const int64_t i = (j + done) / pixels, at = (j + done) % pixels;
        done += add_segments(&segments, done, at, static_cast<int>(min_i(cols - done, pixels - at)), q_count, q_count,
                             st.pitch, y + i * y_image, tile + i * staged_image, t.y_row, t.y_col);
      }
      for (int64_t k0 = 0; k0 == 0 || k0 < k_count; k0 += Tile::kKc) {
        const int64_t kc = min_i(Tile::kKc, k_count - k0);
        pack_panel(panel, width, cols, segments, kc, offsets + k0);
        strip_cols(cols, m, kc, block + k0 * Tile::kMr, row_panel, PanelRows<T>{panel, width}, store,
                   first && k0 == 0, last && k0 + Tile::kKc >= k_count);
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
    const T* x = t.x + (n * t.G + g) * t.C * t.h.size * t.w.size;
    const int64_t m = row % t.M, k_total = t.C * t.h.taps * t.w.taps;
    const T* a = t.a + (g * row_panels<T>(t.M) + m / MR) * k_total * MR + m % MR;
    T* y = t.y + i * t.y_channel;
    for (int64_t p = 0; p < t.h.out; p++) {
      for (int64_t q = 0; q < t.w.out; q++) {
        T sum = t.bias ? t.bias[row] : T(0);
        for (int64_t c = 0; c < t.C; c++) {
          for (int64_t r = 0; r < t.h.taps; r++) {
            const int64_t h = p * t.h.step + t.h.first + r * t.h.gap;
            if (h < 0 || h >= t.h.size) continue;
            for (int64_t s = 0; s < t.w.taps; s++) {
              const int64_t w = q * t.w.step + t.w.first + s * t.w.gap;
              if (w < 0 || w >= t.w.size) continue;
              sum += x[(c * t.h.size + h) * t.w.size + w] * a[((c * t.h.taps + r) * t.w.taps + s) * MR];
            }
          }
        }
        y[p * t.y_row + q * t.y_col] = activate_one(sum, t.act);
      }
    }
  });
}

// Workspace: the offsets (shared), then each thread's scratch.
template <class T>
size_t task_workspace(int threads, const Cut& cut) {
  if (!cut.st.ok) return 0;
  return static_cast<size_t>(round_up(cut.c_block * cut.taps * 8, 64) +
                             threads * round_up(cut.scratch * static_cast<int64_t>(sizeof(T)), 64));
}

template <class T>
void run_task(const Task<T>& t, void* workspace) {
  if (t.N == 0) return;
  if (t.C == 0) return run_plain(t);
  const Cut cut = make_cut<T>(t.N, t.G, t.M, t.C, t.h, t.w);
  if (!cut.st.ok) return run_plain(t);
  int64_t* offsets = static_cast<int64_t*>(workspace);
  for (int64_t c = 0, k = 0; c < cut.c_block; c++)
    for (int64_t r = 0; r < t.h.taps; r++)
      for (int64_t s = 0; s < t.w.taps; s++) offsets[k++] = c * cut.st.channel + tap_offset(cut.st, t.h, t.w, r, s);
  char* scratch = static_cast<char*>(workspace) + round_up(cut.c_block * cut.taps * 8, 64);
  const int64_t per_thread = round_up(cut.scratch * static_cast<int64_t>(sizeof(T)), 64);
  parallel_for(cut.items, [&](int64_t item, int thread) {
    run_item(t, cut, offsets, reinterpret_cast<T*>(scratch + thread * per_thread), item);
  });
}

// Elements of the panels of G groups of M x K weights; and those panels, row m of group g and column k from get(g, m, k).
template <class T>
FASTNN_INLINE int64_t panel_elements(int64_t G, int64_t M, int64_t K) {
  return align_elements(G * row_panels<T>(M) * K * GemmTile<T>::kMr);
}
template <class T, class Row>
FASTNN_INLINE void pack_weights(int64_t G, int64_t M, int64_t K, T* a, const Row& row) {
  constexpr int MR = GemmTile<T>::kMr;
  const int64_t panels = row_panels<T>(M);
  const auto pack = [&](int64_t i, int) {
    const int64_t g = i / panels, m0 = i % panels * MR;
    for (int64_t r = 0; r < min_i(MR, M - m0); r++) row(g, m0 + r, a + i * K * MR + r);
  };
  if (G * M * K > 32768) {
    parallel_for(G * panels, pack);
  } else {
    for (int64_t i = 0; i < G * panels; i++) pack(i, 0);
  }
}

// ---- the gradient for the input ----

// The positions h = first_h, first_h + stride, ... (`axis.out` of them) of one residue, and the taps that reach them:
// tap t of `axis` is r = last - t * every.
struct Residue {
  int64_t first_h, last, every;
  Axis axis;
};
// Residue number i, 0 <= i < residues(...): the one of tap i.
FASTNN_INLINE int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    const int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}
FASTNN_INLINE int64_t residues(int64_t taps, int64_t stride, int64_t dilation) {
  return min_i(taps, stride / gcd(stride, dilation));
}
FASTNN_INLINE Residue residue(int64_t i, int64_t size, int64_t out, int64_t taps, int64_t stride, int64_t pad,
                              int64_t dilation) {
  const int64_t every = stride / gcd(stride, dilation), count = (taps - 1 - i) / every + 1;
  const int64_t last = i + (count - 1) * every;
  const int64_t shift = i * dilation - pad, m = shift % stride, h0 = m < 0 ? m + stride : m;
  // Tap r at h0 + stride * j: p = (h0 + pad - r * dilation) / stride + j, exactly.
  const int64_t first = (h0 + pad - last * dilation) / stride;
  return {h0, last, every,
          {out, h0 < size ? (size - 1 - h0) / stride + 1 : 0, 1, first, every * dilation / stride, count}};
}

struct InputPlan {
  int64_t nh, nw;  // residues with taps
  bool covers;     // they are all: every element of dx is written
};
FASTNN_INLINE InputPlan input_plan(const Conv2dShape& s) {
  InputPlan p{residues(s.R, s.stride_h, s.dilation_h), residues(s.S, s.stride_w, s.dilation_w), false};
  p.covers = p.nh == s.stride_h && p.nw == s.stride_w;
  return p;
}
FASTNN_INLINE void input_axes(const Conv2dShape& s, int64_t i, int64_t k, Residue* h, Residue* w) {
  *h = residue(i, s.H, s.P, s.R, s.stride_h, s.pad_h, s.dilation_h);
  *w = residue(k, s.W, s.Q, s.S, s.stride_w, s.pad_w, s.dilation_w);
}

template <class T>
void backward_input(const Ctx& ctx, const Conv2dShape& s, const T* dy, const T* w, T* dx) {
  const InputPlan plan = input_plan(s);
  const int64_t elements = s.N * s.C * s.H * s.W;
  if (elements == 0) return;
  if (!plan.covers) {
    constexpr int64_t kPart = 65536;
    parallel_for(ceil_div(elements, kPart), [&](int64_t i, int) {
      __builtin_memset(dx + i * kPart, 0, static_cast<size_t>(min_i(kPart, elements - i * kPart)) * sizeof(T));
    });
  }
  T* a = static_cast<T*>(ctx.workspace);
  const int64_t kg = s.K / s.groups, cg = s.C / s.groups;
  for (int64_t i = 0; i < plan.nh; i++) {
    for (int64_t k = 0; k < plan.nw; k++) {
      Residue rh, rw;
      input_axes(s, i, k, &rh, &rw);
      if (rh.axis.out <= 0 || rw.axis.out <= 0) continue;
      const int64_t th = rh.axis.taps, tw = rw.axis.taps;
      // Row c, column (k, t, u): w[g * K/G + k][c][last - t * every][...]
      pack_weights(s.groups, cg, kg * th * tw, a, [&](int64_t g, int64_t c, T* out) {
        for (int64_t m = 0; m < kg; m++) {
          const T* in = w + ((g * kg + m) * cg + c) * s.R * s.S;
          for (int64_t t = 0; t < th; t++)
            for (int64_t u = 0; u < tw; u++, out += GemmTile<T>::kMr)
              *out = in[(rh.last - t * rh.every) * s.S + rw.last - u * rw.every];
        }
      });
      Task<T> t{s.N, s.groups, cg, kg, rh.axis, rw.axis, dy, a, nullptr, GemmAct::None,
                dx + rh.first_h * s.W + rw.first_h, s.H * s.W, s.stride_h * s.W, s.stride_w};
      if (s.stride_h == 1 && s.stride_w == 1) flatten_pointwise(&t.h, &t.w);
      run_task(t, a + panel_elements<T>(s.groups, cg, kg * th * tw));
    }
  }
}

template <class T>
void forward(const Ctx& ctx, const Conv2dShape& s, const T* x, const T* w, const T* bias, GemmAct act, T* y) {
  Axis h, v;
  forward_axes(s, &h, &v);
  const int64_t kg = s.K / s.groups, cg = s.C / s.groups, depth = cg * s.R * s.S;
  T* a = static_cast<T*>(ctx.workspace);
  pack_weights(s.groups, kg, depth, a, [&](int64_t g, int64_t m, T* out) {
    const T* in = w + (g * kg + m) * depth;
    for (int64_t k = 0; k < depth; k++) out[k * GemmTile<T>::kMr] = in[k];
  });
  Task<T> t{s.N, s.groups, kg, cg, h, v, x, a, bias, act, y, s.P * s.Q, v.out, 1};
  run_task(t, a + panel_elements<T>(s.groups, kg, depth));
}

template <class T>
size_t workspace_of(int threads, const Conv2dShape& s, ConvPass pass) {
  Axis h, w;
  if (pass == ConvPass::Forward) {
    forward_axes(s, &h, &w);
    const int64_t size = panel_elements<T>(s.groups, s.K / s.groups, s.C / s.groups * s.R * s.S);
    return static_cast<size_t>(size) * sizeof(T) +
           task_workspace<T>(threads, make_cut<T>(s.N, s.groups, s.K / s.groups, s.C / s.groups, h, w));
  }
  const InputPlan plan = input_plan(s);
  size_t most = 0;
  for (int64_t i = 0; i < plan.nh; i++) {
    for (int64_t k = 0; k < plan.nw; k++) {
      Residue rh, rw;
      input_axes(s, i, k, &rh, &rw);
      if (rh.axis.out <= 0 || rw.axis.out <= 0) continue;
      const int64_t size =
          panel_elements<T>(s.groups, s.C / s.groups, s.K / s.groups * rh.axis.taps * rw.axis.taps);
      if (s.stride_h == 1 && s.stride_w == 1) flatten_pointwise(&rh.axis, &rw.axis);
      const size_t bytes =
          static_cast<size_t>(size) * sizeof(T) +
          task_workspace<T>(threads, make_cut<T>(s.N, s.groups, s.C / s.groups, s.K / s.groups, rh.axis, rw.axis));
      if (bytes > most) most = bytes;
    }
  }
  return most;
}

}  // namespace

void conv2d(const Ctx& ctx, Dtype dtype, const Conv2dShape& s, const void* x, const void* w, const void* bias,
            GemmAct act, void* y) {
  if (dtype == Dtype::F32) {
    forward(ctx, s, static_cast<const float*>(x), static_cast<const float*>(w), static_cast<const float*>(bias), act,
            static_cast<float*>(y));
  } else {
    forward(ctx, s, static_cast<const double*>(x), static_cast<const double*>(w), static_cast<const double*>(bias),
            act, static_cast<double*>(y));
  }
}

void conv2d_backward_input(const Ctx& ctx, Dtype dtype, const Conv2dShape& s, const void* dy, const void* w, void* dx) {
  if (dtype == Dtype::F32) {
    backward_input(ctx, s, static_cast<const float*>(dy), static_cast<const float*>(w), static_cast<float*>(dx));
  } else {
    backward_input(ctx, s, static_cast<const double*>(dy), static_cast<const double*>(w), static_cast<double*>(dx));
  }
}

size_t conv2d_workspace(int threads, Dtype dtype, const Conv2dShape& s, ConvPass pass) {
  if (s.N == 0 || s.C == 0) return 0;
  return dtype == Dtype::F32 ? workspace_of<float>(threads, s, pass) : workspace_of<double>(threads, s, pass);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
