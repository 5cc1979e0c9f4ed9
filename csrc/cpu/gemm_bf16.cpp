// bf16 products, accumulated in f32. With AVX512-BF16 the panels hold pairs of k and a step is vdpbf16ps; elsewhere
// elements are widened to f32 while they are packed, which is exact. The sums, with bias and activation, come out in
// f32 and are rounded once.
#include "cpu/gemm_bf16.h"

#include "cpu/gemm_one.h"
#include "cpu/gemm_pack.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

struct Operand {  // element (x, k) at p[x * xs + k * ks]; one of the strides is 1
  const Bf16* p;
  int64_t xs, ks;
};

#if defined(__AVX512BF16__)

// Two consecutive k of one row or column, the even one in the low half: one 32-bit lane of vdpbf16ps.
struct Pair {
  uint32_t bits;
};
using Element = Pair;
constexpr int64_t kPerElement = 2;

template <>
struct Accumulator<Pair> {
  using type = float;
};
template <>
struct GemmTile<Pair> : GemmTile<float> {};
template <>
struct Vec<Pair> {
  static constexpr int size = 16;
  __m512i v;
  Vec() = default;
  FASTNN_INLINE Vec(__m512i x) : v(x) {}
  FASTNN_INLINE explicit Vec(Pair x) : v(_mm512_set1_epi32(static_cast<int>(x.bits))) {}
  static FASTNN_INLINE Vec load(const Pair* p) { return _mm512_loadu_si512(p); }
  static FASTNN_INLINE Vec load(const Pair* p, int n) {
    return _mm512_maskz_loadu_epi32(static_cast<__mmask16>((1u << n) - 1), p);
  }
};
FASTNN_INLINE Vec<float> fma(Vec<Pair> a, Vec<Pair> b, Vec<float> c) {
  return (Vec<float>::V)_mm512_dpbf16_ps((__m512)c.v, (__m512bh)a.v, (__m512bh)b.v);
}

// Element k of the row or column x: the pair (2k, 2k + 1), 0 beyond the end of K.
FASTNN_INLINE Pair element(const Operand& o, int64_t K, int64_t x, int64_t k) {
  const Bf16* p = o.p + x * o.xs + 2 * k * o.ks;
  return {p[0].bits | (2 * k + 1 < K ? static_cast<uint32_t>(p[o.ks].bits) << 16 : 0)};
}
// out[k] for k0 <= k < k0 + kc of row x, contiguous along k.
FASTNN_INLINE void along_k(const Operand& o, int64_t K, int64_t x, int64_t k0, int64_t kc, Pair* out) {
  const int64_t whole = min_i(kc, K / 2 - k0);
  __builtin_memcpy(out, o.p + x * o.xs + 2 * k0, static_cast<size_t>(whole) * sizeof(Pair));
  if (whole < kc) out[whole] = element(o, K, x, k0 + whole);
}
// out[x] for x0 <= x < x0 + n at one k, contiguous along x.
FASTNN_INLINE void along_x(const Operand& o, int64_t K, int64_t x0, int n, int64_t k, Pair* out) {
  const Bf16* p = o.p + x0 + 2 * k * o.ks;
  if (2 * k + 1 < K) {
    for (int x = 0; x < n; x++) out[x].bits = p[x].bits | static_cast<uint32_t>(p[o.ks + x].bits) << 16;
  } else {
    for (int x = 0; x < n; x++) out[x].bits = p[x].bits;
  }
}

#else

using Element = float;
constexpr int64_t kPerElement = 1;

FASTNN_INLINE void along_k(const Operand& o, int64_t, int64_t x, int64_t k0, int64_t kc, float* out) {
  const Bf16* p = o.p + x * o.xs + k0;
  for (int64_t k = 0; k < kc; k++) out[k] = bf16_to_float(p[k]);
}
FASTNN_INLINE void along_x(const Operand& o, int64_t, int64_t x0, int n, int64_t k, float* out) {
  const Bf16* p = o.p + x0 + k * o.ks;
  for (int x = 0; x < n; x++) out[x] = bf16_to_float(p[x]);
}

#endif

