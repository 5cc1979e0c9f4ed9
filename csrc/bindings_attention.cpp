// Fused attention: parsing and checks. What does not fit the kernel goes to the NumPy twin.
#include "fast_functions.h"

namespace fastnn {
namespace {

constexpr int64_t kGilFree = 16384;  // scores

// A float array [batch, heads, rows, columns] with contiguous columns: read where it lies, else a copy.
struct Operand4 {
  ArrayView view;
  py::object keep;
  AttentionArray array;
  bool read(PyObject* o) {
    if (!view_float(o, view) || view.ndim != 4 || view.size() == 0) return false;
    const py::ssize_t item = static_cast<py::ssize_t>(size_of(view.dtype));
    bool fits = reinterpret_cast<uintptr_t>(view.data) % static_cast<size_t>(item) == 0 &&
                (view.strides[3] == item || view.shape[3] == 1);
    for (int d = 0; d < 3; ++d) fits = fits && view.strides[d] % item == 0;
    if (!fits) copy_view(view, keep);
    array = {view.data, view.strides[0] / item, view.strides[1] / item, view.strides[2] / item};
    return true;
  }
  int64_t size(int d) const { return view.shape[d]; }
};

// A fresh array of `like`'s shape but for `columns`, in like's order of memory where that is [batch, rows, heads, ...]:
// as a model that transposes its heads out and back wants it.
py::object fresh(const Operand4& like, int64_t columns, AttentionArray& array) {
  const bool swapped = like.size(1) > 1 && like.size(2) > 1 && like.array.head < like.array.row;
  const int64_t heads = like.size(1), rows = like.size(2);
  const py::ssize_t shape[4] = {like.size(0), swapped ? rows : heads, swapped ? heads : rows, columns};
  py::object r = new_array(numpy_dtype(like.view.dtype), shape, 4);
  array = {data_of(r), heads * rows * columns, swapped ? columns : rows * columns, swapped ? heads * columns : columns};
  return swapped ? py::object(r.attr("transpose")(0, 2, 1, 3)) : r;
}

// What forward and backward read alike. False: the twin's business.
struct Call {
  AttentionArgs a{};
  Operand4 q, k, v;
  ArrayView mask, kept;

  // q, k, v, mask, causal, scale, kept, kept_scale; `from`: where mask is
  bool read(PyObject* const* args, PyObject* const* from) {
    if (!q.read(args[0]) || !k.read(args[1]) || !v.read(args[2])) return false;
    a.dtype = q.view.dtype;
    if (k.view.dtype != a.dtype || v.view.dtype != a.dtype) return false;
    a.B = q.size(0);
    a.H = q.size(1);
    a.L = q.size(2);
    a.E = q.size(3);
    a.kv_heads = k.size(1);
    a.S = k.size(2);
    a.Ev = v.size(3);
    if (k.size(0) != a.B || v.size(0) != a.B || v.size(1) != a.kv_heads || v.size(2) != a.S || k.size(3) != a.E ||
        a.H % a.kv_heads)
      return false;
    a.q = q.array;
    a.k = k.array;
    a.v = v.array;
    if (from[0] != Py_None) {
      if (!view_array(from[0], mask) || mask.ndim != 4) return false;
      const int64_t want[4] = {a.B, a.H, a.L, a.S};
      const py::ssize_t item = static_cast<py::ssize_t>(size_of(mask.dtype));
      for (int d = 0; d < 4; ++d)
        if (mask.shape[d] != want[d] || mask.strides[d] % item) return false;
      if (reinterpret_cast<uintptr_t>(mask.data) % static_cast<size_t>(item)) return false;
      if (mask.dtype != Dtype::Bool && mask.dtype != a.dtype) return false;
      a.mask_kind = mask.dtype == Dtype::Bool ? AttentionMask::Bool : AttentionMask::Additive;
      a.mask = {mask.data, mask.strides[0] / item, mask.strides[1] / item, mask.strides[2] / item};
      a.mask_column = mask.strides[3] / item;
    }
    if (!PyBool_Check(from[1]) || !read_number(from[2], a.scale)) return false;
    a.causal = from[1] == Py_True;
    if (from[3] != Py_None) {
      if (!view_array(from[3], kept) || kept.dtype != Dtype::Bool || !kept.contiguous() || kept.ndim != 4 ||
          kept.shape[0] != a.B || kept.shape[1] != a.H || kept.shape[2] != a.L || kept.shape[3] != a.S ||
          !read_number(from[4], a.kept_scale))
        return false;
      a.kept = reinterpret_cast<const uint8_t*>(kept.data);
    }
    return true;
  }
  bool large() const { return a.B * a.H * a.L * a.S >= kGilFree; }
};

// attention(q, k, v, mask, causal, scale, kept, kept_scale) -> (out, lse)
PyObject* attention(PyObject* const* args, Py_ssize_t nargs) {
  Call c;
  if (nargs != 8 || !c.read(args, args + 3)) return nullptr;
  AttentionArgs& a = c.a;
  const py::object out = fresh(c.q, a.Ev, a.out);
  const py::ssize_t shape[3] = {a.B, a.H, a.L};
  const py::object lse = new_array(numpy_dtype(a.dtype), shape, 3);
  a.lse = data_of(lse);
  const Kernels& k = kernels();
  const int threads = num_threads();
  const Workspace scratch(k.attention_workspace(threads, a));
  {
    MaybeReleaseGil gil(c.large());
    k.attention(Ctx{threads, scratch.get()}, a);
  }
  return py::make_tuple(out, lse).release().ptr();
}

// attention_backward(dout, q, k, v, mask, causal, scale, kept, kept_scale, out, lse, wanted) -> (dq, dk, dv), None
// where not wanted
PyObject* attention_backward(PyObject* const* args, Py_ssize_t nargs) {
  Call c;
  Operand4 dout, out;
  ArrayView lse;
  py::object keep;
  if (nargs != 12 || !c.read(args + 1, args + 4) || !dout.read(args[0]) || !out.read(args[9]) ||
      !contiguous(args[10], lse, keep) || !PyTuple_CheckExact(args[11]) || PyTuple_GET_SIZE(args[11]) != 3)
    return nullptr;
  AttentionArgs& a = c.a;
  if (dout.view.dtype != a.dtype || !same_shape(dout.view, out.view) || out.view.dtype != a.dtype ||
      lse.dtype != a.dtype || lse.size() != a.B * a.H * a.L || out.size(0) != a.B || out.size(1) != a.H ||
      out.size(2) != a.L || out.size(3) != a.Ev)
    return nullptr;
  a.out = out.array;
  a.dout = dout.array;
  a.lse = lse.data;
  const auto wanted = [&](int i) { return PyTuple_GET_ITEM(args[11], i) == Py_True; };
  const py::object dq = wanted(0) ? fresh(c.q, a.E, a.dq) : py::none();
  const py::object dk = wanted(1) ? fresh(c.k, a.E, a.dk) : py::none();
  const py::object dv = wanted(2) ? fresh(c.v, a.Ev, a.dv) : py::none();
  const Kernels& k = kernels();
  const int threads = num_threads();
  const Workspace scratch(k.attention_backward_workspace(threads, a));
  {
    MaybeReleaseGil gil(c.large());
    k.attention_backward(Ctx{threads, scratch.get()}, a);
  }
  return py::make_tuple(dq, dk, dv).release().ptr();
}

constexpr FastFunction functions[] = {{"attention", &attention}, {"attention_backward", &attention_backward}};
}  // namespace

void bind_attention(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.attention."); }

}  // namespace fastnn
