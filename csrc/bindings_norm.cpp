// Layer, group and batch normalisation: parsing and checks. What does not fit the kernels goes to the NumPy twin.
#include "fast_functions.h"

namespace fastnn {
namespace {

constexpr int64_t kGilFree = 16384;

// An operand that may be None: null then. False where it is not a float array of this dtype and n elements.
struct Optional {
  ArrayView view;
  py::object keep;
  const void* data = nullptr;
  bool read(PyObject* o, Dtype dtype, int64_t n) {
    if (o == Py_None) return true;
    if (!contiguous(o, view, keep) || view.dtype != dtype || view.size() != n) return false;
    data = view.data;
    return true;
  }
};
bool read_flag(PyObject* o, bool& value) {
  value = o == Py_True;
  return PyBool_Check(o);
}
py::object none() { return py::none(); }
PyObject* tuple(py::object a, py::object b, py::object c) { return py::make_tuple(a, b, c).release().ptr(); }

// x whose last `dims` dimensions are a row. Shape of the statistics: those dimensions are 1.
struct Rows {
  ArrayView x;
  py::object keep;
  int64_t rows = 1, n = 1;
  py::ssize_t shape[32];
  bool read(PyObject* o, PyObject* dims) {
    int64_t count;
    if (!contiguous(o, x, keep) || !read_int(dims, count) || count < 1 || count > x.ndim || x.size() == 0) return false;
    for (int d = 0; d < x.ndim; ++d) {
      const bool inside = d >= x.ndim - count;
      (inside ? n : rows) *= x.shape[d];
      shape[d] = inside ? 1 : x.shape[d];
    }
    return true;
  }
};

// layer_norm(x, dims, weight, bias, eps, centre) -> (y, mean or None, var)
PyObject* layer_norm(PyObject* const* args, Py_ssize_t nargs) {
  Rows r;
  Optional weight, bias;
  LayerNormArgs a{};
  if (nargs != 6 || !r.read(args[0], args[1]) || !weight.read(args[2], r.x.dtype, r.n) ||
      !bias.read(args[3], r.x.dtype, r.n) || !read_number(args[4], a.eps) || !read_flag(args[5], a.centre))
    return nullptr;
  const py::dtype& dtype = numpy_dtype(r.x.dtype);
  const py::object y = new_array(dtype, r.x.shape, r.x.ndim), var = new_array(dtype, r.shape, r.x.ndim);
  const py::object mean = a.centre ? new_array(dtype, r.shape, r.x.ndim) : none();
  a.dtype = r.x.dtype;
  a.rows = r.rows;
  a.n = r.n;
  a.x = r.x.data;
  a.weight = weight.data;
  a.bias = bias.data;
  a.y = data_of(y);
  a.mean = a.centre ? data_of(mean) : nullptr;
  a.var = data_of(var);
  {
    MaybeReleaseGil gil(r.x.size() >= kGilFree);
    kernels().layer_norm(Ctx{num_threads(), nullptr}, a);
  }
  return tuple(y, mean, var);
}

// Which gradients are wanted: a tuple of three bools.
bool read_wanted(PyObject* o, bool (&wanted)[3]) {
  if (!PyTuple_CheckExact(o) || PyTuple_GET_SIZE(o) != 3) return false;
  for (int i = 0; i < 3; ++i)
    if (!read_flag(PyTuple_GET_ITEM(o, i), wanted[i])) return false;
  return true;
}

// layer_norm_backward(dy, x, dims, weight, mean, var, eps, wanted) -> (dx, dweight, dbias), None where not wanted
PyObject* layer_norm_backward(PyObject* const* args, Py_ssize_t nargs) {
  Rows r;
  ArrayView dy;
  py::object keep;
  Optional weight, mean, var;
  LayerNormBackward a{};
  bool wanted[3];
  if (nargs != 8 || !r.read(args[1], args[2]) || !contiguous(args[0], dy, keep) || dy.dtype != r.x.dtype ||
      !same_shape(dy, r.x) || !weight.read(args[3], dy.dtype, r.n) || !mean.read(args[4], dy.dtype, r.rows) ||
      !var.read(args[5], dy.dtype, r.rows) || !var.data || !read_number(args[6], a.eps) ||
      !read_wanted(args[7], wanted))
    return nullptr;
  const py::dtype& dtype = numpy_dtype(dy.dtype);
  const int dims = static_cast<int>(PyLong_AsLong(args[2]));
  const py::ssize_t* const shape = dy.shape + dy.ndim - dims;
  const py::object dx = wanted[0] ? new_array(dtype, dy.shape, dy.ndim) : none();
  const py::object dweight = wanted[1] ? new_array(dtype, shape, dims) : none();
  const py::object dbias = wanted[2] ? new_array(dtype, shape, dims) : none();
  a.dtype = dy.dtype;
  a.rows = r.rows;
  a.n = r.n;
  a.dy = dy.data;
  a.x = r.x.data;
  a.weight = weight.data;
  a.mean = mean.data;
  a.var = var.data;
  a.dx = wanted[0] ? data_of(dx) : nullptr;
  a.dweight = wanted[1] ? data_of(dweight) : nullptr;
  a.dbias = wanted[2] ? data_of(dbias) : nullptr;
  const Workspace scratch(wanted[1] || wanted[2] ? kernels().layer_norm_workspace(a.dtype, a.rows, a.n) : 0);
  {
    MaybeReleaseGil gil(dy.size() >= kGilFree);
    kernels().layer_norm_backward(Ctx{num_threads(), scratch.get()}, a);
  }
  return tuple(dx, dweight, dbias);
}

// x [N, C, *].
struct Channels {
  ArrayView x;
  py::object keep;
  int64_t N, C, L = 1;
  bool read(PyObject* o) {
    if (!contiguous(o, x, keep) || x.ndim < 2 || x.size() == 0) return false;
    N = x.shape[0];
    C = x.shape[1];
    for (int d = 2; d < x.ndim; ++d) L *= x.shape[d];
    return true;
  }
};

using Forward = void (*)(const Ctx&, const ChannelNormArgs&);
using Backward = void (*)(const Ctx&, const ChannelNormBackward&);

PyObject* forward(Forward kernel, const Channels& c, ChannelNormArgs& a, const Optional& weight, const Optional& bias,
                  py::object mean, py::object var) {
  const py::object y = new_array(numpy_dtype(c.x.dtype), c.x.shape, c.x.ndim);
  a.dtype = c.x.dtype;
  a.N = c.N;
  a.C = c.C;
  a.L = c.L;
  a.x = c.x.data;
  a.weight = weight.data;
  a.bias = bias.data;
  a.y = data_of(y);
  const Workspace scratch(kernels().channel_norm_workspace(a.N, a.C, a.L));
  {
    MaybeReleaseGil gil(c.x.size() >= kGilFree);
    kernel(Ctx{num_threads(), scratch.get()}, a);
  }
  return a.given ? py::object(y).release().ptr() : tuple(y, mean, var);
}

PyObject* backward(Backward kernel, const Channels& c, ChannelNormBackward& a, const ArrayView& dy,
                   const Optional& weight, const bool (&wanted)[3]) {
  const py::dtype& dtype = numpy_dtype(dy.dtype);
  const py::ssize_t channels = c.C;
  const py::object dx = wanted[0] ? new_array(dtype, dy.shape, dy.ndim) : none();
  const py::object dweight = wanted[1] ? new_array(dtype, &channels, 1) : none();
  const py::object dbias = wanted[2] ? new_array(dtype, &channels, 1) : none();
  a.dtype = dy.dtype;
  a.N = c.N;
  a.C = c.C;
  a.L = c.L;
  a.dy = dy.data;
  a.x = c.x.data;
  a.weight = weight.data;
  a.dx = wanted[0] ? data_of(dx) : nullptr;
  a.dweight = wanted[1] ? data_of(dweight) : nullptr;
  a.dbias = wanted[2] ? data_of(dbias) : nullptr;
  const Workspace scratch(kernels().channel_norm_workspace(a.N, a.C, a.L));
  {
    MaybeReleaseGil gil(dy.size() >= kGilFree);
    kernel(Ctx{num_threads(), scratch.get()}, a);
  }
  return tuple(dx, dweight, dbias);
}

// group_norm(x, groups, weight, bias, eps) -> (y, mean, var), the statistics [N, groups]
PyObject* group_norm(PyObject* const* args, Py_ssize_t nargs) {
  Channels c;
  Optional weight, bias;
  ChannelNormArgs a{};
  if (nargs != 5 || !c.read(args[0]) || !read_int(args[1], a.groups) || a.groups < 1 || c.C % a.groups ||
      !weight.read(args[2], c.x.dtype, c.C) || !bias.read(args[3], c.x.dtype, c.C) || !read_number(args[4], a.eps))
    return nullptr;
  const py::ssize_t shape[2] = {c.N, a.groups};
  const py::object mean = new_array(numpy_dtype(c.x.dtype), shape, 2),
                   var = new_array(numpy_dtype(c.x.dtype), shape, 2);
  a.mean = data_of(mean);
  a.var = data_of(var);
  return forward(kernels().group_norm, c, a, weight, bias, mean, var);
}

// group_norm_backward(dy, x, groups, weight, mean, var, eps, wanted)
PyObject* group_norm_backward(PyObject* const* args, Py_ssize_t nargs) {
  Channels c;
  ArrayView dy;
  py::object keep;
  Optional weight, mean, var;
  ChannelNormBackward a{};
  bool wanted[3];
  if (nargs != 8 || !c.read(args[1]) || !contiguous(args[0], dy, keep) || dy.dtype != c.x.dtype ||
      !same_shape(dy, c.x) || !read_int(args[2], a.groups) || a.groups < 1 || c.C % a.groups ||
      !weight.read(args[3], dy.dtype, c.C) || !mean.read(args[4], dy.dtype, c.N * a.groups) || !mean.data ||
      !var.read(args[5], dy.dtype, c.N * a.groups) || !var.data || !read_number(args[6], a.eps) ||
      !read_wanted(args[7], wanted))
    return nullptr;
  a.mean = mean.data;
  a.var = var.data;
  return backward(kernels().group_norm_backward, c, a, dy, weight, wanted);
}

// batch_norm(x, weight, bias, eps) -> (y, mean, var), the statistics [C]
PyObject* batch_norm(PyObject* const* args, Py_ssize_t nargs) {
  Channels c;
  Optional weight, bias;
  ChannelNormArgs a{};
  if (nargs != 4 || !c.read(args[0]) || !weight.read(args[1], c.x.dtype, c.C) || !bias.read(args[2], c.x.dtype, c.C) ||
      !read_number(args[3], a.eps))
    return nullptr;
  const py::ssize_t channels = c.C;
  const py::object mean = new_array(numpy_dtype(c.x.dtype), &channels, 1),
                   var = new_array(numpy_dtype(c.x.dtype), &channels, 1);
  a.mean = data_of(mean);
  a.var = data_of(var);
  return forward(kernels().batch_norm, c, a, weight, bias, mean, var);
}

// batch_norm_eval(x, mean, var, weight, bias, eps) -> y
PyObject* batch_norm_eval(PyObject* const* args, Py_ssize_t nargs) {
  Channels c;
  Optional weight, bias, mean, var;
  ChannelNormArgs a{};
  if (nargs != 6 || !c.read(args[0]) || !mean.read(args[1], c.x.dtype, c.C) || !mean.data ||
      !var.read(args[2], c.x.dtype, c.C) || !var.data || !weight.read(args[3], c.x.dtype, c.C) ||
      !bias.read(args[4], c.x.dtype, c.C) || !read_number(args[5], a.eps))
    return nullptr;
  a.given = true;
  a.mean = const_cast<void*>(mean.data);
  a.var = const_cast<void*>(var.data);
  return forward(kernels().batch_norm, c, a, weight, bias, none(), none());
}

// batch_norm_backward(dy, x, weight, mean, var, eps, training, wanted)
PyObject* batch_norm_backward(PyObject* const* args, Py_ssize_t nargs) {
  Channels c;
  ArrayView dy;
  py::object keep;
  Optional weight, mean, var;
  ChannelNormBackward a{};
  bool wanted[3], training;
  if (nargs != 8 || !c.read(args[1]) || !contiguous(args[0], dy, keep) || dy.dtype != c.x.dtype ||
      !same_shape(dy, c.x) || !weight.read(args[2], dy.dtype, c.C) || !mean.read(args[3], dy.dtype, c.C) ||
      !mean.data || !var.read(args[4], dy.dtype, c.C) || !var.data || !read_number(args[5], a.eps) ||
      !read_flag(args[6], training) || !read_wanted(args[7], wanted))
    return nullptr;
  a.given = !training;
  a.mean = mean.data;
  a.var = var.data;
  return backward(kernels().batch_norm_backward, c, a, dy, weight, wanted);
}

constexpr FastFunction functions[] = {
    {"layer_norm", &layer_norm},           {"layer_norm_backward", &layer_norm_backward},
    {"group_norm", &group_norm},           {"group_norm_backward", &group_norm_backward},
    {"batch_norm", &batch_norm},           {"batch_norm_backward", &batch_norm_backward},
    {"batch_norm_eval", &batch_norm_eval},
};
}  // namespace

void bind_norm(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.normalization."); }

}  // namespace fastnn