struct PackARowsBf16 {
  static constexpr bool kPacks = true, kRowPanel = true;
  Operand a;
  int64_t K;
  void operator()(Element* panel, int64_t i0, int rows, int64_t k0, int64_t kc) const {
    for (int r = 0; r < rows; r++) along_k(a, K, i0 + r, k0, kc, panel + r * row_panel_stride<Element>(kc));
  }
};
struct PackAColumnsBf16 {
  static constexpr bool kPacks = true, kRowPanel = false;
  Operand a;
  int64_t K;
  void operator()(Element* panel, int64_t i0, int rows, int64_t k0, int64_t kc) const {
    for (int64_t k = 0; k < kc; k++) along_x(a, K, i0, rows, k0 + k, panel + k * GemmTile<Element>::kMr);
  }
};
struct PackBRowsBf16 {
  static constexpr bool kPacks = true;
  Operand b;
  int64_t K;
  void operator()(Element* panel, int64_t j0, int cols, int64_t k0, int64_t kc) const {
    const int64_t w = round_up(cols, Vec<Element>::size);
    for (int64_t k = 0; k < kc; k++, panel += w) {
      along_x(b, K, j0, cols, k0 + k, panel);
      for (int64_t c = cols; c < w; c++) panel[c] = Element();
    }
  }
};
struct PackBColumnsBf16 {
  static constexpr bool kPacks = true;
  Operand b;
  int64_t K;
  void operator()(Element* panel, int64_t j0, int cols, int64_t k0, int64_t kc) const {
    constexpr int W = Vec<Element>::size, L = 4, kStrip = 64;
    const int64_t w = round_up(cols, W);
    // W columns, kStrip at a time, become rows of 32-bit elements, and those are transposed as floats are.
    alignas(64) Element strip[W][kStrip];
    const float* rows[W];
    for (int c = 0; c < W; c++) rows[c] = reinterpret_cast<const float*>(strip[c]);
    for (int c0 = 0; c0 < cols; c0 += W) {
      const int n = cols - c0 < W ? cols - c0 : W;
      for (int c = n; c < W; c++) __builtin_memset(strip[c], 0, sizeof strip[c]);
      for (int64_t s = 0; s < kc; s += kStrip) {
        const int64_t len = min_i(kStrip, kc - s);
        for (int c = 0; c < n; c++) along_k(b, K, j0 + c0 + c, k0 + s, len, strip[c]);
        float* out = reinterpret_cast<float*>(panel + s * w + c0);
        int64_t k = 0;
        for (; k + L <= len; k += L) transpose_lane(rows, k, out + k * w, w);
        for (; k < len; k++)
          for (int c = 0; c < W; c++) __builtin_memcpy(out + k * w + c, &strip[c][k], 4);
      }
    }
  }
};

// f(source of A, source of B).
template <class F>
FASTNN_INLINE void with_sources(const GemmArgs& g, const F& f) {
  const Operand a{static_cast<const Bf16*>(g.a), g.a_rs, g.a_cs}, b{static_cast<const Bf16*>(g.b), g.b_cs, g.b_rs};
  auto with_b = [&](const auto& sa) {
    if (g.b_rs == 1 || g.k <= 1) return f(sa, PackBColumnsBf16{b, g.k});
    return f(sa, PackBRowsBf16{b, g.k});
  };
  if (g.a_cs == 1 || g.k <= 1) return with_b(PackARowsBf16{a, g.k});
  return with_b(PackAColumnsBf16{a, g.k});
}

// Workspace: the sums [m, n] in f32, the bias [n] in f32, the panels.
FASTNN_INLINE int64_t sums_bytes(const GemmArgs& g) { return round_up(g.m * g.n * 4, 64); }
FASTNN_INLINE int64_t bias_bytes(const GemmArgs& g) { return round_up(g.n * 4, 64); }

}  // namespace

int64_t gemm_bf16_workspace(const GemmArgs& g) {
  return sums_bytes(g) + bias_bytes(g) +
         gemm_blocked_workspace<Element, PackARowsBf16, PackBRowsBf16>(g.m, g.n, ceil_div(g.k, kPerElement));
}

void gemm_bf16(const GemmArgs& g, void* workspace) {
  char* const ws = static_cast<char*>(workspace);
  float* const sums = reinterpret_cast<float*>(ws);
  float* bias = nullptr;
  if (g.bias) {
    bias = reinterpret_cast<float*>(ws + sums_bytes(g));
    for (int64_t j = 0; j < g.n; j++) bias[j] = bf16_to_float(static_cast<const Bf16*>(g.bias)[j]);
  }
  const RowMajorStore<float> store{sums, g.n, bias, nullptr, g.act, false};
  with_sources(g, [&](const auto& sa, const auto& sb) {
    gemm_blocked<Element>(g.m, g.n, ceil_div(g.k, kPerElement), sa, sb, store, ws + sums_bytes(g) + bias_bytes(g));
  });
  Bf16* const c = static_cast<Bf16*>(g.c);
  const int64_t per = max_i(1, 16 * 1024 / max_i(1, g.n));
  parallel_for(ceil_div(g.m, per), [&](int64_t chunk, int) {
    for (int64_t i = chunk * per; i < min_i((chunk + 1) * per, g.m); i++) {
      const float* s = sums + i * g.n;
      Bf16* out = c + i * g.ldc;
      if (g.accumulate) {
        for (int64_t j = 0; j < g.n; j++) out[j] = float_to_bf16(bf16_to_float(out[j]) + s[j]);
      } else {
        for (int64_t j = 0; j < g.n; j++) out[j] = float_to_bf16(s[j]);
      }
    }
  });
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
