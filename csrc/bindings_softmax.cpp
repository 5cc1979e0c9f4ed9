// Softmax, log-softmax, logsumexp and cross-entropy: parsing and checks. Class ids are checked here, before a kernel
// uses one as an index.
#include <algorithm>
#include <cstring>

#include "fast_functions.h"
#include "reduce_driver.h"

namespace fastnn {
namespace {

constexpr int64_t kTask = 8192;  // elements a task
constexpr int64_t kGilFree = 16384;
constexpr int64_t kStreamBytes = int64_t(32) << 20;  // beyond the last cache a result need not pass through it

// softmax(x, dim), softmax_backward(dy, y, dim): null without an error where the twin must do it.
PyObject* softmax(Softmax op, PyObject* const* args, Py_ssize_t nargs) {
  const bool two = op == Softmax::Backward || op == Softmax::LogBackward;
  ArrayView a, b;
  py::object keep_a, keep_b;
  int64_t dim;
  if (nargs != (two ? 3 : 2) || !read_int(args[nargs - 1], dim) || !contiguous(args[0], a, keep_a)) return nullptr;
  if (two && (!contiguous(args[1], b, keep_b) || b.dtype != a.dtype || !same_shape(a, b))) return nullptr;
  if (dim < 0 || dim >= a.ndim || a.size() == 0) return nullptr;
  int64_t outer = 1, inner = 1;
  for (int d = 0; d < a.ndim; ++d) {
    if (d != dim) (d < dim ? outer : inner) *= a.shape[d];
  }
  const int64_t n = a.shape[dim], item = static_cast<int64_t>(size_of(a.dtype));
  py::object out = new_array(numpy_dtype(a.dtype), a.shape, a.ndim);
  char* const to = data_of(out);
  const char* const other = two ? b.data : a.data;
  {
    MaybeReleaseGil gil(a.size() >= kGilFree);
    const Kernels& k = kernels();
    if (inner == 1) {
      const int64_t rows = std::max<int64_t>(1, kTask / n);
      parallel_for((outer + rows - 1) / rows, [&](int64_t i, int) {
        const int64_t at = i * rows * n * item;
        k.softmax_rows({a.dtype, op, a.data + at, other + at, to + at, std::min(rows, outer - i * rows), n, 1, 0, 0});
      });
    } else {
      const int64_t width = std::min<int64_t>(inner, 512), blocks = (inner + width - 1) / width;
      const int64_t group = std::max<int64_t>(1, kTask / (n * width)), tasks = outer * blocks;
      parallel_for((tasks + group - 1) / group, [&](int64_t g, int) {
        for (int64_t i = g * group; i < std::min(tasks, (g + 1) * group); ++i) {
          const int64_t at = i / blocks * n * inner * item, begin = i % blocks * width;
          k.softmax_columns(
              {a.dtype, op, a.data + at, other + at, to + at, 1, n, inner, begin, std::min(inner, begin + width)});
        }
      });
    }
  }
  return out.release().ptr();
}
PyObject* softmax_forward(PyObject* const* a, Py_ssize_t n) { return softmax(Softmax::Forward, a, n); }
PyObject* softmax_backward(PyObject* const* a, Py_ssize_t n) { return softmax(Softmax::Backward, a, n); }
PyObject* log_softmax_forward(PyObject* const* a, Py_ssize_t n) { return softmax(Softmax::LogForward, a, n); }
PyObject* log_softmax_backward(PyObject* const* a, Py_ssize_t n) { return softmax(Softmax::LogBackward, a, n); }

// logsumexp(x, dim, keepdim) over the last dimensions of an array; other dimensions by the twin.
PyObject* logsumexp(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x;
  py::object keep;
  if (nargs < 1 || nargs > 3 || (nargs > 2 && !PyBool_Check(args[2])) || !contiguous(args[0], x, keep)) return nullptr;
  const bool keepdim = nargs > 2 && args[2] == Py_True;
  uint32_t dims = 0;
  const uint32_t all = static_cast<uint32_t>((uint64_t(1) << x.ndim) - 1);
  if (nargs < 2 || args[1] == Py_None) {
    dims = all;
  } else if (PyTuple_CheckExact(args[1])) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args[1]); ++i) {
      int64_t d;
      if (!read_int(PyTuple_GET_ITEM(args[1], i), d) || d < 0 || d >= x.ndim) return nullptr;
      dims |= 1u << d;
    }
  } else {
    return nullptr;
  }
  py::ssize_t shape[kReduceMaxDims];
  int ndim = 0;
  int64_t rows = 1, n = 1;
  for (int d = 0; d < x.ndim; ++d) {
    if (dims >> d & 1) {
      n *= x.shape[d];
      if (keepdim) shape[ndim++] = 1;
    } else {
      if (dims & ((1u << d) - 1)) return nullptr;
      rows *= x.shape[d];
      shape[ndim++] = x.shape[d];
    }
  }
  if (n == 0 || rows == 0) return nullptr;
  py::object out = new_array(numpy_dtype(x.dtype), shape, ndim);
  const int64_t item = static_cast<int64_t>(size_of(x.dtype)), group = std::max<int64_t>(1, kTask / n);
  char* const to = data_of(out);
  {
    MaybeReleaseGil gil(x.size() >= kGilFree);
    const Kernels& k = kernels();
    parallel_for((rows + group - 1) / group, [&](int64_t i, int) {
      const int64_t at = i * group;
      k.logsumexp_rows({x.dtype, Softmax::Forward, x.data + at * n * item, nullptr, to + at * item,
                        std::min(group, rows - at), n, 1, 0, 0});
    });
  }
  return out.release().ptr();
}

