// One product of floats or doubles: which form a shape takes. Nothing here depends on the number of threads.
// Compiled once a type (gemm_f32.cpp, gemm_f64.cpp).
#pragma once
#include "cpu/gemm_pack.h"
#include "cpu/gemm_skinny.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

enum class Form { Blocked, Dot, DotSwapped, RowStream, RowStreamSwapped };

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

template <class T>
Form form_of(const GemmArgs& g, const Layout& l) {
  constexpr int64_t kL2 = 512 * 1024 / sizeof(T);  // elements that stay in L2
  if (g.k < 2) return Form::Blocked;
  if (g.m <= kGemmDotRows && l.b_k && l.a_k && g.k >= 16) return Form::Dot;
  if (g.n <= kGemmDotColumns && l.a_k && l.b_k && g.k >= 16) return Form::DotSwapped;
  if (g.m <= kStreamRows && l.b_n && (g.k * g.n > kL2 || g.m == 1)) return Form::RowStream;
  if (g.n == 1 && l.a_m && g.ldc == 1) return Form::RowStreamSwapped;
  return Form::Blocked;
}

// Blocked: whether an operand is read where it lies. Packing costs a read and a write of the operand and pays when it
// is read many times from rows that are far apart.
template <class T>
bool direct_a(const GemmArgs& g) {
  return g.m * g.k <= kGemmDirect / static_cast<int64_t>(sizeof(T)) || g.n <= 2 * GemmTile<T>::kNr;
}
template <class T>
bool direct_b(const GemmArgs& g, const Layout& l) {
  return l.b_n && (g.k * g.n <= kGemmDirect / static_cast<int64_t>(sizeof(T)) || g.m <= 4 * GemmTile<T>::kMr);
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
FASTNN_INLINE int64_t blocked_workspace(const GemmArgs& g, const SrcA&, const SrcB&) {
  return gemm_blocked_workspace<T, SrcA, SrcB>(g.m, g.n, g.k);
}

template <class T>
int64_t workspace_one(const GemmArgs& g) {
  if (form_of<T>(g, layout(g)) != Form::Blocked) return 0;
  return with_sources<T>(g, nullptr, nullptr, [&](const auto& sa, const auto& sb) {
    return blocked_workspace<T>(g, sa, sb);
  });
}

template <class T>
void run_one(const GemmArgs& g, void* workspace) {
  const T *a = static_cast<const T*>(g.a), *b = static_cast<const T*>(g.b);
  T* c = static_cast<T*>(g.c);
  const T* bias = static_cast<const T*>(g.bias);
  switch (form_of<T>(g, layout(g))) {
    case Form::Dot:
      return dot_product_form<T>(g.m, g.n, g.k, a, g.a_rs, b, g.b_cs, c, g.ldc, 1, bias, false, g.act, g.accumulate);
    case Form::DotSwapped:
      return dot_product_form<T>(g.n, g.m, g.k, b, g.b_cs, a, g.a_rs, c, 1, g.ldc, bias, true, g.act, g.accumulate);
    case Form::RowStream:
      return row_stream_form<T>(g.m, g.n, g.k, a, g.a_rs, g.a_cs, b, g.b_rs, c, g.ldc, bias, nullptr, g.act,
                                g.accumulate);
    case Form::RowStreamSwapped:
      return row_stream_form<T>(1, g.m, g.k, b, 1, g.b_rs, a, g.a_cs, c, 1, nullptr, bias, g.act, g.accumulate);
    case Form::Blocked: break;
  }
  const RowMajorStore<T> store{c, g.ldc, bias, nullptr, g.act, g.accumulate};
  with_sources<T>(g, a, b, [&](const auto& sa, const auto& sb) {
    gemm_blocked<T>(g.m, g.n, g.k, sa, sb, store, workspace);
    return 0;
  });
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn
