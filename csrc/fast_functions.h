// A family's functions as the module's, called without pybind11's argument handling. A function that does not take a
// call (a dtype or a layout that no kernel has) returns null without an error: then its NumPy twin gets the same
// arguments, as it gets every call with names.
#pragma once
#include "fast_array.h"

namespace fastnn {

struct FastFunction {
  const char* name;
  PyObject* (*call)(PyObject* const* args, Py_ssize_t n);
};

// `functions`: an array of FastFunction with static storage.
template <const auto& functions>
class FastFunctions {
  static constexpr int kCount = sizeof(functions) / sizeof(functions[0]);
  static inline PyObject* twins[kCount];
  static inline PyMethodDef methods[kCount + 1];

  template <int I>
  static PyObject* entry(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* names) {
    if (!names) {
      PyObject* result = guarded([&] { return functions[I].call(args, nargs); });
      if (result || PyErr_Occurred()) return result;
    }
    PyObject* reference = twin(functions[I].name, twins[I]);
    return reference ? PyObject_Vectorcall(reference, args, static_cast<size_t>(nargs), names) : nullptr;
  }
  template <int I>
  static void fill(const char* doc) {
    methods[I] = {functions[I].name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&entry<I>)),
                  METH_FASTCALL | METH_KEYWORDS, doc};
    if constexpr (I + 1 < kCount) fill<I + 1>(doc);
  }

 public:
  static void add(py::module_& m, const char* doc) {
    fill<0>(doc);
    methods[kCount] = {nullptr, nullptr, 0, nullptr};
    add_functions(m, methods);
  }
};

}  // namespace fastnn