enum class Reduction3 { None, Mean, Sum };

// What forward and backward read alike. False: the twin's business.
struct CrossEntropy {
  CrossEntropyArgs a{};
  ArrayView logits, target, weight;
  py::object keep_logits, keep_target, keep_weight;
  Reduction3 reduction = Reduction3::Mean;
  int64_t kept = 0;        // rows that are not ignored
  double kept_weight = 0;  // sum of their classes' weights

  // args: logits, target, weight, ignore_index, label_smoothing, reduction
  bool read(PyObject* const* args) {
    if (!contiguous(args[0], logits, keep_logits) || logits.ndim < 2 || logits.ndim > 3 || logits.size() == 0)
      return false;
    a.inner = logits.ndim == 3 ? logits.shape[2] : 1;
    a.rows = logits.shape[0] * a.inner;
    if (!contiguous_ids(args[1], target, keep_target) || target.ndim != 1 || target.shape[0] != a.rows) return false;
    a.dtype = logits.dtype;
    a.logits = logits.data;
    a.classes = logits.shape[1];
    a.target = reinterpret_cast<const int64_t*>(target.data);
    a.weight_sum = static_cast<double>(a.classes);
    if (args[2] != Py_None) {
      if (!contiguous(args[2], weight, keep_weight) || weight.dtype != a.dtype || weight.ndim != 1 ||
          weight.shape[0] != a.classes)
        return false;
      a.weight = weight.data;
      a.weight_sum = 0;
      for (int64_t c = 0; c < a.classes; ++c) a.weight_sum += weight_of(c);
    }
    if (!read_int(args[3], a.ignore_index) || !read_number(args[4], a.smoothing)) return false;
    if (!PyUnicode_CheckExact(args[5])) return false;
    if (PyUnicode_CompareWithASCIIString(args[5], "mean") == 0) {
      reduction = Reduction3::Mean;
    } else if (PyUnicode_CompareWithASCIIString(args[5], "sum") == 0) {
      reduction = Reduction3::Sum;
    } else if (PyUnicode_CompareWithASCIIString(args[5], "none") == 0) {
      reduction = Reduction3::None;
    } else {
      return false;
    }
    for (int64_t i = 0; i < a.rows; ++i) {
      const int64_t t = a.target[i];
      if (t == a.ignore_index) continue;
      if (t < 0 || t >= a.classes) {
        PyErr_Format(PyExc_IndexError, "cross_entropy: target %lld is out of bounds for %lld classes",
                     static_cast<long long>(t), static_cast<long long>(a.classes));
        throw py::error_already_set();
      }
      ++kept;
      if (a.weight) kept_weight += weight_of(t);
    }
    if (!a.weight) kept_weight = static_cast<double>(kept);
    return true;
  }
  double weight_of(int64_t c) const {
    return a.dtype == Dtype::F32 ? static_cast<const float*>(a.weight)[c] : static_cast<const double*>(a.weight)[c];
  }
  // f(arguments of rows begin .. end), in tasks: of columns, all of one sample.
  template <class F>
  void in_tasks(const F& f) const {
    const int64_t item = static_cast<int64_t>(size_of(a.dtype));
    const bool columns = logits.ndim == 3;
    int64_t rows = std::max<int64_t>(1, kTask / a.classes);
    if (columns) rows = (rows + 63) / 64 * 64;  // whole lines
    const int64_t together = columns ? a.inner : a.rows, groups = (together + rows - 1) / rows;
    parallel_for(groups * (a.rows / together), [&](int64_t i, int) {
      const int64_t within = i % groups * rows, at = i / groups * together + within;
      const int64_t first = columns ? i / groups * together * a.classes + within : at * a.classes;
      CrossEntropyArgs b = a;
      b.rows = std::min(rows, together - within);
      b.logits = static_cast<const char*>(a.logits) + first * item;
      b.target += at;
      b.lse = static_cast<char*>(a.lse) + at * item;
      if (a.loss) b.loss = static_cast<char*>(a.loss) + at * item;
      if (a.dloss) b.dloss = static_cast<const char*>(a.dloss) + at * a.dloss_stride * item;
      if (a.dlogits) b.dlogits = static_cast<char*>(a.dlogits) + first * item;
      f(b);
    });
  }
};

