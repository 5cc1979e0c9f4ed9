// Elementwise ops: parsing, broadcasting, results. What is not float32 or float64 (or a shape that does not broadcast,
// an `out` of another dtype or that overlaps an operand elsewhere) goes to the NumPy twin, which also raises the
// errors.
#include <algorithm>
#include <cstring>
#include <limits>

#include "fast_array.h"
#include "strided.h"

namespace fastnn {

PyObject* twin(const char* name, PyObject*& cache) {
  if (!cache) {
    PyObject* m = PyImport_ImportModule("fastnn.backend.numpy_kernels");
    if (!m) return nullptr;
    cache = PyObject_GetAttrString(m, name);
    Py_DECREF(m);
  }
  return cache;
}

void add_functions(py::module_& m, PyMethodDef* table) {
  if (PyModule_AddFunctions(m.ptr(), table) < 0) throw py::error_already_set();
}

namespace {

// How a function's arguments are read: so many arrays (or numbers), then so many numbers, then out.
enum class Kind { Unary, Test, Binary, Compare, Ternary, Where };
struct Function {
  const char* name;
  Elementwise op;
  Kind kind;
  int numbers;         // after the arrays
  double defaults[2];  // NaN: required
  bool heavy;          // some 20 instructions an element: worth a thread sooner
  bool takes_out;
};
constexpr double kNeeded = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr int64_t kGrain = 32768, kHeavyGrain = 8192;
constexpr int64_t kStreamBytes = int64_t(32) << 20;

struct Operand {
  ArrayView array;
  bool is_array;
  double number;
};

// The extent of memory that an array touches, [lo, hi).
void extent(const ArrayView& a, const char*& lo, const char*& hi) {
  lo = hi = a.data;
  for (int i = 0; i < a.ndim; ++i) {
    const int64_t reach = (a.shape[i] - 1) * a.strides[i];
    (reach < 0 ? lo : hi) += reach;
  }
  hi += size_of(a.dtype);
}
bool overlap_harmfully(const ArrayView& out, const ArrayView& in) {
  const char *lo, *hi, *lo2, *hi2;
  extent(out, lo, hi);
  extent(in, lo2, hi2);
  if (hi <= lo2 || hi2 <= lo) return false;
  if (out.data != in.data || !same_shape(out, in) || size_of(out.dtype) != size_of(in.dtype)) return true;
  for (int i = 0; i < out.ndim; ++i)
    if (out.shape[i] > 1 && out.strides[i] != in.strides[i]) return true;
  return false;
}

// The result of `loop`, whose shape and operands 1.. are set: null without an error where it is not for us.
PyObject* evaluate(StridedLoop& loop, const Operand* operands, Dtype result, PyObject* out, int64_t grain) {
  loop.itemsize[0] = static_cast<int>(size_of(result));
  PyObject* object = nullptr;
  int64_t n = 1;
  for (int d = 0; d < loop.ndim; ++d)
    if (__builtin_mul_overflow(n, loop.shape[d], &n)) return nullptr;
  if (out) {
    ArrayView o;
    if (!view_array(out, o) || o.dtype != result || !o.writeable() || o.ndim != loop.ndim) return nullptr;
    for (int d = 0; d < o.ndim; ++d) {
      if (o.shape[d] != loop.shape[d] || (o.strides[d] == 0 && o.shape[d] > 1)) return nullptr;
      loop.strides[0][d] = o.strides[d];
    }
    if (n > 0)
      for (int k = 1; k < loop.operands; ++k)
        if (operands[k - 1].is_array && overlap_harmfully(o, operands[k - 1].array)) return nullptr;
    loop.data[0] = o.data;
    Py_INCREF(out);
    object = out;
  } else {
    // The result lies in memory as its first full operand does, as torch's and NumPy's do.
    int leader = 0, order[kMaxDims];
    for (int k = 1; k < loop.operands && !leader; ++k)
      if (operands[k - 1].is_array && operands[k - 1].array.ndim == loop.ndim) {
        leader = k;
        for (int d = 0; d < loop.ndim; ++d)
          if (operands[k - 1].array.shape[d] != loop.shape[d]) leader = 0;
      }
    bool permuted = false;
    const int ndim = loop.ndim;
    if (leader && !operands[leader - 1].array.contiguous()) {
      loop.sort_by(leader, order);
      for (int d = 0; d < ndim; ++d) permuted |= order[d] != d;
    }
    py::ssize_t shape[kMaxDims], strides[kMaxDims];
    int64_t step = loop.itemsize[0];
    for (int d = ndim - 1; d >= 0; --d) {
      shape[d] = loop.shape[d];
      loop.strides[0][d] = step;
      step *= loop.shape[d];
    }
    object = new_array(numpy_dtype(result), shape, ndim).release().ptr();
    loop.data[0] = py::detail::array_proxy(object)->data;
    if (permuted) {
      for (int d = 0; d < ndim; ++d) {
        shape[order[d]] = loop.shape[d];
        strides[order[d]] = loop.strides[0][d];
      }
      const py::array view(numpy_dtype(result), std::vector<py::ssize_t>(shape, shape + ndim),
                           std::vector<py::ssize_t>(strides, strides + ndim), loop.data[0],
                           py::reinterpret_steal<py::object>(object));
      object = view.inc_ref().ptr();
    }
  }
  if (n > 0) {
    loop.coalesce();
    // A fresh result larger than the last cache: not through it, which spares reading its lines first.
    loop.stream = !out && n * loop.itemsize[0] > kStreamBytes;
    MaybeReleaseGil gil(n > 2 * grain);
    loop.run_parallel(grain);
  }
  return object;
}

// Null without an error where the twin must do it.
PyObject* apply(const Function& f, Elementwise op, Operand* operands, int count, const double* p, PyObject* out) {
  // The dtype that all floating operands share.
  const int first = f.kind == Kind::Where ? 1 : 0;
  Dtype dtype = Dtype::Bool;
  for (int k = first; k < count; ++k) {
    if (!operands[k].is_array) continue;
    const Dtype d = operands[k].array.dtype;
    if ((d != Dtype::F32 && d != Dtype::F64) || (dtype != Dtype::Bool && d != dtype)) return nullptr;
    dtype = d;
  }
  if (dtype == Dtype::Bool) return nullptr;

  StridedLoop loop;
  loop.operands = count + 1;
  loop.p[0] = p[0];
  loop.p[1] = p[1];
  const bool to_bool = f.kind == Kind::Compare || f.kind == Kind::Test;
  const Kernels& k = kernels();
  loop.fn = f.kind == Kind::Unary     ? k.elementwise_unary(op, dtype)
            : f.kind == Kind::Binary  ? k.elementwise_binary(op, dtype)
            : f.kind == Kind::Ternary ? k.elementwise_ternary(op, dtype)
                                      : k.elementwise_compare(op, dtype);

  int ndim = 0;
  for (int i = 0; i < count; ++i)
    if (operands[i].is_array) ndim = std::max(ndim, operands[i].array.ndim);
  loop.ndim = ndim;
  for (int d = 0; d < ndim; ++d) loop.shape[d] = 1;
  for (int i = 0; i < count; ++i) {
    if (!operands[i].is_array) continue;
    const ArrayView& a = operands[i].array;
    for (int d = 0; d < a.ndim; ++d) {
      int64_t& s = loop.shape[ndim - a.ndim + d];
      if (s == 1) {
        s = a.shape[d];
      } else if (a.shape[d] != 1 && a.shape[d] != s) {
        return nullptr;
      }
    }
  }
  double numbers[3];  // a number as an element, repeated with stride 0
  for (int i = 0; i < count; ++i) {
    const Dtype d = i < first ? Dtype::Bool : dtype;
    loop.itemsize[i + 1] = static_cast<int>(size_of(d));
    for (int j = 0; j < ndim; ++j) loop.strides[i + 1][j] = 0;
    if (operands[i].is_array) {
      const ArrayView& a = operands[i].array;
      loop.data[i + 1] = a.data;
      for (int j = 0; j < a.ndim; ++j) loop.strides[i + 1][ndim - a.ndim + j] = a.shape[j] == 1 ? 0 : a.strides[j];
    } else {
      loop.data[i + 1] = reinterpret_cast<char*>(&numbers[i]);
      if (d == Dtype::F32) {
        const float v = static_cast<float>(operands[i].number);
        std::memcpy(&numbers[i], &v, sizeof v);
      } else {
        numbers[i] = operands[i].number;
      }
    }
  }
  return evaluate(loop, operands, to_bool ? Dtype::Bool : dtype, out, f.heavy ? kHeavyGrain : kGrain);
}

// Reads "none" or "tanh"; false where it is neither.
bool read_approximate(PyObject* o, bool& tanh) {
  if (!PyUnicode_CheckExact(o)) return false;
  tanh = PyUnicode_CompareWithASCIIString(o, "tanh") == 0;
  return tanh || PyUnicode_CompareWithASCIIString(o, "none") == 0;
}

PyObject* call(const Function& f, PyObject* const* args, Py_ssize_t nargs, PyObject* names, PyObject*& cache) {
  PyObject* result = guarded([&]() -> PyObject* {
    const int arrays = f.kind == Kind::Where || f.kind == Kind::Ternary    ? 3
                       : f.kind == Kind::Binary || f.kind == Kind::Compare ? 2
                                                                           : 1;
    const bool gelu = f.op == Elementwise::gelu || f.op == Elementwise::gelu_backward;
    const int options = arrays + (gelu ? 1 : f.numbers);
    PyObject* out = nullptr;
    if (names) {
      if (!f.takes_out || PyTuple_GET_SIZE(names) != 1 ||
          PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "out") != 0)
        return nullptr;
      out = args[nargs];
    }
    if (nargs < arrays || nargs > options + (f.takes_out ? 1 : 0)) return nullptr;
    if (nargs > options) out = args[nargs - 1];
    if (out == Py_None) out = nullptr;
    Operand operands[3];
    for (int i = 0; i < arrays; ++i) {
      operands[i].is_array = view_array(args[i], operands[i].array);
      if (!operands[i].is_array && (arrays == 1 || !read_number(args[i], operands[i].number))) return nullptr;
    }
    if (f.kind == Kind::Where && !(operands[0].is_array && operands[0].array.dtype == Dtype::Bool)) return nullptr;
    Elementwise op = f.op;
    double p[2] = {0, 0};
    if (gelu) {
      bool tanh = false;
      if (nargs > arrays && !read_approximate(args[arrays], tanh)) return nullptr;
      if (tanh) op = op == Elementwise::gelu ? Elementwise::gelu_tanh : Elementwise::gelu_tanh_backward;
    } else {
      for (int i = 0; i < f.numbers; ++i) {
        p[i] = f.defaults[i];
        if (arrays + i < nargs && args[arrays + i] != Py_None && !read_number(args[arrays + i], p[i])) return nullptr;
        if (p[i] != p[i]) return nullptr;
      }
    }
    return apply(f, op, operands, arrays, p, out);
  });
  if (result || PyErr_Occurred()) return result;
  PyObject* reference = twin(f.name, cache);
  return reference ? PyObject_Vectorcall(reference, args, static_cast<size_t>(nargs), names) : nullptr;
}

constexpr Function functions[] = {
    {"add", Elementwise::add, Kind::Binary, 0, {}, false, true},
    {"sub", Elementwise::sub, Kind::Binary, 0, {}, false, true},
    {"mul", Elementwise::mul, Kind::Binary, 0, {}, false, true},
    {"div", Elementwise::div, Kind::Binary, 0, {}, false, true},
    {"maximum", Elementwise::maximum, Kind::Binary, 0, {}, false, true},
    {"minimum", Elementwise::minimum, Kind::Binary, 0, {}, false, true},
    {"eq", Elementwise::eq, Kind::Compare, 0, {}, false, true},
    {"ne", Elementwise::ne, Kind::Compare, 0, {}, false, true},
    {"lt", Elementwise::lt, Kind::Compare, 0, {}, false, true},
    {"le", Elementwise::le, Kind::Compare, 0, {}, false, true},
    {"gt", Elementwise::gt, Kind::Compare, 0, {}, false, true},
    {"ge", Elementwise::ge, Kind::Compare, 0, {}, false, true},
    {"where", Elementwise::where, Kind::Where, 0, {}, false, true},
    {"lerp", Elementwise::lerp, Kind::Ternary, 0, {}, false, true},
    {"addcmul", Elementwise::addcmul, Kind::Ternary, 1, {1}, false, true},
    {"addcdiv", Elementwise::addcdiv, Kind::Ternary, 1, {1}, false, true},
    {"prelu_backward", Elementwise::prelu_backward, Kind::Ternary, 0, {}, false, false},
    {"squared_difference_backward", Elementwise::squared_difference_backward, Kind::Ternary, 0, {}, false, false},
    {"absolute_difference_backward", Elementwise::absolute_difference_backward, Kind::Ternary, 0, {}, false, false},
    {"huber_backward", Elementwise::huber_backward, Kind::Ternary, 2, {kNeeded, 1}, false, false},
    {"bce_backward", Elementwise::bce_backward, Kind::Ternary, 0, {}, false, false},
    {"bce_with_logits_backward", Elementwise::bce_with_logits_backward, Kind::Ternary, 0, {}, true, false},
    {"squared_difference", Elementwise::squared_difference, Kind::Binary, 0, {}, false, true},
    {"absolute_difference", Elementwise::absolute_difference, Kind::Binary, 0, {}, false, true},
    {"huber", Elementwise::huber, Kind::Binary, 2, {kNeeded, 1}, false, true},
    {"bce", Elementwise::bce, Kind::Binary, 0, {}, true, true},
    {"bce_with_logits", Elementwise::bce_with_logits, Kind::Binary, 0, {}, true, true},
    {"neg", Elementwise::neg, Kind::Unary, 0, {}, false, true},
    {"abs", Elementwise::abs, Kind::Unary, 0, {}, false, true},
    {"sign", Elementwise::sign, Kind::Unary, 0, {}, false, true},
    {"sqrt", Elementwise::sqrt, Kind::Unary, 0, {}, false, true},
    {"rsqrt", Elementwise::rsqrt, Kind::Unary, 0, {}, false, true},
    {"reciprocal", Elementwise::reciprocal, Kind::Unary, 0, {}, false, true},
    {"square", Elementwise::square, Kind::Unary, 0, {}, false, true},
    {"floor", Elementwise::floor, Kind::Unary, 0, {}, false, true},
    {"ceil", Elementwise::ceil, Kind::Unary, 0, {}, false, true},
    {"round", Elementwise::round, Kind::Unary, 0, {}, false, true},
    {"trunc", Elementwise::trunc, Kind::Unary, 0, {}, false, true},
    {"isnan", Elementwise::isnan, Kind::Test, 0, {}, false, true},
    {"isinf", Elementwise::isinf, Kind::Test, 0, {}, false, true},
    {"isfinite", Elementwise::isfinite, Kind::Test, 0, {}, false, true},
    {"exp", Elementwise::exp, Kind::Unary, 0, {}, true, true},
    {"exp2", Elementwise::exp2, Kind::Unary, 0, {}, true, true},
    {"expm1", Elementwise::expm1, Kind::Unary, 0, {}, true, true},
    {"log", Elementwise::log, Kind::Unary, 0, {}, true, true},
    {"log1p", Elementwise::log1p, Kind::Unary, 0, {}, true, true},
    {"log2", Elementwise::log2, Kind::Unary, 0, {}, true, true},
    {"log10", Elementwise::log10, Kind::Unary, 0, {}, true, true},
    {"tanh", Elementwise::tanh, Kind::Unary, 0, {}, true, true},
    {"sigmoid", Elementwise::sigmoid, Kind::Unary, 0, {}, true, true},
    {"erf", Elementwise::erf, Kind::Unary, 0, {}, true, true},
    {"erfc", Elementwise::erfc, Kind::Unary, 0, {}, true, true},
    {"relu", Elementwise::relu, Kind::Unary, 0, {}, false, true},
    {"leaky_relu", Elementwise::leaky_relu, Kind::Unary, 1, {kNeeded}, false, true},
    {"elu", Elementwise::elu, Kind::Unary, 1, {kNeeded}, true, true},
    {"silu", Elementwise::silu, Kind::Unary, 0, {}, true, true},
    {"gelu", Elementwise::gelu, Kind::Unary, 0, {}, true, true},
    {"softplus", Elementwise::softplus, Kind::Unary, 2, {1, 20}, true, true},
    {"clamp", Elementwise::clamp, Kind::Unary, 2, {-kInf, kInf}, false, true},
    {"hardtanh", Elementwise::clamp, Kind::Unary, 2, {-1, 1}, false, true},
    {"hardsigmoid", Elementwise::hardsigmoid, Kind::Unary, 0, {}, false, true},
    {"hardswish", Elementwise::hardswish, Kind::Unary, 0, {}, false, true},
    {"mish", Elementwise::mish, Kind::Unary, 0, {}, true, true},
    {"logsigmoid", Elementwise::logsigmoid, Kind::Unary, 0, {}, true, true},
    {"softshrink", Elementwise::softshrink, Kind::Unary, 1, {kNeeded}, false, true},
    {"hardshrink", Elementwise::hardshrink, Kind::Unary, 1, {kNeeded}, false, true},
    {"threshold", Elementwise::threshold, Kind::Unary, 2, {kNeeded, kNeeded}, false, true},
    {"prelu", Elementwise::prelu, Kind::Binary, 0, {}, false, true},
    {"relu_backward", Elementwise::relu_backward, Kind::Binary, 0, {}, false, false},
    {"leaky_relu_backward", Elementwise::leaky_relu_backward, Kind::Binary, 1, {kNeeded}, false, false},
    {"elu_backward", Elementwise::elu_backward, Kind::Binary, 1, {kNeeded}, true, false},
    {"silu_backward", Elementwise::silu_backward, Kind::Binary, 0, {}, true, false},
    {"gelu_backward", Elementwise::gelu_backward, Kind::Binary, 0, {}, true, false},
    {"tanh_backward", Elementwise::tanh_backward, Kind::Binary, 0, {}, false, false},
    {"sigmoid_backward", Elementwise::sigmoid_backward, Kind::Binary, 0, {}, false, false},
    {"softplus_backward", Elementwise::softplus_backward, Kind::Binary, 2, {1, 20}, true, false},
    {"clamp_backward", Elementwise::clamp_backward, Kind::Binary, 2, {-kInf, kInf}, false, false},
    {"hardtanh_backward", Elementwise::hardtanh_backward, Kind::Binary, 2, {-1, 1}, false, false},
    {"hardsigmoid_backward", Elementwise::hardsigmoid_backward, Kind::Binary, 0, {}, false, false},
    {"hardswish_backward", Elementwise::hardswish_backward, Kind::Binary, 0, {}, false, false},
    {"mish_backward", Elementwise::mish_backward, Kind::Binary, 0, {}, true, false},
    {"logsigmoid_backward", Elementwise::logsigmoid_backward, Kind::Binary, 0, {}, true, false},
    {"shrink_backward", Elementwise::shrink_backward, Kind::Binary, 1, {kNeeded}, false, false},
    {"threshold_backward", Elementwise::threshold_backward, Kind::Binary, 1, {kNeeded}, false, false},
    {"prelu_backward_weight", Elementwise::prelu_backward_weight, Kind::Binary, 0, {}, false, false},
};
constexpr int kFunctions = sizeof(functions) / sizeof(functions[0]);
PyObject* twins[kFunctions];
PyMethodDef methods[kFunctions + 3];

template <int I>
PyObject* entry(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* names) {
  return call(functions[I], args, nargs, names, twins[I]);
}
template <int I>
void fill_methods() {
  methods[I] = {functions[I].name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&entry<I>)),
                METH_FASTCALL | METH_KEYWORDS, "See fastnn.backend.numpy_kernels.elementwise."};
  if constexpr (I + 1 < kFunctions) fill_methods<I + 1>();
}

