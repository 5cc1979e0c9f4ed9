// gemm and bmm. Plain C functions of the fast-call protocol instead of pybind11's casters: a 32 x 32 product takes less
// than a microsecond, and the call must not cost more than that.
#include <cstring>

#include "fast_array.h"

namespace fastnn {
namespace {

using Api = py::detail::npy_api;
using Array = py::detail::PyArray_Proxy;

enum Variant { kNaive, kTiled, kAvx2, kAvx512, kVariants };
const char* const kVariantNames[kVariants] = {"naive", "tiled", "avx2", "avx512"};
Counter counters[kVariants] = {Counter("gemm.naive"), Counter("gemm.tiled"), Counter("gemm.avx2"),
                               Counter("gemm.avx512")};

const Api* api;                      // NumPy's C functions
PyObject* variant_var;               // the ContextVar of backend/variants.py
PyObject *twin_gemm, *twin_bmm;      // NumPy twins: other dtypes, and variant "blas"
PyObject* variant_names[kVariants];  // interned
const char* const kActNames[] = {"none", "relu", "gelu", "gelu_tanh", "tanh", "sigmoid"};
PyObject* act_names[6];

struct Ref {  // an owned reference
  PyObject* p = nullptr;
  ~Ref() { Py_XDECREF(p); }
};

Array* array(PyObject* o) { return reinterpret_cast<Array*>(o); }
bool is_array(PyObject* o) { return api->PyArray_Check_(o); }
// type_num and byte order lie at the same place in NumPy 1 and 2.
const py::detail::PyArrayDescr1_Proxy* descr(PyObject* a) {
  return reinterpret_cast<const py::detail::PyArrayDescr1_Proxy*>(array(a)->descr);
}

// The kernels' code for an array's dtype, or -1 for those that only the twin does.
int dtype_code(PyObject* a) {
  const auto* d = descr(a);
  if (d->byteorder == '>' || d->byteorder == '<') return -1;
  if (d->type_num == Api::NPY_FLOAT_) return static_cast<int>(Dtype::F32);
  if (d->type_num == Api::NPY_DOUBLE_) return static_cast<int>(Dtype::F64);
  if (d->type_num >= 256) {  // a user's dtype: bfloat16 is ml_dtypes'
    const char* name = reinterpret_cast<PyTypeObject*>(d->typeobj)->tp_name;
    const char* dot = std::strrchr(name, '.');
    if (!std::strcmp(dot ? dot + 1 : name, "bfloat16")) return static_cast<int>(Dtype::BF16);
  }
  return -1;
}
int64_t item_size(Dtype d) { return d == Dtype::F64 ? 8 : d == Dtype::BF16 ? 2 : 4; }

PyObject* shape_tuple(PyObject* a) {
  PyObject* t = PyTuple_New(array(a)->nd);
  for (int i = 0; t && i < array(a)->nd; i++) PyTuple_SET_ITEM(t, i, PyLong_FromSsize_t(array(a)->dimensions[i]));
  return t;
}
// ValueError: "<fn>: <what> (a <shape>, b <shape>)"
void shape_error(const char* fn, const char* what, PyObject* a, PyObject* b) {
  Ref sa{shape_tuple(a)}, sb{shape_tuple(b)};
  if (sa.p && sb.p) PyErr_Format(PyExc_ValueError, "%s: %s, got %R and %R", fn, what, sa.p, sb.p);
}

// Strides in elements of the last two dimensions, if a kernel can read the array where it lies: aligned, whole strides,
// contiguous along one of the two.
bool readable(PyObject* a, int64_t es, int64_t* rs, int64_t* cs) {
  const Array* x = array(a);
  if (reinterpret_cast<uintptr_t>(x->data) % es) return false;
  for (int i = 0; i < x->nd; i++)
    if (x->strides[i] % es) return false;
  const int r = x->nd - 2, c = x->nd - 1;
  *rs = x->strides[r] / es;
  *cs = x->strides[c] / es;
  return *cs == 1 || *rs == 1 || x->dimensions[r] <= 1 || x->dimensions[c] <= 1;
}
// The array itself, or a contiguous copy; a new reference.
PyObject* as_readable(PyObject* a, int64_t es, int64_t* rs, int64_t* cs) {
  if (readable(a, es, rs, cs)) return Py_NewRef(a);
  PyObject* copy = guarded([&] { return contiguous_copy(a); });
  if (copy) readable(copy, es, rs, cs);
  return copy;
}

// A new array; null with an error set where there is no memory.
PyObject* fresh(PyObject* like, int nd, const Py_ssize_t* dims) {
  return guarded(
      [&] { return new_array(py::reinterpret_borrow<py::dtype>(array(like)->descr), dims, nd).release().ptr(); });
}

// [first, last) bytes that an array's elements span.
void span(PyObject* o, const char** first, const char** last) {
  const Array* a = array(o);
  const char *lo = a->data, *hi = a->data;
  for (int i = 0; i < a->nd; i++) {
    const Py_ssize_t reach = a->strides[i] * (a->dimensions[i] - 1);
    (reach < 0 ? lo : hi) += a->dimensions[i] ? reach : 0;
  }
  *first = lo;
  *last = hi + 8;
}
bool overlap(PyObject* x, PyObject* y) {
  const char *x0, *x1, *y0, *y1;
  span(x, &x0, &x1);
  span(y, &y0, &y1);
  return x0 < y1 && y0 < x1;
}

// Whether a kernel may write the array where it lies: rows contiguous and apart, in no input's memory.
bool writable_in_place(PyObject* out, int64_t es, PyObject* a, PyObject* b, PyObject* bias, int64_t* ldc) {
  const Array* c = array(out);
  const Py_ssize_t n = c->dimensions[c->nd - 1], m = c->dimensions[c->nd - 2];
  if (reinterpret_cast<uintptr_t>(c->data) % es) return false;
  for (int i = 0; i < c->nd; i++)
    if (c->strides[i] % es) return false;
  if (n > 1 && c->strides[c->nd - 1] != es) return false;
  *ldc = c->strides[c->nd - 2] / es;
  if (m > 1 && std::abs(*ldc) < n) return false;
  if (c->nd == 3 && c->dimensions[0] > 1 && std::abs(c->strides[0] / es) < std::abs(*ldc) * m) return false;
  return !overlap(out, a) && !overlap(out, b) && !(bias && overlap(out, bias));
}

// The variant asked for: -1 auto, -2 blas, -3 an error is set.
int chosen_variant() {
  if (!variant_var) return -1;
  PyObject* v = nullptr;
  if (PyContextVar_Get(variant_var, nullptr, &v) < 0) return -3;
  Ref keep{v};
  if (!v || v == Py_None) return -1;
  for (int i = 0; i < kVariants; i++)
    if (v == variant_names[i]) return i;
  if (PyUnicode_Check(v)) {
    for (int i = 0; i < kVariants; i++)
      if (PyUnicode_CompareWithASCIIString(v, kVariantNames[i]) == 0) return i;
    if (PyUnicode_CompareWithASCIIString(v, "auto") == 0) return -1;
    if (PyUnicode_CompareWithASCIIString(v, "blas") == 0) return -2;
  }
  PyErr_Format(PyExc_ValueError, "gemm: unknown variant %R", v);
  return -3;
}

[[maybe_unused]] bool isa_supported(const char* name) {
  static const std::vector<std::string> all = supported_isas();
  for (const std::string& s : all)
    if (s == name) return true;
  return false;
}
// The table that runs a variant; null with an error set where the CPU lacks it.
const Kernels* table_of(int variant) {
  if (variant < 0 || variant == kNaive) return &kernels();
  if (variant == kTiled) return &baseline::table;
#ifdef FASTNN_HAVE_avx2
  if (variant == kAvx2 && isa_supported("avx2")) return &avx2::table;
#endif
#ifdef FASTNN_HAVE_avx512_bf16
  if (variant == kAvx512 && isa_supported("avx512_bf16")) return &avx512_bf16::table;
#endif
#ifdef FASTNN_HAVE_avx512
  if (variant == kAvx512 && isa_supported("avx512")) return &avx512::table;
#endif
  PyErr_Format(PyExc_RuntimeError, "gemm: this CPU cannot run the variant '%s'", kVariantNames[variant]);
  return nullptr;
}
int variant_of_table(const Kernels& t) {
  return !std::strncmp(t.isa, "avx512", 6) ? kAvx512 : !std::strcmp(t.isa, "avx2") ? kAvx2 : kTiled;
}

// Runs the kernel into args.c. False with an error set.
bool run(const char* fn, const GemmArgs& g, int variant) {
  const Kernels* table = table_of(variant);
  if (!table) return false;
  counters[variant < 0 ? variant_of_table(*table) : variant].add();
  if (g.m == 0 || g.n == 0 || g.batch == 0) return true;
  const double macs =
      static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k + 1) * static_cast<double>(g.batch);
  const int threads = num_threads();
  const int64_t bytes = variant == kNaive ? 0 : table->gemm_workspace(g, threads);
  void* scratch = bytes ? allocate(static_cast<size_t>(bytes)) : nullptr;
  if (bytes && !scratch)
    return PyErr_Format(PyExc_MemoryError, "%s: no memory for %lld bytes of workspace", fn,
                        static_cast<long long>(bytes)),
           false;
  PyThreadState* state = macs > 512 * 1024 ? PyEval_SaveThread() : nullptr;
  if (variant == kNaive) {
    table->gemm_naive(g);
  } else {
    table->gemm(g, Ctx{threads, scratch});
  }
  if (state) PyEval_RestoreThread(state);
  release(scratch);
  return true;
}

// Positional and keyword arguments into slots[count]; missing ones stay null.
bool parse(const char* fn, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames, const char* const* names,
           int count, int required, PyObject** slots) {
  if (nargs > count) return PyErr_Format(PyExc_TypeError, "%s: at most %d arguments, got %zd", fn, count, nargs), false;
  for (int i = 0; i < count; i++) slots[i] = i < nargs ? args[i] : nullptr;
  for (Py_ssize_t k = 0; kwnames && k < PyTuple_GET_SIZE(kwnames); k++) {
    PyObject* name = PyTuple_GET_ITEM(kwnames, k);
    int i = 0;
    while (i < count && PyUnicode_CompareWithASCIIString(name, names[i])) i++;
    if (i == count) return PyErr_Format(PyExc_TypeError, "%s: no argument is called %R", fn, name), false;
    if (slots[i]) return PyErr_Format(PyExc_TypeError, "%s: argument '%s' given twice", fn, names[i]), false;
    slots[i] = args[nargs + k];
  }
  for (int i = 0; i < required; i++)
    if (!slots[i]) return PyErr_Format(PyExc_TypeError, "%s: argument '%s' is missing", fn, names[i]), false;
  return true;
}

bool check_array(const char* fn, const char* name, PyObject* o, int nd) {
  if (!is_array(o))
    return PyErr_Format(PyExc_TypeError, "%s: %s must be an array, got %s", fn, name, Py_TYPE(o)->tp_name), false;
  if (array(o)->nd != nd)
    return PyErr_Format(PyExc_ValueError, "%s: %s must have %d dimensions, has %d", fn, name, nd, array(o)->nd), false;
  return true;
}

// gemm and bmm after their arguments are sorted: nd is 2 or 3.
PyObject* multiply(const char* fn, int nd, PyObject* a, PyObject* b, PyObject* bias, GemmAct act, PyObject* out,
                   bool accumulate, int code, int variant) {
  GemmArgs g{};
  g.dtype = static_cast<Dtype>(code);
  const int64_t es = item_size(g.dtype);
  const Py_ssize_t *da = array(a)->dimensions + nd - 2, *db = array(b)->dimensions + nd - 2;
  g.m = da[0];
  g.k = da[1];
  g.n = db[1];
  g.act = act;
  g.accumulate = accumulate;
  g.batch = nd == 3 ? array(a)->dimensions[0] : 1;
  if (db[0] != g.k) return shape_error(fn, "a's columns must match b's rows", a, b), nullptr;
  if (nd == 3 && array(b)->dimensions[0] != g.batch) return shape_error(fn, "batches must match", a, b), nullptr;
  Py_ssize_t dims[3] = {g.batch, g.m, g.n};
  const Py_ssize_t* want = dims + 3 - nd;
  if (out) {
    if (!check_array(fn, "out", out, nd)) return nullptr;
    for (int i = 0; i < nd; i++)
      if (array(out)->dimensions[i] != want[i]) {
        Ref got{shape_tuple(out)};
        PyErr_Format(PyExc_ValueError, "%s: out has shape %R, the product is %zd x %zd", fn, got.p, g.m, g.n);
        return nullptr;
      }
    if (dtype_code(out) != code) return PyErr_Format(PyExc_TypeError, "%s: out must have a's dtype", fn), nullptr;
    if (!(array(out)->flags & Api::NPY_ARRAY_WRITEABLE_))
      return PyErr_Format(PyExc_ValueError, "%s: out is read-only", fn), nullptr;
  } else if (accumulate) {
    return PyErr_Format(PyExc_ValueError, "%s: accumulate needs out", fn), nullptr;
  }
  Ref bias_ref;
  if (bias) {
    if (!check_array(fn, "bias", bias, 1)) return nullptr;
    if (array(bias)->dimensions[0] != g.n)
      return PyErr_Format(PyExc_ValueError, "%s: bias has %zd elements, the product %zd columns", fn,
                          array(bias)->dimensions[0], g.n),
             nullptr;
    if (dtype_code(bias) != code) return PyErr_Format(PyExc_TypeError, "%s: bias must have a's dtype", fn), nullptr;
    const bool as_is = reinterpret_cast<uintptr_t>(array(bias)->data) % es == 0 && array(bias)->strides[0] == es;
    bias_ref.p = as_is ? Py_NewRef(bias) : guarded([&] { return contiguous_copy(bias); });
    if (!bias_ref.p) return nullptr;
    g.bias = array(bias_ref.p)->data;
  }
  Ref ra{as_readable(a, es, &g.a_rs, &g.a_cs)};
  Ref rb{as_readable(b, es, &g.b_rs, &g.b_cs)};
  if (!ra.p || !rb.p) return nullptr;
  g.a = array(ra.p)->data;
  g.b = array(rb.p)->data;
  if (nd == 3) {
    g.a_bs = array(ra.p)->strides[0] / es;
    g.b_bs = array(rb.p)->strides[0] / es;
  }

  Ref target;
  const bool in_place = out && writable_in_place(out, es, ra.p, rb.p, bias_ref.p, &g.ldc);
  if (in_place) {
    target.p = Py_NewRef(out);
    g.c_bs = nd == 3 ? array(out)->strides[0] / es : 0;
  } else {
    target.p = fresh(a, nd, want);
    if (!target.p) return nullptr;
    g.ldc = g.n;
    g.c_bs = g.m * g.n;
    if (accumulate && api->PyArray_CopyInto_(target.p, out) < 0) return nullptr;
  }
  g.c = array(target.p)->data;
  if (g.m <= 1) g.ldc = g.n;
  if (!run(fn, g, variant)) return nullptr;
  if (out && !in_place) {
    if (api->PyArray_CopyInto_(out, target.p) < 0) return nullptr;
    return Py_NewRef(out);
  }
  PyObject* result = target.p;
  target.p = nullptr;
  return result;
}

PyObject* call_twin(PyObject* twin, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  if (!twin) return PyErr_SetString(PyExc_TypeError, "gemm: dtype is not float32, float64 or bfloat16"), nullptr;
  return PyObject_Vectorcall(twin, args, static_cast<size_t>(nargs), kwnames);
}

PyObject* gemm(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static const char* const names[] = {"a", "b", "bias", "act", "out", "accumulate"};
  PyObject* s[6];
  if (!parse("gemm", args, nargs, kwnames, names, 6, 2, s)) return nullptr;
  PyObject *a = s[0], *b = s[1], *bias = s[2] == Py_None ? nullptr : s[2], *out = s[4] == Py_None ? nullptr : s[4];
  if (!check_array("gemm", "a", a, 2) || !check_array("gemm", "b", b, 2)) return nullptr;
  int act = 0;
  if (s[3] && s[3] != act_names[0]) {
    while (act < 6 && s[3] != act_names[act]) act++;
    if (act == 6 && PyUnicode_Check(s[3])) {
      act = 0;
      while (act < 6 && PyUnicode_CompareWithASCIIString(s[3], kActNames[act])) act++;
    }
    if (act == 6)
      return PyErr_Format(PyExc_ValueError, "gemm: act must be none, relu, gelu, gelu_tanh, tanh or sigmoid, got %R",
                          s[3]),
             nullptr;
  }
  const int accumulate = s[5] && s[5] != Py_False ? PyObject_IsTrue(s[5]) : 0;
  if (accumulate < 0) return nullptr;
  if (accumulate && act)
    return PyErr_Format(PyExc_ValueError, "gemm: accumulate takes no activation, got act='%s'", kActNames[act]),
           nullptr;
  const int code = dtype_code(a);
  if (code < 0 || dtype_code(b) != code) return call_twin(twin_gemm, args, nargs, kwnames);
  const int variant = chosen_variant();
  if (variant == -3) return nullptr;
  if (variant == -2) return call_twin(twin_gemm, args, nargs, kwnames);
  return multiply("gemm", 2, a, b, bias, static_cast<GemmAct>(act), out, accumulate != 0, code, variant);
}

PyObject* bmm(PyObject*, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static const char* const names[] = {"a", "b", "out"};
  PyObject* s[3];
  if (!parse("bmm", args, nargs, kwnames, names, 3, 2, s)) return nullptr;
  PyObject *a = s[0], *b = s[1], *out = s[2] == Py_None ? nullptr : s[2];
  if (!check_array("bmm", "a", a, 3) || !check_array("bmm", "b", b, 3)) return nullptr;
  const int code = dtype_code(a);
  if (code < 0 || dtype_code(b) != code) return call_twin(twin_bmm, args, nargs, kwnames);
  const int variant = chosen_variant();
  if (variant == -3) return nullptr;
  if (variant == -2) return call_twin(twin_bmm, args, nargs, kwnames);
  return multiply("bmm", 3, a, b, nullptr, GemmAct::None, out, false, code, variant);
}

PyMethodDef methods[] = {
    {"gemm", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(gemm)), METH_FASTCALL | METH_KEYWORDS,
     "gemm(a, b, bias=None, act='none', out=None, accumulate=False)\n\nact(a @ b + bias), or out += a @ b."},
    {"bmm", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(bmm)), METH_FASTCALL | METH_KEYWORDS,
     "bmm(a, b, out=None)\n\nThe products of two batches of matrices."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace

void bind_gemm(py::module_& m) {
  api = &Api::get();
  for (int i = 0; i < 6; i++) act_names[i] = PyUnicode_InternFromString(kActNames[i]);
  for (int i = 0; i < kVariants; i++) variant_names[i] = PyUnicode_InternFromString(kVariantNames[i]);
  if (PyModule_AddFunctions(m.ptr(), methods) < 0) throw py::error_already_set();
  m.def(
      "gemm_setup",
      [](py::object var, py::object gemm_twin, py::object bmm_twin) {
        variant_var = var.release().ptr();
        twin_gemm = gemm_twin.release().ptr();
        twin_bmm = bmm_twin.release().ptr();
      },
      py::arg("variant"), py::arg("gemm"), py::arg("bmm"),
      "The context variable that names the variant, and the twins that take other dtypes and 'blas'.");
  m.def("gemm_counters", [] {
    py::dict d;
    for (int i = 0; i < kVariants; i++) d[kVariantNames[i]] = counters[i].count();
    return d;
  });
}
}  // namespace fastnn
