// Strided arrays made contiguous: see strided_copy.h.
#include "strided_copy.h"

#include <algorithm>

namespace fastnn {
namespace {

constexpr int64_t kTask = 32768;  // elements a task
constexpr int64_t kGilFree = 16384;
constexpr int kDims = 32;

// One copy: dimensions of size above 1 in the result's order, merged where the source allows.
struct StridedCopy {
  int ndim = 0, itemsize = 0;
  int64_t shape[kDims + 1], from[kDims + 1], to[kDims + 1];  // strides in bytes

  void add(int64_t size, int64_t stride) {
    if (size == 1) return;
    if (ndim && from[ndim - 1] == stride * size) {
      shape[ndim - 1] *= size;
      from[ndim - 1] = stride;
      return;
    }
    shape[ndim] = size;
    from[ndim++] = stride;
  }
  // The result is contiguous; the last dimension becomes the columns, the one along which the source's elements lie
  // closest the rows.
  void run(const char* source, char* target) {
    if (ndim < 2) {
      for (int d = ndim - 1; d >= 0; --d) shape[d + 1] = shape[d], from[d + 1] = from[d];
      shape[0] = 1;
      from[0] = 0;
      if (!ndim++) {
        shape[1] = 1;
        from[1] = itemsize;
        ++ndim;
      }
    }
    int64_t size = itemsize;
    for (int d = ndim - 1; d >= 0; --d) {
      to[d] = size;
      size *= shape[d];
    }
    int rows = ndim - 2;
    if (from[ndim - 1] != itemsize)
      for (int d = 0; d < ndim - 1; ++d)
        if (from[d] == itemsize) rows = d;
    CopyArgs a{};
    a.itemsize = itemsize;
    a.cols = shape[ndim - 1];
    a.from_row = from[rows];
    a.from_col = from[ndim - 1];
    a.to_row = to[rows];
    int64_t matrices = 1;
    for (int d = 0; d < ndim - 1; ++d)
      if (d != rows) matrices *= shape[d];
    // Pieces of long rows, rows by the block, or matrices by the group, whichever makes tasks of about kTask elements.
    const int64_t width = std::min(a.cols, kTask), pieces = (a.cols + width - 1) / width;
    const int64_t block = pieces > 1 ? 1 : std::max<int64_t>(1, (kTask / a.cols + 63) / 64) * 64;
    const int64_t blocks = (shape[rows] + block - 1) / block;
    const int64_t group = std::max<int64_t>(1, kTask / (width * std::min(block, shape[rows])));
    const int64_t parts = matrices * blocks * pieces;
    const Kernels& k = kernels();
    parallel_for((parts + group - 1) / group, [&](int64_t task, int) {
      for (int64_t part = task * group; part < std::min(parts, (task + 1) * group); ++part) {
        CopyArgs b = a;
        const int64_t column = part % pieces * width, first = part / pieces % blocks * block;
        int64_t matrix = part / pieces / blocks;
        b.rows = std::min(block, shape[rows] - first);
        b.cols = std::min(width, a.cols - column);
        b.from = source + first * from[rows] + column * a.from_col;
        b.to = target + first * to[rows] + column * itemsize;
        for (int d = ndim - 2; d >= 0; --d) {
          if (d == rows) continue;
          b.from += matrix % shape[d] * from[d];
          b.to += matrix % shape[d] * to[d];
          matrix /= shape[d];
        }
        k.copy_matrix(b);
      }
    });
  }
};

// The array's elements, in order, in a fresh array of this shape; null where they are not plain.
PyObject* copy_as(PyObject* array, const py::ssize_t* shape, int ndim) {
  const py::detail::PyArray_Proxy* x = py::detail::array_proxy(array);
  const auto dtype = py::reinterpret_borrow<py::dtype>(x->descr);
  const int itemsize = static_cast<int>(dtype.itemsize());
  if (x->nd > kDims || !plain_elements(array)) return nullptr;
  py::object out = new_array(dtype, shape, ndim);
  int64_t size = 1;
  StridedCopy c;
  c.itemsize = itemsize;
  for (int d = 0; d < x->nd; ++d) {
    size *= x->dimensions[d];
    c.add(x->dimensions[d], x->strides[d]);
  }
  if (size == 0) return out.release().ptr();
  const char* from = x->data;
  char* to = py::detail::array_proxy(out.ptr())->data;
  PyThreadState* state = size >= kGilFree ? PyEval_SaveThread() : nullptr;
  c.run(from, to);
  if (state) PyEval_RestoreThread(state);
  return out.release().ptr();
}

// Can the elements be seen in the new shape without moving? Runs of dimensions with the same product on both sides must
// each lie in memory as one.
bool viewable(const py::detail::PyArray_Proxy* x, const py::ssize_t* shape, int ndim) {
  int64_t sizes[kDims], strides[kDims];
  int n = 0;
  for (int d = 0; d < x->nd; ++d) {
    if (x->dimensions[d] == 1) continue;
    sizes[n] = x->dimensions[d];
    strides[n++] = x->strides[d];
  }
  int from = 0, to = 0;
  while (from < n) {
    int end = from + 1;
    int64_t mine = sizes[from], other = to < ndim ? shape[to++] : 1;
    while (mine != other) {
      if (mine < other) {
        if (end == n) return false;
        mine *= sizes[end++];
      } else {
        if (to == ndim) return false;
        other *= shape[to++];
      }
    }
    for (int d = from; d + 1 < end; ++d)
      if (strides[d] != strides[d + 1] * sizes[d + 1]) return false;
    from = end;
  }
  return true;
}

}  // namespace

bool plain_elements(PyObject* array) {
  using npy = py::detail::npy_api;
  PyObject* const descr = py::detail::array_proxy(array)->descr;
  const int type = py::detail::array_descriptor_proxy(descr)->type_num;
  const auto size = py::reinterpret_borrow<py::dtype>(descr).itemsize();
  if (size != 1 && size != 2 && size != 4 && size != 8 && size != 16) return false;
  return (type >= npy::NPY_BOOL_ && type <= npy::NPY_CLONGDOUBLE_) || type == 23 || (type >= 256 && size <= 2);
}

PyObject* contiguous_copy(PyObject* array) {
  const py::detail::PyArray_Proxy* x = py::detail::array_proxy(array);
  PyObject* copy = copy_as(array, reinterpret_cast<const py::ssize_t*>(x->dimensions), x->nd);
  if (!copy) copy = py::detail::npy_api::get().PyArray_NewCopy_(array, 0);
  if (!copy) throw py::error_already_set();
  return copy;
}

PyObject* reshaped_copy(PyObject* array, const py::ssize_t* shape, int ndim) {
  const py::detail::PyArray_Proxy* x = py::detail::array_proxy(array);
  if (x->nd > kDims || viewable(x, shape, ndim)) return nullptr;
  return copy_as(array, shape, ndim);
}

}  // namespace fastnn
