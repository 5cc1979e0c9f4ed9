// The module fastnn._cpu: arrays over the caching allocator, and what can be asked and set about the run time.
#include "bindings.h"

#include "runtime/os.h"

namespace fastnn {
namespace {

// The base of a result: owns its block. A type of its own, because a capsule costs twice as much to make and free.
struct Block {
  PyObject ob_base;
  void* memory;
};

PyTypeObject* block_type() {
  static PyTypeObject* type = [] {
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(+[](PyObject* self) {
           release(reinterpret_cast<Block*>(self)->memory);
           PyTypeObject* t = Py_TYPE(self);
           PyObject_Free(self);
           Py_DECREF(t);
         })},
        {Py_tp_doc, const_cast<char*>("A block of the caching allocator; freed with the last array over it.")},
        {0, nullptr},
    };
    static PyType_Spec spec = {"fastnn._cpu.Block", sizeof(Block), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    PyObject* t = PyType_FromSpec(&spec);
    if (!t) throw py::error_already_set();
    return reinterpret_cast<PyTypeObject*>(t);
  }();
  return type;
}

const py::detail::npy_api& numpy_api() {
  static const py::detail::npy_api& api = py::detail::npy_api::get();
  return api;
}

// Steals nothing; a null return has a Python error set. The shape holds no negative size.
PyObject* make_array(PyObject* descr, size_t itemsize, int ndim, const py::ssize_t* shape) {
  static PyTypeObject* const type = block_type();
  const auto& api = numpy_api();
  size_t bytes = itemsize;
  for (int i = 0; i < ndim; ++i)
    if (__builtin_mul_overflow(bytes, static_cast<size_t>(shape[i]), &bytes)) bytes = SIZE_MAX;
  for (int i = 0; i < ndim; ++i)
    if (shape[i] == 0) bytes = 0;
  void* memory = allocate(bytes);
  if (!memory) {
    PyErr_Format(PyExc_MemoryError, "fastnn: no memory for an array of %zu bytes", bytes);
    return nullptr;
  }
  Block* block = PyObject_New(Block, type);
  if (!block) {
    release(memory);
    return nullptr;
  }
  block->memory = memory;
  Py_INCREF(descr);  // stolen by the next call, also when it fails
  PyObject* array =
      api.PyArray_NewFromDescr_(api.PyArray_Type_, descr, ndim, reinterpret_cast<const Py_intptr_t*>(shape), nullptr,
                                memory, py::detail::npy_api::NPY_ARRAY_WRITEABLE_, nullptr);
  if (!array) {
    Py_DECREF(block);
    return nullptr;
  }
  if (api.PyArray_SetBaseObject_(array, reinterpret_cast<PyObject*>(block)) < 0) {  // steals the block
    Py_DECREF(array);
    return nullptr;
  }
  return array;
}

// empty(shape, dtype): np.empty over the caching allocator. A plain C function: a pybind11 call costs as much as the
// rest of it.
PyObject* empty(PyObject*, PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 2) {
    PyErr_Format(PyExc_TypeError, "empty: takes a shape and a dtype, got %zd arguments", nargs);
    return nullptr;
  }
  py::ssize_t shape[64];
  int ndim = 0;
  if (PyTuple_CheckExact(args[0]) || PyList_CheckExact(args[0])) {
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(args[0]);
    if (n > 32) {
      PyErr_Format(PyExc_ValueError, "empty: at most 32 dimensions, got %zd", n);
      return nullptr;
    }
    ndim = static_cast<int>(n);
  } else {
    ndim = -1;
  }
  for (int i = 0; i < (ndim < 0 ? 1 : ndim); ++i) {
    PyObject* item = ndim < 0 ? args[0] : PySequence_Fast_GET_ITEM(args[0], i);
    shape[i] = PyNumber_AsSsize_t(item, PyExc_ValueError);
    if (shape[i] == -1 && PyErr_Occurred()) return nullptr;
    if (shape[i] < 0) {
      PyErr_Format(PyExc_ValueError, "empty: shape[%d] = %zd is negative", i, shape[i]);
      return nullptr;
    }
  }
  if (ndim < 0) ndim = 1;
  try {
    py::dtype dtype = py::isinstance<py::dtype>(args[1])
                          ? py::reinterpret_borrow<py::dtype>(args[1])
                          : py::dtype::from_args(py::reinterpret_borrow<py::object>(args[1]));
    if (dtype.flags() & 0x01) {  // NPY_ITEM_REFCOUNT: fresh memory would be read as pointers
      PyErr_SetString(PyExc_TypeError, "empty: dtype holds Python objects");
      return nullptr;
    }
    return make_array(dtype.ptr(), static_cast<size_t>(dtype.itemsize()), ndim, shape);
  } catch (py::error_already_set& e) {
    e.restore();
    return nullptr;
  }
}
PyMethodDef empty_def = {
    "empty", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&empty)), METH_FASTCALL,
    "empty($module, shape, dtype, /)\n--\n\nAn uninitialised C-contiguous array over the caching allocator."};

}  // namespace

