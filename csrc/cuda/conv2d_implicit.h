// Convolutions as matrix products whose operands are gathered while they are read: no columns in memory. Channels lie
// last inside (NHWC), so that 16 bytes at once are channels of one pixel.
//   forward  y[npq, k]   = sum over (r, s, c) of x[n, h, w, c] w[k, r, s, c]
//   input    dx[nhw, c]  = sum over (r, s, k) of dy[n, p, q, k] w[k, r, s, c], where p stride = h + pad - r dilation.
//            Only every stride-th h has the same taps: stride_h * stride_w sub-problems, each a dense convolution of
//            stride 1 that writes its own pixels. Nothing is multiplied by inserted zeros.
//   weight   dw[k, rsc]  = sum over (n, p, q) of dy[npq, k] x[n, h, w, c], cut into parts whose float32 sums are added
//            by a tree of a fixed shape.
// The rungs: conv2d_mma.cu (sm_80: cp.async, and mma.sync or FFMA), conv2d_wgmma.cu (sm_90a: TMA's im2col mode, wgmma);
// groups of one channel are no matrices: conv2d_depthwise.cu.
#pragma once
#include "cuda/conv2d.h"
#include "cuda/gemm_common.h"

namespace fastnn {
namespace cuda {

struct ConvProblem {
  const void* image;      // what is gathered: x, or dy for the data gradient; [N, H, W, groups * channels]
  int N, H, W, channels;  // of a group, padded so that whole 16 bytes (or 8, see `pixels`) are one pixel's
  int pitch_w, pitch_h;   // elements between neighbouring pixels
  int64_t pitch_n;
  const void* weights;    // [K, R, S, w_c], rows w_k elements apart
  int w_c, w_real, R, S;  // w_real: rows of a group that exist
  int64_t w_k;
  int stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  int tap_stride_h, tap_stride_w;  // input: every how many taps reach the same pixel: stride / gcd(stride, dilation)
  int P, Q;                        // positions: of y; input: rows and columns of dx
  const void* dy;                  // weight: [N * P * Q, groups * dy_channels]
  int dy_channels, dy_pitch;
  int rows, cols;  // of the product: rows for the weight only; cols of a group
  const void *bias, *residual;
  void* out;
  int64_t out_n, out_col;  // elements between images, between columns
  int out_h, out_w, out_group;
  GemmAct act;
  bool out_vector;             // 16 bytes at once
  int groups, subs_h, subs_w;  // input: sub-problems
  int parts, part;             // weight: parts of the sum, positions of each
};

// One direction's windows: tap t of position i is element base + i * step + t * tap_step of the image, weight
// first + t * first_step, and goes to out + i * out_step.
struct ConvWindow {
  int count, base, step, taps, tap_step, first, first_step, out, out_step;
};

template <ConvTask kTask>
__host__ __device__ inline ConvWindow conv_window(int outs, int stride, int pad, int dilation, int taps, int tap_stride,
                                                  int sub) {
  if (kTask != ConvTask::Input) return {outs, -pad, stride, taps, dilation, 0, 1, 0, 1};
  int first = 0;
  while (first < taps && (sub + pad - first * dilation) % stride) ++first;
  int count = (outs - sub + stride - 1) / stride;
  return {count > 0 ? count : 0,
          first < taps ? (sub + pad - first * dilation) / stride : 0,
          1,
          (taps - first + tap_stride - 1) / tap_stride,
          -(dilation * tap_stride / stride),
          first,
          tap_stride,
          sub,
          stride};
}

// What the arrays are copied into before: `groups` groups of `channels` elements become groups of `padded`, zeros
// between; [rows, groups * channels, pixels] (or pixels before channels) to [rows, pixels, groups * padded].
void conv_to_last(const void* from, void* to, Dtype dtype, int64_t rows, int groups, int channels, int padded,
                  int pixels, bool last, int64_t row_pitch, Stream stream);
// dw [K, channels, taps] (or taps before channels) from `parts` sums of [K, taps, padded], rows `pitch` apart.
void conv_add_parts(const float* parts, void* dw, Dtype dtype, int count, int64_t K, int channels, int taps, int padded,
                    int64_t pitch, bool last, Stream stream);

// The rungs. pixels: how many of them 16 bytes hold, 1, or 2 of 16-bit elements with four channels.
void conv_mma(const ConvProblem& p, ConvTask task, Dtype dtype, bool tf32, int pixels, Stream stream);

// Groups of one input channel: all of the work but the refusals.
bool conv_is_depthwise(const Conv2dShape& shape);
size_t conv_depthwise_workspace(const ConvArgs& args);
void conv_depthwise(const ConvArgs& args, void* workspace, Stream stream);
bool conv_wgmma(const ConvProblem& p, ConvTask task, Dtype dtype, Stream stream);  // false: not for this shape

}  // namespace cuda
}  // namespace fastnn
