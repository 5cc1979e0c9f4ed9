// Convolutions whose groups have one input channel each (depthwise): a product of matrices would have one row of use.
// They are memory-bound, at R * S products an element: every array is read as it lies, channels first or last, by
// neighbouring threads at neighbouring addresses; taps are read again from the L1 cache. With channels last a thread
// has 16 bytes of them, and the weights are turned to [taps, K] before. The weight's gradient: a block adds up
// positions of one channel (channels first) or of 32 (last), nine taps at a time in registers, and a tree of shared
// memory of a fixed shape joins the threads; the parts are added by conv_add_parts.
#include "cuda/conv2d_implicit.h"
#include "cuda/conv2d_tile.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kDepthwiseThreads = 256, kTaps = 9;

struct Strides {  // in elements
  int64_t n;
  int c, h, w;
};
struct DepthwiseProblem {
  const void *in, *weights, *bias, *residual;  // in: x, or dy for the data gradient
  void* out;
  int N, C, K, many;  // many: output channels of an input channel
  int H, W, P, Q, R, S, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  Strides x, y;
  int w_k, w_tap;
  GemmAct act;
  bool last;
  int parts, part;
};

// Forward: y from x; Input: dx from dy. A thread has kV channels of a pixel.
template <class T, ConvTask kTask, int kV>
__global__ void __launch_bounds__(kDepthwiseThreads, 4) depthwise_kernel(const DepthwiseProblem p, int64_t count) {
  constexpr bool kForward = kTask == ConvTask::Forward;
  const T *in = static_cast<const T*>(p.in), *weights = static_cast<const T*>(p.weights);
  const T *bias = static_cast<const T*>(p.bias), *residual = static_cast<const T*>(p.residual);
  T* out = static_cast<T*>(p.out);
  const Strides &from = kForward ? p.x : p.y, &to = kForward ? p.y : p.x;
  int channels = (kForward ? p.K : p.C) / kV, height = kForward ? p.P : p.H, width = kForward ? p.Q : p.W;
  int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    int64_t rest = i;
    int c = 0;
    if (p.last) c = static_cast<int>(rest % channels) * kV, rest /= channels;
    int w = static_cast<int>(rest % width);
    rest /= width;
    int h = static_cast<int>(rest % height);
    rest /= height;
    if (!p.last) c = static_cast<int>(rest % channels), rest /= channels;
    int n = static_cast<int>(rest);
    float sum[kV] = {};
    for (int j = 0; j < (kForward ? 1 : p.many); ++j) {
      int k = kForward ? c : c * p.many + j;  // of the weights
      const T* plane = in + n * from.n + int64_t(kForward ? c / p.many : k) * from.c;
      for (int r = 0; r < p.R; ++r) {
        int a = kForward ? h * p.stride_h - p.pad_h + r * p.dilation_h : h + p.pad_h - r * p.dilation_h;
        if (!kForward && p.stride_h != 1) {
          if (a % p.stride_h) continue;
          a /= p.stride_h;
        }
        if (static_cast<unsigned>(a) >= static_cast<unsigned>(kForward ? p.H : p.P)) continue;
        for (int s = 0; s < p.S; ++s) {
          int b = kForward ? w * p.stride_w - p.pad_w + s * p.dilation_w : w + p.pad_w - s * p.dilation_w;
          if (!kForward && p.stride_w != 1) {
            if (b % p.stride_w) continue;
            b /= p.stride_w;
          }
          if (static_cast<unsigned>(b) >= static_cast<unsigned>(kForward ? p.W : p.Q)) continue;
          const T* x = plane + int64_t(a) * from.h + int64_t(b) * from.w;
          const T* t = weights + int64_t(k) * p.w_k + int64_t(r * p.S + s) * p.w_tap;
          if constexpr (kV == 1) {
            sum[0] += to_float(*x) * to_float(*t);
          } else {
            Pack16<T> xs = load16(x), ts = load16(t);
#pragma unroll
            for (int e = 0; e < kV; ++e) sum[e] += to_float(xs[e]) * to_float(ts[e]);
          }
        }
      }
    }
    int64_t at = n * to.n + int64_t(c) * to.c + int64_t(h) * to.h + int64_t(w) * to.w;
    Pack16<T> v;
#pragma unroll
    for (int e = 0; e < kV; ++e) {
      if (bias) sum[e] += to_float(bias[c + e]);
      if (residual) sum[e] += to_float(residual[at + e]);
      v[e] = from_float<T>(activate(sum[e], p.act));
    }
    if constexpr (kV == 1)
      out[at] = v[0];
    else
      store16(out + at, v);
  }
}

