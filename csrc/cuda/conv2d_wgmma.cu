// The implicit product of sm_90a: bfloat16 and float16 by TMA and wgmma, with wgmma_ring.h's ring. A persistent block
// takes tile after tile of 128 x N sums (N 64, 128 or 256): the producer warpgroup's one thread lets TMA fill stages of
// 64 of the sum, two consumer warpgroups multiply 64 x N each.
//   forward, input  128 pixels x 64 channels at one tap come by one load in im2col mode; the tap is the load's offset,
//   the
//                   padding the map's bounding box. The weights [K, taps, C] are boxes of 64 x 64 at the same tap:
//                   along the sum for forward, across it for input, where wgmma turns them. Each of input's
//                   sub-problems has a map of its own; a launch takes up to four of them.
//   weight          both operands lie across the sum: boxes of 64 positions x 64 channels of dy, im2col columns of 64
//                   positions x 64 channels of x at the tap of their columns.
// A stage is 16 KB + N * 128 bytes, 128 * N * 64 products: at N = 256 42 products a byte of shared memory filled. Four
// stages (N 256) or six are at most 192 KB of the multiprocessor's 227, with 18 KB for the way out.
#include "cuda/conv2d_implicit.h"
#include "cuda/tensor_map.h"
#include "cuda/wgmma_ring.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kMaps = 4;

// The sub-problems of a launch (forward and weight have one): their maps, windows and first tiles.
struct ConvMaps {
  Im2colMap image[kMaps];
  TensorMap other;  // weights, or dy
};
struct ConvSubs {
  ConvWindow h[kMaps], w[kMaps];
  int offset_h[kMaps], offset_w[kMaps];  // of the first tap, whose step may be negative
  int first[kMaps + 1], count;           // tiles of rows before each
};

template <class T, ConvTask kTask, int N>
struct ConvProducer {
  const ConvProblem& p;
  const ConvMaps& maps;
  Ring<N>& ring;

  // All taps and channels of 128 pixels from (n, h, w) on.
  __device__ __forceinline__ void pixels(const ConvSubs& subs, int sub, int n, int h, int w, int column) {
    const ConvWindow &wh = subs.h[sub], &ww = subs.w[sub];
    for (int r = 0; r < wh.taps; ++r)
      for (int s = 0; s < ww.taps; ++s) {
        int dh = subs.offset_h[sub] + r * wh.tap_step, dw = subs.offset_w[sub] + s * ww.tap_step;
        int tap = (wh.first + r * wh.first_step) * p.S + ww.first + s * ww.first_step;
        for (int c = 0; c < p.channels; c += kDeep) {
          unsigned char* to = ring.begin();
          tma_load_im2col(to, &maps.image[sub], ring.barrier(), c, w, h, n, dw, dh);
          for (int i = 0; i < N / 64; ++i) {
            if (kTask == ConvTask::Forward)
              tma_load(to + ring.a_bytes + i * kBox, &maps.other, ring.barrier(), c, tap, column + i * 64);
            else
              tma_load(to + ring.a_bytes + i * kBox, &maps.other, ring.barrier(), column + i * 64, tap, c);
          }
          ring.next();
        }
      }
  }
  // Positions begin to end of 128 of dy's channels and N / 64 units of 64 of x's channels at a tap.
  __device__ __forceinline__ void positions(int row, int unit, int units_of_tap, int begin, int end) {
    int q = begin % p.Q, y = begin / p.Q % p.P, n = begin / p.Q / p.P;
    for (int at = begin; at < end; at += kDeep) {
      unsigned char* to = ring.begin();
      for (int i = 0; i < kRows / 64; ++i) tma_load(to + i * kBox, &maps.other, ring.barrier(), row + i * 64, at, 0);
      int tap = unit / units_of_tap, part = unit % units_of_tap, r = tap / p.S, s = tap % p.S;
      for (int i = 0; i < N / 64; ++i) {
        // A tap too many lies behind the last column of dw: it is multiplied, and not stored.
        bool there = r < p.R;
        tma_load_im2col(to + ring.a_bytes + i * kBox, &maps.image[0], ring.barrier(), part * 64,
                        q * p.stride_w - p.pad_w, y * p.stride_h - p.pad_h, n, there ? s * p.dilation_w : 0,
                        there ? r * p.dilation_h : 0);
        if (++part == units_of_tap) {
          part = 0;
          if (++s == p.S) s = 0, ++r;
        }
      }
      ring.next();
      for (q += kDeep; q >= p.Q; q -= p.Q)
        if (++y == p.P) y = 0, ++n;
    }
  }
};

