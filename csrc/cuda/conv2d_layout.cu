// What surrounds the implicit products: channels brought last and padded to whole 16 bytes, by tiles of shared memory,
// and the parts of dw added up. Both move each byte once: their limit is the memory's bandwidth.
#include "cuda/conv2d_implicit.h"

namespace fastnn {
namespace cuda {
namespace {

constexpr int kTile = 32;

// from[row, c, pixel] (or [row, pixel, c]) to to[row, pixel, group * padded + channel]; zeros behind each group's
// channels, and behind the last pixel up to the row's pitch.
template <class T>
__global__ void __launch_bounds__(256) to_last_kernel(const T* from, T* to, int64_t rows, int groups, int channels,
                                                      int padded, int pixels, bool last, int64_t row_pitch) {
  FASTNN_SHARED(tile, T[kTile][kTile + 1]);
  int x = threadIdx.x, y = threadIdx.y;  // 32 x 8
  int all = groups * channels, wide = groups * padded;
  int first_pixel = blockIdx.x * kTile, first_wide = blockIdx.y * kTile;
  int64_t lines = (row_pitch + wide - 1) / wide;  // the last one may be cut off
  for (int64_t row = blockIdx.z; row < rows; row += gridDim.z) {
    const T* source = from + row * all * pixels;
#pragma unroll
    for (int i = 0; i < kTile; i += 8) {
      int pixel = first_pixel + (last ? y + i : x), c = first_wide + (last ? x : y + i);
      int group = c / padded, channel = c % padded;
      bool there = pixel < pixels && c < wide && channel < channels;
      int64_t at = group * channels + channel;
      at = last ? int64_t(pixel) * all + at : at * pixels + pixel;
      (last ? tile[x][y + i] : tile[y + i][x]) = there ? source[at] : zero<T>();
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kTile; i += 8) {
      int pixel = first_pixel + y + i, c = first_wide + x;
      int64_t at = int64_t(pixel) * wide + c;
      if (pixel < lines && c < wide && at < row_pitch) to[row * row_pitch + at] = tile[x][y + i];
    }
    __syncthreads();
  }
}

// dw[k, c, tap] (or [k, tap, c]): the parts by fours, each four by pairs, one after the other: the same bits each time.
template <class T>
__global__ void __launch_bounds__(256) add_sums_kernel(const float* parts, T* dw, int count, int64_t K, int channels,
                                                       int taps, int padded, int64_t pitch, bool last) {
  int64_t n = K * channels * taps, part = K * pitch;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += int64_t(gridDim.x) * blockDim.x) {
    int c = static_cast<int>(i % channels), tap = static_cast<int>(i / channels % taps);
    int64_t k = i / channels / taps;
    const float* from = parts + k * pitch + int64_t(tap) * padded + c;
    float sum = 0;
    int s = 0;
    for (; s + 4 <= count; s += 4, from += 4 * part) sum += (from[0] + from[part]) + (from[2 * part] + from[3 * part]);
    for (; s < count; ++s, from += part) sum += *from;
    dw[last ? i : (k * channels + c) * taps + tap] = from_float<T>(sum);
  }
}

template <class F>
void by_dtype(Dtype dtype, F f) {
  if (dtype == Dtype::F32) return f(float());
  if (dtype == Dtype::BF16) return f(bf16());
  if (dtype == Dtype::F16) return f(f16());
  throw std::invalid_argument("conv2d: the implicit product takes float32, bfloat16 and float16");
}

}  // namespace

void conv_to_last(const void* from, void* to, Dtype dtype, int64_t rows, int groups, int channels, int padded,
                  int pixels, bool last, int64_t row_pitch, Stream stream) {
  int64_t wide = int64_t(groups) * padded, lines = (row_pitch + wide - 1) / wide;
  int64_t across = (wide + kTile - 1) / kTile;
  if (across > 65535) throw std::invalid_argument("conv2d: too many channels");
  dim3 grid(static_cast<unsigned>((lines + kTile - 1) / kTile), static_cast<unsigned>(across),
            static_cast<unsigned>(rows < 65535 ? rows : 65535));
  by_dtype(dtype, [&](auto t) {
    using T = decltype(t);
    launch("conv2d", to_last_kernel<T>, grid, dim3(32, 8), 0, stream, static_cast<const T*>(from), static_cast<T*>(to),
           rows, groups, channels, padded, pixels, last, row_pitch);
  });
}

void conv_add_parts(const float* parts, void* dw, Dtype dtype, int count, int64_t K, int channels, int taps, int padded,
                    int64_t pitch, bool last, Stream stream) {
  int64_t blocks = (K * channels * taps + 255) / 256;
  by_dtype(dtype, [&](auto t) {
    using T = decltype(t);
    launch("conv2d", add_sums_kernel<T>, dim3(static_cast<unsigned>(blocks < 65535 ? blocks : 65535)), dim3(256), 0,
           stream, parts, static_cast<T*>(dw), count, K, channels, taps, padded, pitch, last);
  });
}

}  // namespace cuda
}  // namespace fastnn
