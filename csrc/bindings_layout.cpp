// Strided arrays made contiguous, arrays joined, padding by index, windows added into images: parsing and checks.
#include <algorithm>
#include <cstring>

#include "fast_functions.h"
#include "strided_copy.h"

namespace fastnn {
namespace {

constexpr int64_t kTask = 32768;  // elements a task
constexpr int64_t kGilFree = 16384;
constexpr int kDims = 32;

// copy(x): a C-contiguous copy
PyObject* copy(PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 1 || Py_TYPE(args[0]) != numpy_objects().array) return nullptr;
  return contiguous_copy(args[0]);
}

// reshape(x, shape): a view where that is possible, else a copy
PyObject* reshape(PyObject* const* args, Py_ssize_t nargs) {
  if (nargs != 2 || Py_TYPE(args[0]) != numpy_objects().array) return nullptr;
  const py::detail::PyArray_Proxy* x = py::detail::array_proxy(args[0]);
  if ((x->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_) || !PyTuple_CheckExact(args[1])) return nullptr;
  const Py_ssize_t ndim = PyTuple_GET_SIZE(args[1]);
  py::ssize_t shape[kDims];
  if (ndim > kDims || x->nd > kDims) return nullptr;
  int64_t size = 1, left = 1;
  int open = -1;
  for (int d = 0; d < x->nd; ++d) size *= x->dimensions[d];
  for (int d = 0; d < ndim; ++d) {
    int64_t n;
    if (!read_int(PyTuple_GET_ITEM(args[1], d), n) || n < -1 || n > size || (n == -1 && open >= 0)) return nullptr;
    shape[d] = n;
    if (n == -1) {
      open = d;
    } else if (__builtin_mul_overflow(left, n, &left)) {
      return nullptr;
    }
  }
  if (size == 0 || left == 0 || (open < 0 ? left != size : size % left != 0)) return nullptr;
  if (open >= 0) shape[open] = size / left;
  return reshaped_copy(args[0], shape, static_cast<int>(ndim));
}

// cat(arrays, dim): contiguous arrays of one dtype. A row of the result, its dimensions from dim on, is a piece of each
// array; the result is written in order, in tasks of kTask elements.
PyObject* cat(PyObject* const* args, Py_ssize_t nargs) {
  int64_t dim;
  if (nargs != 2 || !PyList_CheckExact(args[0]) || !read_int(args[1], dim)) return nullptr;
  const Py_ssize_t n = PyList_GET_SIZE(args[0]);
  std::vector<py::object> arrays;
  std::vector<const char*> data;
  std::vector<int64_t> ends;  // of the pieces in a row, in bytes
  py::ssize_t shape[kDims];
  int ndim = 0;
  int64_t item = 0, total = 0;
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* const o = PyList_GET_ITEM(args[0], i);
    if (Py_TYPE(o) != numpy_objects().array) return nullptr;
    const py::detail::PyArray_Proxy* x = py::detail::array_proxy(o);
    if (!(x->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_)) return nullptr;
    if (i == 0) {
      ndim = x->nd;
      if (dim < 0 || dim >= ndim || ndim > kDims || !plain_elements(o)) return nullptr;
      item = py::reinterpret_borrow<py::dtype>(x->descr).itemsize();
      std::copy(x->dimensions, x->dimensions + ndim, shape);
    } else {
      if (x->nd != ndim || x->descr != py::detail::array_proxy(arrays[0].ptr())->descr) return nullptr;
      for (int d = 0; d < ndim; ++d)
        if (d != dim && x->dimensions[d] != shape[d]) return nullptr;
    }
    arrays.push_back(py::reinterpret_borrow<py::object>(o));
    data.push_back(x->data);
    total += x->dimensions[dim];
    int64_t inner = item;
    for (int d = static_cast<int>(dim) + 1; d < ndim; ++d) inner *= shape[d];
    ends.push_back(total * inner);
  }
  if (n == 0) return nullptr;
  shape[dim] = total;
  py::object out =
      new_array(py::reinterpret_borrow<py::dtype>(py::detail::array_proxy(arrays[0].ptr())->descr), shape, ndim);
  const int64_t row = ends.back();
  int64_t bytes = row;
  for (int d = 0; d < dim; ++d) bytes *= shape[d];
  if (bytes == 0) return out.release().ptr();
  char* const to = data_of(out);
  const int64_t task = kTask * item;
  MaybeReleaseGil gil(bytes >= kGilFree * item);
  parallel_for((bytes + task - 1) / task, [&](int64_t t, int) {
    const int64_t end = std::min(bytes, (t + 1) * task);
    for (int64_t at = t * task; at < end;) {
      const int64_t r = at / row, in_row = at % row;
      auto i = static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), in_row) - ends.begin());
      for (int64_t from = in_row; i < ends.size() && at < end; ++i) {
        const int64_t start = i ? ends[i - 1] : 0, piece = ends[i] - start, count = std::min(ends[i] - from, end - at);
        std::memcpy(to + at, data[i] + r * piece + (from - start), static_cast<size_t>(count));
        at += count;
        from = ends[i];
      }
    }
  });
  return out.release().ptr();
}

