// Rows of a table, their gradient, and bags of rows: parsing, checks, and the look-ups sorted by row.
#include <algorithm>
#include <vector>

#include "fast_functions.h"

namespace fastnn {
namespace {

constexpr int64_t kTask = 16384;  // elements a task
constexpr int64_t kGilFree = 16384;
constexpr int64_t kStreamBytes = int64_t(8) << 20;  // a gradient that is mostly zeros need not pass through the caches

// An int64 array, contiguous; a copy where it is not.
struct Ids {
  ArrayView view;
  py::object keep;
  const int64_t* data = nullptr;
  int64_t n = 0;
  bool read(PyObject* o) {
    if (!contiguous_ids(o, view, keep)) return false;
    data = reinterpret_cast<const int64_t*>(view.data);
    n = view.size();
    return true;
  }
  void check(int64_t rows, const char* function) const {
    int64_t low = 0, high = -1;
    for (int64_t i = 0; i < n; ++i) {
      low = std::min(low, data[i]);
      high = std::max(high, data[i]);
    }
    if (low >= 0 && high < rows) return;
    PyErr_Format(PyExc_IndexError, "index out of range in self: %s of %lld rows got id %lld", function,
                 static_cast<long long>(rows), static_cast<long long>(low < 0 ? low : high));
    throw py::error_already_set();
  }
};

// f(begin, end) over rows of `width` elements.
template <class F>
void in_tasks(int64_t rows, int64_t width, const F& f) {
  const int64_t group = std::max<int64_t>(1, kTask / std::max<int64_t>(width, 1));
  parallel_for((rows + group - 1) / group, [&](int64_t i, int) { f(i * group, std::min(rows, (i + 1) * group)); });
}

// embedding(w, index) -> w[index]
PyObject* embedding(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView w;
  py::object keep;
  Ids index;
  if (nargs != 2 || !contiguous(args[0], w, keep) || w.ndim != 2 || !index.read(args[1]) || index.view.ndim > 30)
    return nullptr;
  index.check(w.shape[0], "embedding");
  std::vector<py::ssize_t> shape(index.view.shape, index.view.shape + index.view.ndim);
  shape.push_back(w.shape[1]);
  py::object out = new_array(numpy_dtype(w.dtype), shape);
  EmbeddingArgs a{};
  a.dtype = w.dtype;
  a.width = w.shape[1];
  a.w = w.data;
  a.index = index.data;
  a.out = data_of(out);
  {
    MaybeReleaseGil gil(index.n * a.width >= kGilFree);
    const Kernels& k = kernels();
    in_tasks(index.n, a.width, [&](int64_t begin, int64_t end) {
      EmbeddingArgs b = a;
      b.begin = begin;
      b.end = end;
      k.embedding(b);
    });
  }
  return out.release().ptr();
}

// Zeros [rows, width] with the rows of dy added: of look-up i the row source[i] (null: i), times factor[i] (null: 1),
// to the row index[i], in the order of the look-ups; none where index is `padding`.
PyObject* add_rows(const ArrayView& dy, const Ids& index, const int64_t* source, const void* factor, int64_t rows,
                   int64_t padding, bool by_frequency) {
  const int64_t width = dy.shape[dy.ndim - 1], n = index.n;
  const py::ssize_t shape[2] = {rows, width};
  py::object out = new_array(numpy_dtype(dy.dtype), shape, 2);
  const size_t item = size_of(dy.dtype);
  const Workspace starts(static_cast<size_t>(rows + 2) * 8), sorted(static_cast<size_t>(n) * 8);
  const Workspace shares(by_frequency ? static_cast<size_t>(n) * item : 0);
  int64_t *start = static_cast<int64_t*>(starts.get()), *order = static_cast<int64_t*>(sorted.get());
  EmbeddingArgs a{};
  a.dtype = dy.dtype;
  a.width = width;
  a.w = dy.data;
  a.index = order;
  a.start = start;
  a.source = source;
  a.factor = by_frequency ? shares.get() : factor;
  a.out = data_of(out);
  const int64_t bytes = rows * width * static_cast<int64_t>(item);
  a.stream = bytes > kStreamBytes && width * static_cast<int64_t>(item) % 64 == 0;
  {
    MaybeReleaseGil gil(n * width >= kGilFree);
    // Counting sort: start[r + 2] counts row r, then start[r + 1] is where its next look-up goes.
    std::fill(start, start + rows + 2, 0);
    for (int64_t i = 0; i < n; ++i)
      if (index.data[i] != padding) ++start[index.data[i] + 2];
    if (by_frequency) {
      for (int64_t i = 0; i < n; ++i) {
        const double share = index.data[i] == padding ? 0 : 1.0 / static_cast<double>(start[index.data[i] + 2]);
        if (dy.dtype == Dtype::F32) {
          static_cast<float*>(shares.get())[i] = static_cast<float>(share);
        } else {
          static_cast<double*>(shares.get())[i] = share;
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) start[r + 2] += start[r + 1];
    for (int64_t i = 0; i < n; ++i)
      if (index.data[i] != padding) order[start[index.data[i] + 1]++] = i;
    const Kernels& k = kernels();
    in_tasks(rows, width, [&](int64_t begin, int64_t end) {
      EmbeddingArgs b = a;
      b.begin = begin;
      b.end = end;
      k.embedding_backward(b);
    });
  }
  return out.release().ptr();
}

// embedding_backward(dy, index, shape, padding_idx, scale_grad_by_freq)
PyObject* embedding_backward(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView dy;
  py::object keep;
  Ids index;
  int64_t shape[2], padding = -1;
  if (nargs != 5 || !contiguous(args[0], dy, keep) || dy.ndim < 1 || !index.read(args[1]) ||
      !read_ints(args[2], 2, shape) || (args[3] != Py_None && !read_int(args[3], padding)) || !PyBool_Check(args[4]))
    return nullptr;
  const int64_t rows = shape[0], width = shape[1];
  if (rows < 0 || dy.shape[dy.ndim - 1] != width || dy.size() != index.n * width) return nullptr;
  index.check(rows, "embedding_backward");
  return add_rows(dy, index, nullptr, nullptr, rows, padding, args[4] == Py_True);
}

// An array of the look-ups' factors, or None.
bool read_factor(PyObject* o, Dtype dtype, int64_t n, ArrayView& v, py::object& keep, const void*& data) {
  data = nullptr;
  if (o == Py_None) return true;
  if (!contiguous(o, v, keep) || v.dtype != dtype || v.size() != n) return false;
  data = v.data;
  return true;
}

// embedding_bag(w, index, start, factor, mode, padding_idx) -> (out, chosen): mode 0 sum, 1 mean, 2 max
PyObject* embedding_bag(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView w, factor;
  py::object keep, keep_factor;
  Ids index, start;
  const void* factors;
  int64_t mode, padding = -1;
  if (nargs != 6 || !contiguous(args[0], w, keep) || w.ndim != 2 || !index.read(args[1]) || !start.read(args[2]) ||
      start.n < 1 || !read_factor(args[3], w.dtype, index.n, factor, keep_factor, factors) ||
      !read_int(args[4], mode) || mode < 0 || mode > 2 || (args[5] != Py_None && !read_int(args[5], padding)))
    return nullptr;
  index.check(w.shape[0], "embedding_bag");
  for (int64_t b = 0; b < start.n; ++b)
    if (start.data[b] < (b ? start.data[b - 1] : 0) || start.data[b] > index.n) return nullptr;
  const py::ssize_t shape[2] = {start.n - 1, w.shape[1]};
  const py::object out = new_array(numpy_dtype(w.dtype), shape, 2);
  const bool max = mode == 2;
  const py::object chosen = max ? py::object(new_array(numpy_dtype(Dtype::I64), shape, 2)) : py::object(py::none());
  EmbeddingArgs a{};
  a.dtype = w.dtype;
  a.width = w.shape[1];
  a.w = w.data;
  a.index = index.data;
  a.start = start.data;
  a.factor = factors;
  a.out = data_of(out);
  a.bag = static_cast<Bag>(mode);
  a.padding = padding;
  a.chosen = max ? reinterpret_cast<int64_t*>(data_of(chosen)) : nullptr;
  {
    MaybeReleaseGil gil(index.n * a.width >= kGilFree);
    const Kernels& k = kernels();
    const int64_t bags = start.n - 1;
    in_tasks(bags, a.width * std::max<int64_t>(1, index.n / std::max<int64_t>(bags, 1)),
             [&](int64_t begin, int64_t end) {
               EmbeddingArgs b = a;
               b.begin = begin;
               b.end = end;
               k.embedding_bag(b);
             });
  }
  return py::make_tuple(out, chosen).release().ptr();
}

// embedding_bag_backward(dy, index, source, factor, shape, padding_idx): dy[source[i]] factor[i] added to row index[i]
PyObject* embedding_bag_backward(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView dy, factor;
  py::object keep, keep_factor;
  Ids index, source;
  const void* factors;
  int64_t shape[2], padding = -1;
  if (nargs != 6 || !contiguous(args[0], dy, keep) || dy.ndim != 2 || !index.read(args[1]) || !source.read(args[2]) ||
      source.n != index.n || !read_factor(args[3], dy.dtype, index.n, factor, keep_factor, factors) ||
      !read_ints(args[4], 2, shape) || shape[0] < 0 || shape[1] != dy.shape[1] ||
      (args[5] != Py_None && !read_int(args[5], padding)))
    return nullptr;
  index.check(shape[0], "embedding_bag_backward");
  source.check(dy.shape[0], "embedding_bag_backward");
  return add_rows(dy, index, source.data, factors, shape[0], padding, false);
}

constexpr FastFunction functions[] = {{"embedding", &embedding},
                                      {"embedding_backward", &embedding_backward},
                                      {"embedding_bag", &embedding_bag},
                                      {"embedding_bag_backward", &embedding_bag_backward}};
}  // namespace

void bind_embedding(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.embedding."); }

}  // namespace fastnn