// The losses of a batch in torch's order: the first one apart, then sixteen at a time, sixteen of these sums, and so
// on; what is left at each level is added from the lowest up. The mean of a batch is then torch's to the last bit.
template <class T>
T loss_sum_of(const T* loss, int64_t n) {
  constexpr int kLevels = 8, kBits = 4;
  T level[kLevels] = {};
  for (int64_t i = 0; i < n; ++i) {
    level[0] += loss[i];
    for (int j = 0; j + 1 < kLevels && (i >> (j * kBits) & ((1 << kBits) - 1)) == 0; ++j) {
      level[j + 1] += level[j];
      level[j] = 0;
    }
  }
  T total = 0;
  for (T x : level) total += x;
  return total;
}

void loss_sum_to(Dtype dtype, const void* loss, int64_t n, void* to) {
  if (dtype == Dtype::F32)
    *static_cast<float*>(to) = loss_sum_of(static_cast<const float*>(loss), n);
  else
    *static_cast<double*>(to) = loss_sum_of(static_cast<const double*>(loss), n);
}

// loss_sum(losses): of one dimension.
PyObject* loss_sum(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView losses;
  py::object keep;
  if (nargs != 1 || !contiguous(args[0], losses, keep) || losses.ndim != 1) return nullptr;
  py::object sum = new_array(numpy_dtype(losses.dtype), nullptr, 0);
  loss_sum_to(losses.dtype, losses.data, losses.shape[0], data_of(sum));
  return sum.release().ptr();
}

