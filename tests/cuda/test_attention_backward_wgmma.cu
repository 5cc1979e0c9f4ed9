// Fused attention, backward, by TMA and wgmma: ragged sizes, causal, grouped heads, layouts, gradients one at a time,
// rings that go round, and what it leaves to others.
#include "cuda/attention.cu"
#define kThreads kThreadsOfBackward  // both files have theirs in one anonymous namespace here
#include "cuda/attention_backward.cu"
#undef kThreads
#include "cuda/attention_backward_wgmma.cu"
#define FASTNN_NO_WGMMA
#include "attention_absent.h"
#include "attention_case.h"

using namespace attention_case;

namespace {
bool taken(Problem& p) {
  const Case& t = p.t;
  p.saved();
  for (int64_t row = 0; row < t.B * t.H * t.L; ++row) {
    double sum = 0;
    for (int64_t e = 0; e < t.Ev; ++e)
      sum += p.dout(row / t.L / t.H, row / t.L % t.H, row % t.L, e) * p.want[static_cast<size_t>(row * t.Ev + e)];
    p.delta[static_cast<size_t>(row)] = static_cast<float>(sum);
  }
  return attention_backward_wgmma(attention_work("attention_backward", p.a, p.drop, p.delta.data()), nullptr);
}
void wgmma(const Case& t) {
  Problem p(t);
  CHECK(taken(p));
  p.check_backward();
}
}  // namespace

TEST(wgmma_gradients_sizes) {
  wgmma({Dtype::BF16, 1, 1, 1, 1, 1, 8, 8});
  if (kSanitized) return;
  wgmma({Dtype::F16, 1, 1, 1, 150, 130, 128, 128});
  wgmma({Dtype::BF16, 1, 1, 1, 200, 70, 128, 64});
  wgmma({Dtype::F16, 2, 4, 2, 70, 100, 40, 64});
  wgmma({Dtype::BF16, 1, 1, 1, 40, 180, 72, 128});
}
TEST(wgmma_gradients_causal) {
  wgmma({Dtype::BF16, 1, 1, 1, kSanitized ? 70 : 290, kSanitized ? 140 : 290, 64, 64, Hide::Causal});
  if (kSanitized) return;
  wgmma({Dtype::F16, 1, 2, 1, 200, 90, 128, 96, Hide::Causal});
  wgmma({Dtype::BF16, 1, 1, 1, 90, 300, 128, 128, Hide::Causal});  // keys that no query sees
}
// More steps than the ring has stages: queries of several heads, and keys.
TEST(wgmma_gradients_rings) {
  wgmma({Dtype::BF16, 1, 5, 1, 20, 300, 16, 24});
  if (!kSanitized) wgmma({Dtype::F16, 1, 3, 1, 140, 20, 128, 128, Hide::Causal});
}
TEST(wgmma_gradients_layouts) {
  wgmma({Dtype::BF16, 2, 3, 3, 20, 40, 32, 32, Hide::Causal, Drop::None, true});
  if (kSanitized) return;
  wgmma({Dtype::F16, 2, 2, 1, 20, 40, 16, 24, Hide::Nothing, Drop::None, true, 8});
  wgmma({Dtype::F16, 2, 2, 1, 20, 40, 16, 24, Hide::Nothing, Drop::None, false, 8});
}
TEST(wgmma_gradients_one_at_a_time) {
  for (int wanted = 0; wanted < 3; ++wanted) {
    Problem p({Dtype::BF16, 1, 2, 1, 20, 40, 16, 16});
    if (wanted != 0) p.a.dq.p = nullptr;
    if (wanted != 1) p.a.dk.p = nullptr;
    if (wanted != 2) p.a.dv.p = nullptr;
    CHECK(taken(p));
    p.check_backward();
  }
}
TEST(wgmma_gradients_left_to_mma) {
  for (const Case& c : left_to_mma()) {
    Problem p(c);
    CHECK(!taken(p));
    attention_backward(p.a, p.drop, p.delta.data(), nullptr);
    p.check_backward();
  }
  attention_case::backward(for_wgmma);  // with the kernel's own delta
}

MAIN()
