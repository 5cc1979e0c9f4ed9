// Images and volumes read at the points of a grid. The pixels around kBlock points and their weights are worked out
// once, a vector of points at a time, and serve every channel. Limit: the look-ups, one a pixel and channel. The
// gradient by the image is scattered by one thread a plane; the one by the grid needs, of each pixel around a point,
// the sum over the channels of image times gradient.
#include "cpu/rows.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int kBlock = 64;
constexpr int32_t kOutside = -(1 << 29);  // one of these in a sum of places makes it negative: planes are below 2^29

// Along one axis: the places (times the axis' stride) of the pixels below and above each point, or kOutside; the
// weight of the upper one; and d coordinate / d grid.
template <class T>
struct Axis {
  int32_t at[2][kBlock];
  T part[kBlock], slope[kBlock];
};
template <class T>
struct Taps {
  int count;
  int32_t at[8][kBlock];
  T weight[8][kBlock];
};

// torch's rules: a coordinate is clipped to the image after reflection, NaN to its first pixel; no gradient there.
template <class T>
void along(const GridSampleArgs& a, int axis, int64_t begin, int n, Axis<T>& out) {
  const int64_t size = a.size[3 - a.dims + axis];
  int64_t stride = 1;
  for (int d = 3 - a.dims + axis + 1; d < 3; ++d) stride *= a.size[d];
  const T* grid = static_cast<const T*>(a.grid) + begin * a.dims + (a.dims - 1 - axis);
  const T extent = static_cast<T>(size), top = extent - 1, unit = a.align ? top / 2 : extent / 2;
  const T low = a.align ? 0 : T(-0.5), span = a.align ? top : extent;
  alignas(64) T place[kBlock];
  const auto read = [&](auto dims) __attribute__((always_inline)) {
    for (int i = 0; i < n; ++i) {
      const T g = grid[i * dims] + 1;
      place[i] = a.align ? g * unit : (g * extent - 1) * T(0.5);
      out.slope[i] = unit;
    }
  };
  a.dims == 2 ? read(Int<2>()) : read(Int<3>());
  if (a.padding == GridPadding::Reflection && span > 0) {
    for (int i = 0; i < n; ++i) {
      const T p = place[i], d = p < low ? low - p : p - low;
      const T turns = sizeof(T) == 4 ? T(__builtin_floorf(float(d / span))) : T(__builtin_floor(double(d / span)));
      const T half = turns * T(0.5);
      const bool even = (sizeof(T) == 4 ? T(__builtin_floorf(float(half))) : T(__builtin_floor(double(half)))) == half;
      const T rest = d - turns * span;
      place[i] = even ? low + rest : low + span - rest;
      out.slope[i] = (p < low) == even ? -unit : unit;
    }
  }
  if (a.padding != GridPadding::Zeros) {
    for (int i = 0; i < n; ++i) {
      const T p = place[i];
      const bool inside = (p > 0) & (p < top);
      const T q = p > 0 ? p : 0;
      place[i] = q < top ? q : top;
      out.slope[i] = inside ? out.slope[i] : 0;
    }
  }
  const bool nearest = a.mode == GridMode::Nearest;
  const int32_t end = static_cast<int32_t>(size), step = static_cast<int32_t>(stride);
  for (int i = 0; i < n; ++i) {
    const T p = place[i];
    const T whole = sizeof(T) == 4 ? (nearest ? T(__builtin_rintf(float(p))) : T(__builtin_floorf(float(p))))
                                   : (nearest ? T(__builtin_rint(double(p))) : T(__builtin_floor(double(p))));
    out.part[i] = p - whole;
    T bounded = whole > -2 ? whole : -2;  // a NaN too
    bounded = bounded < extent + 1 ? bounded : extent + 1;
    const int32_t at = static_cast<int32_t>(bounded);
    out.at[0][i] = at >= 0 && at < end ? at * step : kOutside;
    out.at[1][i] = at + 1 >= 0 && at + 1 < end ? (at + 1) * step : kOutside;
  }
}

