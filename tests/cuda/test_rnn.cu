// Recurrent layers against a definition in float64; gradients against differences of it.
#include <functional>

#include "arrays.h"
#include "cuda/rnn.cu"
#include "cuda/rnn_backward.cu"

using namespace fastnn;
using namespace fastnn::cuda;

namespace fastnn {
namespace cuda {
void gemm(const GemmArgs& g, const GemmOptions& o, Stream) {  // its own tests are elsewhere
  const Dtype to = o.wide ? compute_dtype(g.dtype) : g.dtype;
  for (int64_t i = 0; i < g.m; ++i)
    for (int64_t j = 0; j < g.n; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < g.k; ++k)
        sum += read_value(g.dtype, g.a, i * g.a_rs + k * g.a_cs) * read_value(g.dtype, g.b, k * g.b_rs + j * g.b_cs);
      write_value(to, g.c, i * g.ldc + j, sum);
    }
}
}  // namespace cuda
}  // namespace fastnn

namespace {

struct Case {
  RnnCell cell;
  Dtype dtype;
  std::vector<int64_t> sizes;
  int64_t hidden;
  bool reverse = false, states = true, keep = true;
  int multiprocessors = 2;
  RnnVariant variant = RnnVariant::Persistent;
};

using Values = std::vector<double>;
Values values(const Array& a) {
  Values v;
  for (int64_t i = 0; i < a.n; ++i) v.push_back(a[i]);
  return v;
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// The layer as its definition says, in float64; `shift` moves one place of the gates (of a GRU's 4: n's hidden part).
struct Definition {
  RnnCell cell;
  std::vector<int64_t> sizes;
  int64_t H, G, B;
  bool reverse;
  Values w, gates, bias, b_hn, h0, c0;  // h0, c0: zeros where not given
  Values y, cells, h_last, c_last, act, hn;

  void run(int64_t shift_row = -1, int64_t shift_at = 0, double by = 0) {
    std::vector<int64_t> at;
    int64_t rows = 0;
    for (int64_t n : sizes) at.push_back(rows), rows += n;
    y.assign(static_cast<size_t>(rows * H), 0), cells = y, hn = y, act = gates;
    Values h = h0, c = c0;
    for (size_t s = 0; s < sizes.size(); ++s) {
      const size_t t = reverse ? sizes.size() - 1 - s : s;
      for (int64_t b = 0; b < sizes[t]; ++b) {
        const int64_t row = at[t] + b;
        Values rest(static_cast<size_t>(G * H));
        for (int64_t i = 0; i < G * H; ++i) {
          for (int64_t k = 0; k < H; ++k) rest[i] += w[i * H + k] * h[b * H + k];
          if (G == 3 && i >= 2 * H) rest[i] += b_hn[i - 2 * H];
          if (row == shift_row && shift_at == (G == 3 && i >= 2 * H ? i + H : -1)) rest[i] += by;
        }
        for (int64_t j = 0; j < H; ++j) {
          double g[4];
          for (int64_t i = 0; i < G; ++i) {
            g[i] = gates[row * G * H + i * H + j] + bias[i * H + j];
            if (row == shift_row && shift_at == i * H + j) g[i] += by;
          }
          double& out = h[b * H + j];
          double* a = &act[row * G * H + j];
          if (G == 1) {
            const double x = g[0] + rest[j];
            out = cell == RnnCell::Relu ? std::fmax(x, 0) : std::tanh(x);
          } else if (G == 4) {
            a[0] = sigmoid(g[0] + rest[j]), a[H] = sigmoid(g[1] + rest[H + j]);
            a[2 * H] = std::tanh(g[2] + rest[2 * H + j]), a[3 * H] = sigmoid(g[3] + rest[3 * H + j]);
            double& cc = c[b * H + j];
            cc = a[H] * cc + a[0] * a[2 * H];
            cells[row * H + j] = cc;
            out = a[3 * H] * std::tanh(cc);
          } else {
            a[0] = sigmoid(g[0] + rest[j]), a[H] = sigmoid(g[1] + rest[H + j]);
            hn[row * H + j] = rest[2 * H + j];
            a[2 * H] = std::tanh(g[2] + a[0] * rest[2 * H + j]);
            out = (1 - a[H]) * a[2 * H] + a[H] * out;
          }
          y[row * H + j] = out;
        }
      }
    }
    h_last = h, c_last = c;
  }
};

void near_all(const char* name, const Array& got, const Values& want, double tolerance, int64_t columns = 0,
              int64_t apart = 0) {
  for (size_t i = 0; i < want.size(); ++i) {
    const int64_t at = columns ? static_cast<int64_t>(i) / columns * apart + static_cast<int64_t>(i) % columns
                               : static_cast<int64_t>(i);
    near_at(__FILE__, __LINE__, (std::string(name) + "[" + std::to_string(i) + "]").c_str(), got[at], want[i],
            tolerance);
  }
}

void check(const Case& t) {
  emu::multiprocessors = t.multiprocessors;
  const Dtype d = t.dtype, wide = compute_dtype(d);
  const int64_t H = t.hidden, G = rnn_gates(t.cell), B = t.sizes[0], pad = 3, ld = H + pad;
  int64_t rows = 0;
  std::vector<int> starts;
  bool even = true;
  for (int64_t n : t.sizes) starts.push_back(static_cast<int>(rows)), rows += n, even = even && n == B;
  starts.push_back(static_cast<int>(rows));

  Array w = array(d, G * H * H, 0.5 / std::sqrt(double(H))), gates = array(wide, rows * G * H, 0.7);
  Array bias = array(wide, G * H, 0.3), b_hn = array(wide, H, 0.3), h0 = array(d, B * H, 0.5),
        c0 = array(d, B * H, 0.5);
  Definition f{t.cell, t.sizes, H,  G,  B,  t.reverse, values(w), values(gates), values(bias), values(b_hn), {},
               {},     {},      {}, {}, {}, {},        {}};
  f.h0 = t.states ? values(h0) : Values(static_cast<size_t>(B * H));
  f.c0 = t.states ? values(c0) : f.h0;
  f.run();

  Array y(d, rows * ld), cells(wide, rows * H), hn(wide, rows * H), state(wide, B * H), carry(wide, B * H);
  RnnPass p = {};
  p.a.dtype = d, p.a.cell = t.cell, p.a.steps = static_cast<int64_t>(t.sizes.size()), p.a.batch = B, p.a.hidden = H;
  p.a.sizes = t.sizes.data(), p.a.reverse = t.reverse, p.a.keep = t.keep;
  p.starts = even ? nullptr : starts.data();
  p.a.w_hh = w.data(), p.bias = bias.data(), p.a.b_hn = G == 3 ? b_hn.data() : nullptr;
  if (t.states) p.a.h0 = h0.data(), p.a.c0 = G == 4 ? c0.data() : nullptr;
  p.a.gates = gates.data(), p.a.y = y.data(), p.a.ldy = ld;
  p.a.cells = t.keep && G == 4 ? cells.data() : nullptr, p.a.hn = t.keep && G == 3 ? hn.data() : nullptr;
  p.state = G > 1 ? state.data() : nullptr;
  const auto workspace = [&](bool backward) {
    return std::vector<uint64_t>((rnn_workspace(p, t.variant, backward) + 7) / 8);
  };
  auto space = workspace(false);
  rnn(p, t.variant, space.data(), nullptr);
  const double eps = d == Dtype::F64 ? 1e-13 : d == Dtype::F32 ? 3e-6 : d == Dtype::F16 ? 4e-3 : 3e-2;
  near_all("y", y, f.y, eps, H, ld);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = H; j < ld; ++j) CHECK(std::isnan(y[i * ld + j]));  // between the rows
  if (G == 4) near_all("state", state, f.c_last, eps);
  if (!t.keep) return;
  if (G > 1) near_all("gates", gates, f.act, eps);
  if (G == 4) near_all("cells", cells, f.cells, eps);
  if (G == 3) near_all("hn", hn, f.hn, 2 * eps);

  const int64_t width = (G == 3 ? 4 : G) * H;
  Array dy = array(d, rows * ld), dh = array(d, B * H), dc = array(d, B * H), dgates(d, rows * width);
  p.a.dy = dy.data(), p.a.lddy = ld;
  if (t.states) p.a.dh = dh.data(), p.a.dc = G == 4 ? dc.data() : nullptr;
  p.a.dgates = dgates.data(), p.a.carry = G > 1 ? carry.data() : nullptr;
  space = workspace(true);
  rnn_backward(p, t.variant, space.data(), nullptr);
  if (t.cell == RnnCell::Relu && size_of(d) == 2) return;  // a rounding may move a sum across the kink
  const auto loss = [&] {
    double sum = 0;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < H; ++j) sum += dy[i * ld + j] * f.y[i * H + j];
    for (int64_t i = 0; t.states && i < B * H; ++i) sum += dh[i] * f.h_last[i] + (G == 4 ? dc[i] * f.c_last[i] : 0);
    return sum;
  };
  const double step = 1e-5, grad_eps = d == Dtype::F64 ? 1e-8 : 4 * eps;
  const auto difference = [&](const std::function<void(double)>& at) {
    at(step);
    const double up = loss();
    at(-step);
    return (up - loss()) / (2 * step);
  };
  std::uniform_int_distribution<int64_t> row(0, rows - 1), column(0, width - 1), place(0, B * H - 1);
  for (int k = 0; k < (kSanitized ? 4 : 40); ++k) {
    const int64_t r = row(test_generator()), at = column(test_generator());
    // A GRU's dgates are those of (n's hidden part, r, z, n); the definition counts (r, z, n, n's hidden part).
    const int64_t where = G < 3 || G == 4 ? at : at < H ? at + 3 * H : at - H;
    const double want = difference([&](double by) { f.run(r, where, by); });
    near_at(__FILE__, __LINE__, ("dgates of row " + std::to_string(r) + ", " + std::to_string(at)).c_str(),
            dgates[r * width + at], want, grad_eps * (1 + std::fabs(want)));
    if (G == 4) {
      const int64_t i = place(test_generator());
      const double kept = f.c0[i];
      const double of_c0 = difference([&](double by) {
        f.c0[i] = kept + by;
        f.run();
      });
      f.c0[i] = kept;
      NEAR(carry[i], of_c0, grad_eps * (1 + std::fabs(of_c0)));
    }
  }
}