py::array new_array(const py::dtype& dtype, const py::ssize_t* shape, int ndim) {
  PyObject* array = make_array(dtype.ptr(), static_cast<size_t>(dtype.itemsize()), ndim, shape);
  if (!array) throw py::error_already_set();
  return py::reinterpret_steal<py::array>(array);
}

py::array new_array(const py::dtype& dtype, const std::vector<py::ssize_t>& shape) {
  return new_array(dtype, shape.data(), static_cast<int>(shape.size()));
}
}  // namespace fastnn

using namespace fastnn;

PYBIND11_MODULE(_cpu, m) {
  try {
    kernels();  // choose the table now: a bad FASTNN_ISA raises at import
  } catch (const std::invalid_argument& e) {
    throw py::import_error(e.what());
  }
  m.doc() = "The compiled kernels. Not a public interface: fastnn.backend.cpu_kernels is built on it.";

  // ---- run time ----
  m.def("isa", [] { return std::string(kernels().isa); }, "The instruction set in use.");
  m.def("set_isa", &set_isa, py::arg("name"), "Use another of supported_isas().");
  m.def("supported_isas", &supported_isas, "Compiled in and supported by this CPU, weakest first.");
  m.def("compiler", [] { return std::string(FASTNN_COMPILER); }, "The compiler that built this module.");
  m.def("get_num_threads", &num_threads);
  m.def(
      "set_num_threads",
      [](py::ssize_t n) {
        if (n < 1 || n > kMaxThreads)
          throw py::value_error("set_num_threads: n must be from 1 to " + std::to_string(kMaxThreads) + ", got " +
                                std::to_string(n));
        set_num_threads(static_cast<int>(n));
      },
      py::arg("n"));
  m.def(
      "memory_stats",
      [] {
        MemoryStats s = memory_stats();
        py::dict d;
        d["in_use"] = s.in_use;
        d["cached"] = s.cached;
        d["peak"] = s.peak;
        d["allocations"] = s.allocations;
        d["reused"] = s.reused;
        return d;
      },
      "Bytes in use, cached and in use at most so far; allocations, and how many of them the cache served.");
  m.def("empty_cache", &empty_cache, py::call_guard<py::gil_scoped_release>(),
        "Give cached memory back to the system.");
  m.add_object("empty",
               py::reinterpret_steal<py::object>(PyCFunction_NewEx(&empty_def, m.ptr(), m.attr("__name__").ptr())));
  m.def(
      "counters",
      [] {
        py::dict d;
        for (const Counter* c = Counter::first(); c; c = c->next()) d[c->name()] = c->count();
        return d;
      },
      "How often each kernel variant has run.");

  // ---- kernels, by family ----
  bind_gemm(m);
  bind_peak(m);
  bind_conv2d(m);
  bind_pool2d(m);
  bind_norm(m);
  bind_attention(m);
  bind_embedding(m);
  bind_index(m);
  bind_order(m);
  bind_arrange(m);
  bind_rnn(m);
  bind_layout(m);
  bind_grid_sample(m);
  bind_ctc_loss(m);
  bind_cdist(m);
  bind_elementwise(m);
  bind_reduce(m);
  bind_softmax(m);
  bind_optim(m);
  bind_rng(m);

  // ---- for tests ----
  m.def("_os", &os::name, "Which of the runtime/os_*.cpp this is.");
  m.def("_fail_allocation", &fail_allocation, py::arg("n"), "The n-th allocation from now fails, once; 0: none.");
  m.def(
      "_cpu_quota", [](const std::string& root) { return os::cpu_quota(root.c_str()); }, py::arg("root"),
      "Processors allowed by the control group whose files lie under root; 0: unlimited.");
  m.def(
      "_parallel_indices",
      [](py::ssize_t n, py::ssize_t spins) {
        if (n < 0) throw py::value_error("_parallel_indices: n must not be negative, got " + std::to_string(n));
        std::vector<int> who(static_cast<size_t>(n), -1);
        {
          py::gil_scoped_release free;
          parallel_for(n, [&](int64_t i, int thread) {
            for (volatile py::ssize_t k = 0; k < spins; k = k + 1) {
            }
            parallel_for(2, [&](int64_t, int inner) { who[static_cast<size_t>(i)] = inner == thread ? thread : -2; });
          });
        }
        return who;
      },
      py::arg("n"), py::arg("spins") = 0, "Which thread ran each of n chunks; -2 where a nested call ran elsewhere.");
}
