// Elements in another order: flip, roll, triangles, the places of non-zeros. Moves of whole runs of memory.
#include <algorithm>
#include <cstring>

#include "fast_functions.h"

namespace fastnn {
namespace {

constexpr int64_t kGilFree = 32768;

bool view_contiguous(PyObject* o, ArrayView& v) {
  return view_array(o, v) && v.contiguous() && v.flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_;
}

template <class T>
void reversed(const char* from, char* to, int64_t n) {
  const T* x = reinterpret_cast<const T*>(from);
  T* y = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < n; ++i) y[i] = x[n - 1 - i];
}

// flip(x, dims): dims a tuple of distinct dimensions
PyObject* flip(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x;
  int64_t dims[32];
  if (nargs != 2 || !view_contiguous(args[0], x) || !PyTuple_CheckExact(args[1])) return nullptr;
  const auto count = static_cast<int>(std::min<Py_ssize_t>(PyTuple_GET_SIZE(args[1]), 32));
  if (!read_ints(args[1], count, dims)) return nullptr;
  bool turned[32] = {};
  for (int i = 0; i < count; ++i) {
    if (dims[i] < 0 || dims[i] >= x.ndim || turned[dims[i]]) return nullptr;
    turned[dims[i]] = true;
  }
  py::object out = new_array(numpy_dtype(x.dtype), x.shape, x.ndim);
  const int64_t size = x.size(), item = static_cast<int64_t>(size_of(x.dtype));
  // Neighbours that both turn, or both do not, are one dimension.
  int64_t shape[32];
  bool turn[32];
  int n = 0;
  for (int d = 0; d < x.ndim; ++d) {
    if (x.shape[d] == 1) continue;
    if (n && turn[n - 1] == turned[d]) {
      shape[n - 1] *= x.shape[d];
    } else {
      shape[n] = x.shape[d];
      turn[n++] = turned[d];
    }
  }
  if (!size) return out.release().ptr();
  int64_t run = 1;
  if (n) run = shape[n - 1];
  const bool turn_run = n && turn[n - 1];
  int64_t strides[32], rows = 1, at[32] = {};
  for (int64_t d = n - 2, stride = run * item; d >= 0; --d) {
    strides[d] = stride;
    stride *= shape[d];
    rows *= shape[d];
  }
  const char* from = x.data;
  for (int d = 0; d < n - 1; ++d)
    if (turn[d]) from += (shape[d] - 1) * strides[d];
  char* to = data_of(out);
  MaybeReleaseGil gil(size >= kGilFree);
  for (int64_t r = 0; r < rows; ++r, to += run * item) {
    if (!turn_run) {
      std::memcpy(to, from, static_cast<size_t>(run * item));
    } else if (item == 4) {
      reversed<uint32_t>(from, to, run);
    } else if (item == 8) {
      reversed<uint64_t>(from, to, run);
    } else {
      reversed<uint8_t>(from, to, run);
    }
    for (int d = n - 2; d >= 0; --d) {
      const int64_t step = turn[d] ? -strides[d] : strides[d];
      from += step;
      if (++at[d] < shape[d]) break;
      from -= step * at[d];
      at[d] = 0;
    }
  }
  return out.release().ptr();
}

// roll(x, shifts, dims): tuples of one
PyObject* roll(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x;
  int64_t by, dim;
  if (nargs != 3 || !view_contiguous(args[0], x) || !read_ints(args[1], 1, &by) || !read_ints(args[2], 1, &dim))
    return nullptr;
  if (dim < 0) dim += x.ndim;
  if (dim < 0 || dim >= x.ndim) return nullptr;
  py::object out = new_array(numpy_dtype(x.dtype), x.shape, x.ndim);
  const int64_t n = x.shape[dim], size = x.size();
  if (!size) return out.release().ptr();
  int64_t inner = static_cast<int64_t>(size_of(x.dtype)), outer = 1;
  for (int d = 0; d < dim; ++d) outer *= x.shape[d];
  for (int d = static_cast<int>(dim) + 1; d < x.ndim; ++d) inner *= x.shape[d];
  const int64_t shift = ((by % n) + n) % n;
  const auto head = static_cast<size_t>(shift * inner), tail = static_cast<size_t>((n - shift) * inner);
  const char* from = x.data;
  char* to = data_of(out);
  MaybeReleaseGil gil(size >= kGilFree);
  for (int64_t i = 0; i < outer; ++i, from += n * inner, to += n * inner) {
    std::memcpy(to, from + tail, head);
    std::memcpy(to + head, from, tail);
  }
  return out.release().ptr();
}

// triangle(x, diagonal, lower): zeros above (below) the diagonal of the last two dimensions
PyObject* triangle(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x;
  int64_t diagonal;
  if (nargs != 3 || !view_contiguous(args[0], x) || x.ndim < 2 || !read_int(args[1], diagonal) ||
      !PyBool_Check(args[2]))
    return nullptr;
  const bool lower = args[2] == Py_True;
  py::object out = new_array(numpy_dtype(x.dtype), x.shape, x.ndim);
  const int64_t rows = x.shape[x.ndim - 2], cols = x.shape[x.ndim - 1], size = x.size();
  const auto item = static_cast<int64_t>(size_of(x.dtype));
  if (!size) return out.release().ptr();
  diagonal = std::max(-rows, std::min(cols, diagonal));
  const char* from = x.data;
  char* to = data_of(out);
  MaybeReleaseGil gil(size >= kGilFree);
  for (int64_t r = 0; r < size / cols; ++r, from += cols * item, to += cols * item) {
    // The first column that is not of the lower triangle, or the first of the upper one.
    const int64_t edge = std::max<int64_t>(0, std::min(cols, r % rows + diagonal + lower)) * item;
    const int64_t rest = cols * item - edge;
    if (lower) {
      std::memcpy(to, from, static_cast<size_t>(edge));
      std::memset(to + edge, 0, static_cast<size_t>(rest));
    } else {
      std::memset(to, 0, static_cast<size_t>(edge));
      std::memcpy(to + edge, from + edge, static_cast<size_t>(rest));
    }
  }
  return out.release().ptr();
}

constexpr int64_t kPart = 512;  // elements of a row looked at at a time: their places take 4 KiB of the stack

template <class T>
int64_t count_of(const char* data, int64_t n) {
  const T* x = reinterpret_cast<const T*>(data);
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) count += x[i] != T(0);
  return count;
}
// The places of `limit` non-zeros; should another thread have cleared some since they were counted, zeros instead.
template <class T>
void places(const ArrayView& v, int64_t* to, int64_t limit) {
  const T* x = reinterpret_cast<const T*>(v.data);
  const int last = v.ndim - 1;
  const int64_t cols = v.shape[last], rows = v.size() / cols;
  int64_t at[32] = {}, found[kPart];
  for (int64_t r = 0; r < rows; ++r, x += cols) {
    for (int64_t first = 0; first < cols; first += kPart) {
      const int64_t end = std::min(cols, first + kPart);
      int64_t count = 0;
      for (int64_t j = first; j < end; ++j) {
        found[count] = j;
        count += x[j] != T(0);
      }
      count = std::min(count, limit);
      limit -= count;
      for (int64_t k = 0; k < count; ++k) {
        for (int d = 0; d < last; ++d) *to++ = at[d];
        *to++ = found[k];
      }
    }
    for (int d = last - 1; d >= 0; --d) {
      if (++at[d] < v.shape[d]) break;
      at[d] = 0;
    }
  }
  std::fill(to, to + limit * v.ndim, 0);
}

