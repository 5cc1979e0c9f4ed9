// Recurrent layers: every size is checked against the sequences' before a pointer reaches a kernel.
#include <pybind11/stl.h>

#include <vector>

#include "bindings_cuda.h"
#include "cuda/rnn.h"

namespace fastnn {
namespace cuda {
namespace {

// What both directions share. `sizes` must outlive the pass.
RnnPass describe(const char* fn, int cell, py::handle gates_, py::handle w_hh, py::handle h0, py::handle c0,
                 const std::vector<int64_t>& sizes, py::handle starts, bool reverse) {
  need(cell >= 0 && cell <= static_cast<int>(RnnCell::Gru), fn, "unknown cell");
  RnnPass p = {};
  RnnArgs& a = p.a;
  a.cell = static_cast<RnnCell>(cell);
  const int64_t G = a.cell == RnnCell::Lstm ? 4 : a.cell == RnnCell::Gru ? 3 : 1;
  const Array gates = to_array(gates_), w = to_array(w_hh);
  need(w.ndim == 2 && is_floating(w.dtype) && w.shape[1] >= 1 && w.shape[0] == G * w.shape[1], fn,
       "w_hh must be [gates * hidden, hidden] and floating");
  a.dtype = w.dtype;
  a.hidden = w.shape[1];
  need(gates.ndim == 2 && gates.shape[1] == G * a.hidden, fn, "gates must be [rows, gates * hidden]");
  const Dtype wide = compute_dtype(a.dtype);
  int64_t rows = 0;
  bool even = true;
  need(!sizes.empty(), fn, "there are no steps");
  for (size_t t = 0; t < sizes.size(); ++t) {
    need(sizes[t] >= 1 && (!t || sizes[t] <= sizes[t - 1]), fn, "sizes must be positive and not increase");
    rows += sizes[t];
    even = even && sizes[t] == sizes[0];
  }
  need(rows == gates.shape[0] && rows <= 0x7fffffff && G * a.hidden <= 0x7fffffff, fn,
       "sizes do not add up to the rows of gates, or there are more than 2^31");
  need(even || !starts.is_none(), fn, "steps of several sizes need their starts");
  a.steps = static_cast<int64_t>(sizes.size());
  a.batch = sizes[0];
  a.sizes = sizes.data();
  a.reverse = reverse;
  p.starts = static_cast<const int*>(dense(fn, "starts", starts, Dtype::I32, a.steps + 1, true));
  a.gates = dense(fn, "gates", gates_, wide, rows * G * a.hidden);
  a.w_hh = dense(fn, "w_hh", w_hh, a.dtype, G * a.hidden * a.hidden);
  a.h0 = dense(fn, "h0", h0, a.dtype, a.batch * a.hidden, true);
  a.c0 = dense(fn, "c0", c0, a.dtype, a.batch * a.hidden, true);
  return p;
}

// Rows apart from one another, as a half of a bidirectional layer's are.
void* rows_of(const char* fn, py::handle source, const RnnPass& p, int64_t rows, bool write, int64_t* apart) {
  const Array x = to_array(source);
  need(x.ndim == 2 && x.dtype == p.a.dtype && x.shape[0] == rows && x.shape[1] == p.a.hidden, fn,
       "y and dy must be [rows, hidden] of w_hh's dtype");
  need(x.shape[1] == 1 || x.stride[1] == 1, fn, "y and dy must have rows of adjacent elements");
  need(!write || rows == 1 || x.stride[0] >= p.a.hidden, fn, "the rows of y overlap");
  *apart = x.stride[0];
  return x.p;
}

RnnVariant variant_of(const char* fn, int variant) {
  need(variant >= 0 && variant <= static_cast<int>(RnnVariant::Persistent), fn, "unknown variant");
  return static_cast<RnnVariant>(variant);
}

size_t run(int cell, py::handle gates, py::handle w_hh, py::handle bias, py::handle b_hn, py::handle h0, py::handle c0,
           std::vector<int64_t> sizes, py::handle starts, bool reverse, bool keep, py::handle y, py::handle cells,
           py::handle hn, py::handle state, int variant, py::object scratch, uintptr_t stream) {
  constexpr const char* fn = "rnn";
  RnnPass p = describe(fn, cell, gates, w_hh, h0, c0, sizes, starts, reverse);
  RnnArgs& a = p.a;
  const bool lstm = a.cell == RnnCell::Lstm, gru = a.cell == RnnCell::Gru;
  const Dtype wide = compute_dtype(a.dtype);
  const int64_t rows = to_array(gates).shape[0], G = lstm ? 4 : gru ? 3 : 1;
  a.keep = keep;
  p.bias = dense(fn, "bias", bias, wide, G * a.hidden, true);
  a.b_hn = dense(fn, "b_hn", b_hn, wide, a.hidden, true);
  a.y = rows_of(fn, y, p, rows, true, &a.ldy);
  a.cells = dense(fn, "cells", cells, wide, rows * a.hidden, !(lstm && keep));
  a.hn = dense(fn, "hn", hn, wide, rows * a.hidden, !(gru && keep));
  p.state = dense(fn, "state", state, wide, a.batch * a.hidden, !(lstm || gru));
  const RnnVariant how = variant_of(fn, variant);
  if (scratch.is_none()) return rnn_workspace(p, how, false);
  rnn(p, how, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}

size_t run_backward(int cell, py::handle gates, py::handle w_hh, py::handle y, py::handle cells, py::handle hn,
                    py::handle h0, py::handle c0, py::handle dy, py::handle dh, py::handle dc,
                    std::vector<int64_t> sizes, py::handle starts, bool reverse, py::handle dgates, py::handle carry,
                    int variant, py::object scratch, uintptr_t stream) {
  constexpr const char* fn = "rnn_backward";
  RnnPass p = describe(fn, cell, gates, w_hh, h0, c0, sizes, starts, reverse);
  RnnArgs& a = p.a;
  const bool lstm = a.cell == RnnCell::Lstm, gru = a.cell == RnnCell::Gru;
  const Dtype wide = compute_dtype(a.dtype);
  const int64_t rows = to_array(gates).shape[0], width = lstm || gru ? 4 : 1;
  a.keep = true;
  a.y = rows_of(fn, y, p, rows, false, &a.ldy);
  if (!dy.is_none()) a.dy = rows_of(fn, dy, p, rows, false, &a.lddy);
  a.cells = dense(fn, "cells", cells, wide, rows * a.hidden, !lstm);
  a.hn = dense(fn, "hn", hn, wide, rows * a.hidden, !gru);
  a.dh = dense(fn, "dh", dh, a.dtype, a.batch * a.hidden, true);
  a.dc = dense(fn, "dc", dc, a.dtype, a.batch * a.hidden, true);
  a.dgates = dense(fn, "dgates", dgates, a.dtype, rows * width * a.hidden);
  a.carry = dense(fn, "carry", carry, wide, a.batch * a.hidden, !(lstm || gru));
  const RnnVariant how = variant_of(fn, variant);
  if (scratch.is_none()) return rnn_workspace(p, how, true);
  rnn_backward(p, how, to_pointer(scratch.cast<uintptr_t>()), to_stream(stream));
  return 0;
}

}  // namespace

void bind_rnn(py::module_& m) {
  py::dict cells, variants;
  cells["RNN_TANH"] = 0, cells["RNN_RELU"] = 1, cells["LSTM"] = 2, cells["GRU"] = 3;
  variants["auto"] = 0, variants["steps"] = 1, variants["persistent"] = 2;
  m.attr("rnn_cells") = cells;
  m.attr("rnn_variants") = variants;
  m.def("rnn", &run, "One direction over all steps; with scratch None: the bytes (of zeros) that it needs.");
  m.def("rnn_backward", &run_backward, "The gates' gradients; with scratch None: the bytes (of zeros) that it needs.");
}

}  // namespace cuda
}  // namespace fastnn