// Every combination of a pixel an axis, the slowest axis first; bit d of a combination is the side along axis d.
template <class T>
void combine(const GridSampleArgs& a, const Axis<T>* axes, int n, Taps<T>& taps) {
  const int filled = (n + 15) / 16 * 16;
  if (a.mode == GridMode::Nearest) {
    taps.count = 1;
    for (int i = 0; i < n; ++i) {
      int32_t at = 0;
      for (int d = 0; d < a.dims; ++d) at += axes[d].at[0][i];
      taps.at[0][i] = at;
      taps.weight[0][i] = 1;
    }
  } else {
    taps.count = 1 << a.dims;
    for (int t = 0; t < taps.count; ++t) {
      for (int i = 0; i < n; ++i) {
        taps.at[t][i] = axes[0].at[t & 1][i];
        taps.weight[t][i] = t & 1 ? axes[0].part[i] : 1 - axes[0].part[i];
      }
      for (int d = 1; d < a.dims; ++d) {
        const int side = t >> d & 1;
        for (int i = 0; i < n; ++i) {
          taps.at[t][i] += axes[d].at[side][i];
          taps.weight[t][i] *= side ? axes[d].part[i] : 1 - axes[d].part[i];
        }
      }
    }
  }
  for (int t = 0; t < taps.count; ++t)  // whole vectors: the rest reads nothing
    for (int i = n; i < filled; ++i) taps.at[t][i] = -1, taps.weight[t][i] = 0;
}

// plane[at[i]], 0 where at is negative.
template <class T>
FASTNN_INLINE Vec<T> look_up(const T* plane, const int32_t* at) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    const __m512i i = _mm512_loadu_si512(at);
    const __mmask16 inside = _mm512_cmpge_epi32_mask(i, _mm512_setzero_si512());
    return (typename Vec<T>::V)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), inside, i, plane, 4);
  } else {
    const __m256i i = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    const __mmask8 inside = _mm256_cmpge_epi32_mask(i, _mm256_setzero_si256());
    return (typename Vec<T>::V)_mm512_mask_i32gather_pd(_mm512_setzero_pd(), inside, i, plane, 8);
  }
#else
  alignas(64) T v[Vec<T>::size];
  for (int i = 0; i < Vec<T>::size; ++i) v[i] = at[i] < 0 ? 0 : plane[at[i]];
  return Vec<T>::load(v);
#endif
}

// f(first point, count, axes, taps) for each block of points begin .. end.
template <class T, class F>
void blocks(const GridSampleArgs& a, const F& f) {
  alignas(64) Axis<T> axes[3];
  alignas(64) Taps<T> taps;
  for (int64_t i = a.begin; i < a.end; i += kBlock) {
    const int n = static_cast<int>(a.end - i < kBlock ? a.end - i : kBlock);
    for (int d = 0; d < a.dims; ++d) along(a, d, i, n, axes[d]);
    combine(a, axes, n, taps);
    f(i, n, axes, taps);
  }
}

FASTNN_INLINE int64_t volume(const GridSampleArgs& a) { return a.size[0] * a.size[1] * a.size[2]; }

template <class T, int COUNT>
FASTNN_INLINE void read_block(const GridSampleArgs& a, int64_t begin, int n, const Taps<T>& taps) {
  const int64_t plane = volume(a);
  for (int64_t c = a.from; c < a.to; ++c) {
    const T* x = static_cast<const T*>(a.x) + c * plane;
    T* y = static_cast<T*>(a.y) + c * a.points + begin;
    across<T>(n, [&](int i, auto w) {
      Vec<T> sum = look_up(x, taps.at[0] + i) * Vec<T>::load(taps.weight[0] + i);
      unroll<COUNT - 1>(
          [&](auto t) { sum = fma(look_up(x, taps.at[t + 1] + i), Vec<T>::load(taps.weight[t + 1] + i), sum); });
      put(y + i, sum, w);
    });
  }
}