// nonzero(x) -> int64 [count, ndim]
PyObject* nonzero(PyObject* const* args, Py_ssize_t nargs) {
  ArrayView x;
  if (nargs != 1 || !view_contiguous(args[0], x) || !x.ndim || !x.size()) return nullptr;
  const int64_t size = x.size();
  int64_t count;
  {
    MaybeReleaseGil gil(size >= kGilFree);
    count = x.dtype == Dtype::F32   ? count_of<float>(x.data, size)
            : x.dtype == Dtype::F64 ? count_of<double>(x.data, size)
            : x.dtype == Dtype::I64 ? count_of<int64_t>(x.data, size)
                                    : count_of<uint8_t>(x.data, size);
  }
  const py::ssize_t shape[2] = {count, x.ndim};
  py::object out = new_array(numpy_dtype(Dtype::I64), shape, 2);
  MaybeReleaseGil gil(size >= kGilFree);
  auto* to = reinterpret_cast<int64_t*>(data_of(out));
  if (x.dtype == Dtype::F32) {
    places<float>(x, to, count);
  } else if (x.dtype == Dtype::F64) {
    places<double>(x, to, count);
  } else if (x.dtype == Dtype::I64) {
    places<int64_t>(x, to, count);
  } else {
    places<uint8_t>(x, to, count);
  }
  return out.release().ptr();
}

constexpr FastFunction functions[] = {{"flip", &flip}, {"roll", &roll}, {"triangle", &triangle}, {"nonzero", &nonzero}};
}  // namespace

void bind_arrange(py::module_& m) { FastFunctions<functions>::add(m, "See fastnn.backend.numpy_kernels.array."); }

}  // namespace fastnn