// pow(x, number): the exponents that are one or two multiplications, a root or a reciprocal; the others by NumPy.
PyObject* pow_entry(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* names) {
  static PyObject* cache = nullptr;
  static constexpr Function power = {"pow", Elementwise::square, Kind::Unary, 0, {}, false, true};
  double exponent;
  if (nargs >= 2 && nargs <= 3 && !names && (PyFloat_CheckExact(args[1]) || PyLong_CheckExact(args[1])) &&
      read_number(args[1], exponent)) {
    const bool known = exponent == 2 || exponent == 3 || exponent == 0.5 || exponent == -0.5 || exponent == -1;
    Operand x;
    x.is_array = true;
    if (known && view_float(args[0], x.array)) {
      const Elementwise op = exponent == 2      ? Elementwise::square
                             : exponent == 3    ? Elementwise::cube
                             : exponent == 0.5  ? Elementwise::sqrt
                             : exponent == -0.5 ? Elementwise::rsqrt
                                                : Elementwise::reciprocal;
      const double p[2] = {0, 0};
      PyObject* out = nargs == 3 && args[2] != Py_None ? args[2] : nullptr;
      PyObject* r = guarded([&] { return apply(power, op, &x, 1, p, out); });
      if (r || PyErr_Occurred()) return r;
    }
  }
  PyObject* reference = twin("pow", cache);
  return reference ? PyObject_Vectorcall(reference, args, static_cast<size_t>(nargs), names) : nullptr;
}

