// One product of floats or doubles: which form a shape takes. Nothing here depends on the number of threads.
// Compiled once a type (gemm_f32.cpp, gemm_f64.cpp).
#pragma once
#include "cpu/gemm_columns.h"
#include "cpu/gemm_pack.h"
#include "cpu/gemm_skinny.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

enum class Form { Blocked, Columns, Mirrored, Dot, DotSwapped, DotTransposed, RowStream, RowStreamSwapped };

// Along which index an operand is contiguous. A size-1 direction may have any stride, so it counts as contiguous
// along the other one.
struct Layout {
  bool a_k, a_m;  // A is contiguous along k / along m
  bool b_n, b_k;
};
FASTNN_INLINE Layout layout(const GemmArgs& g) {
  Layout l;
  l.a_k = g.a_cs == 1 || g.k <= 1;
  l.a_m = g.a_rs == 1 || g.m <= 1;
  l.b_n = g.b_cs == 1 || g.n <= 1;
  l.b_k = g.b_rs == 1 || g.k <= 1;
  return l;
}

// Blocked: whether an operand is read where it lies. Packing costs a read and a write of the operand and pays when it
// is read many times from rows that are far apart.
template <class T>
bool direct_a(const GemmArgs& g) {
  return g.m * g.k <= kGemmDirect / static_cast<int64_t>(sizeof(T)) || g.n <= 2 * GemmTile<T>::kNr;
}
template <class T>
bool direct_b(const GemmArgs& g, const Layout& l) {
  const int64_t limit = g.b_rs * static_cast<int64_t>(sizeof(T)) % 2048 == 0 ? kGemmDirect / 2 : kGemmDirect;
  return l.b_n && (g.k * g.n <= limit / static_cast<int64_t>(sizeof(T)) || g.m <= kGemmDirectPanels * GemmTile<T>::kMr);
}

// x @ W.T: packing W for each thread apart costs as much as 7 rows. It pays early where W is small, because packing it
// together costs two waits and all its lines' way from core to core; where W is large, a mirror image packs less.
FASTNN_INLINE bool columns_pay(const GemmArgs& g) {
  if (g.m >= kColumnRows) return true;
  return g.k * g.n <= 512 * 1024 && (g.m >= 48 || (g.m >= 16 && g.k <= 256));
}

template <class T>
Form form_of(const GemmArgs& g, const Layout& l) {
  constexpr int64_t kL2 = 512 * 1024 / sizeof(T);  // elements that stay in L2
  if (g.k < 2) return Form::Blocked;
  if (l.a_k && l.b_k) {  // x @ W.T
    if (g.n > GemmTile<T>::kNr && columns_pay(g)) return Form::Columns;
    // With fewer rows than W has, the mirror image C^T = W x^T transposes x while packing, not W. Its columns are x's
    // rows, and must fill their vectors. Else too few rows to pay for packing W take dot products.
    constexpr int64_t W = Vec<T>::size;
    if (g.m >= 16 && 2 * g.m <= g.n && g.k >= 64 && 16 * (round_up(g.m, W) - g.m) <= g.m) return Form::Mirrored;
    if (g.m <= (g.k >= 192 ? kGemmDotRowsDeep : kGemmDotRows) && g.k >= 16) return Form::Dot;
    if (g.n <= kGemmDotColumns && g.k >= 16) return Form::DotSwapped;
  }
  if (g.m <= kStreamRows && l.b_n && (g.k * g.n > kL2 || g.m == 1)) return Form::RowStream;
  if (g.n == 1 && l.a_m && g.ldc == 1) return Form::RowStreamSwapped;
  // A handful of columns would leave most of a vector's lanes empty: turned round, they are few enough to lie in L1.
  if (l.a_k && l.b_n && g.n <= kGemmDotColumns && g.m >= 8 && g.k >= 32) return Form::DotTransposed;
  if (l.a_k && l.b_n && g.m >= kColumnRows && !direct_b<T>(g, l) && g.k * g.n <= 2 * 1024 * 1024) return Form::Columns;
  return Form::Blocked;
}