const RnnCell kCells[] = {RnnCell::Tanh, RnnCell::Relu, RnnCell::Lstm, RnnCell::Gru};
constexpr RnnVariant kSteps = RnnVariant::Steps;

}  // namespace

TEST(persistent_f32) {
  for (RnnCell cell : kCells) check({cell, Dtype::F32, {3, 3, 3}, 21, false, true, true, 3});
}
TEST(persistent_packed_and_reversed) {
  for (RnnCell cell : {RnnCell::Lstm, RnnCell::Gru}) {
    check({cell, Dtype::F32, {10, 9, 2, 1}, 13, true, true, true, 3});
    check({cell, Dtype::F32, {10, 9, 2, 1}, 13});
    if (!kSanitized) check({cell, Dtype::F32, {5, 5, 3}, 8, true, false});
  }
}
TEST(persistent_16_bits) {
  for (RnnCell cell : kCells) {
    if (!kSanitized || cell == RnnCell::Gru) check({cell, Dtype::BF16, {9, 9, 4}, 37, cell == RnnCell::Relu});
    if (!kSanitized) check({cell, Dtype::F16, {2, 2, 2}, 24, false, false, true, 1});
  }
}
TEST(persistent_without_keeping) {
  check({RnnCell::Lstm, Dtype::F32, {4, 4}, 12, false, true, false});
  check({RnnCell::Gru, Dtype::F32, {4, 3}, 12, true, true, false});
}
TEST(persistent_groups_of_sequences) {
  Case t{RnnCell::Lstm, Dtype::F32, {20, 20}, 8, false, true, true, 6};
  emu::multiprocessors = t.multiprocessors;
  RnnArgs a = {};
  a.cell = t.cell, a.dtype = t.dtype, a.batch = 20, a.hidden = t.hidden, a.steps = 2;
  const RnnPlan forward = rnn_plan(a, false);
  CHECK(forward.groups > 1 && forward.blocks > 1);
  check(t);
}
TEST(persistent_many_rows_and_columns) {  // several warps' rows; more than 32 sequences
  Case t{RnnCell::Lstm, Dtype::BF16, {kSanitized ? 34 : 43, kSanitized ? 34 : 42}, 40, false, true, true, 1};
  emu::multiprocessors = 1;
  RnnArgs a = {};
  a.cell = t.cell, a.dtype = t.dtype, a.batch = 43, a.hidden = t.hidden, a.steps = 2;
  CHECK(rnn_plan(a, false).row_warps > 1);
  check(t);
  t.dtype = Dtype::F32;
  if (!kSanitized) check(t);
}
TEST(persistent_long_products) {  // more chunks a warp than are asked for at once
  check({RnnCell::Lstm, Dtype::BF16, {2, 2}, 128, false, true, true, 1});
  check({RnnCell::Lstm, Dtype::F32, {2, 2}, 64, false, true, true, 1});
}
TEST(a_kernel_a_step) {
  for (RnnCell cell : kCells)
    for (Dtype d : kFloats)
      if (!kSanitized || (d == Dtype::F32 && cell == RnnCell::Gru))
        check({cell, d, {4, 4, 2}, 9, d == Dtype::F64, cell != RnnCell::Tanh, true, 2, kSteps});
  check({RnnCell::Lstm, Dtype::F32, {5}, 7, false, true, true, 2, RnnVariant::Auto});  // one step: a cell
  check({RnnCell::Gru, Dtype::F64, {3, 2}, 5, true, true, true, 2, RnnVariant::Auto});
}
TEST(infinite_states) {  // as float32's own arithmetic has them
  emu::multiprocessors = 2;
  constexpr int H = 4;
  const float inf = INFINITY;
  float w[H * H] = {}, gates[2 * H] = {}, h0[H] = {inf, 1e37f, -2, 3}, y[2 * H];
  for (int i = 0; i < H; ++i) w[i * H + 0] = 1.0001f, w[i * H + 1] = 5;
  RnnPass p = {};
  const int64_t sizes[] = {1, 1};
  p.a.dtype = Dtype::F32, p.a.cell = RnnCell::Relu, p.a.steps = 2, p.a.batch = 1, p.a.hidden = H, p.a.sizes = sizes;
  p.a.w_hh = w, p.a.h0 = h0, p.a.gates = gates, p.a.y = y, p.a.ldy = H;
  std::vector<uint64_t> space(rnn_workspace(p, RnnVariant::Persistent, false) / 8 + 1);
  rnn(p, RnnVariant::Persistent, space.data(), nullptr);
  for (int i = 0; i < H; ++i) NEAR(y[i], inf, 0);
  h0[0] = 1;
  std::fill(space.begin(), space.end(), 0);
  rnn(p, RnnVariant::Persistent, space.data(), nullptr);
  for (int i = 0; i < H; ++i) NEAR(y[i], 5e37f, 5e31f);
}
TEST(what_does_not_fit) {
  emu::multiprocessors = 2;
  RnnPass p = {};
  const int64_t sizes[] = {1, 1};
  p.a.dtype = Dtype::F32, p.a.cell = RnnCell::Lstm, p.a.steps = 2, p.a.batch = 1, p.a.hidden = 512, p.a.sizes = sizes;
  THROWS(rnn_workspace(p, RnnVariant::Persistent, false), "fit on the chip");
  CHECK(rnn_workspace(p, RnnVariant::Auto, false) == 4 * 512 * 4);
  p.a.hidden = 96;  // 192 rows of 384 bytes a block
  CHECK(rnn_plan(p.a, false).clocks > 0);
  emu::block_shared = 99 * 1024;  // as devices other than sm_80, sm_90 and sm_100 have
  CHECK(rnn_plan(p.a, false).clocks == 0);
  emu::block_shared = emu::kMaxDynamicShared;
  p.a.hidden = 64, p.a.dtype = Dtype::F64;
  THROWS(rnn_workspace(p, RnnVariant::Persistent, false), "float32");
}

MAIN()
