// The implicit product of sm_80 and of everything without wgmma: bfloat16 and float16 by mma.sync m16n8k16, float32 by
// FFMA, or rounded to TF32 where that is allowed. A block of 8 warps computes 128 x 128 (or 128 x 64, 64 x 128), the
// sum goes by 64 bytes through four stages of shared memory that cp.async fills: 64 or 48 KB, two blocks a
// multiprocessor where registers allow. A step moves (kM + kN) * 64 bytes for kM * kN * 32 products (16 of float32): at
// 128 x 128 32 products a byte. Every thread copies the same chunk of the step each time, so that it knows its tap (r,
// s, c) or position (n, p, q) by adding with carry; divisions are made once, before the loop.
#include "cuda/conv2d_implicit.h"
#include "cuda/conv2d_tile.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kConvThreads = 256, kConvStages = 4;

// 16 bytes of the image: one pixel's channels at `at`, or, of four channels, those of two taps.
template <class T, int kPixels>
__device__ __forceinline__ void copy_pixels(unsigned char* to, const T* image, const int64_t (&at)[kPixels],
                                            const bool (&valid)[kPixels]) {
  if constexpr (kPixels == 1) {
    cp_async16(to, valid[0] ? image + at[0] : image, valid[0]);
  } else {
    cp_async8(to, valid[0] ? image + at[0] : image, valid[0]);
    cp_async8(to + 8, valid[1] ? image + at[1] : image, valid[1]);
  }
}

// Rows are pixels, along the taps and channels: A of forward and input.
template <class T, int kLines, int kPixels>
struct GatherAlong {
  static constexpr int V = 16 / sizeof(T), kStep = 64 / sizeof(T), kPieces = kLines * 4 / kConvThreads;
  const ConvProblem& p;
  const T* image;
  ConvWindow wh, ww;
  Place tap[kPixels], step;
  int h[kPieces], w[kPieces];
  int64_t base[kPieces];
  __device__ GatherAlong(const ConvProblem& p, const T* image, const ConvWindow& wh, const ConvWindow& ww, int row0)
      : p(p), image(image), wh(wh), ww(ww) {
    if (!wh.taps || !ww.taps) return;
#pragma unroll
    for (int e = 0; e < kPixels; ++e) tap[e] = place_of(threadIdx.x % 4 * V + e * (V / kPixels), ww.taps, p.channels);
    step = place_of(kStep, ww.taps, p.channels);
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      int row = row0 + threadIdx.x / 4 + i * (kConvThreads / 4);
      Place at = place_of(row, wh.count, ww.count);
      h[i] = at.high < p.N ? wh.base + at.mid * wh.step : -0x40000000;  // beyond the last: no tap is inside
      w[i] = ww.base + at.low * ww.step;
      base[i] = at.high * p.pitch_n + int64_t(h[i]) * p.pitch_h + int64_t(w[i]) * p.pitch_w;
    }
  }
  __device__ __forceinline__ void fetch(unsigned char* tile) {
    int dh[kPixels], dw[kPixels], offset[kPixels];
#pragma unroll
    for (int e = 0; e < kPixels; ++e) {
      dh[e] = tap[e].high < wh.taps ? tap[e].high * wh.tap_step : -0x40000000;
      dw[e] = tap[e].mid * ww.tap_step;
      offset[e] = tap[e].high < wh.taps ? dh[e] * p.pitch_h + dw[e] * p.pitch_w + tap[e].low : 0;
    }
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      int64_t at[kPixels];
      bool valid[kPixels];
#pragma unroll
      for (int e = 0; e < kPixels; ++e) {
        at[e] = base[i] + offset[e];
        valid[e] = static_cast<unsigned>(h[i] + dh[e]) < static_cast<unsigned>(p.H) &&
                   static_cast<unsigned>(w[i] + dw[e]) < static_cast<unsigned>(p.W);
      }
      copy_pixels<T>(tile + conv_chunk<true, 64>(threadIdx.x / 4 + i * (kConvThreads / 4), threadIdx.x % 4), image, at,
                     valid);
    }
