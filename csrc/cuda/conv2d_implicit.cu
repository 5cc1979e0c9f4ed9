// The implicit rung's launcher: which arrays have to be copied with their channels last, where in the workspace, and
// which kernel takes the product. An array that already has its channels last, whole 16 bytes of them, is read as it
// is.
#include "cuda/conv2d_implicit.h"

namespace fastnn {
namespace cuda {
namespace {

// Enough blocks for two on every multiprocessor of a large device; a constant, so that dw's bits are the same anywhere.
constexpr int kPartBlocks = 264, kPartLeast = 1024;

struct ImplicitPlan {
  int Cg, Kg, c_padded, k_padded, taps, pixels;
  bool copy_first, copy_second;
  size_t first_bytes, second_bytes, parts_bytes;
  int64_t w_pitch;  // of a row of weights, or of a part of dw
  int parts, part;
};

size_t aligned_bytes(size_t bytes) { return (bytes + 255) / 256 * 256; }
int padded_to(int64_t n, int to) { return static_cast<int>((n + to - 1) / to * to); }
bool at_16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

ImplicitPlan implicit_plan(const ConvArgs& a) {
  const Conv2dShape& s = a.shape;
  ImplicitPlan p = {};
  int size = size_of(a.dtype), V = 16 / size;
  p.Cg = static_cast<int>(s.C / s.groups);
  p.Kg = static_cast<int>(s.K / s.groups);
  p.taps = static_cast<int>(s.R * s.S);
  // Few channels of 16 bits, as an image has: two pixels of four in 16 bytes. dx has them as columns, not in its sum.
  p.pixels = size == 2 && p.Cg <= 4 && s.groups == 1 && a.task != ConvTask::Input ? 2 : 1;
  p.c_padded = padded_to(p.Cg, V / p.pixels);
  p.k_padded = padded_to(p.Kg, V);
  auto whole = [&](int real, int padded, const void* at) { return real == padded && at_16(at); };
  auto last = [](bool said, int64_t pixels, int64_t channels) { return said || pixels == 1 || channels == 1; };
  bool x_last = last(a.first_last, s.H * s.W, s.C), y_last = last(a.first_last, s.P * s.Q, s.K);
  bool w_last = last(a.second_last, p.taps, p.Cg);
  size_t x_bytes = aligned_bytes(size_t(size) * s.N * s.H * s.W * s.groups * p.c_padded);
  size_t y_bytes = aligned_bytes(size_t(size) * s.N * s.P * s.Q * s.groups * p.k_padded);
  p.w_pitch = padded_to(int64_t(p.taps) * p.c_padded, V);
  size_t w_bytes = aligned_bytes(size_t(size) * s.K * p.w_pitch);
  if (a.task == ConvTask::Weight) {
    p.copy_first = !(x_last && whole(p.Cg, p.c_padded, a.first));
    p.copy_second = !(last(a.second_last, s.P * s.Q, s.K) && whole(p.Kg, p.k_padded, a.second));
    p.first_bytes = p.copy_first ? x_bytes : 0;
    p.second_bytes = p.copy_second ? y_bytes : 0;
    p.w_pitch = padded_to(p.w_pitch, 4);
    int64_t sum = s.N * s.P * s.Q;
    int64_t tiles = ((p.Kg + 127) / 128) * ((p.w_pitch + 127) / 128) * s.groups;
    int64_t parts = kPartBlocks / tiles;
    if (parts > sum / kPartLeast) parts = sum / kPartLeast;
    if (parts < 1) parts = 1;
    p.part = padded_to((sum + parts - 1) / parts, 64);
    p.parts = static_cast<int>((sum + p.part - 1) / p.part);
    p.parts_bytes = aligned_bytes(sizeof(float) * p.parts * s.K * p.w_pitch);
    return p;
  }
  bool forward = a.task == ConvTask::Forward;
  p.copy_first =
      forward ? !(x_last && whole(p.Cg, p.c_padded, a.first)) : !(y_last && whole(p.Kg, p.k_padded, a.first));
  p.copy_second = !(w_last && p.w_pitch == int64_t(p.taps) * p.Cg && whole(p.Cg, p.c_padded, a.second));
  p.first_bytes = p.copy_first ? (forward ? x_bytes : y_bytes) : 0;
  p.second_bytes = p.copy_second ? w_bytes : 0;
  return p;
}

int gcd(int a, int b) { return b ? gcd(b, a % b) : a; }

// The image that is gathered: x, or dy.
void set_image(ConvProblem& p, const void* image, int64_t N, int64_t H, int64_t W, int64_t groups, int channels) {
  p.image = image;
  p.N = static_cast<int>(N);
  p.H = static_cast<int>(H);
  p.W = static_cast<int>(W);
  p.channels = channels;
  p.pitch_w = static_cast<int>(groups) * channels;
  p.pitch_h = p.pitch_w * p.W;
  p.pitch_n = int64_t(p.pitch_h) * p.H;
}

void set_out(ConvProblem& p, const ConvArgs& a, int64_t channels, int64_t height, int64_t width) {
  int64_t group = channels / a.shape.groups;
  p.out = a.out;
  p.out_n = channels * height * width;
  p.out_col = a.out_last ? 1 : height * width;
  p.out_w = static_cast<int>(a.out_last ? channels : 1);
  p.out_h = static_cast<int>(width) * p.out_w;
  p.out_group = static_cast<int>(group * p.out_col);
  int V = 16 / size_of(a.dtype);
  p.out_vector = a.out_last && channels % V == 0 && group % V == 0 && at_16(a.out);
  p.cols = static_cast<int>(group);
}

}  // namespace

bool conv_implicit_covers(const Conv2dShape& s, Dtype dtype) {
  if (dtype != Dtype::F32 && dtype != Dtype::BF16 && dtype != Dtype::F16) return false;
  if (s.D != 1 || s.T != 1 || s.O != 1 || s.pad_d || s.groups <= 0) return false;
  const int64_t limit = 0x3fffffff, V = 8;
  int64_t c = (s.C / s.groups + V - 1) / V * V * s.groups, k = (s.K / s.groups + V - 1) / V * V * s.groups;
  for (int64_t n : {c * s.H * s.W, k * s.P * s.Q, c / s.groups * s.R * s.S, k / s.groups * s.R * s.S, s.N * s.P * s.Q,
                    s.N * s.H * s.W, s.stride_h, s.stride_w, s.stride_h * s.stride_w * s.groups,
                    s.H + s.pad_h + s.R * s.dilation_h, s.W + s.pad_w + s.S * s.dilation_w})
    if (n > limit) return false;
  return c <= 32 * 65535 && k <= 32 * 65535;
}

size_t conv_implicit_workspace(const ConvArgs& a) {
  const Conv2dShape& s = a.shape;
  if (s.N <= 0 || s.K <= 0 || s.C <= 0 || s.P * s.Q <= 0) return 0;
  if (conv_is_depthwise(s)) return conv_depthwise_workspace(a);
  ImplicitPlan p = implicit_plan(a);
  return p.first_bytes + p.second_bytes + p.parts_bytes;
}

void conv_implicit(const ConvArgs& a, void* workspace, Stream stream) {
  const Conv2dShape& s = a.shape;
  if (!conv_implicit_covers(s, a.dtype))
    throw std::invalid_argument(
        "conv2d: the variant 'implicit' takes two dimensions of float32, bfloat16 and float16, below 2^30 elements an "
        "image");
  if (s.N <= 0 || s.K <= 0 || s.C <= 0 || s.P * s.Q <= 0) return;
  if (conv_is_depthwise(s)) return conv_depthwise(a, workspace, stream);
  ImplicitPlan plan = implicit_plan(a);
  char* space = static_cast<char*>(workspace);
  auto i = [](int64_t v) { return static_cast<int>(v); };
  bool forward = a.task == ConvTask::Forward, weight = a.task == ConvTask::Weight;
  const void *first = a.first, *second = a.second;
  bool first_is_x = a.task != ConvTask::Input;
  if (plan.copy_first) {
    int64_t pixels = first_is_x ? s.H * s.W : s.P * s.Q;
    int channels = first_is_x ? plan.Cg : plan.Kg, padded = first_is_x ? plan.c_padded : plan.k_padded;
    conv_to_last(first, space, a.dtype, s.N, i(s.groups), channels, padded, i(pixels), a.first_last,
                 pixels * s.groups * padded, stream);
    first = space;
  }
  space += plan.first_bytes;
  if (plan.copy_second) {
    if (weight)
      conv_to_last(second, space, a.dtype, s.N, i(s.groups), plan.Kg, plan.k_padded, i(s.P * s.Q), a.second_last,
                   s.P * s.Q * s.groups * plan.k_padded, stream);
    else
      conv_to_last(second, space, a.dtype, s.K, 1, plan.Cg, plan.c_padded, plan.taps, a.second_last, plan.w_pitch,
                   stream);
    second = space;
  }
  space += plan.second_bytes;

  ConvProblem p = {};
  p.groups = i(s.groups);
  p.R = i(s.R), p.S = i(s.S);
  p.stride_h = i(s.stride_h), p.stride_w = i(s.stride_w), p.pad_h = i(s.pad_h), p.pad_w = i(s.pad_w);
  p.dilation_h = i(s.dilation_h), p.dilation_w = i(s.dilation_w);
  p.tap_stride_h = p.tap_stride_w = p.subs_h = p.subs_w = p.parts = 1;
  p.P = i(s.P), p.Q = i(s.Q);
  p.act = GemmAct::None;
  if (first_is_x)
    set_image(p, first, s.N, s.H, s.W, s.groups, plan.c_padded);
  else
    set_image(p, first, s.N, s.P, s.Q, s.groups, plan.k_padded);
  if (weight) {
    p.dy = second;
    p.dy_channels = plan.k_padded;
    p.dy_pitch = i(s.groups) * plan.k_padded;
    p.rows = plan.Kg;
    p.cols = i(plan.w_pitch);
    p.parts = plan.parts, p.part = plan.part;
    p.out = space;
    p.out_col = 1;
    p.out_n = plan.Kg * plan.w_pitch;
    p.out_h = i(plan.w_pitch);
  } else {
    p.weights = second;
    p.w_c = plan.c_padded;
    p.w_k = plan.w_pitch;
    p.w_real = plan.Kg;
    if (forward) {
      set_out(p, a, s.K, s.P, s.Q);
      p.bias = a.bias, p.residual = a.residual;
      p.act = a.act;
      p.out_vector = p.out_vector && (!a.residual || at_16(a.residual));
    } else {
      p.P = i(s.H), p.Q = i(s.W);
      p.subs_h = p.stride_h, p.subs_w = p.stride_w;
      p.tap_stride_h = p.stride_h / gcd(p.stride_h, p.dilation_h);
      p.tap_stride_w = p.stride_w / gcd(p.stride_w, p.dilation_w);
      set_out(p, a, s.C, s.H, s.W);
    }
  }
  if (plan.pixels != 1 || device_capability() != 90 || !conv_wgmma(p, a.task, a.dtype, stream))
    conv_mma(p, a.task, a.dtype, a.gemm.tf32, plan.pixels, stream);
  if (weight)
    conv_add_parts(reinterpret_cast<const float*>(space), a.out, a.dtype, plan.parts, s.K, plan.Cg, plan.taps,
                   plan.c_padded, plan.w_pitch, a.out_last, stream);
}

}  // namespace cuda
}  // namespace fastnn