// Parts of dw [K, taps]: kLanes channels a block, 256 / kLanes threads each.
template <class T, int kLanes>
__global__ void __launch_bounds__(kDepthwiseThreads)
    depthwise_weight_kernel(const DepthwiseProblem p, const T* dy, float* out) {
  FASTNN_SHARED(shared, float[kDepthwiseThreads]);
  constexpr int kThreads = kDepthwiseThreads / kLanes;
  int k = blockIdx.x * kLanes + threadIdx.x % kLanes, taps = p.R * p.S, total = p.N * p.P * p.Q;
  for (int part = blockIdx.y; part < p.parts; part += gridDim.y) {
    int begin = part * p.part, end = min(begin + p.part, total);
    for (int first = 0; first < taps; first += kTaps) {
      float sum[kTaps] = {};
      int dh[kTaps], dw[kTaps];
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
        dh[t] = first + t < taps ? (first + t) / p.S * p.dilation_h - p.pad_h : -0x40000000;  // none: outside
        dw[t] = (first + t) % p.S * p.dilation_w - p.pad_w;
      }
      int at = begin + threadIdx.x / kLanes;
      Place place = place_of(at, p.P, p.Q), step = place_of(kThreads, p.P, p.Q);
      for (; at < end && k < p.K; at += kThreads) {
        float g = to_float(
            dy[place.high * p.y.n + int64_t(k) * p.y.c + int64_t(place.mid) * p.y.h + int64_t(place.low) * p.y.w]);
        const T* plane = static_cast<const T*>(p.in) + place.high * p.x.n + int64_t(k / p.many) * p.x.c;
#pragma unroll
        for (int t = 0; t < kTaps; ++t) {
          int h = place.mid * p.stride_h + dh[t], w = place.low * p.stride_w + dw[t];
          if (static_cast<unsigned>(h) < static_cast<unsigned>(p.H) &&
              static_cast<unsigned>(w) < static_cast<unsigned>(p.W))
            sum[t] += g * to_float(plane[int64_t(h) * p.x.h + int64_t(w) * p.x.w]);
        }
        advance(place, step, p.P, p.Q);
      }
#pragma unroll
      for (int t = 0; t < kTaps; ++t) {
        shared[threadIdx.x] = sum[t];
        for (int half = kDepthwiseThreads / 2; half >= kLanes; half /= 2) {
          __syncthreads();
          if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        }
        if (threadIdx.x < kLanes && k < p.K && first + t < taps)
          out[(int64_t(part) * p.K + k) * taps + first + t] = shared[threadIdx.x];
        __syncthreads();
      }
    }
  }
}

template <class T>
void depthwise_run(const DepthwiseProblem& p, ConvTask task, const void* dy, bool vectors, Stream stream) {
  if (task == ConvTask::Weight) {
    const int lanes = p.last ? 32 : 1;
    dim3 grid((p.K + lanes - 1) / lanes, p.parts < 65535 ? p.parts : 65535);
    if (p.last)
      return launch("conv2d", depthwise_weight_kernel<T, 32>, grid, dim3(kDepthwiseThreads), 0, stream, p,
                    static_cast<const T*>(dy), static_cast<float*>(p.out));
    return launch("conv2d", depthwise_weight_kernel<T, 1>, grid, dim3(kDepthwiseThreads), 0, stream, p,
                  static_cast<const T*>(dy), static_cast<float*>(p.out));
  }
  constexpr int V = 16 / sizeof(T);
  bool forward = task == ConvTask::Forward;
  int64_t count = int64_t(p.N) * (forward ? int64_t(p.K) * p.P * p.Q : int64_t(p.C) * p.H * p.W) / (vectors ? V : 1);
  int64_t blocks = (count + kDepthwiseThreads - 1) / kDepthwiseThreads;
  auto go = [&](auto kernel) {
    launch("conv2d", kernel, dim3(static_cast<unsigned>(blocks < 0x7fffffff ? blocks : 0x7fffffff)),
           dim3(kDepthwiseThreads), 0, stream, p, count);
  };
  if (forward)
    vectors ? go(depthwise_kernel<T, ConvTask::Forward, V>) : go(depthwise_kernel<T, ConvTask::Forward, 1>);
  else
    vectors ? go(depthwise_kernel<T, ConvTask::Input, V>) : go(depthwise_kernel<T, ConvTask::Input, 1>);
}