#pragma unroll
    for (int e = 0; e < kPixels; ++e) advance(tap[e], step, ww.taps, p.channels);
  }
};

// Rows are output channels, along the taps and channels, as they lie in memory: B of forward.
template <class T, int kLines>
struct WeightsAlong {
  static constexpr int V = 16 / sizeof(T), kStep = 64 / sizeof(T), kPieces = kLines * 4 / kConvThreads;
  const ConvProblem& p;
  const T* weights;
  int row0, k, sum;
  __device__ WeightsAlong(const ConvProblem& p, const T* weights, const ConvWindow&, const ConvWindow&, int row0)
      : p(p), weights(weights), row0(row0), k(threadIdx.x % 4 * V), sum(p.R * p.S * p.channels) {}
  __device__ __forceinline__ void fetch(unsigned char* tile) {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      int line = threadIdx.x / 4 + i * (kConvThreads / 4);
      bool valid = row0 + line < p.w_real && k < sum;
      cp_async16(tile + conv_chunk<true, 64>(line, threadIdx.x % 4),
                 valid ? weights + (row0 + line) * p.w_k + k : weights, valid);
    }
    k += kStep;
  }
};

// Rows are taps and output channels, along the input channels: B of input.
template <class T, int kLines>
struct WeightsAcross {
  static constexpr int V = 16 / sizeof(T), kStep = 64 / sizeof(T), kChunks = kLines / V;
  static constexpr int kPieces = kStep * kChunks / kConvThreads;
  const ConvProblem& p;
  const T* weights;
  ConvWindow wh, ww;
  Place tap[kPieces], step;
  int column;
  __device__ WeightsAcross(const ConvProblem& p, const T* weights, const ConvWindow& wh, const ConvWindow& ww,
                           int column0)
      : p(p), weights(weights), wh(wh), ww(ww), column(column0 + threadIdx.x % kChunks * V) {
    if (!wh.taps || !ww.taps) return;
#pragma unroll
    for (int i = 0; i < kPieces; ++i)
      tap[i] = place_of(threadIdx.x / kChunks + i * (kConvThreads / kChunks), ww.taps, p.channels);
    step = place_of(kStep, ww.taps, p.channels);
  }
  __device__ __forceinline__ void fetch(unsigned char* tile) {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const Place& t = tap[i];
      bool valid = t.high < wh.taps && t.low < p.w_real && column < p.w_c;
      int r = wh.first + t.high * wh.first_step, s = ww.first + t.mid * ww.first_step;
      const T* from = weights + t.low * p.w_k + int64_t(r * p.S + s) * p.w_c + column;
      cp_async16(tile + conv_chunk<false, kLines * sizeof(T)>(threadIdx.x / kChunks + i * (kConvThreads / kChunks),
                                                              threadIdx.x % kChunks),
                 valid ? from : weights, valid);
      advance(tap[i], step, ww.taps, p.channels);
    }
  }
};

// Rows are positions, along dy's channels: A of weight.
template <class T, int kLines>
struct PositionsAcross {
  static constexpr int V = 16 / sizeof(T), kStep = 64 / sizeof(T), kChunks = kLines / V;
  static constexpr int kPieces = kStep * kChunks / kConvThreads;
  const ConvProblem& p;
  const T* dy;
  int column, position, end;
  __device__ PositionsAcross(const ConvProblem& p, const T* dy, int column0, int begin, int end)
      : p(p), dy(dy), column(column0 + threadIdx.x % kChunks * V), position(begin + threadIdx.x / kChunks), end(end) {}
  __device__ __forceinline__ void fetch(unsigned char* tile) {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      int at = position + i * (kConvThreads / kChunks);
      bool valid = at < end && column < p.dy_channels;
      cp_async16(tile + conv_chunk<false, kLines * sizeof(T)>(threadIdx.x / kChunks + i * (kConvThreads / kChunks),
                                                              threadIdx.x % kChunks),
                 valid ? dy + int64_t(at) * p.dy_pitch + column : dy, valid);
    }
    position += kStep;
  }
};