// 16 rows by 32 columns of sums, in the warp's shared memory, to where they go.
template <class T>
__device__ __forceinline__ void conv_warp_store(const ConvProblem& p, const float* staging, int64_t row_at, int column,
                                                int columns) {
  constexpr int V = 8;
  int lane = threadIdx.x % 32;
  T* out = static_cast<T*>(p.out);
  const T* residual = static_cast<const T*>(p.residual);
  const T* bias = static_cast<const T*>(p.bias);
  auto finished = [&](float v, int64_t at, int c) {
    if (bias) v += to_float(bias[c]);
    if (residual) v += to_float(residual[at]);
    return from_float<T>(activate(v, p.act));
  };
  if (p.out_col != 1) {  // planes
#pragma unroll 1
    for (int at = lane; at < 16 * 32; at += 32) {
      int r = at % 16, c = column + at / 16;
      int64_t to = __shfl_sync(kFullWarp, row_at, r);
      if (to < 0 || c >= columns) continue;
      to += c * p.out_col;
      out[to] = finished(staging[r * kPitch + at / 16], to, c);
    }
    return;
  }
#pragma unroll 1
  for (int at = lane; at < 16 * 32 / V; at += 32) {
    int r = at / (32 / V), c = column + at % (32 / V) * V;
    int64_t to = __shfl_sync(kFullWarp, row_at, r);
    const float* from = staging + r * kPitch + c - column;
    if (to < 0 || c >= columns) continue;
    to += c;
    if (p.out_vector && c + V <= columns) {
      Pack16<T> v;
#pragma unroll
      for (int l = 0; l < V; ++l) v[l] = finished(from[l], to + l, c + l);
      store16(out + to, v);
    } else {
#pragma unroll 1
      for (int l = 0; l < V && c + l < columns; ++l) out[to + l] = finished(from[l], to + l, c + l);
    }
  }
}

template <class T, ConvTask kTask, int N>
__global__ void __launch_bounds__(kWgmmaThreads, 1)
    conv_wgmma_kernel(const __grid_constant__ ConvMaps maps, const __grid_constant__ ConvSubs subs,
                      const __grid_constant__ ConvProblem p, int tiles_m, int tiles_n) {
#ifdef FASTNN_HAS_WGMMA
  constexpr bool kWeight = kTask == ConvTask::Weight, kAlongA = !kWeight, kAlongB = kTask == ConvTask::Forward;
  FASTNN_DYNAMIC_SHARED(unsigned char, shared);
  Ring<N> ring(shared);
  int group = threadIdx.x / 128;
  int units_of_tap = (p.channels + 63) / 64, total = p.N * p.P * p.Q;
  int64_t tiles = int64_t(tiles_m) * tiles_n, all = tiles * p.parts;
  if (group == 0) {
    registers_give<40>();
    if (threadIdx.x == 0) {
      ConvProducer<T, kTask, N> producer{p, maps, ring};
      for (int64_t t = blockIdx.x; t < all; t += gridDim.x) {
        int tm, tn;
        tile_of(static_cast<int>(t % tiles), tiles_m, tiles_n, &tm, &tn);
        if constexpr (kWeight) {
          int begin = static_cast<int>(t / tiles) * p.part;
          producer.positions(tm * kRows, tn * (N / 64), units_of_tap, begin, min(begin + p.part, total));
        } else {
          int sub = 0;
          while (tm >= subs.first[sub + 1]) ++sub;
          int rows = subs.h[sub].count, columns = subs.w[sub].count, at = (tm - subs.first[sub]) * kRows;
          int h = subs.h[sub].base + at / columns % rows * subs.h[sub].step - subs.offset_h[sub];
          int w = subs.w[sub].base + at % columns * subs.w[sub].step - subs.offset_w[sub];
          producer.pixels(subs, sub, at / columns / rows, h, w, tn * N);
        }
      }
    }
  } else {
    registers_take<232>();
    int lane = threadIdx.x % 32, warp = threadIdx.x % 128 / 32;
    float* staging = ring.warp_staging(group);
    for (int64_t t = blockIdx.x; t < all; t += gridDim.x) {
      int tm, tn, steps, sub = 0, part = static_cast<int>(t / tiles);
      tile_of(static_cast<int>(t % tiles), tiles_m, tiles_n, &tm, &tn);
      // Of the warp's 16 rows, lane by lane: where they go, -1 for none.
      int row = (group - 1) * 64 + warp * 16 + lane % 16;
      int64_t row_at = -1;
      if constexpr (kWeight) {
        int begin = part * p.part;
        steps = (min(begin + p.part, total) - begin + kDeep - 1) / kDeep;
        row += tm * kRows;
        if (row < p.rows) row_at = part * p.out_n + int64_t(row) * p.out_h;
      } else {
        while (tm >= subs.first[sub + 1]) ++sub;
        const ConvWindow &wh = subs.h[sub], &ww = subs.w[sub];
        steps = wh.taps * ww.taps * units_of_tap;
        row += (tm - subs.first[sub]) * kRows;
        int x = row % ww.count, y = row / ww.count % wh.count, n = row / ww.count / wh.count;
        if (n < p.N)
          row_at =
              n * p.out_n + int64_t(wh.out + y * wh.out_step) * p.out_h + int64_t(ww.out + x * ww.out_step) * p.out_w;
      }
      float sum[N / 2];
      ring.template consume<T, kAlongA, kAlongB>(group, steps, sum);  // no step: no tap reaches these pixels
      // Out by way of a few rows of shared memory of the warp's own, 32 columns at a time.
#pragma unroll
      for (int i = 0; i < N / 32; ++i) {
        stage_columns(staging, sum, i);
        __syncwarp();
        if constexpr (kWeight) {
          // Half a unit: a tap's channels, as many as there are.
          int unit = tn * (N / 64) + i / 2, tap = unit / units_of_tap, c = unit % units_of_tap * 64 + i % 2 * 32;
          float* out = static_cast<float*>(p.out) + tap * p.channels;
#pragma unroll 1
          for (int at = lane; at < 16 * 32 / 4; at += 32) {
            int r = at / 8, l = c + at % 8 * 4;
            int64_t to = __shfl_sync(kFullWarp, row_at, r);
            const float* from = staging + r * kPitch + at % 8 * 4;
            if (to >= 0 && tap < p.R * p.S && l < p.channels)
              store16(out + to + l, Pack16<float>{from[0], from[1], from[2], from[3]});
          }
        } else {
          conv_warp_store<T>(p, staging, row_at, tn * N + i * 32, p.cols);
        }
        __syncwarp();
      }
    }
  }
#endif
}