// ---------------------------------------------------------------- pad and fold

// An index array of places in [0, n).
bool read_index(PyObject* o, int64_t n, ArrayView& v) {
  if (!view_array(o, v) || v.dtype != Dtype::I64 || v.ndim != 1 || !v.contiguous() ||
      reinterpret_cast<uintptr_t>(v.data) % 8)
    return false;
  for (int64_t i = 0; i < v.shape[0]; ++i) {
    const int64_t at = reinterpret_cast<const int64_t*>(v.data)[i];
    if (at < 0 || at >= n) return false;
  }
  return true;
}

// f(first plane, planes) in tasks.
template <class F>
void over_planes(int64_t planes, int64_t elements, const F& f) {
  const int64_t group = std::max<int64_t>(1, kTask / std::max<int64_t>(1, elements));
  MaybeReleaseGil gil(planes * elements >= kGilFree);
  parallel_for((planes + group - 1) / group,
               [&](int64_t i, int) { f(i * group, std::min(group, planes - i * group)); });
}

// index_pad2d(x, row, row_inside, col, col_inside) and, with the sizes (H, W) at the end, its transpose
PyObject* index_pad(PyObject* const* args, Py_ssize_t nargs, bool backward) {
  ArrayView x, row, col;
  py::object keep;
  int64_t inside[3], rows_inside[3], sizes[2];
  if (nargs != 5 + backward || !contiguous(args[0], x, keep) || x.ndim < 2) return nullptr;
  if (backward) {
    if (!read_ints(args[5], 2, sizes)) return nullptr;
  } else {
    sizes[0] = x.shape[x.ndim - 2];
    sizes[1] = x.shape[x.ndim - 1];
  }
  if (sizes[0] < 1 || sizes[1] < 1 || !read_index(args[1], sizes[0], row) || !read_ints(args[2], 3, rows_inside) ||
      !read_index(args[3], sizes[1], col) || !read_ints(args[4], 3, inside))
    return nullptr;
  IndexPadArgs a{};
  a.dtype = x.dtype;
  a.H = sizes[0];
  a.W = sizes[1];
  a.P = row.shape[0];
  a.Q = col.shape[0];
  a.begin = inside[0];
  a.end = inside[1];
  a.first = inside[2];
  if (a.begin < 0 || a.end < a.begin || a.end > a.Q || a.first < 0 || a.first > a.W - (a.end - a.begin)) return nullptr;
  if (backward && (x.shape[x.ndim - 2] != a.P || x.shape[x.ndim - 1] != a.Q)) return nullptr;
  py::ssize_t shape[kDims];
  int64_t planes = 1;
  for (int d = 0; d < x.ndim - 2; ++d) planes *= shape[d] = x.shape[d];
  shape[x.ndim - 2] = backward ? a.H : a.P;
  shape[x.ndim - 1] = backward ? a.W : a.Q;
  py::object out = new_array(numpy_dtype(x.dtype), shape, x.ndim);
  a.row = reinterpret_cast<const int64_t*>(row.data);
  a.col = reinterpret_cast<const int64_t*>(col.data);
  const auto item = static_cast<int64_t>(size_of(x.dtype));
  const int64_t read = (backward ? a.P * a.Q : a.H * a.W) * item, written = (backward ? a.H * a.W : a.P * a.Q) * item;
  char* to = data_of(out);
  const Kernels& k = kernels();
  over_planes(planes, a.P * a.Q + a.H * a.W, [&](int64_t first, int64_t count) {
    IndexPadArgs b = a;
    b.planes = count;
    b.x = x.data + first * read;
    b.y = to + first * written;
    backward ? k.index_pad2d_backward(b) : k.index_pad2d(b);
  });
  return out.release().ptr();
}
PyObject* index_pad2d(PyObject* const* args, Py_ssize_t nargs) { return index_pad(args, nargs, false); }
PyObject* index_pad2d_backward(PyObject* const* args, Py_ssize_t nargs) { return index_pad(args, nargs, true); }