// Rows are positions, along the taps and channels: B of weight. A thread's tap stays, its positions move.
template <class T, int kLines, int kPixels>
struct GatherAcross {
  static constexpr int V = 16 / sizeof(T), kStep = 64 / sizeof(T), kChunks = kLines / V;
  static constexpr int kPieces = kStep * kChunks / kConvThreads;
  const ConvProblem& p;
  const T* image;
  Place place[kPieces], step;
  int position, end, dh[kPixels], dw[kPixels], channel[kPixels];
  __device__ GatherAcross(const ConvProblem& p, const T* image, int column0, int begin, int end)
      : p(p), image(image), position(begin + threadIdx.x / kChunks), end(end) {
#pragma unroll
    for (int e = 0; e < kPixels; ++e) {
      Place tap = place_of(column0 + threadIdx.x % kChunks * V + e * (V / kPixels), p.S, p.channels);
      dh[e] = tap.high < p.R ? tap.high * p.dilation_h - p.pad_h : -0x40000000;
      dw[e] = tap.mid * p.dilation_w - p.pad_w;
      channel[e] = tap.low;
    }
#pragma unroll
    for (int i = 0; i < kPieces; ++i) place[i] = place_of(position + i * (kConvThreads / kChunks), p.P, p.Q);
    step = place_of(kStep, p.P, p.Q);
  }
  __device__ __forceinline__ void fetch(unsigned char* tile) {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const Place& a = place[i];
      int64_t at[kPixels];
      bool valid[kPixels];
#pragma unroll
      for (int e = 0; e < kPixels; ++e) {
        int h = a.mid * p.stride_h + dh[e], w = a.low * p.stride_w + dw[e];
        valid[e] = position + i * (kConvThreads / kChunks) < end &&
                   static_cast<unsigned>(h) < static_cast<unsigned>(p.H) &&
                   static_cast<unsigned>(w) < static_cast<unsigned>(p.W);
        at[e] = a.high * p.pitch_n + int64_t(h) * p.pitch_h + w * p.pitch_w + channel[e];
      }
      copy_pixels<T>(tile + conv_chunk<false, kLines * sizeof(T)>(threadIdx.x / kChunks + i * (kConvThreads / kChunks),
                                                                  threadIdx.x % kChunks),
                     image, at, valid);
      advance(place[i], step, p.P, p.Q);
    }
    position += kStep;
  }
};

// The sums of 64 rows, in shared memory, to where they go: y or dx with the epilogue, or a part of dw.
template <class T, ConvTask kTask, int kN>
__device__ __forceinline__ void conv_store(const ConvProblem& p, const float* staging, int pitch, const int64_t* out_at,
                                           int column0, int group) {
  if constexpr (kTask == ConvTask::Weight) {
#pragma unroll 1
    for (int at = threadIdx.x; at < 64 * kN / 4; at += kConvThreads) {
      int r = at / (kN / 4), column = at % (kN / 4) * 4;
      if (out_at[r] < 0 || column0 + column >= p.cols) continue;  // cols is a multiple of four
      const float* from = staging + r * pitch + column;
      store16(static_cast<float*>(p.out) + out_at[r] + column0 + column,
              Pack16<float>{from[0], from[1], from[2], from[3]});
    }
    return;
  }
  constexpr int V = 16 / sizeof(T);
  T* out = static_cast<T*>(p.out);
  const T* residual = static_cast<const T*>(p.residual);
  const T* bias = p.bias ? static_cast<const T*>(p.bias) + group * p.cols : nullptr;
  auto finished = [&](float v, int64_t at, int column) {
    if (bias) v += to_float(bias[column]);
    if (residual) v += to_float(residual[at]);
    return from_float<T>(activate(v, p.act));
  };
  if (p.out_col != 1) {  // planes: neighbouring threads have neighbouring pixels
#pragma unroll 1
    for (int at = threadIdx.x; at < 64 * kN; at += kConvThreads) {
      int r = at % 64, column = column0 + at / 64;
      if (column >= p.cols) break;
      if (out_at[r] < 0) continue;
      int64_t to = out_at[r] + column * p.out_col;
      out[to] = finished(staging[r * pitch + at / 64], to, column);
    }
    return;
  }
#pragma unroll 1
  for (int at = threadIdx.x; at < 64 * kN / V; at += kConvThreads) {
    int r = at / (kN / V), column = column0 + at % (kN / V) * V;
    if (out_at[r] < 0 || column >= p.cols) continue;
    const float* from = staging + r * pitch + column - column0;
    int64_t to = out_at[r] + column;
    if (p.out_vector && column + V <= p.cols) {
      Pack16<T> v;
#pragma unroll
      for (int l = 0; l < V; ++l) v[l] = finished(from[l], to + l, column + l);
      store16(out + to, v);
    } else {
#pragma unroll 1
      for (int l = 0; l < V && column + l < p.cols; ++l) out[to + l] = finished(from[l], to + l, column + l);
    }
  }
}

