// gather, scatter, index_select and running totals: parsing and checks. An index outside its dimension raises after the
// kernel has left it out, and before anything that a caller could see was written: results are fresh arrays.
#include <algorithm>
#include <cstring>

#include "along.h"
#include "fast_functions.h"

namespace fastnn {
namespace {

constexpr int64_t kGilFree = 16384;

bool aligned(const ArrayView& v) { return v.flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_; }
bool view_aligned(PyObject* o, ArrayView& v) { return view_array(o, v) && aligned(v); }
bool view_index(PyObject* o, ArrayView& v) { return view_aligned(o, v) && v.dtype == Dtype::I64; }
void contiguous_strides(const py::ssize_t* shape, int ndim, int64_t item, int64_t* strides) {
  for (int d = ndim - 1; d >= 0; --d) {
    strides[d] = item;
    item *= shape[d];
  }
}

// The operands' part that all share; false where index does not fit x.
bool describe(const py::ssize_t* shape, int ndim, int64_t dim, const ArrayView& index, AlongArgs& a) {
  if (dim < 0 || dim >= ndim || index.ndim != ndim) return false;
  a.ndim = ndim;
  for (int d = 0; d < ndim; ++d) {
    if (d != dim && index.shape[d] > shape[d]) return false;
    a.shape[d] = index.shape[d];
    a.index_strides[d] = index.shape[d] == 1 ? 0 : index.strides[d];
  }
  a.index = index.data;
  a.n = shape[dim];
  return true;
}
void strides_of_x(const int64_t* strides, int64_t dim, AlongArgs& a) {
  std::copy(strides, strides + a.ndim, a.x_strides);
  a.step = a.x_strides[dim];
  a.x_strides[dim] = 0;
}

// Runs it, and names the index that is wrong.
void run(const AlongArgs& a, const ArrayView& index, int64_t dim, PyObject* error, const char* function) {
  int64_t total = 1;
  for (int d = 0; d < a.ndim; ++d) total *= a.shape[d];
  bool good;
  {
    MaybeReleaseGil gil(total >= kGilFree);
    good = along(a);
  }
  if (good) return;
  const py::object low = py::reinterpret_borrow<py::object>(index.object).attr("min")();
  const int64_t least = low.cast<int64_t>();
  const int64_t bad =
      least < 0 ? least : py::reinterpret_borrow<py::object>(index.object).attr("max")().cast<int64_t>();
  PyErr_Format(error, "%s(): index %lld is out of bounds for dimension %lld with size %lld", function,
               static_cast<long long>(bad), static_cast<long long>(dim), static_cast<long long>(a.n));
  throw py::error_already_set();
}

// gather(x, dim, index)
PyObject* gather(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x, index;
  int64_t dim;
  AlongArgs a{};
  if (nargs != 3 || !view_aligned(args[0], x) || !read_int(args[1], dim) || !view_index(args[2], index) ||
      !describe(x.shape, x.ndim, dim, index, a))
    return nullptr;
  py::object out = new_array(numpy_dtype(x.dtype), index.shape, index.ndim);
  a.op = Along::Read;
  a.dtype = x.dtype;
  a.x = x.data;
  a.other = data_of(out);
  int64_t strides[kMaxDims];
  std::copy(x.strides, x.strides + x.ndim, strides);
  strides_of_x(strides, dim, a);
  contiguous_strides(index.shape, index.ndim, static_cast<int64_t>(size_of(x.dtype)), a.other_strides);
  run(a, index, dim, PyExc_RuntimeError, "gather");
  return out.release().ptr();
}

// index_select(x, dim, index): index [m]
PyObject* index_select(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x, index;
  int64_t dim;
  if (nargs != 3 || !view_aligned(args[0], x) || !read_int(args[1], dim) || !view_index(args[2], index) ||
      index.ndim != 1 || dim < 0 || dim >= x.ndim)
    return nullptr;
  py::ssize_t shape[kMaxDims];
  std::copy(x.shape, x.shape + x.ndim, shape);
  shape[dim] = index.shape[0];
  py::object out = new_array(numpy_dtype(x.dtype), shape, x.ndim);
  AlongArgs a{};
  a.op = Along::Read;
  a.dtype = x.dtype;
  a.ndim = x.ndim;
  std::copy(shape, shape + x.ndim, a.shape);
  a.index_strides[dim] = index.shape[0] == 1 ? 0 : index.strides[0];
  a.index = index.data;
  a.n = x.shape[dim];
  a.x = x.data;
  a.other = data_of(out);
  int64_t strides[kMaxDims];
  std::copy(x.strides, x.strides + x.ndim, strides);
  strides_of_x(strides, dim, a);
  contiguous_strides(shape, x.ndim, static_cast<int64_t>(size_of(x.dtype)), a.other_strides);
  run(a, index, dim, PyExc_IndexError, "index_select");
  return out.release().ptr();
}

// values, an array at least as large as the index, added to (written into ...) out.
bool describe_values(PyObject* o, Dtype dtype, const ArrayView& index, ArrayView& values, AlongArgs& a) {
  if (!view_aligned(o, values) || values.dtype != dtype || values.ndim != index.ndim) return false;
  for (int d = 0; d < index.ndim; ++d) {
    if (values.shape[d] < index.shape[d]) return false;
    a.other_strides[d] = values.strides[d];
  }
  a.other = values.data;
  return true;
}
bool read_op(PyObject* o, Along& op) {
  if (o == Py_None) {
    op = Along::Write;
    return true;
  }
  constexpr struct {
    const char* name;
    Along op;
  } known[] = {{"add", Along::Add}, {"multiply", Along::Mul}, {"amax", Along::Max}, {"amin", Along::Min}};
  for (const auto& k : known)
    if (PyUnicode_Check(o) && PyUnicode_CompareWithASCIIString(o, k.name) == 0) {
      op = k.op;
      return true;
    }
  return false;
}

// scatter(x, dim, index, values, reduce=None): values an array, or a number
PyObject* scatter(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x, index, values;
  int64_t dim;
  AlongArgs a{};
  if (nargs < 4 || nargs > 5 || !view_aligned(args[0], x) || !read_int(args[1], dim) || !view_index(args[2], index) ||
      !describe(x.shape, x.ndim, dim, index, a) || !read_op(nargs == 5 ? args[4] : Py_None, a.op) ||
      (x.dtype == Dtype::Bool && a.op != Along::Write))
    return nullptr;
  char number[8];
  if (!describe_values(args[3], x.dtype, index, values, a)) {
    double real = 0;
    int64_t whole = 0;
    const bool is_whole = PyBool_Check(args[3]) ? (whole = args[3] == Py_True, true) : read_int(args[3], whole);
    if (x.dtype == Dtype::I64) {
      if (!is_whole) return nullptr;
      std::memcpy(number, &whole, 8);
    } else {
      if (!read_number(args[3], real)) return nullptr;
      const float single = static_cast<float>(real);
      number[0] = real != 0;
      if (x.dtype == Dtype::F64) std::memcpy(number, &real, 8);
      if (x.dtype == Dtype::F32) std::memcpy(number, &single, 4);
    }
    a.other = number;
  }
  py::object out = py::reinterpret_steal<py::object>(contiguous_copy(x.object));
  a.dtype = x.dtype;
  a.x = data_of(out);
  int64_t strides[kMaxDims];
  contiguous_strides(x.shape, x.ndim, static_cast<int64_t>(size_of(x.dtype)), strides);
  strides_of_x(strides, dim, a);
  run(a, index, dim, PyExc_RuntimeError,
      a.op == Along::Write ? "scatter"
      : a.op == Along::Add ? "scatter_add"
                           : "scatter_reduce");
  return out.release().ptr();
}

// scatter_add_zeros(dy, shape, dim, index)
PyObject* scatter_add_zeros(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView dy, index;
  int64_t dim;
  AlongArgs a{};
  if (nargs != 4 || !view_aligned(args[0], dy) || dy.dtype == Dtype::Bool || !PyTuple_CheckExact(args[1]) ||
      !read_int(args[2], dim) || !view_index(args[3], index))
    return nullptr;
  const auto ndim = static_cast<int>(PyTuple_GET_SIZE(args[1]));
  py::ssize_t shape[kMaxDims];
  if (ndim > kMaxDims) return nullptr;
  for (int d = 0; d < ndim; ++d) {
    int64_t n;
    if (!read_int(PyTuple_GET_ITEM(args[1], d), n) || n < 0) return nullptr;
    shape[d] = n;
  }
  if (!describe(shape, ndim, dim, index, a) || !describe_values(args[0], dy.dtype, index, dy, a)) return nullptr;
  py::object out = new_array(numpy_dtype(dy.dtype), shape, ndim);
  int64_t strides[kMaxDims], total = 1;
  contiguous_strides(shape, ndim, static_cast<int64_t>(size_of(dy.dtype)), strides);
  for (int d = 0; d < ndim; ++d) total *= shape[d];
  std::memset(data_of(out), 0, static_cast<size_t>(total) * size_of(dy.dtype));
  a.op = Along::Add;
  a.dtype = dy.dtype;
  a.x = data_of(out);
  strides_of_x(strides, dim, a);
  run(a, index, dim, PyExc_RuntimeError, "scatter_add");
  return out.release().ptr();
}

// index_within(index, n)
PyObject* within(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView index;
  int64_t n;
  if (nargs != 2 || !view_index(args[0], index) || !read_int(args[1], n)) return nullptr;
  int64_t shape[kMaxDims], strides[kMaxDims];
  std::copy(index.shape, index.shape + index.ndim, shape);
  std::copy(index.strides, index.strides + index.ndim, strides);
  return PyBool_FromLong(index_within(index.data, index.ndim, shape, strides, n));
}

template <bool Product, bool Reverse>
PyObject* running(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x;
  int64_t dim;
  if (nargs != 2 || !view_array(args[0], x) || !read_int(args[1], dim) || dim < 0 || dim >= x.ndim) return nullptr;
  py::object keep;
  make_contiguous(x, keep);
  py::object out = new_array(numpy_dtype(x.dtype == Dtype::Bool ? Dtype::I64 : x.dtype), x.shape, x.ndim);
  ScanArgs s{};
  s.dtype = x.dtype;
  s.product = Product;
  s.reverse = Reverse;
  s.outer = s.inner = 1;
  s.n = x.shape[dim];
  for (int d = 0; d < dim; ++d) s.outer *= x.shape[d];
  for (int d = static_cast<int>(dim) + 1; d < x.ndim; ++d) s.inner *= x.shape[d];
  s.x = x.data;
  s.out = data_of(out);
  const int64_t size = s.outer * s.n * s.inner;
  if (size) {
    MaybeReleaseGil gil(size >= kGilFree);
    scan(s);
  }
  return out.release().ptr();
}

constexpr FastFunction functions[] = {{"gather", &gather},
                                      {"index_select", &index_select},
                                      {"index_within", &within},
                                      {"scatter", &scatter},
                                      {"scatter_add_zeros", &scatter_add_zeros},
                                      {"cumsum", &running<false, false>},
                                      {"cumprod", &running<true, false>},
                                      {"cumsum_backward", &running<false, true>}};
}  // namespace

void bind_index(py::module_& m) {
  FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.array and reduce.");
}

}  // namespace fastnn