template <class T, ConvTask kTask>
void conv_wgmma_run(const ConvProblem& p, const ConvMaps& maps, const ConvSubs& subs, int tiles_m, int cols,
                    Stream stream) {
  auto go = [&](auto kernel, int n, int bytes) {
    int tiles_n = (cols + n - 1) / n, blocks = device_multiprocessors();
    int64_t all = int64_t(tiles_m) * tiles_n * p.parts;
    launch("conv2d", kernel, dim3(static_cast<unsigned>(all < blocks ? all : blocks)), dim3(kWgmmaThreads),
           static_cast<size_t>(bytes), stream, maps, subs, p, tiles_m, tiles_n);
  };
  // Wide tiles where they still make a wave of the device.
  if (cols <= 64)
    go(conv_wgmma_kernel<T, kTask, 64>, 64, Ring<64>::bytes);
  else if (cols > 128 && int64_t(tiles_m) * ((cols + 255) / 256) * p.parts >= device_multiprocessors())
    go(conv_wgmma_kernel<T, kTask, 256>, 256, Ring<256>::bytes);
  else
    go(conv_wgmma_kernel<T, kTask, 128>, 128, Ring<128>::bytes);
}

// The first and the last pixel that the first tap of a direction's windows meets, and the size of the box from there.
struct Corner {
  int lower, upper, offset;
};
Corner corner_of(const ConvWindow& w, int size) {
  int back = w.tap_step < 0 && w.taps > 0 ? (w.taps - 1) * w.tap_step : 0;  // taps go backwards in the data gradient
  return {w.base + back, w.base + back + (w.count - 1) * w.step - (size - 1), -back};
}

Im2colMap image_map(const ConvProblem& p, Dtype dtype, const Corner& h, const Corner& w, uint32_t pixels, int step_h,
                    int step_w) {
  const uint64_t size[4] = {uint64_t(p.channels), uint64_t(p.W), uint64_t(p.H), uint64_t(p.N)};
  const uint64_t stride[3] = {uint64_t(p.pitch_w) * 2, uint64_t(p.pitch_h) * 2, uint64_t(p.pitch_n) * 2};
  const uint32_t step[2] = {uint32_t(step_w), uint32_t(step_h)};
  return im2col_map("conv2d", dtype, p.image, size, stride, {w.lower, h.lower}, {w.upper, h.upper}, 64, pixels, step);
}

bool corners_fit(const ConvWindow& w, const Corner& c) {
  int reach = w.taps > 0 ? (w.taps - 1) * (w.tap_step < 0 ? -w.tap_step : w.tap_step) : 0;
  return im2col_fits(c.lower, c.upper, w.step) && reach <= 255;
}