template <class T, ConvTask kTask, int kM, int kN, bool kTensor, int kPixels>
__global__ void __launch_bounds__(kConvThreads, 1) conv_kernel(const ConvProblem p, int tiles_m, int tiles_n) {
  constexpr bool kWeight = kTask == ConvTask::Weight, kAlongA = !kWeight, kAlongB = kTask == ConvTask::Forward;
  constexpr int kStep = 64 / sizeof(T), kDepth = std::is_same<T, float>::value ? 8 : 16;
  constexpr int kStageBytes = (kM + kN) * 64, kRowsBytes = kM * 64;
  constexpr int kWarpsN = kN == 64 ? 2 : 4, kWarpM = kM / (8 / kWarpsN), kFragments = kWarpM / 16;
  FASTNN_DYNAMIC_SHARED(unsigned char, shared);
  FASTNN_SHARED(out_at, int64_t[kM]);
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int row = warp / kWarpsN * kWarpM, column = warp % kWarpsN * 32;  // the warp's kWarpM x 32
  // By FFMA, a warp has 4 x 8 threads of the block's 16 x 16.
  int ty = warp / 2 * 4 + lane / 8, tx = warp % 2 * 8 + lane % 8;
  int tm, tn;
  tile_of(blockIdx.x, tiles_m, tiles_n, &tm, &tn);
  int subs = kTask == ConvTask::Input ? p.subs_h * p.subs_w : kWeight ? p.parts : 1;
  for (int z = blockIdx.y; z < subs * p.groups; z += gridDim.y) {
    int sub = z % subs, group = z / subs;
    const T* image = static_cast<const T*>(p.image) + group * p.channels;
    ConvWindow wh = conv_window<kTask>(p.P, p.stride_h, p.pad_h, p.dilation_h, p.R, p.tap_stride_h, sub / p.subs_w);
    ConvWindow ww = conv_window<kTask>(p.Q, p.stride_w, p.pad_w, p.dilation_w, p.S, p.tap_stride_w, sub % p.subs_w);
    int steps, begin = 0, end = 0;
    if constexpr (kWeight) {
      begin = sub * p.part;
      end = min(begin + p.part, p.N * p.P * p.Q);
      steps = (end - begin + kStep - 1) / kStep;
    } else {
      if (int64_t(tm) * kM >= int64_t(p.N) * wh.count * ww.count) continue;  // a smaller sub-problem than others
      steps = (wh.taps * ww.taps * p.channels + kStep - 1) / kStep;
    }
    if (threadIdx.x < kM) {
      int r = tm * kM + threadIdx.x;
      if constexpr (kWeight) {
        out_at[threadIdx.x] = r < p.rows ? (int64_t(sub) * p.groups + group) * p.out_n + int64_t(r) * p.out_h : -1;
      } else {
        Place at = place_of(r, wh.count, ww.count);
        out_at[threadIdx.x] = at.high < p.N
                                  ? at.high * p.out_n + int64_t(wh.out + at.mid * wh.out_step) * p.out_h +
                                        int64_t(ww.out + at.low * ww.out_step) * p.out_w + int64_t(group) * p.out_group
                                  : -1;
      }
    }
    float sum[kTensor ? kFragments : kM / 16][kTensor ? 4 : kN / 16][kTensor ? 4 : 1] = {};
    auto multiply = [&](const unsigned char* stage) {
      if constexpr (kTensor) {
#pragma unroll
        for (int k = 0; k < kStep; k += kDepth) {
          uint32_t x[kFragments][4], y[2][4];
#pragma unroll
          for (int i = 0; i < kFragments; ++i) conv_fragment_a<T, kAlongA, kM>(x[i], stage, row + i * 16, k);
#pragma unroll
          for (int j = 0; j < 2; ++j) conv_fragment_b<T, kAlongB, kN>(y[j], stage + kRowsBytes, column + j * 16, k);
#pragma unroll
          for (int i = 0; i < kFragments; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) {
              uint32_t pair[2] = {y[j / 2][j % 2 * 2], y[j / 2][j % 2 * 2 + 1]};
              mma_m16n8<T>(sum[i][j], x[i], pair);
            }
        }
      } else {
#pragma unroll
        for (int k = 0; k < kStep; k += 4) {
          float x[4][kM / 16], y[4][kN / 16];
          conv_lines<kAlongA, kM>(x, stage, ty, k);
          conv_lines<kAlongB, kN>(y, stage + kRowsBytes, tx, k);
#pragma unroll
          for (int e = 0; e < 4; ++e)
#pragma unroll
            for (int i = 0; i < kM / 16; ++i)
#pragma unroll
              for (int j = 0; j < kN / 16; ++j) sum[i][j][0] += x[e][i] * y[e][j];
        }
      }
    };
    auto loop = [&](auto a, auto b) {
#pragma unroll 1
      for (int s = -(kConvStages - 1); s < steps; ++s) {
        if (s >= 0) {
          cp_async_wait<kConvStages - 2>();
          __syncthreads();  // stage s is there for all, and stage s - 1 has been read by all
        }
        if (s + kConvStages - 1 < steps) {
          unsigned char* stage = shared + (s + kConvStages - 1) % kConvStages * kStageBytes;
          a.fetch(stage);
          b.fetch(stage + kRowsBytes);
        }
        cp_async_commit();  // also where there is nothing: the count of groups tells the stages apart
        if (s >= 0) multiply(shared + s % kConvStages * kStageBytes);
      }
    };
    if constexpr (kWeight)
      loop(PositionsAcross<T, kM>(p, static_cast<const T*>(p.dy) + group * p.dy_channels, tm * kM, begin, end),
           GatherAcross<T, kN, kPixels>(p, image, tn * kN, begin, end));
    else if constexpr (kTask == ConvTask::Forward)
      loop(GatherAlong<T, kM, kPixels>(p, image, wh, ww, tm * kM),
           WeightsAlong<T, kN>(p, static_cast<const T*>(p.weights) + group * p.w_real * p.w_k, wh, ww, tn * kN));
    else
      loop(GatherAlong<T, kM, kPixels>(p, image, wh, ww, tm * kM),
           WeightsAcross<T, kN>(p, static_cast<const T*>(p.weights) + group * p.w_real * p.w_k, wh, ww, tn * kN));
    cp_async_wait<0>();
    __syncthreads();
    // Out by way of shared memory, 64 rows at a time: whole rows (or columns of planes) are written. The pitch suits
    // the direction of the reads.
    int pitch = p.out_col == 1 ? kN + 4 : kN + 1;
    float* staging = reinterpret_cast<float*>(shared);
#pragma unroll 1
    for (int half = 0; half < kM / 64; ++half) {
      if constexpr (kTensor) {
        if (row / 64 == half) {
#pragma unroll
          for (int i = 0; i < kFragments; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j)
#pragma unroll
              for (int e = 0; e < 4; ++e)
                staging[(row % 64 + i * 16 + lane / 4 + e / 2 * 8) * pitch + column + j * 8 + lane % 4 * 2 + e % 2] =
                    sum[i][j][e];
        }
      } else {
        auto stage_lines = [&](auto first) {  // a constant: registers have no indices
          (void)first;
#pragma unroll
          for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < kN / 16; ++j)
              staging[conv_line<kAlongA>(ty, i) * pitch + conv_line<kAlongB>(tx, j)] =
                  sum[decltype(first)::value + i][j][0];
        };
        if (half == 0) stage_lines(std::integral_constant<int, 0>());
        if constexpr (kM == 128)
          if (half == 1) stage_lines(std::integral_constant<int, 4>());
      }
      __syncthreads();
      conv_store<T, kTask, kN>(p, staging, pitch, out_at + half * 64, tn * kN, group);
      __syncthreads();
    }
  }
}

