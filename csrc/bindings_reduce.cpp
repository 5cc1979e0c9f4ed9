// Reductions: parsing, and what follows the sums (mean, var, norm). Integers, other norms and reductions of nothing go
// to the NumPy twin.
#include <cmath>
#include <cstring>

#include "fast_functions.h"
#include "reduce_driver.h"

namespace fastnn {
namespace {

constexpr int64_t kGilFree = 65536;  // elements

// x as a Reduction; the array is copied where its layout asks for it, and `keep` then owns the copy.
struct Input {
  ArrayView view;
  Reduction r;
  bool keepdim = false;
  py::object keep;

  // dim: None, an int, or a tuple of ints, all in range. False: not for us.
  bool read(PyObject* x, PyObject* dim) {
    if (!view_float(x, view)) return false;
    r.ndim = view.ndim;
    r.reduced = 0;
    if (dim == Py_None) {
      r.reduced = static_cast<uint32_t>((uint64_t(1) << view.ndim) - 1);
    } else if (PyTuple_CheckExact(dim)) {
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(dim); ++i)
        if (!add_dim(PyTuple_GET_ITEM(dim, i))) return false;
    } else if (!add_dim(dim)) {
      return false;
    }
    fill();
    return view.size() > 0;
  }
  bool add_dim(PyObject* o) {
    if (!PyLong_CheckExact(o)) return false;
    const long d = PyLong_AsLong(o);
    if (d == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      return false;
    }
    if (view.ndim == 0 && d == 0) return true;
    if (d < 0 || d >= view.ndim || (r.reduced >> d & 1)) return false;
    r.reduced |= 1u << d;
    return true;
  }
  // Shape and strides of the view; a copy first where strides are no multiples of an element or nothing is contiguous.
  void fill() {
    const int64_t item = static_cast<int64_t>(size_of(view.dtype));
    bool whole = reinterpret_cast<uintptr_t>(view.data) % static_cast<uintptr_t>(item) == 0;
    for (int d = 0; d < view.ndim; ++d) whole &= view.strides[d] % item == 0;
    if (whole) set();
    if (!whole || !can_reduce(r)) {
      copy_view(view, keep);
      set();
    }
  }
  void set() {
    r.dtype = view.dtype;
    r.x = view.data;
    const int64_t item = static_cast<int64_t>(size_of(view.dtype));
    for (int d = 0; d < view.ndim; ++d) {
      r.shape[d] = view.shape[d];
      r.strides[d] = view.shape[d] == 1 ? 0 : view.strides[d] / item;
    }
  }
  PyObject* result(Dtype dtype) const {
    py::ssize_t shape[kReduceMaxDims];
    int n = 0;
    for (int d = 0; d < view.ndim; ++d) {
      if (!(r.reduced >> d & 1)) {
        shape[n++] = view.shape[d];
      } else if (keepdim) {
        shape[n++] = 1;
      }
    }
    return new_array(numpy_dtype(dtype), shape, n).release().ptr();
  }
};

char* data_of(PyObject* array) { return py::detail::array_proxy(array)->data; }

template <class T, class F>
void each(PyObject* array, int64_t n, const F& f) {
  T* p = reinterpret_cast<T*>(data_of(array));
  for (int64_t i = 0; i < n; ++i) p[i] = f(p[i]);
}
template <class F>
void each(PyObject* array, Dtype dtype, int64_t n, const F& f) {
  dtype == Dtype::F32 ? each<float>(array, n, f) : each<double>(array, n, f);
}

PyObject* reduced(Input& in, Reduce op, const void* centre = nullptr) {
  in.r.op = op;
  py::object out = py::reinterpret_steal<py::object>(in.result(in.view.dtype));
  {
    MaybeReleaseGil gil(in.view.size() >= kGilFree);
    reduce(in.r, centre, data_of(out.ptr()));
  }
  return out.release().ptr();
}

bool read_flag(PyObject* o, bool& flag) {
  if (!PyBool_Check(o)) return false;
  flag = o == Py_True;
  return true;
}

// Each gives null without an error where the twin must do it. args are x, dim, keepdim unless said otherwise.

template <Reduce op>
PyObject* simple(PyObject* const* args, Py_ssize_t n) {
  Input in;
  if (n < 1 || n > 3 || (n > 2 && !read_flag(args[2], in.keepdim)) || !in.read(args[0], n > 1 ? args[1] : Py_None))
    return nullptr;
  return reduced(in, op);
}

PyObject* mean(PyObject* const* args, Py_ssize_t n) {
  Input in;
  if (n < 1 || n > 3 || (n > 2 && !read_flag(args[2], in.keepdim)) || !in.read(args[0], n > 1 ? args[1] : Py_None))
    return nullptr;
  PyObject* out = reduced(in, Reduce::Sum);
  const int64_t length = in.r.length();
  each(out, in.view.dtype, in.r.outputs(), [&](auto v) { return v / static_cast<decltype(v)>(length); });
  return out;
}

// var(x, dim, correction, keepdim)
PyObject* var(PyObject* const* args, Py_ssize_t n) {
  Input in;
  double correction = 1;
  if (n < 1 || n > 4 || (n > 2 && !read_number(args[2], correction)) || (n > 3 && !read_flag(args[3], in.keepdim)) ||
      !in.read(args[0], n > 1 ? args[1] : Py_None))
    return nullptr;
  const int64_t length = in.r.length(), outputs = in.r.outputs();
  const py::object centre = py::reinterpret_steal<py::object>(reduced(in, Reduce::Sum));
  each(centre.ptr(), in.view.dtype, outputs, [&](auto v) { return v / static_cast<decltype(v)>(length); });
  PyObject* out = reduced(in, Reduce::SumSquareDiff, data_of(centre.ptr()));
  const double count = static_cast<double>(length) - correction;
  each(out, in.view.dtype, outputs, [&](auto v) { return v / static_cast<decltype(v)>(count > 0 ? count : 0); });
  return out;
}

// norm(x, p, dim, keepdim)
PyObject* norm(PyObject* const* args, Py_ssize_t n) {
  Input in;
  double p = 2;
  if (n < 1 || n > 4 || (n > 1 && !read_number(args[1], p)) || (n > 3 && !read_flag(args[3], in.keepdim)) ||
      !(p == 1 || p == 2 || std::isinf(p)) || !in.read(args[0], n > 2 ? args[2] : Py_None))
    return nullptr;
  if (p == 1) return reduced(in, Reduce::SumAbs);
  if (p != 2) return reduced(in, p > 0 ? Reduce::MaxAbs : Reduce::MinAbs);
  PyObject* out = reduced(in, Reduce::SumSquare);
  each(out, in.view.dtype, in.r.outputs(), [](auto v) { return std::sqrt(v); });
  return out;
}

// sum_to(x, shape)
PyObject* sum_to(PyObject* const* args, Py_ssize_t n) {
  ArrayView v;
  if (n != 2 || !PyTuple_CheckExact(args[1]) || !view_float(args[0], v)) return nullptr;
  const int ndim = static_cast<int>(PyTuple_GET_SIZE(args[1])), lead = v.ndim - ndim;
  if (lead < 0) return nullptr;
  py::ssize_t shape[kReduceMaxDims];
  uint32_t reduced_dims = static_cast<uint32_t>((uint64_t(1) << lead) - 1);
  for (int i = 0; i < ndim; ++i) {
    PyObject* o = PyTuple_GET_ITEM(args[1], i);
    if (!PyLong_CheckExact(o)) return nullptr;
    shape[i] = PyLong_AsSsize_t(o);
    if (shape[i] == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      return nullptr;
    }
    const int64_t have = v.shape[lead + i];
    if (shape[i] != have) {
      if (shape[i] != 1) return nullptr;
      reduced_dims |= 1u << (lead + i);
    }
  }
  if (!reduced_dims) return Py_NewRef(args[0]);
  if (v.size() == 0) return nullptr;
  Input in;
  in.view = v;
  in.r.ndim = v.ndim;
  in.r.reduced = reduced_dims;
  in.r.op = Reduce::Sum;
  in.fill();
  py::object out = new_array(numpy_dtype(v.dtype), shape, ndim);
  {
    MaybeReleaseGil gil(v.size() >= kGilFree);
    reduce(in.r, nullptr, data_of(out.ptr()));
  }
  return out.release().ptr();
}

// argmax(x, dim, keepdim) -> indices; max_dim(x, dim, keepdim) -> (values, indices).
PyObject* places(bool max, bool with_values, PyObject* const* args, Py_ssize_t n) {
  Input in;
  PyObject* dim = n > 1 ? args[1] : Py_None;
  if (n < 1 || n > 3 || (n > 2 && !read_flag(args[2], in.keepdim)) || PyTuple_Check(dim) ||
      (with_values && dim == Py_None) || !in.read(args[0], dim))
    return nullptr;
  make_contiguous(in.view, in.keep);
  int64_t outer = 1, length = 1, inner = 1;
  for (int d = 0; d < in.view.ndim; ++d) {
    if (in.r.reduced >> d & 1) {
      length *= in.view.shape[d];
    } else {
      (in.r.reduced & ((1u << d) - 1) ? inner : outer) *= in.view.shape[d];
    }
  }
  const py::object indices = py::reinterpret_steal<py::object>(in.result(Dtype::I64));
  const py::object values = py::reinterpret_steal<py::object>(in.result(in.view.dtype));
  const int64_t item = static_cast<int64_t>(size_of(in.view.dtype));
  int64_t* const places = reinterpret_cast<int64_t*>(data_of(indices.ptr()));
  char* const extremes = data_of(values.ptr());
  const char* const x = in.view.data;
  {
    MaybeReleaseGil gil(in.view.size() >= kGilFree);
    const Kernels& k = kernels();
    const int64_t work = 32768;
    if (inner == 1) {
      const int64_t rows = std::max<int64_t>(1, work / length);
      parallel_for((outer + rows - 1) / rows, [&](int64_t i, int) {
        const int64_t begin = i * rows;
        k.arg_reduce_rows({in.view.dtype, max, x + begin * length * item, std::min(rows, outer - begin), length, length,
                           extremes + begin * item, places + begin});
      });
    } else {
      const int64_t width = std::min<int64_t>(inner, 1024), blocks = (inner + width - 1) / width;
      const int64_t group = std::max<int64_t>(1, work / (length * width)), tasks = outer * blocks;
      parallel_for((tasks + group - 1) / group, [&](int64_t g, int) {
        for (int64_t i = g * group; i < std::min(tasks, (g + 1) * group); ++i) {
          const int64_t o = i / blocks, column = i % blocks * width;
          k.arg_reduce_columns({in.view.dtype, max, x + (o * length * inner + column) * item, length,
                                std::min(width, inner - column), inner, extremes + (o * inner + column) * item,
                                places + o * inner + column});
        }
      });
    }
  }
  return with_values ? PyTuple_Pack(2, values.ptr(), indices.ptr()) : Py_NewRef(indices.ptr());
}
PyObject* argmax(PyObject* const* args, Py_ssize_t n) { return places(true, false, args, n); }
PyObject* argmin(PyObject* const* args, Py_ssize_t n) { return places(false, false, args, n); }
PyObject* max_dim(PyObject* const* args, Py_ssize_t n) { return places(true, true, args, n); }
PyObject* min_dim(PyObject* const* args, Py_ssize_t n) { return places(false, true, args, n); }

constexpr FastFunction functions[] = {
    {"sum", &simple<Reduce::Sum>},
    {"prod", &simple<Reduce::Prod>},
    {"amax", &simple<Reduce::Max>},
    {"amin", &simple<Reduce::Min>},
    {"mean", &mean},
    {"var", &var},
    {"norm", &norm},
    {"sum_to", &sum_to},
    {"argmax", &argmax},
    {"argmin", &argmin},
    {"max_dim", &max_dim},
    {"min_dim", &min_dim},
};
}  // namespace

void bind_reduce(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.reduce."); }

}  // namespace fastnn