// f(source of A, source of B) with the sources that the shape asks for.
template <class T, class F>
FASTNN_INLINE auto with_sources(const GemmArgs& g, const T* a, const T* b, const F& f) {
  const Layout l = layout(g);
  auto with_b = [&](const auto& sa) {
    if (direct_b<T>(g, l)) return f(sa, DirectB<T>{b, g.b_rs});
    if (l.b_n) return f(sa, PackBRows<T>{b, g.b_rs});
    return f(sa, PackBColumns<T>{b, g.b_cs});
  };
  if (direct_a<T>(g)) return with_b(DirectA<T>{a, g.a_rs, g.a_cs});
  if (l.a_k) return with_b(PackARows<T>{a, g.a_rs});
  return with_b(PackAColumns<T>{a, g.a_cs});
}

template <class T, class SrcA, class SrcB>
FASTNN_INLINE int64_t sources_workspace(const GemmArgs& g, const SrcA&, const SrcB&) {
  return gemm_blocked_workspace<T, SrcA, SrcB>(g.m, g.n, g.k);
}

// Columns: f(source of A, source of B). Rows of A are read where they lie: each is needed once a panel of B.
template <class T, class F>
FASTNN_INLINE auto with_column_sources(const GemmArgs& g, const F& f) {
  const DirectA<T> sa{static_cast<const T*>(g.a), g.a_rs, g.a_cs};
  const T* b = static_cast<const T*>(g.b);
  if (layout(g).b_n) return f(sa, PackBRows<T>{b, g.b_rs});
  return f(sa, PackBColumns<T>{b, g.b_cs});
}

// The product whose result is the transpose of g's.
FASTNN_INLINE GemmArgs mirrored(const GemmArgs& g) {
  GemmArgs t = g;
  t.m = g.n;
  t.n = g.m;
  t.a = g.b;
  t.a_rs = g.b_cs;
  t.a_cs = g.b_rs;
  t.b = g.a;
  t.b_rs = g.a_cs;
  t.b_cs = g.a_rs;
  return t;
}
// Its result [n, m], rows padded to whole vectors and apart from one another's L1 sets, is kept in the workspace.
template <class T>
FASTNN_INLINE int64_t mirror_pitch(const GemmArgs& g) {
  return round_up(g.m, Vec<T>::size) + 64 / static_cast<int64_t>(sizeof(T));
}

// DotTransposed keeps B's transpose, its rows apart from one another's L1 sets.
template <class T>
FASTNN_INLINE int64_t transposed_pitch(const GemmArgs& g) {
  return round_up(g.k, Vec<T>::size) + 64 / static_cast<int64_t>(sizeof(T));
}

// Dot: several rows of A at a distance of whole pages would fall, with those of B, into the same few lines of L1's
// sets: they are copied apart.
template <class T>
FASTNN_INLINE int64_t spread_pitch(const GemmArgs& g) {
  return round_up(g.k, Vec<T>::size) + 64 / static_cast<int64_t>(sizeof(T));
}
template <class T>
FASTNN_INLINE bool collide(const GemmArgs& g) {
  return g.m > 1 && g.n >= 64 && g.a_rs * static_cast<int64_t>(sizeof(T)) % 2048 == 0;
}

template <class T>
int64_t blocked_workspace(const GemmArgs& g) {
  return with_sources<T>(g, nullptr, nullptr,
                         [&](const auto& sa, const auto& sb) { return sources_workspace<T>(g, sa, sb); });
}

template <class T>
int64_t workspace_one(const GemmArgs& g, int threads) {
  const Form form = form_of<T>(g, layout(g));
  if (form == Form::Blocked) return blocked_workspace<T>(g);
  if (form == Form::Dot) return collide<T>(g) ? g.m * spread_pitch<T>(g) * static_cast<int64_t>(sizeof(T)) : 0;
  if (form == Form::DotTransposed) return g.n * transposed_pitch<T>(g) * static_cast<int64_t>(sizeof(T));
  if (form == Form::Columns) return gemm_columns_workspace<T>(g.k, threads);
  if (form == Form::Mirrored) {
    const GemmArgs t = mirrored(g);
    return round_up(g.n * mirror_pitch<T>(g) * static_cast<int64_t>(sizeof(T)), 64) + blocked_workspace<T>(t);
  }
  return 0;
}

template <class T>
void blocked(const GemmArgs& g, const RowMajorStore<T>& store, void* workspace) {
  with_sources<T>(g, static_cast<const T*>(g.a), static_cast<const T*>(g.b), [&](const auto& sa, const auto& sb) {
    gemm_blocked<T>(g.m, g.n, g.k, sa, sb, store, workspace);
    return 0;
  });
}