// axpy_(y, x, alpha): y += alpha x, returns y.
PyObject* axpy_entry(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* names) {
  static PyObject* cache = nullptr;
  static constexpr Function axpy = {"axpy_", Elementwise::axpy, Kind::Binary, 0, {}, false, true};
  Operand operands[2];
  double p[2] = {0, 0};
  if (nargs == 3 && !names && view_float(args[0], operands[0].array) && view_float(args[1], operands[1].array) &&
      read_number(args[2], p[0])) {
    operands[0].is_array = operands[1].is_array = true;
    PyObject* r = guarded([&] { return apply(axpy, Elementwise::axpy, operands, 2, p, args[0]); });
    if (r || PyErr_Occurred()) return r;
  }
  PyObject* reference = twin("axpy_", cache);
  return reference ? PyObject_Vectorcall(reference, args, static_cast<size_t>(nargs), names) : nullptr;
}

}  // namespace

void bind_elementwise(py::module_& m) {
  fill_methods<0>();
  const auto erased = [](auto* f) { return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(f)); };
  methods[kFunctions] = {"pow", erased(&pow_entry), METH_FASTCALL | METH_KEYWORDS,
                         "See fastnn.backend.numpy_kernels.elementwise."};
  methods[kFunctions + 1] = {"axpy_", erased(&axpy_entry), METH_FASTCALL | METH_KEYWORDS,
                             "See fastnn.backend.numpy_kernels.elementwise."};
  methods[kFunctions + 2] = {nullptr, nullptr, 0, nullptr};
  add_functions(m, methods);
}

}  // namespace fastnn