template <class T, ConvTask kTask, bool kTensor, int kPixels>
void conv_run(const ConvProblem& p, Stream stream) {
  int64_t rows = p.rows, z = p.groups;
  if (kTask == ConvTask::Forward) rows = int64_t(p.N) * p.P * p.Q;
  if (kTask == ConvTask::Input) {  // of the largest sub-problem
    rows = int64_t(p.N) * ((p.P + p.stride_h - 1) / p.stride_h) * ((p.Q + p.stride_w - 1) / p.stride_w);
    z *= p.subs_h * p.subs_w;
  }
  if (kTask == ConvTask::Weight) z *= p.parts;
  auto go = [&](auto kernel, int m, int n) {
    int64_t tiles_m = (rows + m - 1) / m, tiles_n = (p.cols + n - 1) / n;
    if (tiles_m * tiles_n > 0x7fffffff) throw std::invalid_argument("conv2d: too many tiles");
    launch("conv2d", kernel,
           dim3(static_cast<unsigned>(tiles_m * tiles_n), static_cast<unsigned>(z < 65535 ? z : 65535)),
           dim3(kConvThreads), size_t(kConvStages) * (m + n) * 64, stream, p, static_cast<int>(tiles_m),
           static_cast<int>(tiles_n));
  };
  if (kTask == ConvTask::Weight && p.rows <= 64)
    go(conv_kernel < T, kTask, kTask == ConvTask::Weight ? 64 : 128, 128, kTensor, kPixels >, 64, 128);
  else if (kTask != ConvTask::Weight && p.cols <= 64)
    go(conv_kernel < T, kTask, 128, kTask == ConvTask::Weight ? 128 : 64, kTensor, kPixels >, 128, 64);
  else
    go(conv_kernel<T, kTask, 128, 128, kTensor, kPixels>, 128, 128);
}

