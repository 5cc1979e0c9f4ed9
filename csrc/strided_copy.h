// Strided arrays made contiguous: dimensions merged, matrices of what is left turned by the kernel copy_matrix.
// Whatever needs its operand contiguous comes here: bindings (fast_array.h), contiguous(), a reshape that cannot be a
// view.
#pragma once
#include "bindings.h"

namespace fastnn {

// A C-contiguous copy of an ndarray: a new reference. Raises where NumPy does.
PyObject* contiguous_copy(PyObject* array);
// The same in another shape of as many elements; null, without an error, where a view does or the elements are not
// plain bytes.
PyObject* reshaped_copy(PyObject* array, const py::ssize_t* shape, int ndim);
// Whether an ndarray's elements are plain bytes: numbers, and the one- and two-byte types that packages add.
bool plain_elements(PyObject* array);

}  // namespace fastnn
