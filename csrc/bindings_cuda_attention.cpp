// Fused attention: the twin's arguments (backend/numpy_kernels/attention.py), with the results' arrays.
#include "bindings_cuda.h"
#include "cuda/attention.h"

namespace fastnn {
namespace cuda {
namespace {

// [B, heads, rows, columns] with contiguous columns.
struct Operand4 {
  Array a;
  AttentionArray at{};
  Operand4(const char* fn, const char* name, py::handle source) : a(to_array(source)) {
    if (a.ndim != 4) refuse(fn, std::string(name) + " must have four dimensions, got " + std::to_string(a.ndim));
    if (a.stride[3] != 1 && a.shape[3] > 1) refuse(fn, std::string(name) + " must have contiguous columns");
    at = {a.p, a.stride[0], a.stride[1], a.stride[2]};
  }
  void expect(const char* fn, const char* name, Dtype dtype, int64_t b, int64_t h, int64_t rows, int64_t columns) {
    if (a.dtype != dtype) refuse(fn, std::string(name) + " has another dtype than q");
    const int64_t want[4] = {b, h, rows, columns};
    for (int d = 0; d < 4; ++d)
      if (a.shape[d] != want[d])
        refuse(fn, std::string(name) + " has " + std::to_string(a.shape[d]) + " in dimension " + std::to_string(d) +
                       ", expected " + std::to_string(want[d]));
  }
};

AttentionDropout drawn(const char* fn, py::tuple t) {
  need(t.size() == 4, fn, "dropout that is drawn is (seed, offset, state, keep)");
  const uintptr_t state = t[2].cast<uintptr_t>();  // of a captured step: seed and offset count from what is there
  need(state % alignof(uint64_t) == 0, fn, "the address of the generator's state is not a multiple of 8");
  AttentionDropout d = {true,
                        {t[0].cast<uint64_t>(), t[1].cast<uint64_t>(), static_cast<const uint64_t*>(to_pointer(state))},
                        t[3].cast<uint64_t>()};
  need(d.keep <= uint64_t(1) << 32, fn, "keep lies outside [0, 2^32]");
  return d;
}

struct Call {
  AttentionArgs a{};
  AttentionDropout drop{};
  // kept: None, bytes [B, H, L, S], or (seed, offset, state, keep).
  Call(const char* fn, py::handle q_, py::handle k_, py::handle v_, py::handle mask, bool causal, double scale,
       py::handle kept, double kept_scale) {
    Operand4 q(fn, "q", q_), k(fn, "k", k_), v(fn, "v", v_);
    a.dtype = q.a.dtype;
    a.B = q.a.shape[0], a.H = q.a.shape[1], a.L = q.a.shape[2], a.E = q.a.shape[3];
    a.kv_heads = k.a.shape[1], a.S = k.a.shape[2], a.Ev = v.a.shape[3];
    need(is_floating(a.dtype) && a.dtype != Dtype::F64, fn, "q must be float32, float16 or bfloat16");
    need(a.kv_heads > 0 && a.H % a.kv_heads == 0, fn, "the heads of q are no multiple of those of k");
    k.expect(fn, "k", a.dtype, a.B, a.kv_heads, a.S, a.E);
    v.expect(fn, "v", a.dtype, a.B, a.kv_heads, a.S, a.Ev);
    a.q = q.at, a.k = k.at, a.v = v.at;
    a.scale = scale;
    a.causal = causal;
    if (!mask.is_none()) {
      const Array m = to_array(mask);
      need(m.ndim == 4 && m.shape[0] == a.B && m.shape[1] == a.H && m.shape[2] == a.L && m.shape[3] == a.S, fn,
           "mask must be [B, H, L, S]");
      need(m.dtype == Dtype::Bool || m.dtype == a.dtype, fn, "mask must be bool or of q's dtype");
      a.mask_kind = m.dtype == Dtype::Bool ? AttentionMask::Bool : AttentionMask::Additive;
      a.mask = {m.p, m.stride[0], m.stride[1], m.stride[2]};
      a.mask_column = m.stride[3];
    }
    a.kept_scale = kept_scale;
    if (py::isinstance<py::tuple>(kept) && py::len(kept) == 4)
      drop = drawn(fn, py::reinterpret_borrow<py::tuple>(kept));
    else
      a.kept = static_cast<const uint8_t*>(dense(fn, "kept", kept, Dtype::Bool, a.B * a.H * a.L * a.S, true));
  }
};

void run(py::handle q, py::handle k, py::handle v, py::handle mask, bool causal, double scale, py::handle kept,
         double kept_scale, py::handle out_, py::handle lse, uintptr_t stream) {
  constexpr const char* fn = "attention";
  Call c(fn, q, k, v, mask, causal, scale, kept, kept_scale);
  Operand4 out(fn, "out", out_);
  out.expect(fn, "out", c.a.dtype, c.a.B, c.a.H, c.a.L, c.a.Ev);
  c.a.out = out.at;
  c.a.lse = dense(fn, "lse", lse, Dtype::F32, c.a.B * c.a.H * c.a.L);
  attention(c.a, c.drop, to_stream(stream));
}

void run_backward(py::handle dout_, py::handle q, py::handle k, py::handle v, py::handle mask, bool causal,
                  double scale, py::handle kept, double kept_scale, py::handle out_, py::handle lse, py::handle delta,
                  py::handle dq, py::handle dk, py::handle dv, uintptr_t stream) {
  constexpr const char* fn = "attention_backward";
  Call c(fn, q, k, v, mask, causal, scale, kept, kept_scale);
  AttentionArgs& a = c.a;
  Operand4 dout(fn, "dout", dout_), out(fn, "out", out_);
  dout.expect(fn, "dout", a.dtype, a.B, a.H, a.L, a.Ev);
  out.expect(fn, "out", a.dtype, a.B, a.H, a.L, a.Ev);
  a.dout = dout.at, a.out = out.at;
  a.lse = dense(fn, "lse", lse, Dtype::F32, a.B * a.H * a.L);
  auto gradient = [&](const char* name, py::handle source, int64_t heads, int64_t rows, int64_t columns) {
    if (source.is_none()) return AttentionArray{};
    Operand4 x(fn, name, source);
    x.expect(fn, name, a.dtype, a.B, heads, rows, columns);
    return x.at;
  };
  a.dq = gradient("dq", dq, a.H, a.L, a.E);
  a.dk = gradient("dk", dk, a.kv_heads, a.S, a.E);
  a.dv = gradient("dv", dv, a.kv_heads, a.S, a.Ev);
  attention_backward(a, c.drop, static_cast<float*>(dense(fn, "delta", delta, Dtype::F32, a.B * a.H * a.L)),
                     to_stream(stream));
}

void run_kept(py::tuple dropout, py::handle out, uintptr_t stream) {
  constexpr const char* fn = "attention_kept";
  const Array a = to_array(out);
  need(a.ndim == 4 && a.contiguous() && a.dtype == Dtype::Bool, fn, "out must be bool [B, H, L, S], C-contiguous");
  attention_kept(drawn(fn, dropout), static_cast<uint8_t*>(a.p), a.shape[0] * a.shape[1], a.shape[2], a.shape[3],
                 to_stream(stream));
}

}  // namespace

void bind_attention(py::module_& m) {
  m.attr("attention_head") = kAttentionHead;
  m.def("attention", &run, "out and lse of softmax(q kT scale + mask) v.");
  m.def("attention_backward", &run_backward, "dq, dk and dv, None where not wanted.");
  m.def("attention_kept", &run_kept, "The mask that dropout draws as (seed, offset, state, keep).");
  m.def("attention_blocks", &attention_blocks, "Blocks of Philox that the mask of [heads, L, S] takes.");
}

}  // namespace cuda
}  // namespace fastnn
