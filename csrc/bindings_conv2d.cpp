// Convolution: torch's argument checks and output size, then the kernels.
#include <optional>

#include "bindings_image.h"

namespace fastnn {
namespace {

struct Geometry {
  Pair stride, padding, dilation;
  int64_t groups;
};

// x [N, C, H, W], w [K, C/groups, R, S]; everything is checked before anything is allocated.
Conv2dShape make_shape(const char* fn, const Sizes& x, const Sizes& w, const Geometry& g) {
  check_rank(fn, "input [N, C, H, W]", x);
  check_rank(fn, "weight [K, C/groups, R, S]", w);
  check_pair(fn, "stride", g.stride, 1);
  check_pair(fn, "padding", g.padding, 0);
  check_pair(fn, "dilation", g.dilation, 1);
  if (g.groups < 1) fail(fn, "groups should be greater than zero, but got " + std::to_string(g.groups));
  if (w[0] < 1 || w[0] % g.groups)
    fail(fn, "expected a weight whose first size is a positive multiple of groups = " + std::to_string(g.groups) +
                 ", but got weight of shape " + show(w));
  if (w[2] < 1 || w[3] < 1) fail(fn, "kernel size should be greater than zero, but got weight of shape " + show(w));
  if (x[1] % g.groups || x[1] / g.groups != w[1])
    fail(fn, "weight of shape " + show(w) + " with groups = " + std::to_string(g.groups) + " does not fit the " +
                 std::to_string(x[1]) + " channels of input " + show(x));
  if (x[2] < 1 || x[3] < 1) fail(fn, "only the batch or the channels of an input may be empty, but got " + show(x));
  Conv2dShape s{x[0],
                x[1],
                x[2],
                x[3],
                w[0],
                0,
                0,
                w[2],
                w[3],
                g.groups,
                g.stride.first,
                g.stride.second,
                g.padding.first,
                g.padding.second,
                g.dilation.first,
                g.dilation.second};
  // Compared by division: dilation * (R - 1) may not fit 64 bits.
  const int64_t room_h = s.H + 2 * s.pad_h - 1, room_w = s.W + 2 * s.pad_w - 1;
  if (s.R - 1 > room_h / s.dilation_h || s.S - 1 > room_w / s.dilation_w)
    fail(fn, "kernel size " + show(Pair{s.R, s.S}) + " with dilation " + show(g.dilation) +
                 " can't be greater than the padded input size " + show(Pair{room_h + 1, room_w + 1}));
  s.P = (room_h - s.dilation_h * (s.R - 1)) / s.stride_h + 1;
  s.Q = (room_w - s.dilation_w * (s.S - 1)) / s.stride_w + 1;
  return s;
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
  const double macs = static_cast<double>(s.N) * s.K * s.P * s.Q * (s.C / s.groups) * s.R * s.S;
  if (macs > 200000) {
    py::gil_scoped_release nogil;
    f(ctx);
  } else {
    f(ctx);
  }
}

py::array conv2d(const py::array& x, const py::array& w, const std::optional<py::array>& bias, Pair stride,
                 Pair padding, Pair dilation, int64_t groups, const std::string& act) {
  const char* fn = "conv2d";
  const Conv2dShape s = make_shape(fn, sizes(x), sizes(w), {stride, padding, dilation, groups});
  const GemmAct code = activation(fn, act);
  if (bias) check_size(fn, "bias", *bias, {s.K});
  const Operand a = operand(fn, "input", x), b = operand(fn, "weight", w);
  same_dtype(fn, "input", a, "weight", b);
  std::optional<Operand> c;
  if (bias) {
    c = operand(fn, "bias", *bias);
    same_dtype(fn, "input", a, "bias", *c);
  }
  py::array y = new_array(a.array.dtype(), {s.N, s.K, s.P, s.Q});
  if (s.N == 0) return y;
  void* out = y.mutable_data();
  const Ctx ctx{num_threads(), nullptr};
  run(s, kernels().conv2d_workspace(ctx.threads, a.dtype, s, ConvPass::Forward), ctx,
      [&](const Ctx& k) { kernels().conv2d(k, a.dtype, s, a.data(), b.data(), c ? c->data() : nullptr, code, out); });
  return y;
}

py::array conv2d_backward_input(const py::array& dy, const py::array& w, const Sizes& x_shape, Pair stride,
                                Pair padding, Pair dilation, int64_t groups) {
  const char* fn = "conv2d_backward_input";
  const Conv2dShape s = make_shape(fn, x_shape, sizes(w), {stride, padding, dilation, groups});
  check_size(fn, "dy", dy, {s.N, s.K, s.P, s.Q});
  const Operand a = operand(fn, "dy", dy), b = operand(fn, "weight", w);
  same_dtype(fn, "dy", a, "weight", b);
  py::array dx = new_array(a.array.dtype(), {s.N, s.C, s.H, s.W});
  if (s.N == 0 || s.C == 0) return dx;
  void* out = dx.mutable_data();
  const Ctx ctx{num_threads(), nullptr};
  run(s, kernels().conv2d_workspace(ctx.threads, a.dtype, s, ConvPass::Input), ctx,
      [&](const Ctx& k) { kernels().conv2d_backward_input(k, a.dtype, s, a.data(), b.data(), out); });
  return dx;
}

py::array conv2d_backward_weight(const py::array& dy, const py::array& x, const Sizes& w_shape, Pair stride,
                                 Pair padding, Pair dilation, int64_t groups) {
  const char* fn = "conv2d_backward_weight";
  const Conv2dShape s = make_shape(fn, sizes(x), w_shape, {stride, padding, dilation, groups});
  check_size(fn, "dy", dy, {s.N, s.K, s.P, s.Q});
  const Operand a = operand(fn, "dy", dy), b = operand(fn, "input", x);
  same_dtype(fn, "dy", a, "input", b);
  py::array dw = new_array(a.array.dtype(), {s.K, s.C / s.groups, s.R, s.S});
  if (s.C == 0) return dw;
  void* out = dw.mutable_data();
  const Ctx ctx{num_threads(), nullptr};
  run(s, kernels().conv2d_weight_workspace(ctx.threads, a.dtype, s), ctx,
      [&](const Ctx& k) { kernels().conv2d_backward_weight(k, a.dtype, s, a.data(), b.data(), out); });
  return dw;
}

}  // namespace

void bind_conv2d(py::module_& m) {
  using py::arg;
  m.def("conv2d", &conv2d, arg("x"), arg("w"), arg("bias"), arg("stride"), arg("padding"), arg("dilation"),
        arg("groups"), arg("act") = "none");
  m.def("conv2d_backward_input", &conv2d_backward_input, arg("dy"), arg("w"), arg("x_shape"), arg("stride"),
        arg("padding"), arg("dilation"), arg("groups"));
  m.def("conv2d_backward_weight", &conv2d_backward_weight, arg("dy"), arg("x"), arg("w_shape"), arg("stride"),
        arg("padding"), arg("dilation"), arg("groups"));
}

}  // namespace fastnn