template <class T>
void blocked_mirrored(const GemmArgs& g, void* workspace) {
  const GemmArgs t = mirrored(g);
  const int64_t pitch = mirror_pitch<T>(g);
  T* const ct = static_cast<T*>(workspace);
  blocked<T>(t, {ct, pitch, nullptr, nullptr, GemmAct::None, false},
             static_cast<char*>(workspace) + round_up(g.n * pitch * static_cast<int64_t>(sizeof(T)), 64));
  // C = act(transpose + bias), kCols columns at a time.
  constexpr int64_t kCols = 256 / sizeof(T);
  const T* bias = static_cast<const T*>(g.bias);
  parallel_for(ceil_div(g.n, kCols), [&](int64_t chunk, int) {
    constexpr int W = Vec<T>::size;
    const int64_t j0 = chunk * kCols, cols = min_i(kCols, g.n - j0);
    alignas(64) T block[16 * kCols];
    for (int64_t i0 = 0; i0 < g.m; i0 += 16) {
      const int64_t rows = min_i(16, g.m - i0);
      transpose(ct + j0 * pitch + i0, pitch, rows, static_cast<int>(cols), block, kCols);
      for (int64_t i = 0; i < rows; i++) {
        T* c = static_cast<T*>(g.c) + (i0 + i) * g.ldc + j0;
        for (int64_t j = 0; j < cols; j += W) {
          const int n = static_cast<int>(min_i(W, cols - j));
          Vec<T> v = Vec<T>::load(block + i * kCols + j);
          if (g.accumulate) v += Vec<T>::load(c + j, n);
          if (bias) v += Vec<T>::load(bias + j0 + j, n);
          if (g.act == GemmAct::Relu) v = max(Vec<T>::zero(), v);
          if (n == W) {
            v.store(c + j);
          } else {
            v.store(c + j, n);
          }
        }
        if (g.act > GemmAct::Relu) activate_tile(c, g.ldc, 1, cols, g.act);
      }
    }
  });
}

template <class T>
void run_one(const GemmArgs& g, void* workspace, int threads) {
  const T *a = static_cast<const T*>(g.a), *b = static_cast<const T*>(g.b);
  T* c = static_cast<T*>(g.c);
  const T* bias = static_cast<const T*>(g.bias);
  switch (form_of<T>(g, layout(g))) {
    case Form::Dot: {
      int64_t pitch = g.a_rs;
      if (collide<T>(g)) {
        T* const rows = static_cast<T*>(workspace);
        pitch = spread_pitch<T>(g);
        for (int64_t i = 0; i < g.m; i++)
          __builtin_memcpy(rows + i * pitch, a + i * g.a_rs, static_cast<size_t>(g.k) * sizeof(T));
        a = rows;
      }
      return dot_product_form<T>(g.m, g.n, g.k, a, pitch, b, g.b_cs, c, g.ldc, 1, bias, false, g.act, g.accumulate);
    }
    case Form::DotSwapped:
      return dot_product_form<T>(g.n, g.m, g.k, b, g.b_cs, a, g.a_rs, c, 1, g.ldc, bias, true, g.act, g.accumulate);
    case Form::DotTransposed: {
      T* const bt = static_cast<T*>(workspace);
      const int64_t pitch = transposed_pitch<T>(g);
      for (int64_t k = 0; k < g.k; k++)
        for (int64_t j = 0; j < g.n; j++) bt[j * pitch + k] = b[k * g.b_rs + j];
      return dot_product_form<T>(g.n, g.m, g.k, bt, pitch, a, g.a_rs, c, 1, g.ldc, bias, true, g.act, g.accumulate);
    }
    case Form::RowStream:
      return row_stream_form<T>(g.m, g.n, g.k, a, g.a_rs, g.a_cs, b, g.b_rs, c, g.ldc, bias, nullptr, g.act,
                                g.accumulate);
    case Form::RowStreamSwapped:
      return row_stream_form<T>(1, g.m, g.k, b, 1, g.b_rs, a, g.a_cs, c, 1, nullptr, bias, g.act, g.accumulate);
    case Form::Columns:
      return with_column_sources<T>(g, [&](const auto& sa, const auto& sb) {
        gemm_columns<T>(g.m, g.n, g.k, sa, sb, RowMajorStore<T>{c, g.ldc, bias, nullptr, g.act, g.accumulate},
                        workspace, threads);
      });
    case Form::Mirrored:
      return blocked_mirrored<T>(g, workspace);
    case Form::Blocked:
      return blocked<T>(g, {c, g.ldc, bias, nullptr, g.act, g.accumulate}, workspace);
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
