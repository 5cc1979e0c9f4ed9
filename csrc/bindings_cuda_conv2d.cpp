// Convolutions: im2col, and the implicit products that take channels first or last.
#include "bindings_cuda.h"
#include "cuda/conv2d.h"

namespace fastnn {
namespace cuda {
namespace {

Conv2dShape conv_shape(py::tuple s) {
  need(s.size() == 19, "conv2d", "a shape has 19 numbers");
  int64_t v[19];
  for (int i = 0; i < 19; ++i) v[i] = s[i].cast<int64_t>();
  Conv2dShape c{v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], v[11], v[12], v[13], v[14], v[15]};
  c.D = v[16], c.T = v[17], c.O = v[18];
  return c;
}

Conv2dShape solid_shape(py::tuple s, py::tuple depth) {
  Conv2dShape c = conv_shape(s);
  need(depth.size() == 3, "conv2d", "stride, padding and dilation of the depth");
  c.stride_d = depth[0].cast<int64_t>(), c.pad_d = depth[1].cast<int64_t>(), c.dilation_d = depth[2].cast<int64_t>();
  const int64_t smallest[] = {c.C,        c.H,        c.W,        c.K,          c.P,          c.Q,
                              c.R,        c.S,        c.D,        c.T,          c.O,          c.groups,
                              c.stride_h, c.stride_w, c.stride_d, c.dilation_h, c.dilation_w, c.dilation_d};
  for (int64_t n : smallest) need(n >= 1, "conv2d", "a size, stride or dilation below 1");
  need(c.N >= 0 && c.pad_h >= 0 && c.pad_w >= 0 && c.pad_d >= 0, "conv2d", "a negative batch or padding");
  need(c.C % c.groups == 0 && c.K % c.groups == 0, "conv2d", "channels are no multiple of the groups");
  // The last window must begin inside what is padded.
  need((c.P - 1) * c.stride_h + (c.R - 1) * c.dilation_h < c.H + 2 * c.pad_h &&
           (c.Q - 1) * c.stride_w + (c.S - 1) * c.dilation_w < c.W + 2 * c.pad_w &&
           (c.O - 1) * c.stride_d + (c.T - 1) * c.dilation_d < c.D + 2 * c.pad_d,
       "conv2d", "the output is larger than the windows that fit");
  return c;
}

void run_conv(int task, py::tuple sizes, py::tuple depth, py::handle first, py::handle second, py::handle bias,
              py::handle out, int act, uintptr_t scratch, int variant, bool tf32, uintptr_t stream) {
  constexpr const char* fn = "conv2d";
  const Conv2dShape s = solid_shape(sizes, depth);
  const Dtype d = to_array(out).dtype;
  const int64_t x = s.N * s.C * s.D * s.H * s.W, y = s.N * s.K * s.O * s.P * s.Q;
  const int64_t w = s.K * (s.C / s.groups) * s.T * s.R * s.S;
  need(act >= 0 && act <= static_cast<int>(GemmAct::Sigmoid), fn, "unknown act");
  need(variant >= 0 && variant <= static_cast<int>(GemmVariant::AutoSimt), fn, "unknown variant");
  GemmOptions o;
  o.variant = static_cast<GemmVariant>(variant);
  o.tf32 = tf32;
  void* space = to_pointer(scratch);
  switch (task) {
    case 0:
      conv2d_forward(s, d, dense(fn, "x", first, d, x), dense(fn, "w", second, d, w),
                     dense(fn, "bias", bias, d, s.K, true), static_cast<GemmAct>(act), dense(fn, "y", out, d, y), space,
                     o, to_stream(stream));
      return;
    case 1:
      conv2d_input(s, d, dense(fn, "dy", first, d, y), dense(fn, "w", second, d, w), dense(fn, "dx", out, d, x), space,
                   o, to_stream(stream));
      return;
    case 2:
      conv2d_weight(s, d, dense(fn, "x", first, d, x), dense(fn, "dy", second, d, y), dense(fn, "dw", out, d, w), space,
                    o, to_stream(stream));
      return;
    default:
      refuse(fn, "unknown task");
  }
}

// An array [n, channels, height, width], C-contiguous or with its channels last in memory: whether they are.
const void* image(const char* name, py::handle source, Dtype dtype, int64_t n, int64_t channels, int64_t height,
                  int64_t width, bool* last) {
  constexpr const char* fn = "conv2d";
  const Array a = to_array(source);
  const int64_t shape[4] = {n, channels, height, width};
  if (a.ndim != 4 || a.dtype != dtype) refuse(fn, std::string(name) + " is no image of the expected dtype");
  for (int d = 0; d < 4; ++d)
    if (a.shape[d] != shape[d]) refuse(fn, std::string(name) + " has another shape than expected");
  *last = !a.contiguous();
  if (!*last) return a.p;
  int64_t step = 1;
  for (int d : {1, 3, 2, 0}) {
    if (a.shape[d] != 1 && a.stride[d] != step)
      refuse(fn, std::string(name) + " is neither C-contiguous nor has its channels last");
    step *= a.shape[d];
  }
  return a.p;
}

// Workspace: asked with scratch = None, then computed.
size_t run_implicit(int task, py::tuple sizes, py::tuple depth, py::handle first, py::handle second, py::handle bias,
                    py::handle residual, py::handle out, int act, py::object scratch, bool tf32, uintptr_t stream) {
  constexpr const char* fn = "conv2d";
  need(task >= 0 && task <= 2, fn, "unknown task");
  need(act >= 0 && act <= static_cast<int>(GemmAct::Sigmoid), fn, "unknown act");
  ConvArgs a = {};
  a.shape = solid_shape(sizes, depth);
  a.dtype = to_array(out).dtype;
  a.task = static_cast<ConvTask>(task);
  const Conv2dShape& s = a.shape;
  need(conv_implicit_covers(s, a.dtype), fn, "the implicit product does not take this shape or dtype");
  auto x = [&](py::handle h, bool* last) { return image("x", h, a.dtype, s.N, s.C, s.H, s.W, last); };
  auto w = [&](py::handle h, bool* last) { return image("w", h, a.dtype, s.K, s.C / s.groups, s.R, s.S, last); };
  auto y = [&](py::handle h, bool* last) { return image("y", h, a.dtype, s.N, s.K, s.P, s.Q, last); };
  const bool forward = a.task == ConvTask::Forward, weight = a.task == ConvTask::Weight;
  a.first = a.task == ConvTask::Input ? y(first, &a.first_last) : x(first, &a.first_last);
  a.second = weight ? y(second, &a.second_last) : w(second, &a.second_last);
  a.out = const_cast<void*>(forward ? y(out, &a.out_last) : weight ? w(out, &a.out_last) : x(out, &a.out_last));
  need(forward || (bias.is_none() && residual.is_none() && !act), fn, "gradients have no epilogue");
  a.bias = dense(fn, "bias", bias, a.dtype, s.K, true);
  if (!residual.is_none()) {
    bool last = false;
    a.residual = y(residual, &last);
    need(last == a.out_last, fn, "the residual lies in memory otherwise than the output");
  }
  a.act = static_cast<GemmAct>(act);
  a.gemm.tf32 = tf32;
  if (scratch.is_none()) return conv_implicit_workspace(a);
  conv_implicit(a, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}

}  // namespace

void bind_conv2d(py::module_& m) {
  m.def(
      "conv2d_workspace",
      [](int task, py::tuple sizes, py::tuple depth, int dtype) {
        need(task >= 0 && task <= 2 && dtype >= 0 && dtype <= static_cast<int>(Dtype::F16), "conv2d", "unknown task");
        return conv2d_workspace(solid_shape(sizes, depth), static_cast<Dtype>(dtype), static_cast<ConvTask>(task));
      },
      "Bytes that a convolution needs.");
  m.def("conv2d", &run_conv, "task 0: y of (x, w); 1: dx of (dy, w); 2: dw of (x, dy).");
  m.def(
      "conv2d_implicit_covers",
      [](py::tuple sizes, py::tuple depth, int dtype) {
        need(dtype >= 0 && dtype <= static_cast<int>(Dtype::F16), "conv2d", "unknown dtype");
        return conv_implicit_covers(solid_shape(sizes, depth), static_cast<Dtype>(dtype));
      },
      "Whether the implicit product takes a shape.");
  m.def("conv2d_implicit", &run_implicit, "As conv2d, without columns in memory; y = act(conv + bias + residual).");
}

}  // namespace cuda
}  // namespace fastnn
