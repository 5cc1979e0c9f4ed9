// Matrix products and convolutions.
#include "bindings_cuda.h"
#include "cuda/conv2d.h"
#include "cuda/gemm.h"

namespace fastnn {
namespace cuda {
namespace {

GemmOptions options(int variant, bool tf32) {
  need(variant >= 0 && variant <= static_cast<int>(GemmVariant::AutoSimt), "gemm", "unknown variant");
  GemmOptions o;
  o.variant = static_cast<GemmVariant>(variant);
  o.tf32 = tf32;
  return o;
}

void run(py::handle a_, py::handle b_, py::handle bias, py::handle c_, int act, bool accumulate, int variant, bool tf32,
         uintptr_t stream) {
  constexpr const char* fn = "gemm";
  Array a = to_array(a_), b = to_array(b_), c = to_array(c_);
  const int lead = a.ndim - 2;
  need((lead == 0 || lead == 1) && b.ndim == a.ndim && c.ndim == a.ndim, fn, "a, b and c must be matrices or batches");
  need(a.dtype == b.dtype && a.dtype == c.dtype && is_floating(a.dtype), fn, "a, b and c must be of one float dtype");
  need(act >= 0 && act <= static_cast<int>(GemmAct::Sigmoid), fn, "unknown act");
  GemmArgs g = {};
  g.dtype = a.dtype;
  g.m = a.shape[lead];
  g.k = a.shape[lead + 1];
  g.n = b.shape[lead + 1];
  need(b.shape[lead] == g.k && c.shape[lead] == g.m && c.shape[lead + 1] == g.n, fn, "shapes do not fit");
  need(g.n <= 1 || !c.size() || c.stride[lead + 1] == 1, fn, "c's rows must be contiguous");
  g.a = a.p, g.a_rs = a.stride[lead], g.a_cs = a.stride[lead + 1];
  g.b = b.p, g.b_rs = b.stride[lead], g.b_cs = b.stride[lead + 1];
  g.c = c.p, g.ldc = g.m > 1 ? c.stride[lead] : g.n;
  g.batch = 1;
  if (lead) {
    g.batch = a.shape[0];
    need(b.shape[0] == g.batch && c.shape[0] == g.batch, fn, "batches do not fit");
    g.a_bs = a.stride[0], g.b_bs = b.stride[0], g.c_bs = c.stride[0];
  }
  g.bias = dense(fn, "bias", bias, a.dtype, g.n, true);
  g.act = static_cast<GemmAct>(act);
  g.accumulate = accumulate;
  need(!accumulate || act == 0, fn, "accumulate takes no activation");
  if (g.m && g.n && g.batch) gemm(g, options(variant, tf32), to_stream(stream));
}

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
  const GemmOptions o = options(variant, tf32);
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

}  // namespace

void bind_gemm(py::module_& m) {
  py::dict variants;
  variants["auto"] = 0, variants["naive"] = 1, variants["tiled"] = 2, variants["warptiled"] = 3;
  variants["tensorcore"] = 4, variants["3xtf32"] = 5, variants["auto_simt"] = 6;
  m.attr("gemm_variants") = variants;
  m.def("gemm", &run, "c = act(a b + bias), or c += a b; matrices, or batches of them.");
  m.def(
      "conv2d_workspace",
      [](int task, py::tuple sizes, py::tuple depth, int dtype) {
        need(task >= 0 && task <= 2 && dtype >= 0 && dtype <= static_cast<int>(Dtype::F16), "conv2d", "unknown task");
        return conv2d_workspace(solid_shape(sizes, depth), static_cast<Dtype>(dtype), static_cast<ConvTask>(task));
      },
      "Bytes that a convolution needs.");
  m.def("conv2d", &run_conv, "task 0: y of (x, w); 1: dx of (dy, w); 2: dw of (x, dy).");
}

}  // namespace cuda
}  // namespace fastnn