template <class T>
void forward(const GridSampleArgs& a) {
  blocks<T>(a, [&](int64_t begin, int n, const Axis<T>*, const Taps<T>& taps) {
    taps.count == 1   ? read_block<T, 1>(a, begin, n, taps)
    : taps.count == 4 ? read_block<T, 4>(a, begin, n, taps)
                      : read_block<T, 8>(a, begin, n, taps);
  });
}

template <class T, int COUNT>
FASTNN_INLINE void add_block(const GridSampleArgs& a, int64_t begin, int n, const Taps<T>& taps) {
  const int64_t plane = volume(a);
  for (int64_t c = a.from; c < a.to; ++c) {
    T* dx = static_cast<T*>(a.dx) + c * plane;
    const T* dy = static_cast<const T*>(a.dy) + c * a.points + begin;
    for (int i = 0; i < n; ++i) {
      const T g = dy[i];
      unroll<COUNT>([&](auto t) __attribute__((always_inline)) {
        if (taps.at[t][i] >= 0) dx[taps.at[t][i]] += taps.weight[t][i] * g;
      });
    }
  }
}

template <class T>
void backward_input(const GridSampleArgs& a) {
  const int64_t plane = volume(a);
  __builtin_memset(static_cast<T*>(a.dx) + a.from * plane, 0, static_cast<size_t>((a.to - a.from) * plane) * sizeof(T));
  blocks<T>(a, [&](int64_t begin, int n, const Axis<T>*, const Taps<T>& taps) {
    taps.count == 1   ? add_block<T, 1>(a, begin, n, taps)
    : taps.count == 4 ? add_block<T, 4>(a, begin, n, taps)
                      : add_block<T, 8>(a, begin, n, taps);
  });
}

template <class T>
void backward_grid(const GridSampleArgs& a) {
  const int64_t plane = volume(a);
  blocks<T>(a, [&](int64_t begin, int n, const Axis<T>* axes, const Taps<T>& taps) {
    alignas(64) T sums[8][kBlock];
    for (int t = 0; t < taps.count; ++t)
      for (int i = 0; i < kBlock; ++i) sums[t][i] = 0;
    for (int64_t c = a.from; c < a.to; ++c) {
      const T* x = static_cast<const T*>(a.x) + c * plane;
      const T* dy = static_cast<const T*>(a.dy) + c * a.points + begin;
      across<T>(n, [&](int i, auto w) {
        const Vec<T> g = get(dy + i, w);
        for (int t = 0; t < taps.count; ++t)
          fma(look_up(x, taps.at[t] + i), g, Vec<T>::load(sums[t] + i)).store(sums[t] + i);
      });
    }
    T* dgrid = static_cast<T*>(a.dgrid) + begin * a.dims;
    for (int d = 0; d < a.dims; ++d) {
      alignas(64) T total[kBlock] = {}, share[kBlock];
      for (int t = 0; t < taps.count; ++t) {
        for (int i = 0; i < n; ++i) share[i] = t >> d & 1 ? sums[t][i] : -sums[t][i];
        for (int e = 0; e < a.dims; ++e) {
          const T* part = axes[e].part;
          if (e != d && (t >> e & 1)) {
            for (int i = 0; i < n; ++i) share[i] *= part[i];
          } else if (e != d) {
            for (int i = 0; i < n; ++i) share[i] *= 1 - part[i];
          }
        }
        for (int i = 0; i < n; ++i) total[i] += share[i];
      }
      const T* slope = axes[d].slope;
      for (int i = 0; i < n; ++i) dgrid[i * a.dims + a.dims - 1 - d] = slope[i] == 0 ? 0 : total[i] * slope[i];
    }
  });
}

}  // namespace

void grid_sample(const GridSampleArgs& a) { a.dtype == Dtype::F32 ? forward<float>(a) : forward<double>(a); }
void grid_sample_backward_input(const GridSampleArgs& a) {
  a.dtype == Dtype::F32 ? backward_input<float>(a) : backward_input<double>(a);
}
void grid_sample_backward_grid(const GridSampleArgs& a) {
  a.dtype == Dtype::F32 ? backward_grid<float>(a) : backward_grid<double>(a);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
