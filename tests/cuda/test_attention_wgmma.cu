// Fused attention, forward, by TMA and wgmma: ragged sizes, causal, grouped heads, layouts, and what it leaves to
// others.
#include "attention_case.h"
#include "cuda/attention.cu"
#include "cuda/attention_wgmma.cu"

using namespace attention_case;

namespace {
bool taken(Problem& p) { return attention_wgmma(attention_work("attention", p.a, p.drop, nullptr), nullptr); }
void wgmma(const Case& t) {
  Problem p(t);
  CHECK(taken(p));
  p.check_forward();
}
}  // namespace

TEST(wgmma_sizes) {
  wgmma({Dtype::BF16, 1, 1, 1, 1, 1, 8, 8});
  wgmma({Dtype::BF16, 1, 2, 1, 20, 300, 64, 64});
  if (kSanitized) return;
  wgmma({Dtype::F16, 1, 1, 1, 150, 130, 128, 128});
  wgmma({Dtype::F16, 2, 4, 2, 70, 100, 40, 64});
  wgmma({Dtype::BF16, 1, 1, 1, 40, 520, 72, 128});
}
TEST(wgmma_causal) {
  wgmma({Dtype::BF16, 1, 1, 1, kSanitized ? 130 : 300, 300, 64, 64, Hide::Causal});
  if (kSanitized) return;
  wgmma({Dtype::F16, 1, 2, 1, 200, 90, 128, 96, Hide::Causal});
  wgmma({Dtype::BF16, 1, 1, 1, 90, 300, 128, 128, Hide::Causal});
}
TEST(wgmma_layouts) {
  wgmma({Dtype::BF16, 2, 3, 3, 20, 40, 32, 32, Hide::Causal, Drop::None, true});
  wgmma({Dtype::F16, 2, 2, 1, 20, 40, 16, 24, Hide::Nothing, Drop::None, true, 8});
  wgmma({Dtype::F16, 2, 2, 1, 20, 40, 16, 24, Hide::Nothing, Drop::None, false, 8});
}
TEST(wgmma_leaves_to_mma) {
  for (const Case& c : left_to_mma()) {
    Problem p(c);
    CHECK(!taken(p));
  }
  Problem p(for_wgmma);
  attention(p.a, p.drop, nullptr);  // whichever it takes
  p.check_forward();
}

MAIN()
