// Elementwise ops, copies and casts.
#include <initializer_list>

#include "bindings_cuda.h"
#include "cuda/elementwise.h"

namespace fastnn {
namespace cuda {
namespace {

// What an operand is: an array that broadcasts to out, or a number.
Operand operand(const char* fn, py::handle source, const Array& out, Dtype dtype) {
  Operand o = {};
  if (source.is_none()) return o;
  if (!py::isinstance<py::tuple>(source)) {
    if (py::isinstance<py::float_>(source)) {
      o.number = source.cast<double>();
      o.integer = o.number > -9e18 && o.number < 9e18 ? static_cast<int64_t>(o.number) : 0;
    } else {
      o.integer = source.cast<int64_t>();
      o.number = static_cast<double>(o.integer);
    }
    return o;
  }
  Array a = to_array(source);
  need(a.dtype == dtype, fn, "operands of several dtypes");
  need(a.ndim <= out.ndim, fn, "an operand has more dimensions than the result");
  o.p = a.p;
  const int lead = out.ndim - a.ndim;
  for (int d = 0; d < a.ndim; ++d) {
    need(a.shape[d] == out.shape[lead + d] || a.shape[d] == 1, fn, "an operand does not broadcast to the result");
    o.stride[lead + d] = a.shape[d] == 1 ? 0 : a.stride[d];
  }
  return o;
}

void run(int op, py::handle out_, py::handle a, py::handle b, py::handle c, double p0, double p1, int dtype,
         uintptr_t stream) {
  constexpr const char* fn = "elementwise";
  Array out = to_array(out_);
  ElementwiseArgs e = {};
  need(op >= 0 && op <= static_cast<int>(Op::where), fn, "unknown op");
  e.op = static_cast<Op>(op);
  need(dtype >= 0 && dtype <= static_cast<int>(Dtype::Bool), fn, "unknown dtype code");
  e.dtype = static_cast<Dtype>(dtype);
  need(elementwise_takes(e.op, e.dtype), fn, "this op does not take this dtype");
  need(out.dtype == e.dtype || (size_of(out.dtype) == 1), fn, "the result has another dtype than the operands");
  e.ndim = out.ndim;
  for (int d = 0; d < out.ndim; ++d) {
    e.shape[d] = out.shape[d];
    e.out_stride[d] = out.stride[d];
  }
  e.a = operand(fn, a, out, e.dtype);
  e.b = operand(fn, b, out, e.dtype);
  e.c = operand(fn, c, out, Dtype::Bool);
  e.out = out.p;
  e.p[0] = p0;
  e.p[1] = p1;
  if (out.size()) elementwise(e, to_stream(stream));
}

void run_copy(py::handle x_, py::handle out_, uintptr_t stream) {
  constexpr const char* fn = "copy";
  Array out = to_array(out_);
  CopyArgs c = {};
  c.to = c.from = out.dtype;
  if (py::isinstance<py::tuple>(x_)) c.from = to_array(x_).dtype;
  c.ndim = out.ndim;
  for (int d = 0; d < out.ndim; ++d) {
    c.shape[d] = out.shape[d];
    c.out_stride[d] = out.stride[d];
  }
  c.x = operand(fn, x_, out, c.from);
  c.out = out.p;
  if (out.size()) copy(c, to_stream(stream));
}

}  // namespace

void bind_elementwise(py::module_& m) {
  py::dict ops;
#define FASTNN_NAME(name) ops[#name] = static_cast<int>(Op::name);
  FASTNN_CUDA_ELEMENTWISE_OPS(FASTNN_NAME)
#undef FASTNN_NAME
  m.attr("elementwise_ops") = ops;
  m.def(
      "elementwise_takes",
      [](int op, int dtype) { return elementwise_takes(static_cast<Op>(op), static_cast<Dtype>(dtype)); },
      "Whether the kernel computes this op in this dtype.");
  m.def("elementwise", &run, "out = op(a, b, c), operands broadcast; numbers p0, p1 as the op wants them.");
  m.def("copy", &run_copy, "out = x (an array or a number) in out's dtype.");
}

}  // namespace cuda
}  // namespace fastnn
