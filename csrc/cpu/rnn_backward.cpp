// The gradients of rnn.cpp by the gates, from the pass's last step back: dh of a step is the gradient of its output
// plus the product of the later step's gates' gradients with w_hh, a tile of columns at a time; the gates' own follow
// while the tile is in L1. The gradients of weights and input are products over all steps at once, made of these.
#include "cpu/rnn.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <class T, RnnCell C>
struct Backward {
  static constexpr int W = Vec<T>::size, kCols = kPlainNv * W;
  const RnnArgs& a;
  const int64_t H, K, G, R;  // R: columns of dgates that meet w_hh
  const T *const gates, *const y, *const cells, *const hn, *const h0, *const c0, *const dy, *const dh_last,
                                                                                                *const dc_last;
  T *const dgates, *const carry, *const dhs;

  explicit Backward(const RnnArgs& args)
      : a(args),
        H(args.hidden),
        K(rnn_width(args)),
        G(rnn_gates(C)),
        R(rnn_gates(C) * args.hidden),
        gates(static_cast<const T*>(args.gates)),
        y(static_cast<const T*>(args.y)),
        cells(static_cast<const T*>(args.cells)),
        hn(static_cast<const T*>(args.hn)),
        h0(static_cast<const T*>(args.h0)),
        c0(static_cast<const T*>(args.c0)),
        dy(static_cast<const T*>(args.dy)),
        dh_last(static_cast<const T*>(args.dh)),
        dc_last(static_cast<const T*>(args.dc)),
        dgates(static_cast<T*>(args.dgates)),
        carry(static_cast<T*>(args.carry)),
        dhs(static_cast<T*>(args.dhs)) {}

  // What reaches column j of h of sequence b besides the recurrent product.
  FASTNN_INLINE Vec<T> from_output(const StepRows& s, int64_t b, int64_t j, int n) const {
    Vec<T> dh = dy ? load_some(dy + (s.at + b) * a.lddy + j, n) : Vec<T>::zero();
    if (dh_last && b >= s.before) dh += load_some(dh_last + b * K + j, n);
    return dh;
  }

  // earlier: the step that this one's c and h came from; its rows are in `earlier_rows`, further ones began with c0,
  // h0.
  FASTNN_INLINE void cell(const StepRows& s, int64_t earlier_rows, int64_t earlier_at, int64_t b, int64_t j, int n,
                          Vec<T> dh) const {
    const int64_t row = s.at + b;
    const Vec<T> one = vset<T>(1), zero = Vec<T>::zero();
    T* const d = dgates + row * a.lddg + j;
    const T* const g = gates + row * G * H + j;
    if constexpr (C == RnnCell::Tanh || C == RnnCell::Relu) {
      const Vec<T> h = load_some(y + row * a.ldy + j, n);
      if constexpr (C == RnnCell::Tanh) {
        store_some(d, dh * (one - h * h), n);
      } else {
        store_some(d, select(le(h, zero), zero, dh), n);
      }
    } else if constexpr (C == RnnCell::Lstm) {
      const Vec<T> i = load_some(g, n), f = load_some(g + H, n), u = load_some(g + 2 * H, n),
                   o = load_some(g + 3 * H, n);
      const Vec<T> t = vtanh(load_some(cells + row * H + j, n));
      Vec<T> dc = dh * o * (one - t * t);
      T* const later = carry + b * H + j;
      if (b < s.before) {
        dc += load_some(later, n);
      } else if (dc_last) {
        dc += load_some(dc_last + b * H + j, n);
      }
      const T* before = b < earlier_rows ? cells + (earlier_at + b) * H + j : c0 ? c0 + b * H + j : nullptr;
      const Vec<T> c = before ? load_some(before, n) : zero;
      store_some(d, dc * u * i * (one - i), n);
      store_some(d + H, dc * c * f * (one - f), n);
      store_some(d + 2 * H, dc * i * (one - u * u), n);
      store_some(d + 3 * H, dh * t * o * (one - o), n);
      store_some(later, dc * f, n);
    } else {
      const Vec<T> r = load_some(g, n), z = load_some(g + H, n), u = load_some(g + 2 * H, n),
                   m = load_some(hn + row * H + j, n);
      T* const later = carry + b * H + j;
      if (b < s.before) dh += load_some(later, n);
      const T* before = b < earlier_rows ? y + (earlier_at + b) * a.ldy + j : h0 ? h0 + b * H + j : nullptr;
      const Vec<T> h = before ? load_some(before, n) : zero;
      const Vec<T> du = dh * (one - z) * (one - u * u);
      store_some(d, du * r, n);
      store_some(d + H, du * m * r * (one - r), n);
      store_some(d + 2 * H, dh * (h - u) * z * (one - z), n);
      store_some(d + 3 * H, du, n);
      store_some(later, dh * z, n);
    }
  }

