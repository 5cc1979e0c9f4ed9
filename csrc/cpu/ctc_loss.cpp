// Connectionist temporal classification of one sequence (Graves et al. 2006), in logarithms: alpha forward in time,
// beta backward, a vector of states at a time. States: the target with a blank before, between and behind; a state
// follows itself, the one before, or the last but one where that skips a blank between different classes. Limit: three
// exponentials and a logarithm a state and step.
#include "cpu/rows.h"
#include "cpu/vecmath.h"
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Each array has a vector of -inf before its first and at least two elements of -inf behind its last state.
template <class T>
FASTNN_INLINE int64_t padded(int64_t states) {
  constexpr int64_t L = Vec<T>::size;
  return (states + L - 1) / L * L + 2 * L;
}

template <class T>
struct States {
  int64_t count, room;
  T *now, *next, *jump, *here;  // jump: 0 where a state may follow the last but one, else -inf
};

template <class T>
FASTNN_INLINE States<T> lay_out(const Ctx& ctx, const CtcArgs& a) {
  constexpr int64_t L = Vec<T>::size;
  States<T> s;
  s.count = 2 * a.length + 1;
  s.room = padded<T>(s.count);
  T* memory = static_cast<T*>(ctx.workspace);
  for (int64_t i = 0; i < 4 * s.room; ++i) memory[i] = -static_cast<T>(__builtin_inf());
  s.now = memory + L;
  s.next = s.now + s.room;
  s.jump = s.next + s.room;
  s.here = s.jump + s.room;
  for (int64_t k = 1; k < a.length; ++k)
    if (a.target[k] != a.target[k - 1] && a.target[k] != a.blank) s.jump[2 * k + 1] = 0;
  return s;
}

// The log probability of each state's class.
template <class T>
FASTNN_INLINE void emit(const CtcArgs& a, const T* row, T* here) {
  const T blank = row[a.blank];
  for (int64_t k = 0; k < a.length; ++k) {
    here[2 * k] = blank;
    here[2 * k + 1] = row[a.target[k]];
  }
  here[2 * a.length] = blank;
}

// ln(e^x + e^y + e^z); -inf where all are.
template <class T>
FASTNN_INLINE Vec<T> log_sum(Vec<T> x, Vec<T> y, Vec<T> z) {
  const Vec<T> m = max(max(x, y), z);
  const Vec<T> base = select(eq(m, vset<T>(-__builtin_inf())), Vec<T>::zero(), m);
  return vlog(vexp_nonpositive(x - base) + vexp_nonpositive(y - base) + vexp_nonpositive(z - base)) + base;
}

template <class T>
void forward(const Ctx& ctx, const CtcArgs& a) {
  constexpr int L = Vec<T>::size;
  const T low = -static_cast<T>(__builtin_inf());
  States<T> s = lay_out<T>(ctx, a);
  T* alpha = static_cast<T*>(a.alpha);
  for (int64_t t = 0; t < a.steps; ++t) {
    const T* row = static_cast<const T*>(a.log_probs) + t * a.step;
    if (t == 0) {
      s.now[0] = row[a.blank];
      if (s.count > 1) s.now[1] = row[a.target[0]];
    } else {
      emit(a, row, s.here);
      for (int64_t i = 0; i < s.count; i += L) {
        const Vec<T> x = Vec<T>::load(s.now + i), y = Vec<T>::load(s.now + i - 1);
        const Vec<T> z = Vec<T>::load(s.now + i - 2) + Vec<T>::load(s.jump + i);
        (log_sum(x, y, z) + Vec<T>::load(s.here + i)).store(s.next + i);
      }
      T* swap = s.now;
      s.now = s.next;
      s.next = swap;
    }
    T* to = alpha + t * a.alpha_step;
    for (int64_t i = 0; i < s.count; ++i) to[i] = s.now[i];
    for (int64_t i = s.count; i < a.all_states; ++i) to[i] = low;
  }
  for (int64_t t = a.steps; t < a.all_steps; ++t)
    for (int64_t i = 0; i < a.all_states; ++i) alpha[t * a.alpha_step + i] = low;
  T loss = a.length ? -low : 0;
  if (a.steps) {
    const Vec<T> none(low), end(s.now[s.count - 1]), before(s.count > 1 ? s.now[s.count - 2] : low);
    loss = -log_sum(end, before, none)[0];
  }
  *static_cast<T*>(a.loss) = loss;
}