struct DepthwisePlan {
  bool last, vectors;  // every array's channels lie last; 16 bytes of them at once
  int parts, part;
  size_t bytes;
};

DepthwisePlan depthwise_plan(const ConvArgs& a) {
  const Conv2dShape& s = a.shape;
  auto at_16 = [](const void* at) { return reinterpret_cast<uintptr_t>(at) % 16 == 0; };
  DepthwisePlan p = {};
  bool weight = a.task == ConvTask::Weight;
  p.last = a.first_last && (weight ? a.second_last : a.out_last);
  if (weight) {
    // Parts: enough blocks for a large device, none of less than 4096 positions.
    int64_t sum = s.N * s.P * s.Q, blocks = p.last ? (s.K + 31) / 32 : s.K, parts = 1056 / blocks;
    if (parts > sum / 4096) parts = sum / 4096;
    if (parts < 1) parts = 1;
    p.part = static_cast<int>((sum + parts - 1) / parts);
    p.parts = static_cast<int>((sum + p.part - 1) / p.part);
    p.bytes = sizeof(float) * p.parts * s.K * s.R * s.S;
  } else {
    p.vectors = p.last && s.K == s.C && s.C % (16 / size_of(a.dtype)) == 0 && at_16(a.first) && at_16(a.out);
    p.bytes = p.vectors ? size_of(a.dtype) * s.K * s.R * s.S : 0;
  }
  p.bytes = (p.bytes + 255) / 256 * 256;
  return p;
}

}  // namespace

bool conv_is_depthwise(const Conv2dShape& s) { return s.groups > 1 && s.C == s.groups; }

size_t conv_depthwise_workspace(const ConvArgs& a) { return depthwise_plan(a).bytes; }

void conv_depthwise(const ConvArgs& a, void* workspace, Stream stream) {
  const Conv2dShape& s = a.shape;
  DepthwisePlan plan = depthwise_plan(a);
  auto i = [](int64_t v) { return static_cast<int>(v); };
  auto strides = [&](bool last, int64_t c, int64_t h, int64_t w) {
    return last ? Strides{c * h * w, 1, i(c * w), i(c)} : Strides{c * h * w, i(h * w), i(w), 1};
  };
  bool weight = a.task == ConvTask::Weight, forward = a.task == ConvTask::Forward;
  DepthwiseProblem p = {};
  p.in = a.first;
  p.N = i(s.N), p.C = i(s.C), p.K = i(s.K), p.many = i(s.K / s.C);
  p.H = i(s.H), p.W = i(s.W), p.P = i(s.P), p.Q = i(s.Q), p.R = i(s.R), p.S = i(s.S);
  p.stride_h = i(s.stride_h), p.stride_w = i(s.stride_w), p.pad_h = i(s.pad_h), p.pad_w = i(s.pad_w);
  p.dilation_h = i(s.dilation_h), p.dilation_w = i(s.dilation_w);
  bool x_last = a.task == ConvTask::Input ? a.out_last : a.first_last;
  bool y_last = forward ? a.out_last : weight ? a.second_last : a.first_last;
  p.x = strides(x_last, s.C, s.H, s.W);
  p.y = strides(y_last, s.K, s.P, s.Q);
  p.last = plan.last;
  p.act = forward ? a.act : GemmAct::None;
  p.bias = a.bias, p.residual = a.residual;
  p.out = weight ? workspace : a.out;
  p.parts = plan.parts, p.part = plan.part;
  p.weights = a.second;
  p.w_k = p.R * p.S, p.w_tap = 1;  // of one input channel, either order is the same
  if (plan.vectors) {
    conv_to_last(a.second, workspace, a.dtype, 1, 1, p.K, p.K, p.R * p.S, false, int64_t(p.K) * p.R * p.S, stream);
    p.weights = workspace;
    p.w_k = 1, p.w_tap = p.K;
  }
  if (a.dtype == Dtype::F32)
    depthwise_run<float>(p, a.task, a.second, plan.vectors, stream);
  else if (a.dtype == Dtype::BF16)
    depthwise_run<bf16>(p, a.task, a.second, plan.vectors, stream);
  else
    depthwise_run<f16>(p, a.task, a.second, plan.vectors, stream);
  if (weight)
    conv_add_parts(static_cast<const float*>(workspace), a.out, a.dtype, plan.parts, s.K, 1, p.R * p.S, 1,
                   int64_t(p.R) * p.S, a.out_last, stream);
}

}  // namespace cuda
}  // namespace fastnn