// cross_entropy(logits, target, weight, ignore_index, label_smoothing, reduction) -> (loss, lse, total_weight):
// logits [N, C] or, the targets flat, [N, C, L]
PyObject* cross_entropy(PyObject* const* args, Py_ssize_t nargs) {
  CrossEntropy c;
  if (nargs != 6 || !c.read(args)) return nullptr;
  CrossEntropyArgs& a = c.a;
  const py::dtype& dtype = numpy_dtype(a.dtype);
  const py::ssize_t rows = a.rows;
  const py::object lse = new_array(dtype, &rows, 1);
  a.lse = data_of(lse);
  const bool none = c.reduction == Reduction3::None;
  py::object loss = new_array(dtype, &rows, none ? 1 : 0);
  // The losses of a small batch are summed on the stack.
  double few[128];
  const bool small = a.rows <= 128;
  const Workspace many(none || small ? 0 : static_cast<size_t>(a.rows) * size_of(a.dtype));
  a.loss = none ? static_cast<void*>(data_of(loss)) : small ? few : many.get();
  {
    MaybeReleaseGil gil(c.logits.size() >= kGilFree);
    const Kernels& k = kernels();
    const auto kernel = c.logits.ndim == 3 ? k.cross_entropy_columns : k.cross_entropy;
    c.in_tasks([&](const CrossEntropyArgs& b) { kernel(b); });
    if (!none) loss_sum_to(a.dtype, a.loss, a.rows, data_of(loss));
  }
  if (c.reduction == Reduction3::Mean) {  // 0 / 0 where every row is ignored: NaN, as torch
    if (a.dtype == Dtype::F32) {
      *reinterpret_cast<float*>(data_of(loss)) /= static_cast<float>(c.kept_weight);
    } else {
      *reinterpret_cast<double*>(data_of(loss)) /= c.kept_weight;
    }
  }
  PyObject* total = PyFloat_FromDouble(c.kept_weight);
  if (!total) throw py::error_already_set();
  PyObject* result = PyTuple_New(3);
  if (!result) {
    Py_DECREF(total);
    throw py::error_already_set();
  }
  PyTuple_SET_ITEM(result, 0, loss.release().ptr());
  PyTuple_SET_ITEM(result, 1, py::object(lse).release().ptr());
  PyTuple_SET_ITEM(result, 2, total);
  return result;
}

// cross_entropy_backward(dloss, logits, target, weight, ignore_index, label_smoothing, reduction, lse, total_weight)
PyObject* cross_entropy_backward(PyObject* const* args, Py_ssize_t nargs) {
  CrossEntropy c;
  ArrayView dloss, lse;
  py::object keep_dloss, keep_lse;
  double total;
  if (nargs != 9 || !c.read(args + 1)) return nullptr;
  CrossEntropyArgs& a = c.a;
  if (!contiguous(args[0], dloss, keep_dloss) || !contiguous(args[7], lse, keep_lse) || !read_number(args[8], total) ||
      dloss.dtype != a.dtype || lse.dtype != a.dtype || lse.ndim != 1 || lse.shape[0] != a.rows)
    return nullptr;
  const bool none = c.reduction == Reduction3::None;
  if (dloss.ndim != (none ? 1 : 0) || (none && dloss.shape[0] != a.rows)) return nullptr;
  py::object dx = new_array(numpy_dtype(a.dtype), c.logits.shape, c.logits.ndim);
  a.dlogits = data_of(dx);
  a.lse = lse.data;
  a.dloss = dloss.data;
  a.dloss_stride = none;
  a.scale = c.reduction == Reduction3::Mean ? 1 / total : 1;
  a.stream = c.logits.size() * static_cast<int64_t>(size_of(a.dtype)) > kStreamBytes;
  {
    MaybeReleaseGil gil(c.logits.size() >= kGilFree);
    const Kernels& k = kernels();
    const auto kernel = c.logits.ndim == 3 ? k.cross_entropy_columns_backward : k.cross_entropy_backward;
    c.in_tasks([&](const CrossEntropyArgs& b) { kernel(b); });
  }
  return dx.release().ptr();
}

constexpr FastFunction functions[] = {
    {"softmax", &softmax_forward},
    {"softmax_backward", &softmax_backward},
    {"log_softmax", &log_softmax_forward},
    {"log_softmax_backward", &log_softmax_backward},
    {"logsumexp", &logsumexp},
    {"loss_sum", &loss_sum},
    {"cross_entropy", &cross_entropy},
    {"cross_entropy_backward", &cross_entropy_backward},
};
}  // namespace

void bind_softmax(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.softmax."); }

}  // namespace fastnn
