// Fused attention, backward, by mma.sync.
#include "cuda/attention.cu"
#define kThreads kThreadsOfBackward  // both files have theirs in one anonymous namespace here
#include "cuda/attention_backward.cu"
#undef kThreads

#define FASTNN_NO_WGMMA
#define FASTNN_NO_BACKWARD_WGMMA
#include "attention_absent.h"
#include "attention_case.h"

using namespace fastnn;
using namespace fastnn::cuda;
using attention_case::Case;
using attention_case::Drop;
using attention_case::Hide;
using attention_case::Problem;

TEST(gradients_sizes) {
  for (Dtype d : {Dtype::F32, Dtype::BF16, Dtype::F16}) {
    if (kSanitized && d == Dtype::F16) continue;
    attention_case::backward({d, 1, 1, 1, 1, 1, 1, 1});
    attention_case::backward({d, 2, 3, 3, 7, 5, 4, 6});
    attention_case::backward({d, 1, 2, 1, kSanitized ? 40 : 70, 67, 64, 64});
    attention_case::backward({d, 1, 1, 1, 33, kSanitized ? 20 : 67, 128, 128, Hide::Causal});
    if (!kSanitized) {
      attention_case::backward({d, 1, 1, 1, 150, 100, 40, 72, Hide::Causal});
      attention_case::backward({d, 1, 2, 2, 40, 100, 128, 16, Hide::Causal});
    }
  }
}
TEST(gradients_masks) {
  const Dtype d = kSanitized ? Dtype::BF16 : Dtype::F32;
  for (Hide hide : {Hide::Causal, Hide::Bool, Hide::Padding, Hide::Additive}) {
    attention_case::backward({d, 1, kSanitized ? 2 : 4, kSanitized ? 1 : 2, 35, 70, 16, 24, hide});
    if (!kSanitized) attention_case::backward({Dtype::BF16, 1, 2, 2, 100, 20, 64, 64, hide});
  }
}
TEST(gradients_drops) {
  for (Drop drop : {Drop::Kept, Drop::Drawn}) {
    attention_case::backward({Dtype::F32, 1, 2, 1, 35, 50, 16, 24, Hide::Nothing, drop});
    attention_case::backward({Dtype::BF16, 2, 2, 2, 20, 70, 32, 32, Hide::Causal, drop});
  }
}
TEST(gradients_layouts) {
  attention_case::backward({Dtype::BF16, 2, 3, 3, 20, 40, 32, 32, Hide::Causal, Drop::None, true});
  attention_case::backward({Dtype::BF16, 2, 2, 1, 20, 40, 17, 33, Hide::Nothing, Drop::None, true, 3});
  attention_case::backward({Dtype::F32, 2, 2, 1, 20, 40, 17, 33, Hide::Causal, Drop::None, false, 3, -0.4});
}
TEST(gradients_one_at_a_time) {
  for (int wanted = 0; wanted < 3; ++wanted) {
    Problem p({Dtype::F32, 1, 2, 1, 20, 40, 16, 16});
    p.saved();
    if (wanted != 0) p.a.dq.p = nullptr;
    if (wanted != 1) p.a.dk.p = nullptr;
    if (wanted != 2) p.a.dv.p = nullptr;
    attention_backward(p.a, p.drop, p.delta.data(), nullptr);
    p.check_backward();
  }
}
// As in plain sums: of an infinite value, and of an infinite gradient.
TEST(gradients_infinities) {
  for (Dtype d : {Dtype::F32, Dtype::BF16}) {
    Problem p({d, 1, 1, 1, 1, 40, 16, 24});
    p.v.memory.set(p.v.place(0, 0, 3, 5), INFINITY);
    p.reference();
    p.saved();
    attention_backward(p.a, p.drop, p.delta.data(), nullptr);
    CHECK(std::isinf(p.dk(0, 0, 4, 0)) && std::isnan(p.dk(0, 0, 3, 0)) && std::isfinite(p.dv(0, 0, 3, 5)));
    p.check_backward();
    Problem q({d, 1, 1, 1, 20, 40, 16, 24});
    q.dout.memory.set(q.dout.place(0, 0, 3, 5), -INFINITY);
    q.saved();
    q.a.dq.p = q.a.dk.p = nullptr;
    attention_backward(q.a, q.drop, q.delta.data(), nullptr);
    for (int64_t j = 0; j < 40; ++j) CHECK(q.dv(0, 0, j, 5) == -INFINITY && std::isfinite(q.dv(0, 0, j, 6)));
  }
}

MAIN()
