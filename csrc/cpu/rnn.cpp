// RNN, LSTM and GRU, one direction of one layer over a whole sequence. The input's share of the gates was computed for
// all steps in one product; here each step adds that of h, a tile of columns at a time with all its gates side by side,
// and makes c and h of it while the tile is in L1.
#include "cpu/rnn.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <class T, RnnCell C>
struct Forward {
  using Tile = CellTile<C>;
  static constexpr int W = Vec<T>::size, kWidth = Tile::kColumns * W, kPanel = Tile::kNv * W;
  const RnnArgs& a;
  const int64_t H, K, G;
  T *const gates, *const y, *const cells, *const hn, *const outputs;
  const T *const h0, *const c0, *const gh, *const b_hn;

  explicit Forward(const RnnArgs& args)
      : a(args),
        H(args.hidden),
        K(rnn_width(args)),
        G(rnn_gates(C)),
        gates(static_cast<T*>(args.gates)),
        y(static_cast<T*>(args.y)),
        cells(static_cast<T*>(args.cells)),
        hn(static_cast<T*>(args.hn)),
        outputs(static_cast<T*>(args.outputs)),
        h0(static_cast<const T*>(args.h0)),
        c0(static_cast<const T*>(args.c0)),
        gh(static_cast<const T*>(args.gh)),
        b_hn(static_cast<const T*>(args.b_hn)) {}

  // Columns j .. j + n - 1 of sequence b: acc are the recurrent shares of its gates, `apart` elements apart.
  FASTNN_INLINE void cell(const StepRows& s, int64_t b, int64_t j, int n, const T* acc, int64_t apart) const {
    const int64_t row = s.at + b;
    const bool started = b < s.before;
    T* const g = gates + row * G * H + j;
    const auto gate = [&](int i) __attribute__((always_inline)) { return load_some(g + i * H, n); };
    const auto rest = [&](int i) __attribute__((always_inline)) { return load_some(acc + i * apart, n); };
    const Vec<T> zero = Vec<T>::zero();
    if constexpr (C == RnnCell::Tanh) {
      store_some(y + row * a.ldy + j, vtanh(gate(0) + rest(0)), n);
    } else if constexpr (C == RnnCell::Relu) {
      store_some(y + row * a.ldy + j, max(zero, gate(0) + rest(0)), n);
    } else if constexpr (C == RnnCell::Lstm) {
      const Vec<T> i = vsigmoid(gate(0) + rest(0)), f = vsigmoid(gate(1) + rest(1)), u = vtanh(gate(2) + rest(2)),
                   o = vsigmoid(gate(3) + rest(3));
      const T* before = started ? cells + (a.keep ? s.before_at + b : b) * H + j : c0 ? c0 + b * H + j : nullptr;
      const Vec<T> c = before ? fma(f, load_some(before, n), i * u) : i * u;
      store_some(cells + (a.keep ? row : b) * H + j, c, n);
      store_some(a.proj ? outputs + row * H + j : y + row * a.ldy + j, o * vtanh(c), n);
      if (a.keep) {
        store_some(g, i, n);
        store_some(g + H, f, n);
        store_some(g + 2 * H, u, n);
        store_some(g + 3 * H, o, n);
      }
    } else {
      const Vec<T> r = vsigmoid(gate(0) + rest(0)), z = vsigmoid(gate(1) + rest(1));
      const Vec<T> m = b_hn ? rest(2) + load_some(b_hn + j, n) : rest(2);
      const Vec<T> u = vtanh(fma(r, m, gate(2)));
      const T* before = started ? y + (s.before_at + b) * a.ldy + j : h0 ? h0 + b * H + j : nullptr;
      const Vec<T> h = before ? load_some(before, n) : zero;
      store_some(y + row * a.ldy + j, fma(z, h - u, u), n);
      if (a.keep) {
        store_some(g, r, n);
        store_some(g + H, z, n);
        store_some(g + 2 * H, u, n);
        store_some(hn + row * H + j, m, n);
      }
    }
  }

  // Rows r0 .. r1 - 1 of `tiles` tiles of columns of a step, at most Tile::kRows together.
  __attribute__((noinline)) void block(const StepRows& s, int64_t tile, int64_t tiles, int64_t r0, int64_t r1,
                                       const T* panels) const {
    alignas(64) T acc[Tile::kRows * kPanel];
    const int64_t rows = r1 - r0, mid = max_i(r0, min_i(r1, s.before));
    const auto product = [&](int64_t t, int64_t from, int64_t to, const T* h, int64_t ld) {
      if (from == to) return;
      T* out = acc + (t * rows + from - r0) * kPanel;
      if (h) {
        product_rows<T, Tile::kNv, Tile::kRows>(to - from, K, h + from * ld, ld, panels + (tile + t) * K * kPanel, out);
      } else {
        __builtin_memset(out, 0, static_cast<size_t>((to - from) * kPanel) * sizeof(T));
      }
    };
    for (int64_t t = 0; t < tiles && !gh; t++) {
      const int64_t j = (tile + t) * kWidth;
      for (int64_t i = 0; i < G; i++)
        prefetch_rows(gates + (s.at + r0) * G * H + i * H + j, rows, G * H, min_i(kWidth, H - j));
      product(t, r0, mid, y + s.before_at * a.ldy, a.ldy);
      product(t, mid, r1, h0, K);
    }
    for (int64_t t = 0; t < tiles; t++) {
      for (int v = 0; v < Tile::kColumns; v++) {
        const int64_t j = (tile + t) * kWidth + v * W;
        if (j >= H) break;
        const int n = static_cast<int>(min_i(W, H - j));
        for (int64_t b = r0; b < r1; b++)
          gh ? cell(s, b, j, n, gh + b * G * H + j, H)
             : cell(s, b, j, n, acc + (t * rows + b - r0) * kPanel + v * W, Tile::kColumns * W);
      }
    }
  }