// col2im(columns, size, kernel, dilation, padding, stride)
PyObject* col2im(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView columns;
  py::object keep;
  int64_t size[2], kernel[2], dilation[2], padding[2], stride[2], out[2];
  if (nargs != 6 || !contiguous(args[0], columns, keep) || columns.ndim != 3 || !read_ints(args[1], 2, size) ||
      !read_ints(args[2], 2, kernel) || !read_ints(args[3], 2, dilation) || !read_ints(args[4], 2, padding) ||
      !read_ints(args[5], 2, stride))
    return nullptr;
  for (int d = 0; d < 2; ++d) {
    constexpr int64_t kMost = int64_t(1) << 31;
    for (const int64_t v : {size[d], kernel[d], dilation[d], stride[d]})
      if (v < 1 || v > kMost) return nullptr;
    if (padding[d] < 0 || padding[d] > kMost || kernel[d] > kMost / dilation[d]) return nullptr;
    const int64_t room = size[d] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1;
    if (room < 0) return nullptr;
    out[d] = room / stride[d] + 1;
  }
  if (columns.shape[2] / out[0] != out[1] || columns.shape[2] % out[0] || kernel[0] > (int64_t(1) << 40) / kernel[1] ||
      columns.shape[1] % (kernel[0] * kernel[1]))
    return nullptr;
  const int64_t channels = columns.shape[1] / (kernel[0] * kernel[1]);
  const py::ssize_t shape[4] = {columns.shape[0], channels, size[0], size[1]};
  py::object images = new_array(numpy_dtype(columns.dtype), shape, 4);
  Col2imArgs a{};
  a.dtype = columns.dtype;
  a.H = size[0];
  a.W = size[1];
  a.P = out[0];
  a.Q = out[1];
  a.R = kernel[0];
  a.S = kernel[1];
  a.stride_h = stride[0];
  a.stride_w = stride[1];
  a.pad_h = padding[0];
  a.pad_w = padding[1];
  a.dilation_h = dilation[0];
  a.dilation_w = dilation[1];
  const auto item = static_cast<int64_t>(size_of(a.dtype));
  const int64_t read = a.R * a.S * a.P * a.Q, written = a.H * a.W;
  char* to = data_of(images);
  const Kernels& k = kernels();
  over_planes(columns.shape[0] * channels, read + written, [&](int64_t first, int64_t count) {
    Col2imArgs b = a;
    b.planes = count;
    b.columns = columns.data + first * read * item;
    b.images = to + first * written * item;
    k.col2im(b);
  });
  return images.release().ptr();
}

constexpr FastFunction functions[] = {{"copy", &copy},
                                      {"reshape", &reshape},
                                      {"cat", &cat},
                                      {"index_pad2d", &index_pad2d},
                                      {"index_pad2d_backward", &index_pad2d_backward},
                                      {"col2im", &col2im}};
}  // namespace

void bind_layout(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels."); }

}  // namespace fastnn