template <class T>
void backward(const Ctx& ctx, const CtcArgs& a) {
  constexpr int L = Vec<T>::size;
  const T low = -static_cast<T>(__builtin_inf()), loss = *static_cast<const T*>(a.loss);
  const T factor = *static_cast<const T*>(a.dloss);
  const bool impossible = loss == -low;
  T* grad = static_cast<T*>(a.grad);
  const size_t bytes = static_cast<size_t>(a.classes) * sizeof(T);
  for (int64_t t = impossible && a.zero_infinity ? 0 : a.steps; t < a.all_steps; ++t)
    __builtin_memset(grad + t * a.step, 0, bytes);
  if (impossible) {  // no alignment: its gradient is not a number, as torch has it
    for (int64_t t = 0; t < a.steps && !a.zero_infinity; ++t)
      for (int64_t c = 0; c < a.classes; ++c) grad[t * a.step + c] = static_cast<T>(__builtin_nan(""));
    return;
  }
  States<T> s = lay_out<T>(ctx, a);
  const Vec<T> none(low), shift(loss);
  for (int64_t t = a.steps - 1; t >= 0; --t) {
    const T* row = static_cast<const T*>(a.log_probs) + t * a.step;
    const T* alpha = static_cast<const T*>(a.alpha) + t * a.alpha_step;
    T* to = grad + t * a.step;
    emit(a, row, s.here);
    across<T>(a.classes, [&](int64_t c, auto n) { put(to + c, vexp(get(row + c, n)), n); });
    if (t == a.steps - 1) {
      s.next[s.count - 1] = s.here[s.count - 1];
      if (s.count > 1) s.next[s.count - 2] = s.here[s.count - 2];
    } else {
      for (int64_t i = 0; i < s.count; i += L) {
        const Vec<T> x = Vec<T>::load(s.now + i), y = Vec<T>::load(s.now + i + 1);
        const Vec<T> z = Vec<T>::load(s.now + i + 2) + Vec<T>::load(s.jump + i + 2);
        (log_sum(x, y, z) + Vec<T>::load(s.here + i)).store(s.next + i);
      }
    }
    T* swap = s.now;
    s.now = s.next;
    s.next = swap;
    // The states' posterior probabilities: alpha and beta both contain the step's own probability.
    for (int64_t i = 0; i < s.count; i += L) {
      const int n = static_cast<int>(s.count - i < L ? s.count - i : L);
      const Vec<T> both = first(Vec<T>::load(alpha + i, n), n, none) + Vec<T>::load(s.now + i);
      const Vec<T> q = select(eq(both, none), none, both - Vec<T>::load(s.here + i) + shift);
      alignas(64) T share[L];
      vexp(q).store(share);
      for (int k = 0; k < n; ++k) to[(i + k) & 1 ? a.target[(i + k) / 2] : a.blank] -= share[k];
    }
    across<T>(a.classes, [&](int64_t c, auto n) { put(to + c, get(to + c, n) * Vec<T>(factor), n); });
  }
}

}  // namespace

void ctc_loss(const Ctx& ctx, const CtcArgs& a) {
  a.dtype == Dtype::F32 ? forward<float>(ctx, a) : forward<double>(ctx, a);
}
void ctc_loss_backward(const Ctx& ctx, const CtcArgs& a) {
  a.dtype == Dtype::F32 ? backward<float>(ctx, a) : backward<double>(ctx, a);
}
size_t ctc_loss_workspace(Dtype dtype, int64_t states) {
  return dtype == Dtype::F32 ? static_cast<size_t>(4 * padded<float>(states)) * 4
                             : static_cast<size_t>(4 * padded<double>(states)) * 8;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn
