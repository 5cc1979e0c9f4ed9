// Convolution: torch's argument checks and output size, then the kernels.
#include <optional>

#include "bindings_image.h"

namespace fastnn {
namespace {

struct Geometry {
  Sizes stride, padding, dilation;  // one for each spatial dimension
  int64_t groups;
  ConvVariant variant;
};

// The last two or three sizes of x and w, or of arguments: (depth,) height, width; depth is `flat` without one.
struct Triple {
  int64_t d, h, w;
};
Triple triple(const Sizes& v, int64_t flat) {
  const size_t n = v.size();
  return {n > 2 ? v[n - 3] : flat, v[n - 2], v[n - 1]};
}

void check_argument(const char* fn, const char* name, const Sizes& v, size_t dims, int64_t low) {
  if (v.size() != dims)
    fail(fn, std::string(name) + " should have " + std::to_string(dims) + " numbers, but got " + show(v));
  for (int64_t n : v)
    if (n < low || n > kMaxArgument)
      fail(fn, std::string(name) + " should be " + (low ? "greater than zero" : "non-negative") + " and at most " +
                   std::to_string(kMaxArgument) + ", but got " + show(v));
}
void check_dims(const char* fn, const char* name, const Sizes& s, size_t rank) {
  if (s.size() != rank) fail(fn, "expected a " + std::to_string(rank) + "-D " + name + ", but got shape " + show(s));
  for (int64_t n : s)
    if (n < 0 || n > kMaxSize) fail(fn, std::string(name) + " of shape " + show(s) + " is out of range");
}

// x [N, C, (D,) H, W], w [K, C/groups, (T,) R, S]; everything is checked before anything is allocated.
Conv2dShape make_shape(const char* fn, size_t dims, const Sizes& x, const Sizes& w, const Geometry& g) {
  check_dims(fn, dims == 2 ? "input [N, C, H, W]" : "input [N, C, D, H, W]", x, dims + 2);
  check_dims(fn, dims == 2 ? "weight [K, C/groups, R, S]" : "weight [K, C/groups, T, R, S]", w, dims + 2);
  check_argument(fn, "stride", g.stride, dims, 1);
  check_argument(fn, "padding", g.padding, dims, 0);
  check_argument(fn, "dilation", g.dilation, dims, 1);
  if (g.groups < 1) fail(fn, "groups should be greater than zero, but got " + std::to_string(g.groups));
  if (w[0] < 1 || w[0] % g.groups)
    fail(fn, "expected a weight whose first size is a positive multiple of groups = " + std::to_string(g.groups) +
                 ", but got weight of shape " + show(w));
  const Sizes window(w.begin() + 2, w.end()), image(x.begin() + 2, x.end());
  for (int64_t n : window)
    if (n < 1) fail(fn, "kernel size should be greater than zero, but got weight of shape " + show(w));
  if (x[1] % g.groups || x[1] / g.groups != w[1])
    fail(fn, "weight of shape " + show(w) + " with groups = " + std::to_string(g.groups) + " does not fit the " +
                 std::to_string(x[1]) + " channels of input " + show(x));
  for (int64_t n : image)
    if (n < 1) fail(fn, "only the batch or the channels of an input may be empty, but got " + show(x));
  Sizes out(dims), padded(dims);
  for (size_t i = 0; i < dims; i++) {
    // Compared by division: dilation * (R - 1) may not fit 64 bits.
    padded[i] = image[i] + 2 * g.padding[i];
    if (window[i] - 1 > (padded[i] - 1) / g.dilation[i])
      fail(fn, "kernel size " + show(window) + " with dilation " + show(g.dilation) +
                   " can't be greater than the padded input size, here " + std::to_string(padded[i]));
    out[i] = (padded[i] - 1 - g.dilation[i] * (window[i] - 1)) / g.stride[i] + 1;
  }
  const Triple size = triple(image, 1), taps = triple(window, 1), o = triple(out, 1), stride = triple(g.stride, 1),
               pad = triple(g.padding, 0), dilation = triple(g.dilation, 1);
  Conv2dShape s{x[0],   x[1],     size.h,   size.w,   w[0],  o.h,   o.w,        taps.h,
                taps.w, g.groups, stride.h, stride.w, pad.h, pad.w, dilation.h, dilation.w};
  s.D = size.d;
  s.T = taps.d;
  s.O = o.d;
  s.stride_d = stride.d;
  s.pad_d = pad.d;
  s.dilation_d = dilation.d;
  s.variant = g.variant;
  return s;
}

Sizes output_sizes(const Conv2dShape& s, size_t dims) {
  return dims == 2 ? Sizes{s.N, s.K, s.P, s.Q} : Sizes{s.N, s.K, s.O, s.P, s.Q};
}

GemmAct activation(const char* fn, const std::string& name) {
  if (name == "none") return GemmAct::None;
  if (name == "relu") return GemmAct::Relu;
  if (name == "gelu") return GemmAct::Gelu;
  if (name == "gelu_tanh") return GemmAct::GeluTanh;
  if (name == "tanh") return GemmAct::Tanh;
  if (name == "sigmoid") return GemmAct::Sigmoid;
  throw py::value_error(std::string(fn) + "(): act '" + name + "' is not none, relu, gelu, gelu_tanh, tanh or sigmoid");
}

ConvVariant variant(const char* fn, const std::string& name) {
  if (name == "auto") return ConvVariant::Auto;
  if (name == "naive") return ConvVariant::Naive;
  if (name == "packed") return ConvVariant::Packed;
  if (name == "winograd") return ConvVariant::Winograd;
  throw py::value_error(std::string(fn) + "(): variant '" + name + "' is not auto, naive, packed or winograd");
}

void same_dtype(const char* fn, const char* a_name, const Operand& a, const char* b_name, const Operand& b) {
  if (a.dtype != b.dtype)
    fail(fn, std::string("expected ") + a_name + " and " + b_name + " of one dtype, but got " +
                 std::string(py::str(a.array.dtype())) + " and " + std::string(py::str(b.array.dtype())));
}

// Runs f(ctx) with scratch, without the GIL where the work is worth it.
template <class F>
void run(const Conv2dShape& s, size_t workspace, Ctx ctx, const F& f) {
  const Workspace scratch(workspace);
  ctx.workspace = scratch.get();
  const double macs = static_cast<double>(s.N) * s.K * s.O * s.P * s.Q * (s.C / s.groups) * s.T * s.R * s.S;
  if (macs > 200000) {
    py::gil_scoped_release nogil;
    f(ctx);
  } else {
    f(ctx);
  }
}

py::array forward(const char* fn, size_t dims, const py::array& x, const py::array& w,
                  const std::optional<py::array>& bias, const Geometry& g, const std::string& act) {
  const Conv2dShape s = make_shape(fn, dims, sizes(x), sizes(w), g);
  const GemmAct code = activation(fn, act);
  if (bias) check_size(fn, "bias", *bias, {s.K});
  const Operand a = operand(fn, "input", x), b = operand(fn, "weight", w);
  same_dtype(fn, "input", a, "weight", b);
  std::optional<Operand> c;
  if (bias) {
    c = operand(fn, "bias", *bias);
    same_dtype(fn, "input", a, "bias", *c);
  }
  py::array y = new_array(a.array.dtype(), output_sizes(s, dims));
  if (s.N == 0) return y;
  void* out = y.mutable_data();
  const Ctx ctx{num_threads(), nullptr};
  run(s, kernels().conv2d_workspace(ctx.threads, a.dtype, s, ConvPass::Forward), ctx,
      [&](const Ctx& k) { kernels().conv2d(k, a.dtype, s, a.data(), b.data(), c ? c->data() : nullptr, code, out); });
  return y;
}

py::array backward_input(const char* fn, size_t dims, const py::array& dy, const py::array& w, const Sizes& x_shape,
                         const Geometry& g) {
  const Conv2dShape s = make_shape(fn, dims, x_shape, sizes(w), g);
  check_size(fn, "dy", dy, output_sizes(s, dims));
  const Operand a = operand(fn, "dy", dy), b = operand(fn, "weight", w);
  same_dtype(fn, "dy", a, "weight", b);
  py::array dx = new_array(a.array.dtype(), x_shape);
  if (s.N == 0 || s.C == 0) return dx;
  void* out = dx.mutable_data();
  const Ctx ctx{num_threads(), nullptr};
  run(s, kernels().conv2d_workspace(ctx.threads, a.dtype, s, ConvPass::Input), ctx,
      [&](const Ctx& k) { kernels().conv2d_backward_input(k, a.dtype, s, a.data(), b.data(), out); });
  return dx;
}

py::array backward_weight(const char* fn, size_t dims, const py::array& dy, const py::array& x, const Sizes& w_shape,
                          const Geometry& g) {
  const Conv2dShape s = make_shape(fn, dims, sizes(x), w_shape, g);
  check_size(fn, "dy", dy, output_sizes(s, dims));
  const Operand a = operand(fn, "dy", dy), b = operand(fn, "input", x);
  same_dtype(fn, "dy", a, "input", b);
  py::array dw = new_array(a.array.dtype(), w_shape);
  if (s.C == 0) return dw;
  void* out = dw.mutable_data();
  const Ctx ctx{num_threads(), nullptr};
  run(s, kernels().conv2d_weight_workspace(ctx.threads, a.dtype, s), ctx,
      [&](const Ctx& k) { kernels().conv2d_backward_weight(k, a.dtype, s, a.data(), b.data(), out); });
  return dw;
}

// The three functions in `dims` dimensions; `variant`: how, of those that a shape allows.
void bind(py::module_& m, const char* forward_name, const char* input_name, const char* weight_name, size_t dims) {
  using py::arg;
  m.def(
      forward_name,
      [=](const py::array& x, const py::array& w, const std::optional<py::array>& bias, Sizes stride, Sizes padding,
          Sizes dilation, int64_t groups, const std::string& act, const std::string& how) {
        return forward(forward_name, dims, x, w, bias, {stride, padding, dilation, groups, variant(forward_name, how)},
                       act);
      },
      arg("x"), arg("w"), arg("bias"), arg("stride"), arg("padding"), arg("dilation"), arg("groups"),
      arg("act") = "none", arg("variant") = "auto");
  m.def(
      input_name,
      [=](const py::array& dy, const py::array& w, const Sizes& x_shape, Sizes stride, Sizes padding, Sizes dilation,
          int64_t groups, const std::string& how) {
        return backward_input(input_name, dims, dy, w, x_shape,
                              {stride, padding, dilation, groups, variant(input_name, how)});
      },
      arg("dy"), arg("w"), arg("x_shape"), arg("stride"), arg("padding"), arg("dilation"), arg("groups"),
      arg("variant") = "auto");
  m.def(
      weight_name,
      [=](const py::array& dy, const py::array& x, const Sizes& w_shape, Sizes stride, Sizes padding, Sizes dilation,
          int64_t groups, const std::string& how) {
        return backward_weight(weight_name, dims, dy, x, w_shape,
                               {stride, padding, dilation, groups, variant(weight_name, how)});
      },
      arg("dy"), arg("x"), arg("w_shape"), arg("stride"), arg("padding"), arg("dilation"), arg("groups"),
      arg("variant") = "auto");
}

}  // namespace

void bind_conv2d(py::module_& m) {
  bind(m, "conv2d", "conv2d_backward_input", "conv2d_backward_weight", 2);
  bind(m, "conv3d", "conv3d_backward_input", "conv3d_backward_weight", 3);
}

}  // namespace fastnn
