// Pooling: torch's argument checks and output sizes, then the kernels.
#include <optional>

#include "bindings_image.h"

namespace fastnn {
namespace {

// torch's rule. With ceil_mode a last window may hang over the right edge, if it starts inside the image or the left
// padding. Sizes are at most 2^48 and the rest below 2^31: nothing overflows.
int64_t output_size(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, bool ceil_mode) {
  const int64_t room = size + 2 * pad - dilation * (kernel - 1) - 1;
  if (room < 0 && !(ceil_mode && room + stride - 1 >= 0)) return 0;
  int64_t out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (out - 1) * stride >= size + pad) out--;
  return out;
}

// sizes: N, C, H, W of the image.
Pool2dShape make_shape(const char* fn, const Sizes& x, const Pair& kernel, const Pair& stride, const Pair& padding,
                       const Pair& dilation, bool ceil_mode) {
  check_pair(fn, "kernel_size", kernel, 1);
  check_pair(fn, "stride", stride, 1);
  check_pair(fn, "padding", padding, 0);
  check_pair(fn, "dilation", dilation, 1);
  if (padding.first > kernel.first / 2 || padding.second > kernel.second / 2)
    fail(fn, "padding should be at most half of kernel_size, but got padding " + show(padding) + " and kernel_size " +
                 show(kernel));
  check_rank(fn, "input [N, C, H, W]", x);
  if (!x[1] || !x[2] || !x[3])
    fail(fn, "expected an input [N, C, H, W] that only N may leave empty, but got " + show(x));
  Pool2dShape s{};
  if (__builtin_mul_overflow(x[0], x[1], &s.planes)) fail(fn, "input too large: " + show(x));
  s.H = x[2];
  s.W = x[3];
  s.P = output_size(s.H, kernel.first, stride.first, padding.first, dilation.first, ceil_mode);
  s.Q = output_size(s.W, kernel.second, stride.second, padding.second, dilation.second, ceil_mode);
  s.R = kernel.first;
  s.S = kernel.second;
  s.stride_h = stride.first;
  s.stride_w = stride.second;
  s.pad_h = padding.first;
  s.pad_w = padding.second;
  s.dilation_h = dilation.first;
  s.dilation_w = dilation.second;
  if (s.P < 1 || s.Q < 1) {
    fail(fn, "kernel_size " + show(kernel) + " with padding " + show(padding) + " does not fit the input " + show(x) +
                 ": the output would be " + show(Pair{s.P, s.Q}));
  }
  return s;
}

std::vector<py::ssize_t> output_shape(const Sizes& x, const Pool2dShape& s) { return {x[0], x[1], s.P, s.Q}; }
py::array index_array(const char* fn, const py::array& idx, const Sizes& x, const Pool2dShape& s) {
  check_size(fn, "idx", idx, {x[0], x[1], s.P, s.Q});
  const py::dtype want = max_pool2d_compact(s) ? py::dtype::of<uint8_t>() : py::dtype::of<int64_t>();
  if (idx.dtype().num() != want.num())
    throw py::type_error(std::string(fn) + "(): expected idx of " + std::string(py::str(want)) + ", but got " +
                         std::string(py::str(idx.dtype())));
  if (max_pool2d_compact(s)) return py::array_t<uint8_t, py::array::c_style | py::array::forcecast>(idx);
  return py::array_t<int64_t, py::array::c_style | py::array::forcecast>(idx);
}

// Runs f(ctx) with scratch, without the GIL where the work is worth it.
template <class F>
void run(const Pool2dShape& s, Dtype dtype, bool backward, const F& f) {
  Ctx ctx{num_threads(), nullptr};
  const Workspace scratch(kernels().pool2d_workspace(ctx.threads, dtype, s, backward));
  ctx.workspace = scratch.get();
  if (static_cast<double>(s.planes) * (static_cast<double>(s.H) * s.W + static_cast<double>(s.P) * s.Q) > 10000) {
    py::gil_scoped_release nogil;
    f(ctx);
  } else {
    f(ctx);
  }
}

py::tuple max_pool2d(const py::array& x, Pair kernel, Pair stride, Pair padding, Pair dilation, bool ceil_mode) {
  const char* fn = "max_pool2d";
  const Sizes in = sizes(x);
  const Pool2dShape s = make_shape(fn, in, kernel, stride, padding, dilation, ceil_mode);
  const Operand a = operand(fn, "input", x);
  py::array y = new_array(a.array.dtype(), output_shape(in, s));
  py::array idx =
      new_array(max_pool2d_compact(s) ? py::dtype::of<uint8_t>() : py::dtype::of<int64_t>(), output_shape(in, s));
  const void* px = a.data();
  void *py_ = y.mutable_data(), *pi = idx.mutable_data();
  run(s, a.dtype, false, [&](const Ctx& ctx) { kernels().max_pool2d(ctx, a.dtype, s, px, py_, pi); });
  return py::make_tuple(std::move(y), std::move(idx));
}

// Which of P, Q torch's two rules gave is known from dy (or idx): both are tried.
Pool2dShape shape_of_output(const char* fn, const py::array& out, const char* name, const Sizes& x, const Pair& kernel,
                            const Pair& stride, const Pair& padding, const Pair& dilation) {
  const Pool2dShape ceil = make_shape(fn, x, kernel, stride, padding, dilation, true);
  if (out.ndim() == 4 && out.shape(2) == ceil.P && out.shape(3) == ceil.Q) {
    check_size(fn, name, out, {x[0], x[1], ceil.P, ceil.Q});
    return ceil;
  }
  const Pool2dShape floor = make_shape(fn, x, kernel, stride, padding, dilation, false);
  check_size(fn, name, out, {x[0], x[1], floor.P, floor.Q});
  return floor;
}

py::array max_pool2d_backward(const py::array& dy, const py::array& idx, const Sizes& x_shape, Pair kernel, Pair stride,
                              Pair padding, Pair dilation) {
  const char* fn = "max_pool2d_backward";
  const Pool2dShape s = shape_of_output(fn, dy, "dy", x_shape, kernel, stride, padding, dilation);
  const Operand a = operand(fn, "dy", dy);
  const py::array which = index_array(fn, idx, x_shape, s);
  py::array dx = new_array(a.array.dtype(), std::vector<py::ssize_t>(x_shape.begin(), x_shape.end()));
  const void *pdy = a.data(), *pi = which.data();
  void* pdx = dx.mutable_data();
  run(s, a.dtype, true, [&](const Ctx& ctx) { kernels().max_pool2d_backward(ctx, a.dtype, s, pdy, pi, pdx); });
  return dx;
}

py::array max_pool2d_indices(const py::array& idx, const Sizes& x_shape, Pair kernel, Pair stride, Pair padding,
                             Pair dilation) {
  const char* fn = "max_pool2d_indices";
  const Pool2dShape s = shape_of_output(fn, idx, "idx", x_shape, kernel, stride, padding, dilation);
  const py::array which = index_array(fn, idx, x_shape, s);
  py::array flat = new_array(py::dtype::of<int64_t>(), output_shape(x_shape, s));
  kernels().max_pool2d_indices(Ctx{num_threads(), nullptr}, s, which.data(),
                               static_cast<int64_t*>(flat.mutable_data()));
  return flat;
}

void set_average(const char* fn, Pool2dShape& s, bool count_include_pad, const std::optional<int64_t>& divisor) {
  s.count_include_pad = count_include_pad;
  s.divisor_override = divisor.value_or(0);
  if (divisor && *divisor == 0) fail(fn, "divisor_override must not be zero");
}

py::array avg_pool2d(const py::array& x, Pair kernel, Pair stride, Pair padding, bool ceil_mode, bool count_include_pad,
                     std::optional<int64_t> divisor_override) {
  const char* fn = "avg_pool2d";
  const Sizes in = sizes(x);
  Pool2dShape s = make_shape(fn, in, kernel, stride, padding, {1, 1}, ceil_mode);
  set_average(fn, s, count_include_pad, divisor_override);
  const Operand a = operand(fn, "input", x);
  py::array y = new_array(a.array.dtype(), output_shape(in, s));
  const void* px = a.data();
  void* out = y.mutable_data();
  run(s, a.dtype, false, [&](const Ctx& ctx) { kernels().avg_pool2d(ctx, a.dtype, s, px, out); });
  return y;
}

py::array avg_pool2d_backward(const py::array& dy, const Sizes& x_shape, Pair kernel, Pair stride, Pair padding,
                              bool ceil_mode, bool count_include_pad, std::optional<int64_t> divisor_override) {
  const char* fn = "avg_pool2d_backward";
  Pool2dShape s = make_shape(fn, x_shape, kernel, stride, padding, {1, 1}, ceil_mode);
  set_average(fn, s, count_include_pad, divisor_override);
  check_size(fn, "dy", dy, {x_shape[0], x_shape[1], s.P, s.Q});
  const Operand a = operand(fn, "dy", dy);
  py::array dx = new_array(a.array.dtype(), std::vector<py::ssize_t>(x_shape.begin(), x_shape.end()));
  const void* pdy = a.data();
  void* out = dx.mutable_data();
  run(s, a.dtype, true, [&](const Ctx& ctx) { kernels().avg_pool2d_backward(ctx, a.dtype, s, pdy, out); });
  return dx;
}

}  // namespace

void bind_pool2d(py::module_& m) {
  using py::arg;
  m.def("max_pool2d", &max_pool2d, arg("x"), arg("kernel"), arg("stride"), arg("padding"), arg("dilation"),
        arg("ceil_mode"));
  m.def("max_pool2d_backward", &max_pool2d_backward, arg("dy"), arg("idx"), arg("x_shape"), arg("kernel"),
        arg("stride"), arg("padding"), arg("dilation"));
  m.def("max_pool2d_indices", &max_pool2d_indices, arg("idx"), arg("x_shape"), arg("kernel"), arg("stride"),
        arg("padding"), arg("dilation"));
  m.def("avg_pool2d", &avg_pool2d, arg("x"), arg("kernel"), arg("stride"), arg("padding"), arg("ceil_mode"),
        arg("count_include_pad"), arg("divisor_override"));
  m.def("avg_pool2d_backward", &avg_pool2d_backward, arg("dy"), arg("x_shape"), arg("kernel"), arg("stride"),
        arg("padding"), arg("ceil_mode"), arg("count_include_pad"), arg("divisor_override"));
}

}  // namespace fastnn
