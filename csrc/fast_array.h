// For bindings of small ops, whose calls cost as much as their work: arrays read through NumPy's own structs, plain C
// functions (METH_FASTCALL) instead of pybind11's dispatch, and what a native kernel does not cover handed to the NumPy
// twin of the same name, which also raises the errors.
#pragma once
#include "bindings.h"
#include "strided_copy.h"

namespace fastnn {

// NumPy's objects, looked up once.
struct NumpyObjects {
  PyTypeObject* array = py::detail::npy_api::get().PyArray_Type_;
  py::dtype f32 = py::dtype::of<float>(), f64 = py::dtype::of<double>(), i64 = py::dtype::of<int64_t>(),
            boolean = py::dtype::of<bool>();
};
inline const NumpyObjects& numpy_objects() {
  static const NumpyObjects* const objects = new NumpyObjects;  // never destroyed: the interpreter may be gone by then
  return *objects;
}

inline size_t size_of(Dtype d) { return d == Dtype::F64 || d == Dtype::I64 ? 8 : d == Dtype::F32 ? 4 : 1; }
inline const py::dtype& numpy_dtype(Dtype d) {
  const NumpyObjects& o = numpy_objects();
  return d == Dtype::F32 ? o.f32 : d == Dtype::F64 ? o.f64 : d == Dtype::I64 ? o.i64 : o.boolean;
}

// An ndarray of one of the dtypes that the kernels take.
struct ArrayView {
  PyObject* object;
  char* data;
  int ndim;
  const py::ssize_t *shape, *strides;  // strides in bytes
  int flags;
  Dtype dtype;

  bool contiguous() const { return flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_; }
  bool writeable() const { return flags & py::detail::npy_api::NPY_ARRAY_WRITEABLE_; }
  int64_t size() const {
    int64_t n = 1;
    for (int i = 0; i < ndim; ++i) n *= shape[i];
    return n;
  }
};

// False where o is not exactly an ndarray of native F32, F64, I64 or Bool with at most 32 dimensions.
inline bool view_array(PyObject* o, ArrayView& v) {
  const NumpyObjects& known = numpy_objects();
  if (Py_TYPE(o) != known.array) return false;
  const py::detail::PyArray_Proxy* a = py::detail::array_proxy(o);
  if (a->descr == known.f32.ptr()) {
    v.dtype = Dtype::F32;
  } else if (a->descr == known.f64.ptr()) {
    v.dtype = Dtype::F64;
  } else {  // other dtypes, and copies of these descriptors (unpickled arrays have them)
    const auto* d = py::detail::array_descriptor_proxy(a->descr);
    if (d->byteorder != '=' && d->byteorder != '|') return false;
    using npy = py::detail::npy_api;
    switch (d->type_num) {
      case npy::NPY_FLOAT_:
        v.dtype = Dtype::F32;
        break;
      case npy::NPY_DOUBLE_:
        v.dtype = Dtype::F64;
        break;
      case npy::NPY_INT64_:
        v.dtype = Dtype::I64;
        break;
      case npy::NPY_BOOL_:
        v.dtype = Dtype::Bool;
        break;
      default:
        return false;
    }
  }
  if (a->nd > 32) return false;
  v.object = o;
  v.data = a->data;
  v.ndim = a->nd;
  v.shape = reinterpret_cast<const py::ssize_t*>(a->dimensions);
  v.strides = reinterpret_cast<const py::ssize_t*>(a->strides);
  v.flags = a->flags;
  return true;
}
inline bool view_float(PyObject* o, ArrayView& v) {
  return view_array(o, v) && (v.dtype == Dtype::F32 || v.dtype == Dtype::F64);
}
inline bool same_shape(const ArrayView& a, const ArrayView& b) {
  if (a.ndim != b.ndim) return false;
  for (int i = 0; i < a.ndim; ++i)
    if (a.shape[i] != b.shape[i]) return false;
  return true;
}

// A Python int, float or bool, exactly: NumPy's scalars have a dtype of their own to bring in.
inline bool read_number(PyObject* o, double& value) {
  if (PyFloat_CheckExact(o)) {
    value = PyFloat_AS_DOUBLE(o);
    return true;
  }
  if (PyLong_CheckExact(o) || PyBool_Check(o)) {
    value = PyLong_AsDouble(o);
    if (value == -1.0 && PyErr_Occurred()) {
      PyErr_Clear();
      return false;
    }
    return true;
  }
  return false;
}

inline char* data_of(const py::object& array) { return py::detail::array_proxy(array.ptr())->data; }

// The same elements, C-contiguous in a fresh array that `keep` owns.
inline void copy_view(ArrayView& v, py::object& keep) {
  keep = py::reinterpret_steal<py::object>(contiguous_copy(v.object));
  view_array(keep.ptr(), v);
}
// The same elements, C-contiguous and aligned; `keep` owns the copy where one was needed.
inline void make_contiguous(ArrayView& v, py::object& keep) {
  if (!v.contiguous() || reinterpret_cast<uintptr_t>(v.data) % size_of(v.dtype)) copy_view(v, keep);
}
// A contiguous view of a float array.
inline bool contiguous(PyObject* o, ArrayView& v, py::object& keep) {
  if (!view_float(o, v)) return false;
  make_contiguous(v, keep);
  return true;
}
// A contiguous view of an int64 array.
inline bool contiguous_ids(PyObject* o, ArrayView& v, py::object& keep) {
  if (!view_array(o, v) || v.dtype != Dtype::I64) return false;
  make_contiguous(v, keep);
  return true;
}

inline bool read_int(PyObject* o, int64_t& value) {
  if (!PyLong_CheckExact(o)) return false;
  value = PyLong_AsLongLong(o);
  if (value == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    return false;
  }
  return true;
}

// The integers of a tuple of exactly n.
inline bool read_ints(PyObject* o, int n, int64_t* to) {
  if (!PyTuple_CheckExact(o) || PyTuple_GET_SIZE(o) != n) return false;
  for (int i = 0; i < n; ++i)
    if (!read_int(PyTuple_GET_ITEM(o, i), to[i])) return false;
  return true;
}

// fastnn.backend.numpy_kernels.<name>, looked up once; borrowed, null with an error set.
PyObject* twin(const char* name, PyObject*& cache);

// Adds C functions to the module; the table must live as long as the program.
void add_functions(py::module_& m, PyMethodDef* table);

// A C++ exception in a C function becomes Python's.
template <class F>
PyObject* guarded(const F& f) {
  try {
    return f();
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
  return nullptr;
}

// Releases the GIL where the work is worth it.
class MaybeReleaseGil {
 public:
  explicit MaybeReleaseGil(bool release) : state_(release ? PyEval_SaveThread() : nullptr) {}
  ~MaybeReleaseGil() {
    if (state_) PyEval_RestoreThread(state_);
  }
  MaybeReleaseGil(const MaybeReleaseGil&) = delete;
  MaybeReleaseGil& operator=(const MaybeReleaseGil&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace fastnn