  // h = w_hr (o tanh c)
  __attribute__((noinline)) void project(const StepRows& s, int64_t tile, int64_t tiles, int64_t r0, int64_t r1,
                                         const T* panels) const {
    constexpr int kCols = kPlainNv * W;
    alignas(64) T acc[kPlainRows * kCols];
    for (; tiles > 0; tile++, tiles--) {
      product_rows<T, kPlainNv, kPlainRows>(r1 - r0, H, outputs + (s.at + r0) * H, H, panels + tile * H * kCols, acc);
      for (int64_t b = r0; b < r1; b++)
        for (int v = 0; v < kPlainNv && tile * kCols + v * W < a.proj; v++) {
          const int64_t j = tile * kCols + v * W;
          store_some(y + (s.at + b) * a.ldy + j, Vec<T>::load(acc + (b - r0) * kCols + v * W),
                     static_cast<int>(min_i(W, a.proj - j)));
        }
    }
  }

  FASTNN_INLINE Grid cell_grid() const { return make_grid(H, kWidth, a.batch, Tile::kRows); }
  FASTNN_INLINE Grid project_grid() const { return make_grid(a.proj, kPlainNv * W, a.batch, kPlainRows); }
  FASTNN_INLINE int team(int threads) const {
    return team_size(threads, a.batch * H * (G * K + a.proj), cell_grid().size());
  }
  FASTNN_INLINE int64_t panel_elements() const { return gh ? 0 : cell_grid().tiles * K * kPanel; }
  FASTNN_INLINE int64_t workspace(int threads) const {
    const int64_t projection = a.proj ? project_grid().tiles * H * kPlainNv * W : 0;
    return steps_bytes(a) + team_bytes(team(threads)) +
           (panel_elements() + projection) * static_cast<int64_t>(sizeof(T));
  }

  void run(const Ctx& ctx) const {
    char* memory = static_cast<char*>(ctx.workspace);
    StepRows* const steps = reinterpret_cast<StepRows*>(memory);
    list_steps(a, a.reverse ? -1 : 1, steps);
    const int members = team(ctx.threads);
    void* const sync = memory + steps_bytes(a);
    T* const panels = reinterpret_cast<T*>(memory + steps_bytes(a) + team_bytes(members));
    T* const panels_hr = panels + panel_elements();
    const Grid grid = cell_grid(), grid_hr = a.proj ? project_grid() : Grid{0, 0, 0};
    const T *const w_hh = static_cast<const T*>(a.w_hh), *const w_hr = static_cast<const T*>(a.w_hr);
    const auto pack = [&](int64_t i, int) {
      if (i >= grid.tiles) {
        const int64_t p = i - grid.tiles, cols = kPlainNv * W;
        return pack_transposed(panels_hr + p * H * cols, cols, w_hr + p * cols * H, H, min_i(cols, a.proj - p * cols),
                               H);
      }
      if (gh) return;
      for (int v = 0; v < Tile::kNv; v++) {
        const int64_t gate = v / Tile::kColumns, j = i * kWidth + v % Tile::kColumns * W;
        T* to = panels + i * K * kPanel + v * W;
        pack_column(to, w_hh + (gate * H + min_i(j, H - 1)) * K, min_i(W, H - j));
      }
    };
    if (panel_elements() > 16 * 1024) {
      parallel_for(grid.tiles + grid_hr.tiles, pack);
    } else {
      for (int64_t i = 0; i < grid.tiles + grid_hr.tiles; i++) pack(i, 0);
    }
    const int64_t each = a.proj ? 2 : 1;
    run_steps(each * a.steps, members, sync, [&](int64_t phase, int part) {
      const StepRows& s = steps[phase / each];
      if (phase % each == 0) {
        share(grid, part, members, Tile::kRows, s.rows,
              [&](int64_t tile, int64_t tiles, int64_t r0, int64_t r1) { block(s, tile, tiles, r0, r1, panels); });
      } else {
        share(grid_hr, part, members, kPlainRows, s.rows,
              [&](int64_t tile, int64_t tiles, int64_t r0, int64_t r1) { project(s, tile, tiles, r0, r1, panels_hr); });
      }
    });
  }

  // A vector of a panel: to[k * kPanel + c] = w[c * K + k] for c < live, zeros beyond.
  FASTNN_INLINE void pack_column(T* to, const T* w, int64_t live) const {
    if (live > 0) {
      transpose(w, K, K, static_cast<int>(live), to, static_cast<int64_t>(kPanel));
    } else {
      for (int64_t k = 0; k < K; k++) Vec<T>::zero().store(to + k * kPanel);
    }
  }
};

}  // namespace

void rnn(const Ctx& ctx, const RnnArgs& a) {
  with_pass<Forward>(a, [&](const auto& pass) {
    pass.run(ctx);
    return 0;
  });
}

#pragma GCC visibility push(hidden)
size_t rnn_backward_workspace(int threads, const RnnArgs& a);  // rnn_backward.cpp
#pragma GCC visibility pop

size_t rnn_workspace(int threads, const RnnArgs& a, bool backward) {
  if (backward) return rnn_backward_workspace(threads, a);
  return static_cast<size_t>(with_pass<Forward>(a, [&](const auto& pass) { return pass.workspace(threads); }));
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