template <class T>
bool conv_wgmma_typed(const ConvProblem& p, ConvTask task, Dtype dtype, Stream stream) {
  ConvMaps maps = {};
  ConvSubs subs = {};
  if (task == ConvTask::Weight) {
    ConvWindow wh = conv_window<ConvTask::Weight>(p.P, p.stride_h, p.pad_h, p.dilation_h, p.R, 1, 0);
    ConvWindow ww = conv_window<ConvTask::Weight>(p.Q, p.stride_w, p.pad_w, p.dilation_w, p.S, 1, 0);
    Corner h = corner_of(wh, p.H), w = corner_of(ww, p.W);
    if (!corners_fit(wh, h) || !corners_fit(ww, w)) return false;
    maps.image[0] = image_map(p, dtype, h, w, 64, wh.step, ww.step);
    const uint64_t positions = uint64_t(p.N) * p.P * p.Q, line = uint64_t(p.dy_pitch) * 2;
    maps.other = tiled_map("conv2d", dtype, p.dy, {uint64_t(p.dy_channels), positions, 1}, {line, line * positions},
                           {64, 64, 1});
    int units = p.R * p.S * ((p.channels + 63) / 64);
    conv_wgmma_run<T, ConvTask::Weight>(p, maps, subs, (p.rows + kRows - 1) / kRows, units * 64, stream);
    return true;
  }
  const uint64_t tap = uint64_t(p.w_c) * 2, line = uint64_t(p.w_k) * 2;
  maps.other = tiled_map("conv2d", dtype, p.weights, {uint64_t(p.w_c), uint64_t(p.R) * p.S, uint64_t(p.w_real)},
                         {tap, line}, {64, 1, 64});
  bool forward = task == ConvTask::Forward;
  int all = p.subs_h * p.subs_w;
  auto windows = [&](int sub, ConvWindow* wh, ConvWindow* ww) {
    int i = sub / p.subs_w, j = sub % p.subs_w;
    if (forward) {
      *wh = conv_window<ConvTask::Forward>(p.P, p.stride_h, p.pad_h, p.dilation_h, p.R, 1, 0);
      *ww = conv_window<ConvTask::Forward>(p.Q, p.stride_w, p.pad_w, p.dilation_w, p.S, 1, 0);
    } else {
      *wh = conv_window<ConvTask::Input>(p.P, p.stride_h, p.pad_h, p.dilation_h, p.R, p.tap_stride_h, i);
      *ww = conv_window<ConvTask::Input>(p.Q, p.stride_w, p.pad_w, p.dilation_w, p.S, p.tap_stride_w, j);
    }
  };
  for (int pass = 0; pass < 2; ++pass)  // first whether all of them can be done, then do them
    for (int sub = 0; sub < all;) {
      subs.count = 0;
      for (; sub < all && subs.count < kMaps; ++sub) {
        int i = subs.count;
        windows(sub, &subs.h[i], &subs.w[i]);
        ConvWindow &wh = subs.h[i], &ww = subs.w[i];
        int64_t rows = int64_t(p.N) * wh.count * ww.count;
        if (!rows) continue;
        if (!wh.taps || !ww.taps) wh.taps = ww.taps = 0;
        Corner h = corner_of(wh, p.H), w = corner_of(ww, p.W);
        if (!wh.taps) {  // nothing is read: any map will do
          h = {0, 0, 0};
          w = {0, 0, 0};
        } else if (!corners_fit(wh, h) || !corners_fit(ww, w)) {
          return false;
        }
        subs.offset_h[i] = h.offset, subs.offset_w[i] = w.offset;
        if (pass) maps.image[i] = image_map(p, dtype, h, w, kRows, wh.taps ? wh.step : 1, ww.taps ? ww.step : 1);
        subs.first[i + 1] = subs.first[i] + static_cast<int>((rows + kRows - 1) / kRows);
        ++subs.count;
      }
      if (!pass || !subs.count) continue;
      if (forward)
        conv_wgmma_run<T, ConvTask::Forward>(p, maps, subs, subs.first[subs.count], p.cols, stream);
      else
        conv_wgmma_run<T, ConvTask::Input>(p, maps, subs, subs.first[subs.count], p.cols, stream);
    }
  return true;
}

}  // namespace

bool conv_wgmma(const ConvProblem& p, ConvTask task, Dtype dtype, Stream stream) {
  if ((dtype != Dtype::BF16 && dtype != Dtype::F16) || p.groups != 1) return false;
  // Stages hold 64 channels of one tap: fewer, or a few more, would multiply zeros most of the time.
  if (p.channels < 48 || (p.channels > 64 && p.channels < 96)) return false;
  return dtype == Dtype::BF16 ? conv_wgmma_typed<bf16>(p, task, dtype, stream)
                              : conv_wgmma_typed<f16>(p, task, dtype, stream);
}

}  // namespace cuda
}  // namespace fastnn
