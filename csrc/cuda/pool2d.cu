// Max and average pooling. Limit: the memory's bandwidth: neighbouring threads take neighbouring columns, windows
// overlap in the caches. The index of a maximum is a byte where the window allows it: an eighth of the traffic.
#include "cuda/pool2d.h"
#include "cuda/storage.h"
#include "cuda/strides.h"

namespace fastnn {
namespace cuda {
namespace {

// The shape in 32 bits, for a part of the planes.
struct Work {
  int H, W, P, Q, R, S, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  bool compact, include_pad;
  int64_t divisor;
  FastDiv plane, row;  // of the array that threads run over
  uint32_t total;
};
struct Place {
  uint32_t plane;
  int i, j;
};
__device__ inline bool place_of(const Work& w, Place& at) {
  const uint32_t u = blockIdx.x * blockDim.x + threadIdx.x;
  if (u >= w.total) return false;
  at.plane = w.plane.quotient(u);
  const uint32_t rest = u - at.plane * w.plane.d;
  at.i = static_cast<int>(w.row.quotient(rest));
  at.j = static_cast<int>(rest - static_cast<uint32_t>(at.i) * w.row.d);
  return true;
}
__device__ inline int below(int a, int b) { return a < b ? a : b; }
__device__ inline int above(int a, int b) { return a > b ? a : b; }
// The taps begin .. end - 1 of a window that starts at `start` lie inside.
__device__ inline void taps(int start, int count, int dilation, int size, int& begin, int& end) {
  begin = start < 0 ? (-start + dilation - 1) / dilation : 0;
  end = start >= size ? 0 : below(count, (size - 1 - start) / dilation + 1);
}
// The windows begin .. end - 1 can cover `at`, which is counted from the padding's edge.
__device__ inline void windows(int at, int count, int dilation, int stride, int size, int& begin, int& end) {
  const int reach = dilation * (count - 1);
  begin = at <= reach ? 0 : (at - reach + stride - 1) / stride;
  end = below(size, at / stride + 1);
}

template <class T>
__global__ void max_kernel(const T* x, T* y, void* idx, const __grid_constant__ Work w) {
  using C = compute_t<T>;
  Place at;
  if (!place_of(w, at)) return;
  const int h0 = at.i * w.stride_h - w.pad_h, w0 = at.j * w.stride_w - w.pad_w;
  int r0, r1, s0, s1;
  taps(h0, w.R, w.dilation_h, w.H, r0, r1);
  taps(w0, w.S, w.dilation_w, w.W, s0, s1);
  const T* from = x + static_cast<int64_t>(at.plane) * w.H * w.W;
  C best = C(0.5) == 0 ? static_cast<C>(INT64_MIN) : -static_cast<C>(INFINITY);
  int where_r = r0, where_s = s0;
  for (int r = r0; r < r1; ++r)
    for (int s = s0; s < s1; ++s) {
      const C v = widened(from[static_cast<int64_t>(h0 + r * w.dilation_h) * w.W + w0 + s * w.dilation_w]);
      if (!(v > best || v != v)) continue;
      best = v;
      where_r = r, where_s = s;
    }
  const int64_t out = static_cast<int64_t>(at.plane) * w.P * w.Q + static_cast<int64_t>(at.i) * w.Q + at.j;
  y[out] = narrowed<T>(best);
  if (w.compact)
    static_cast<uint8_t*>(idx)[out] = static_cast<uint8_t>(where_r * w.S + where_s);
  else
    static_cast<int64_t*>(idx)[out] =
        static_cast<int64_t>(h0 + where_r * w.dilation_h) * w.W + w0 + where_s * w.dilation_w;
}

template <class T>
__global__ void max_backward_kernel(const T* dy, const void* idx, T* dx, const __grid_constant__ Work w) {
  using C = compute_t<T>;
  Place at;
  if (!place_of(w, at)) return;
  int p0, p1, q0, q1;
  windows(at.i + w.pad_h, w.R, w.dilation_h, w.stride_h, w.P, p0, p1);
  windows(at.j + w.pad_w, w.S, w.dilation_w, w.stride_w, w.Q, q0, q1);
  const int64_t base = static_cast<int64_t>(at.plane) * w.P * w.Q, here = static_cast<int64_t>(at.i) * w.W + at.j;
  C s = 0;
  for (int p = p0; p < p1; ++p) {
    const int r = at.i + w.pad_h - p * w.stride_h;
    if (r % w.dilation_h) continue;
    for (int q = q0; q < q1; ++q) {
      const int t = at.j + w.pad_w - q * w.stride_w;
      if (t % w.dilation_w) continue;
      const int64_t k = base + static_cast<int64_t>(p) * w.Q + q;
      const bool mine = w.compact ? static_cast<const uint8_t*>(idx)[k] == r / w.dilation_h * w.S + t / w.dilation_w
                                  : static_cast<const int64_t*>(idx)[k] == here;
      if (mine) s += widened(dy[k]);
    }
  }
  dx[static_cast<int64_t>(at.plane) * w.H * w.W + here] = narrowed<T>(s);
}

__global__ void indices_kernel(const void* idx, int64_t* flat, const __grid_constant__ Work w) {
  Place at;
  if (!place_of(w, at)) return;
  const int64_t k = static_cast<int64_t>(at.plane) * w.P * w.Q + static_cast<int64_t>(at.i) * w.Q + at.j;
  if (!w.compact) {
    flat[k] = static_cast<const int64_t*>(idx)[k];
    return;
  }
  const int tap = static_cast<const uint8_t*>(idx)[k], r = tap / w.S, s = tap - r * w.S;
  flat[k] = static_cast<int64_t>(at.i * w.stride_h - w.pad_h + r * w.dilation_h) * w.W + at.j * w.stride_w - w.pad_w +
            s * w.dilation_w;
}

// The area along one axis: cut at the end of the padding, or at the image.
__device__ inline int extent(int start, int count, int size, int pad, bool include_pad) {
  const int end = below(start + count, size + pad);
  return include_pad ? end - start : below(end, size) - above(start, 0);
}
template <class C>
__device__ inline C divisor_of(const Work& w, int p, int q) {
  if (w.divisor) return static_cast<C>(w.divisor);
  return static_cast<C>(extent(p * w.stride_h - w.pad_h, w.R, w.H, w.pad_h, w.include_pad)) *
         static_cast<C>(extent(q * w.stride_w - w.pad_w, w.S, w.W, w.pad_w, w.include_pad));
}

template <class T>
__global__ void avg_kernel(const T* x, T* y, const __grid_constant__ Work w) {
  using C = compute_t<T>;
  Place at;
  if (!place_of(w, at)) return;
  const int h0 = at.i * w.stride_h - w.pad_h, w0 = at.j * w.stride_w - w.pad_w;
  const int h1 = below(h0 + w.R, w.H), w1 = below(w0 + w.S, w.W);
  const T* from = x + static_cast<int64_t>(at.plane) * w.H * w.W;
  C s = 0;
  for (int h = above(h0, 0); h < h1; ++h)
    for (int j = above(w0, 0); j < w1; ++j) s += widened(from[static_cast<int64_t>(h) * w.W + j]);
  y[static_cast<int64_t>(at.plane) * w.P * w.Q + static_cast<int64_t>(at.i) * w.Q + at.j] =
      narrowed<T>(s / divisor_of<C>(w, at.i, at.j));
}
template <class T>
__global__ void avg_backward_kernel(const T* dy, T* dx, const __grid_constant__ Work w) {
  using C = compute_t<T>;
  Place at;
  if (!place_of(w, at)) return;
  int p0, p1, q0, q1;
  windows(at.i + w.pad_h, w.R, 1, w.stride_h, w.P, p0, p1);
  windows(at.j + w.pad_w, w.S, 1, w.stride_w, w.Q, q0, q1);
  const T* from = dy + static_cast<int64_t>(at.plane) * w.P * w.Q;
  C s = 0;
  for (int p = p0; p < p1; ++p)
    for (int q = q0; q < q1; ++q) s += widened(from[static_cast<int64_t>(p) * w.Q + q]) / divisor_of<C>(w, p, q);
  dx[static_cast<int64_t>(at.plane) * w.H * w.W + static_cast<int64_t>(at.i) * w.W + at.j] = narrowed<T>(s);
}

// ---- host ----
// start(work, first plane) over the outputs, or with `input` over x, in parts of less than 2^31 elements.
template <class F>
void parts(const Pool2dShape& s, bool input, const F& start) {
  constexpr int64_t kMost = (int64_t(1) << 31) - 1;
  const int64_t image = s.H * s.W, out = s.P * s.Q, larger = image > out ? image : out;
  if (larger == 0 || s.planes == 0) return;
  if (larger > kMost || s.H + 2 * s.pad_h > kMost || s.W + 2 * s.pad_w > kMost || s.R * s.dilation_h > kMost ||
      s.S * s.dilation_w > kMost || s.stride_h > kMost || s.stride_w > kMost)
    throw std::invalid_argument("pool2d: an image or window of 2^31 elements");
  Work w = {};
  w.H = static_cast<int>(s.H), w.W = static_cast<int>(s.W), w.P = static_cast<int>(s.P), w.Q = static_cast<int>(s.Q);
  w.R = static_cast<int>(s.R), w.S = static_cast<int>(s.S);
  w.stride_h = static_cast<int>(s.stride_h), w.stride_w = static_cast<int>(s.stride_w);
  w.pad_h = static_cast<int>(s.pad_h), w.pad_w = static_cast<int>(s.pad_w);
  w.dilation_h = static_cast<int>(s.dilation_h), w.dilation_w = static_cast<int>(s.dilation_w);
  w.compact = max_pool2d_compact(s);
  w.include_pad = s.count_include_pad;
  w.divisor = s.divisor_override;
  w.plane = FastDiv(static_cast<uint32_t>(input ? image : out));
  w.row = FastDiv(static_cast<uint32_t>(input ? s.W : s.Q));
  const int64_t most = kMost / larger;
  for (int64_t first = 0; first < s.planes; first += most) {
    const int64_t planes = s.planes - first < most ? s.planes - first : most;
    w.total = static_cast<uint32_t>(planes) * w.plane.d;
    start(static_cast<const Work&>(w), first);
  }
}

}  // namespace

void max_pool2d(Dtype dtype, const Pool2dShape& s, const void* x, void* y, void* idx, Stream stream) {
  with_any("max_pool2d", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    parts(s, false, [&](const Work& w, int64_t first) {
      launch("max_pool2d", max_kernel<T>, blocks_for(w.total), block_for(w.total), 0, stream,
             static_cast<const T*>(x) + first * s.H * s.W, static_cast<T*>(y) + first * s.P * s.Q,
             static_cast<void*>(static_cast<char*>(idx) + first * s.P * s.Q * (w.compact ? 1 : 8)), w);
    });
  });
}
void max_pool2d_backward(Dtype dtype, const Pool2dShape& s, const void* dy, const void* idx, void* dx, Stream stream) {
  with_float("max_pool2d_backward", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    parts(s, true, [&](const Work& w, int64_t first) {
      launch("max_pool2d_backward", max_backward_kernel<T>, blocks_for(w.total), block_for(w.total), 0, stream,
             static_cast<const T*>(dy) + first * s.P * s.Q,
             static_cast<const void*>(static_cast<const char*>(idx) + first * s.P * s.Q * (w.compact ? 1 : 8)),
             static_cast<T*>(dx) + first * s.H * s.W, w);
    });
  });
}
void max_pool2d_indices(const Pool2dShape& s, const void* idx, int64_t* flat, Stream stream) {
  parts(s, false, [&](const Work& w, int64_t first) {
    launch("max_pool2d_indices", indices_kernel, blocks_for(w.total), block_for(w.total), 0, stream,
           static_cast<const void*>(static_cast<const char*>(idx) + first * s.P * s.Q * (w.compact ? 1 : 8)),
           flat + first * s.P * s.Q, w);
  });
}
void avg_pool2d(Dtype dtype, const Pool2dShape& s, const void* x, void* y, Stream stream) {
  with_float("avg_pool2d", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    parts(s, false, [&](const Work& w, int64_t first) {
      launch("avg_pool2d", avg_kernel<T>, blocks_for(w.total), block_for(w.total), 0, stream,
             static_cast<const T*>(x) + first * s.H * s.W, static_cast<T*>(y) + first * s.P * s.Q, w);
    });
  });
}
void avg_pool2d_backward(Dtype dtype, const Pool2dShape& s, const void* dy, void* dx, Stream stream) {
  with_float("avg_pool2d_backward", dtype, [&](auto type) {
    using T = typename decltype(type)::type;
    parts(s, true, [&](const Work& w, int64_t first) {
      launch("avg_pool2d_backward", avg_backward_kernel<T>, blocks_for(w.total), block_for(w.total), 0, stream,
             static_cast<const T*>(dy) + first * s.P * s.Q, static_cast<T*>(dx) + first * s.H * s.W, w);
    });
  });
}

}  // namespace cuda
}  // namespace fastnn