  // acc = rows r0 .. r1 - 1 of x (depth columns) times a panel; zero from row `live` on.
  FASTNN_INLINE void product(int64_t r0, int64_t r1, int64_t live, int64_t depth, const T* x, int64_t ld,
                             const T* panel, T* acc) const {
    const int64_t mid = max_i(r0, min_i(r1, live));
    if (mid > r0) product_rows<T, kPlainNv, kPlainRows>(mid - r0, depth, x + r0 * ld, ld, panel, acc);
    __builtin_memset(acc + (mid - r0) * kCols, 0, static_cast<size_t>((r1 - mid) * kCols) * sizeof(T));
  }

  // dh of K columns; without a projection those are the cells', and go on to the gates.
  __attribute__((noinline)) void recurrent(const StepRows* s, bool last, int64_t tile, int64_t tiles, int64_t r0,
                                           int64_t r1, const T* panels) const {
    alignas(64) T acc[kPlainRows * kCols];
    const int64_t rows = r1 - r0;
    for (int64_t t = 0; t < tiles; t++) {
      const int64_t j = (tile + t) * kCols, row = s->at + r0, live = min_i(kCols, K - j);
      if (dy) prefetch_rows(dy + row * a.lddy + j, rows, a.lddy, live);
      if (!a.proj) prefetch_cells(row, j, rows, live);
      product(r0, r1, s->before, R, dgates + s->before_at * a.lddg, a.lddg, panels + (tile + t) * R * kCols,
              acc + t * rows * kCols);
    }
    const int64_t earlier = last ? 0 : min_i(s->rows, s[1].rows), earlier_at = last ? 0 : s[1].at;
    for (int64_t t = 0; t < tiles; t++) {
      for (int v = 0; v < kPlainNv; v++) {
        const int64_t j = (tile + t) * kCols + v * W;
        if (j >= K) break;
        const int n = static_cast<int>(min_i(W, K - j));
        for (int64_t b = r0; b < r1; b++) {
          const Vec<T> dh = Vec<T>::load(acc + (t * rows + b - r0) * kCols + v * W) + from_output(*s, b, j, n);
          if (a.proj) {
            store_some(dhs + (s->at + b) * K + j, dh, n);
          } else {
            cell(*s, earlier, earlier_at, b, j, n, dh);
          }
        }
      }
    }
  }
  // The gradient of o tanh c from that of its projection.
  __attribute__((noinline)) void project(const StepRows* s, bool last, int64_t tile, int64_t tiles, int64_t r0,
                                         int64_t r1, const T* panels) const {
    alignas(64) T acc[kPlainRows * kCols];
    const int64_t earlier = last ? 0 : min_i(s->rows, s[1].rows), earlier_at = last ? 0 : s[1].at;
    for (; tiles > 0; tile++, tiles--) {
      prefetch_cells(s->at + r0, tile * kCols, r1 - r0, min_i(kCols, H - tile * kCols));
      product(r0, r1, r1, K, dhs + s->at * K, K, panels + tile * K * kCols, acc);
      for (int v = 0; v < kPlainNv; v++) {
        const int64_t j = tile * kCols + v * W;
        if (j >= H) break;
        const int n = static_cast<int>(min_i(W, H - j));
        for (int64_t b = r0; b < r1; b++)
          cell(*s, earlier, earlier_at, b, j, n, Vec<T>::load(acc + (b - r0) * kCols + v * W));
      }
    }
  }
  FASTNN_INLINE void prefetch_cells(int64_t row, int64_t j, int64_t rows, int64_t n) const {
    if constexpr (C == RnnCell::Lstm || C == RnnCell::Gru) {
      for (int64_t i = 0; i < G; i++) prefetch_rows(gates + (row * G + i) * H + j, rows, G * H, n);
      prefetch_rows((C == RnnCell::Lstm ? cells : hn) + row * H + j, rows, H, n);
    }
  }

