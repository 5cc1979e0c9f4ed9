// RNN, LSTM, GRU over packed rows: every size is checked against the sequences' before a pointer reaches a kernel.
#include <optional>

#include "bindings_image.h"

namespace fastnn {
namespace {

using Optional = std::optional<py::array>;

RnnCell cell_of(const char* fn, const std::string& name) {
  if (name == "RNN_TANH") return RnnCell::Tanh;
  if (name == "RNN_RELU") return RnnCell::Relu;
  if (name == "LSTM") return RnnCell::Lstm;
  if (name == "GRU") return RnnCell::Gru;
  throw py::value_error(std::string(fn) + "(): cell '" + name + "' is not RNN_TANH, RNN_RELU, LSTM or GRU");
}

// The arrays of one call: of one dtype, contiguous (or copied), of the shape asked for.
class Arrays {
 public:
  Arrays(const char* fn, const py::array& first) : fn_(fn), first_(operand(fn, "gates", first)) {}
  Dtype dtype() const { return first_.dtype; }
  py::dtype numpy_dtype() const { return first_.array.dtype(); }

  const void* get(const char* name, const py::array& a, const Sizes& want) {
    check_size(fn_, name, a, want);
    kept_.push_back(operand(fn_, name, a));
    if (kept_.back().dtype != first_.dtype)
      fail(fn_, std::string("expected gates and ") + name + " of one dtype, but got " +
                    std::string(py::str(numpy_dtype())) + " and " + std::string(py::str(a.dtype())));
    return kept_.back().data();
  }
  const void* get(const char* name, const Optional& a, const Sizes& want) { return a ? get(name, *a, want) : nullptr; }

  // Rows apart from one another, as a half of a bidirectional layer's are; columns side by side.
  const void* rows(const char* name, const py::array& a, const Sizes& want, bool write, int64_t* ld) {
    check_size(fn_, name, a, want);
    const int64_t item = dtype() == Dtype::F64 ? 8 : 4;
    const bool lies = a.dtype().num() == numpy_dtype().num() && !(reinterpret_cast<uintptr_t>(a.data()) % item) &&
                      (want[1] <= 1 || a.strides(1) == item) && a.strides(0) % item == 0 &&
                      (want[0] <= 1 || a.strides(0) >= want[1] * item);
    if (write) {
      if (!lies || !a.writeable())
        fail(fn_, std::string(name) + " must be writable, of the gates' dtype, with rows of adjacent elements");
      *ld = a.strides(0) / item;
      return a.data();
    }
    if (!lies) {
      *ld = want[1];
      return get(name, a, want);
    }
    *ld = a.strides(0) / item;
    return a.data();
  }

