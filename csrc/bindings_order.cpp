// sort, topk, kthvalue: parsing, checks and scratch. What is not here - other dtypes, no elements - the twins do.
#include <algorithm>

#include "fast_functions.h"
#include "order.h"

namespace fastnn {
namespace {

constexpr int64_t kGilFree = 2048;

// (values, indices) of x along dim; null where no kernel is for it.
PyObject* ordered(PyObject* array, PyObject* dim_object, Order order, int64_t k, bool descending) {
  ArrayView x;
  py::object keep;
  int64_t dim;
  if (!read_int(dim_object, dim) || !view_array(array, x) || dim < 0 || dim >= x.ndim) return nullptr;
  make_contiguous(x, keep);
  OrderArgs a{};
  a.dtype = x.dtype;
  a.order = order;
  a.descending = descending;
  a.outer = a.inner = 1;
  a.n = x.shape[dim];
  a.k = k;
  for (int i = 0; i < dim; ++i) a.outer *= x.shape[i];
  for (int i = static_cast<int>(dim) + 1; i < x.ndim; ++i) a.inner *= x.shape[i];
  if (order == Order::Sort) a.k = a.n;
  if (!a.outer || !a.inner || a.n < 1 || a.n >= int64_t(1) << 32 || a.k < 1 || a.k > a.n) return nullptr;
  py::ssize_t shape[32];
  std::copy(x.shape, x.shape + x.ndim, shape);
  shape[dim] = order == Order::Kth ? 1 : a.k;
  py::object values = new_array(numpy_dtype(x.dtype), shape, x.ndim);
  py::object indices = new_array(numpy_dtype(Dtype::I64), shape, x.ndim);
  a.x = x.data;
  a.values = data_of(values);
  a.indices = reinterpret_cast<int64_t*>(data_of(indices));
  const int threads = num_threads();
  {
    const Workspace workspace(order_workspace(a, a.outer * a.inner == 1 ? 1 : threads));
    MaybeReleaseGil gil(a.outer * a.n * a.inner >= kGilFree);
    order_lines(a, workspace.get());
  }
  PyObject* pair = PyTuple_New(2);
  if (!pair) throw py::error_already_set();
  PyTuple_SET_ITEM(pair, 0, values.release().ptr());
  PyTuple_SET_ITEM(pair, 1, indices.release().ptr());
  return pair;
}

// sort(x, dim, descending) -> (values, indices)
PyObject* sort(PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 3 || !PyBool_Check(args[2])) return nullptr;
  return ordered(args[0], args[1], Order::Sort, 1, args[2] == Py_True);
}

// topk(x, k, dim, largest) -> (values, indices)
PyObject* topk(PyObject* const* args, Py_ssize_t nargs) {
  int64_t k;
  if (nargs != 4 || !read_int(args[1], k) || !PyBool_Check(args[3])) return nullptr;
  return ordered(args[0], args[2], Order::First, k, args[3] == Py_True);
}

// kthvalue(x, k, dim) -> (values, indices), both with dim as 1
PyObject* kthvalue(PyObject* const* args, Py_ssize_t nargs) {
  int64_t k;
  if (nargs != 3 || !read_int(args[1], k)) return nullptr;
  return ordered(args[0], args[2], Order::Kth, k, false);
}

constexpr FastFunction functions[] = {{"sort", &sort}, {"topk", &topk}, {"kthvalue", &kthvalue}};
}  // namespace

void bind_order(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.order."); }

}  // namespace fastnn