  FASTNN_INLINE Grid recurrent_grid() const { return make_grid(K, kCols, a.batch, kPlainRows); }
  FASTNN_INLINE Grid project_grid() const { return make_grid(H, kCols, a.batch, kPlainRows); }
  FASTNN_INLINE int team(int threads) const {
    return team_size(threads, a.batch * H * (G * K + a.proj), recurrent_grid().size());
  }
  FASTNN_INLINE int64_t panel_elements() const { return a.steps > 1 ? recurrent_grid().tiles * R * kCols : 0; }
  FASTNN_INLINE int64_t workspace(int threads) const {
    const int64_t projection = a.proj ? project_grid().tiles * K * kCols : 0;
    return steps_bytes(a) + team_bytes(team(threads)) +
           (panel_elements() + projection) * static_cast<int64_t>(sizeof(T));
  }

  void run(const Ctx& ctx) const {
    char* memory = static_cast<char*>(ctx.workspace);
    StepRows* const steps = reinterpret_cast<StepRows*>(memory);
    list_steps(a, a.reverse ? 1 : -1, steps);
    const int members = team(ctx.threads);
    void* const sync = memory + steps_bytes(a);
    T* const panels = reinterpret_cast<T*>(memory + steps_bytes(a) + team_bytes(members));
    T* const panels_hr = panels + panel_elements();
    const Grid grid = recurrent_grid(), grid_hr = a.proj ? project_grid() : Grid{0, 0, 0};
    const T *const w_hh = static_cast<const T*>(a.w_hh), *const w_hr = static_cast<const T*>(a.w_hr);
    const auto pack = [&](int64_t i, int) {
      if (i >= grid.tiles) {
        const int64_t p = i - grid.tiles;
        return pack_rows(panels_hr + p * K * kCols, kCols, w_hr + p * kCols, H, min_i(kCols, H - p * kCols), K);
      }
      if (a.steps == 1) return;
      T* to = panels + i * R * kCols;
      const T* from = w_hh + i * kCols;
      const int64_t live = min_i(kCols, K - i * kCols);
      if constexpr (C == RnnCell::Gru) {  // dgates have the n gate first
        pack_rows(to, kCols, from + 2 * H * K, K, live, H);
        pack_rows(to + H * kCols, kCols, from, K, live, 2 * H);
      } else {
        pack_rows(to, kCols, from, K, live, R);
      }
    };
    if (panel_elements() > 16 * 1024) {
      parallel_for(grid.tiles + grid_hr.tiles, pack);
    } else {
      for (int64_t i = 0; i < grid.tiles + grid_hr.tiles; i++) pack(i, 0);
    }
    const int64_t each = a.proj ? 2 : 1;
    run_steps(each * a.steps, members, sync, [&](int64_t phase, int part) {
      const int64_t i = phase / each;
      const bool last = i + 1 == a.steps;
      if (phase % each == 0) {
        share(grid, part, members, kPlainRows, steps[i].rows, [&](int64_t tile, int64_t tiles, int64_t r0, int64_t r1) {
          recurrent(steps + i, last, tile, tiles, r0, r1, panels);
        });
      } else {
        share(grid_hr, part, members, kPlainRows, steps[i].rows,
              [&](int64_t tile, int64_t tiles, int64_t r0, int64_t r1) {
                project(steps + i, last, tile, tiles, r0, r1, panels_hr);
              });
      }
    });
  }
};

}  // namespace

void rnn_backward(const Ctx& ctx, const RnnArgs& a) {
  with_pass<Backward>(a, [&](const auto& pass) {
    pass.run(ctx);
    return 0;
  });
}

#pragma GCC visibility push(hidden)
size_t rnn_backward_workspace(int threads, const RnnArgs& a);
#pragma GCC visibility pop
size_t rnn_backward_workspace(int threads, const RnnArgs& a) {
  return static_cast<size_t>(with_pass<Backward>(a, [&](const auto& pass) { return pass.workspace(threads); }));
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