 private:
  const char* fn_;
  Operand first_;
  std::vector<Operand> kept_;
};

// Fills in what both directions share; rows of `gates` belong to the steps as `sizes` says.
void describe(const char* fn, RnnArgs& r, const py::array& gates, const Optional& w_hr, const Sizes& steps,
              bool reverse) {
  const int64_t g = r.cell == RnnCell::Lstm ? 4 : r.cell == RnnCell::Gru ? 3 : 1;
  if (gates.ndim() != 2 || gates.shape(1) < g || gates.shape(1) % g)
    fail(fn, "expected gates [rows, " + std::to_string(g) + " * hidden], but got " + show(sizes(gates)));
  r.hidden = gates.shape(1) / g;
  if (w_hr) {
    if (r.cell != RnnCell::Lstm) fail(fn, "only an LSTM has a projection w_hr");
    if (w_hr->ndim() != 2 || w_hr->shape(0) < 1)
      fail(fn, "expected w_hr [proj, hidden], but got " + show(sizes(*w_hr)));
    r.proj = w_hr->shape(0);
  }
  if (steps.empty()) fail(fn, "expected at least one step, but got no sizes");
  int64_t rows = 0;
  for (size_t t = 0; t < steps.size(); t++) {
    if (steps[t] < 1 || steps[t] > gates.shape(0) || (t && steps[t] > steps[t - 1]))
      fail(fn, "sizes must be positive and not increase, but got " + std::to_string(steps[t]) + " at step " +
                   std::to_string(t));
    rows += steps[t];
  }
  if (rows != gates.shape(0))
    fail(fn, "sizes add up to " + std::to_string(rows) + " rows, but gates has " + std::to_string(gates.shape(0)));
  r.steps = static_cast<int64_t>(steps.size());
  r.batch = steps[0];
  r.sizes = steps.data();
  r.reverse = reverse;
}

template <class Kernel>
void run(const RnnArgs& r, bool backward, Kernel kernel) {
  const int threads = num_threads();
  const Workspace scratch(kernels().rnn_workspace(threads, r, backward));
  const py::gil_scoped_release nogil;
  kernel(Ctx{threads, scratch.get()}, r);
}

py::object maybe(const std::optional<py::array>& a) { return a ? py::object(*a) : py::object(py::none()); }

// Writes the gates into `gates` (with keep) and h into y; returns (cells, hn, outputs), None where a cell has none.
py::tuple rnn(const std::string& cell, const py::array& gates, const py::array& w_hh, const Optional& w_hr,
              const Optional& b_hn, const Optional& h0, const Optional& c0, const Optional& gh, const Sizes& steps,
              bool reverse, bool keep, const py::array& y) {
  const char* fn = "rnn";
  RnnArgs r{};
  r.cell = cell_of(fn, cell);
  describe(fn, r, gates, w_hr, steps, reverse);
  const int64_t rows = gates.shape(0), H = r.hidden, K = r.proj ? r.proj : H, G = gates.shape(1);
  if (gh && r.steps != 1) fail(fn, "gh is for a single step, but there are " + std::to_string(r.steps));
  Arrays in(fn, gates);
  r.dtype = in.dtype();
  r.keep = keep;
  int64_t ld;
  r.gates = const_cast<void*>(in.rows("gates", gates, {rows, G}, true, &ld));
  if (ld != G && rows > 1) fail(fn, "gates must be contiguous");
  r.y = const_cast<void*>(in.rows("y", y, {rows, K}, true, &r.ldy));
  r.w_hh = in.get("w_hh", w_hh, {G, K});
  r.w_hr = in.get("w_hr", w_hr, {r.proj, H});
  r.b_hn = in.get("b_hn", b_hn, {H});
  r.h0 = in.get("h0", h0, {r.batch, K});
  r.c0 = in.get("c0", c0, {r.batch, H});
  r.gh = in.get("gh", gh, {r.batch, G});
  std::optional<py::array> cells, hn, outputs;
  if (r.cell == RnnCell::Lstm) {
    cells = new_array(in.numpy_dtype(), {keep ? rows : r.batch, H});
    r.cells = cells->mutable_data();
    if (r.proj) {
      outputs = new_array(in.numpy_dtype(), {rows, H});
      r.outputs = outputs->mutable_data();
    }
  } else if (r.cell == RnnCell::Gru && keep) {
    hn = new_array(in.numpy_dtype(), {rows, H});
    r.hn = hn->mutable_data();
  }
  run(r, false, kernels().rnn);
  return py::make_tuple(maybe(cells), maybe(hn), maybe(outputs));
}

// From what rnn() left with keep: (dgates, carry, dhs), None where a cell has none.
py::tuple rnn_backward(const std::string& cell, const py::array& gates, const py::array& w_hh, const Optional& w_hr,
                       const py::array& y, const Optional& cells, const Optional& hn, const Optional& h0,
                       const Optional& c0, const Optional& dy, const Optional& dh, const Optional& dc,
                       const Sizes& steps, bool reverse) {
  const char* fn = "rnn_backward";
  RnnArgs r{};
  r.cell = cell_of(fn, cell);
  describe(fn, r, gates, w_hr, steps, reverse);
  const int64_t rows = gates.shape(0), H = r.hidden, K = r.proj ? r.proj : H, G = gates.shape(1);
  if ((r.cell == RnnCell::Lstm && !cells) || (r.cell == RnnCell::Gru && !hn))
    fail(fn, "what the forward pass kept (cells of an LSTM, hn of a GRU) is missing");
  Arrays in(fn, gates);
  r.dtype = in.dtype();
  r.keep = true;
  r.gates = const_cast<void*>(in.get("gates", gates, {rows, G}));
  r.y = const_cast<void*>(in.rows("y", y, {rows, K}, false, &r.ldy));
  r.w_hh = in.get("w_hh", w_hh, {G, K});
  r.w_hr = in.get("w_hr", w_hr, {r.proj, H});
  r.cells = const_cast<void*>(in.get("cells", cells, {rows, H}));
  r.hn = const_cast<void*>(in.get("hn", hn, {rows, H}));
  r.h0 = in.get("h0", h0, {r.batch, K});
  r.c0 = in.get("c0", c0, {r.batch, H});
  if (dy) r.dy = in.rows("dy", *dy, {rows, K}, false, &r.lddy);
  r.dh = in.get("dh", dh, {r.batch, K});
  r.dc = in.get("dc", dc, {r.batch, H});
  // Rows of a multiple of 1 KiB would share a few of L1's sets: a line more sets them apart.
  const int64_t item = r.dtype == Dtype::F64 ? 8 : 4, width = r.cell == RnnCell::Gru ? 4 * H : G;
  r.lddg = width * item % 1024 ? width : width + 64 / item;
  py::array memory = new_array(in.numpy_dtype(), {rows, r.lddg});
  r.dgates = memory.mutable_data();
  py::array dgates(in.numpy_dtype(), {rows, width}, {r.lddg * item, item}, r.dgates, memory);
  std::optional<py::array> carry, dhs;
  if (G > H) {
    carry = new_array(in.numpy_dtype(), {r.batch, H});
    r.carry = carry->mutable_data();
  }
  if (r.proj) {
    dhs = new_array(in.numpy_dtype(), {rows, K});
    r.dhs = dhs->mutable_data();
  }
  run(r, true, kernels().rnn_backward);
  return py::make_tuple(dgates, maybe(carry), maybe(dhs));
}

}  // namespace

void bind_rnn(py::module_& m) {
  using py::arg;
  m.def("rnn", &rnn, arg("cell"), arg("gates"), arg("w_hh"), arg("w_hr"), arg("b_hn"), arg("h0"), arg("c0"), arg("gh"),
        arg("sizes"), arg("reverse"), arg("keep"), arg("y"));
  m.def("rnn_backward", &rnn_backward, arg("cell"), arg("gates"), arg("w_hh"), arg("w_hr"), arg("y"), arg("cells"),
        arg("hn"), arg("h0"), arg("c0"), arg("dy"), arg("dh"), arg("dc"), arg("sizes"), arg("reverse"));
}

}  // namespace fastnn