template <class T, bool kTensor>
void conv_by_task(const ConvProblem& p, ConvTask task, int pixels, Stream stream) {
  constexpr int kTwo = sizeof(T) == 2 ? 2 : 1;
  switch (task) {
    case ConvTask::Forward:
      return pixels == 2 ? conv_run<T, ConvTask::Forward, kTensor, kTwo>(p, stream)
                         : conv_run<T, ConvTask::Forward, kTensor, 1>(p, stream);
    case ConvTask::Input:
      return conv_run<T, ConvTask::Input, kTensor, 1>(p, stream);
    default:
      return pixels == 2 ? conv_run<T, ConvTask::Weight, kTensor, kTwo>(p, stream)
                         : conv_run<T, ConvTask::Weight, kTensor, 1>(p, stream);
  }
}

}  // namespace

void conv_mma(const ConvProblem& p, ConvTask task, Dtype dtype, bool tf32, int pixels, Stream stream) {
  if (dtype == Dtype::BF16) return conv_by_task<bf16, true>(p, task, pixels, stream);
  if (dtype == Dtype::F32 && !tf32) return conv_by_task<float, false>(p, task, pixels, stream);
#ifndef FASTNN_CONV_FEW
  if (dtype == Dtype::F16) return conv_by_task<f16, true>(p, task, pixels, stream);
  if (dtype == Dtype::F32) return conv_by_task<float, true>(p, task, pixels, stream);
#endif
  throw std::invalid_argument("conv2d: the implicit product takes float32, bfloat16 and float16");
}

}  // namespace cuda
}  // namespace fastnn
