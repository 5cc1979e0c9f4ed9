// Reductions, extremes with their places, running sums and products.
#include "bindings_cuda.h"
#include "cuda/reduce.h"

namespace fastnn {
namespace cuda {
namespace {

int64_t kept(const Array& x, uint32_t reduced) {
  int64_t n = 1;
  for (int d = 0; d < x.ndim; ++d)
    if (!(reduced >> d & 1)) n *= x.shape[d];
  return n;
}

ReduceArgs arguments(int op, int finish, double scale, double p, const Array& x, uint32_t reduced, int out_dtype) {
  constexpr const char* fn = "reduce";
  ReduceArgs a = {};
  need(op >= 0 && op <= static_cast<int>(ReduceOp::Any), fn, "unknown op");
  need(finish >= 0 && finish <= 2, fn, "unknown finish");
  a.dtype = x.dtype;
  a.out_dtype = static_cast<Dtype>(out_dtype);
  a.op = static_cast<ReduceOp>(op);
  a.finish = static_cast<Finish>(finish);
  a.scale = scale;
  a.p = p;
  a.ndim = x.ndim;
  for (int d = 0; d < x.ndim; ++d) {
    a.shape[d] = x.shape[d];
    a.stride[d] = x.stride[d];
  }
  a.reduced = reduced;
  a.x = x.p;
  return a;
}

size_t workspace(int op, int finish, double scale, double p, py::handle x, uint32_t reduced, int out_dtype) {
  return reduce_workspace(arguments(op, finish, scale, p, to_array(x), reduced, out_dtype));
}

void run(int op, int finish, double scale, double p, py::handle x_, uint32_t reduced, py::handle out_,
         py::handle centre, uintptr_t scratch, uintptr_t stream) {
  constexpr const char* fn = "reduce";
  Array x = to_array(x_), out = to_array(out_);
  ReduceArgs a = arguments(op, finish, scale, p, x, reduced, static_cast<int>(out.dtype));
  const int64_t n = kept(x, reduced);
  a.out = dense(fn, "out", out_, out.dtype, n);
  a.centre = dense(fn, "centre", centre, compute_dtype(x.dtype), n, true);
  need((a.centre != nullptr) == (a.op == ReduceOp::SumSquareDiff) || n == 0, fn, "SumSquareDiff needs a centre");
  if (n) reduce(a, to_pointer(scratch), to_stream(stream));
}

ArgReduceArgs place_arguments(bool max, const Array& x, uint32_t reduced) {
  ArgReduceArgs a = {};
  a.dtype = x.dtype;
  a.max = max;
  a.ndim = x.ndim;
  for (int d = 0; d < x.ndim; ++d) {
    a.shape[d] = x.shape[d];
    a.stride[d] = x.stride[d];
    need(x.shape[d] > 0 || !(reduced >> d & 1), "arg_reduce", "a reduced dimension is empty");
  }
  a.reduced = reduced;
  a.x = x.p;
  return a;
}

void run_places(bool max, py::handle x_, uint32_t reduced, py::handle values, py::handle indices, uintptr_t scratch,
                uintptr_t stream) {
  constexpr const char* fn = "arg_reduce";
  Array x = to_array(x_);
  ArgReduceArgs a = place_arguments(max, x, reduced);
  const int64_t n = kept(x, reduced);
  a.values = dense(fn, "values", values, x.dtype, n, true);
  a.indices = static_cast<int64_t*>(dense(fn, "indices", indices, Dtype::I64, n));
  if (n) arg_reduce(a, to_pointer(scratch), to_stream(stream));
}

void run_scan(bool product, py::handle x_, int dim, py::handle out_, uintptr_t stream) {
  constexpr const char* fn = "scan";
  Array x = to_array(x_);
  need(x.contiguous() && dim >= 0 && dim < x.ndim, fn, "x must be C-contiguous and have the dimension");
  ScanArgs a = {};
  a.dtype = x.dtype;
  a.product = product;
  a.rows = a.inner = 1;
  for (int d = 0; d < dim; ++d) a.rows *= x.shape[d];
  for (int d = dim + 1; d < x.ndim; ++d) a.inner *= x.shape[d];
  a.n = x.shape[dim];
  a.x = x.p;
  a.out = dense(fn, "out", out_, is_floating(x.dtype) ? x.dtype : Dtype::I64, x.size());
  if (x.size()) scan(a, to_stream(stream));
}

}  // namespace

void bind_reduce(py::module_& m) {
  py::dict ops;
#define FASTNN_NAME(name) ops[#name] = static_cast<int>(ReduceOp::name);
  FASTNN_CUDA_REDUCE_OPS(FASTNN_NAME)
#undef FASTNN_NAME
  m.attr("reduce_ops") = ops;
  m.def("reduce_workspace", &workspace, "Bytes that reduce needs.");
  m.def("reduce", &run, "out = finish(scale * op over the dimensions whose bits are set in `reduced`).");
  m.def(
      "arg_reduce_workspace",
      [](bool max, py::handle x, uint32_t reduced) {
        return arg_reduce_workspace(place_arguments(max, to_array(x), reduced));
      },
      "Bytes that arg_reduce needs.");
  m.def("arg_reduce", &run_places, "The largest (smallest) values, or None, and where they are.");
  m.def("scan", &run_scan, "Running sum or product along a dimension.");
}

}  // namespace cuda
}  // namespace fastnn
