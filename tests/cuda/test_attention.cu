// Fused attention, forward, by mma.sync: ragged sizes, masks, dropout, grouped heads, any layout.
#define FASTNN_NO_WGMMA
#include "attention_absent.h"
#include "attention_case.h"
#include "cuda/attention.cu"

using namespace attention_case;

TEST(attention_sizes) {
  for (Dtype d : {Dtype::F32, Dtype::BF16, Dtype::F16}) {
    if (kSanitized && d == Dtype::F16) continue;
    forward({d, 1, 1, 1, 1, 1, 1, 1});
    forward({d, 2, 3, 3, 7, 5, 4, 6});
    forward({d, 1, 2, 1, kSanitized ? 20 : 70, 130, 64, 64});
    forward({d, 1, 1, 1, 33, 67, 128, 128});
    if (!kSanitized) {
      forward({d, 1, 1, 1, 150, 100, 40, 72, Hide::Causal});
      forward({d, 1, 1, 1, 40, 100, 128, 16, Hide::Causal});
    }
  }
}
TEST(attention_masks) {
  const Dtype d = kSanitized ? Dtype::BF16 : Dtype::F32;
  for (Hide hide : {Hide::Causal, Hide::Bool, Hide::Padding, Hide::Additive}) {
    forward({d, 2, 2, 1, 35, 70, 16, 24, hide});
    if (!kSanitized) forward({Dtype::BF16, 1, 2, 2, 100, 20, 64, 64, hide});
  }
}
TEST(attention_drops) {
  for (Drop drop : {Drop::Kept, Drop::Drawn}) {
    forward({Dtype::F32, 1, 2, 1, 35, 50, 16, 24, Hide::Nothing, drop});
    forward({Dtype::BF16, 2, 2, 2, 20, 70, 32, 32, Hide::Causal, drop});
  }
}
TEST(attention_layouts) {
  forward({Dtype::BF16, 2, 3, 3, 20, 40, 32, 32, Hide::Causal, Drop::None, true});
  forward({Dtype::BF16, 2, 2, 1, 20, 40, 17, 33, Hide::Nothing, Drop::None, true, 3});
  forward({Dtype::F32, 2, 2, 1, 20, 40, 17, 33, Hide::Causal, Drop::None, false, 3});
}
TEST(attention_scales) {
  for (double scale : {-0.3, 4.0})
    forward({Dtype::F32, 1, 1, 1, 20, 40, 16, 16, Hide::Causal, Drop::None, false, 0, scale});
  Case t{Dtype::F32, 1, 1, 1, 20, 40, 16, 16};
  Problem zero(t);
  zero.a.scale = 0;
  zero.reference();
  attention(zero.a, zero.drop, nullptr);
  zero.check_forward();
}
// As in plain sums: an infinite value makes its column infinite and nothing else, an infinite key is seen by nobody
// where its score is -inf.
TEST(attention_infinities) {
  for (Dtype d : {Dtype::F32, Dtype::BF16}) {
    Problem p({d, 1, 1, 1, 20, 40, 16, 24});
    p.v.memory.set(p.v.place(0, 0, 3, 5), INFINITY);
    p.v.memory.set(p.v.place(0, 0, 30, 6), -INFINITY);
    p.reference();
    attention(p.a, p.drop, nullptr);
    CHECK(p.want[5] == INFINITY && p.want[6] == -INFINITY && std::isfinite(p.want[7]));
    p.check_forward();
    Problem q({d, 1, 1, 1, 20, 40, 16, 24});
    q.k.memory.set(q.k.place(0, 0, 2, 1), INFINITY);
    q.reference();
    attention(q.a, q.drop, nullptr);
    q.check_forward();
  }
}
TEST(attention_drawn_masks_are_words_of_philox) {
  const int64_t L = 37, S = 21;
  std::vector<uint8_t> kept(static_cast<size_t>(2 * L * S));
  const AttentionDropout d{true, {5, 1000, nullptr}, uint64_t(1) << 31};
  attention_kept(d, kept.data(), 2, L, S, nullptr);
  for (int64_t at = 0; at < 2 * L * S; ++at) {
    const int64_t i = at / S % L, j = at % S;
    const int64_t block = ((at / S / L * 3 + i / 16) * 2 + j / 16) * 64 + i % 8 * 8 + j % 8;
    CHECK(kept[static_cast<size_t>(at)] ==
          (philox(5, 1000 + static_cast<uint64_t>(block)).w[i / 8 % 2 * 2 + j / 8 % 2] >> 31 == 0));
  }
  CHECK(attention_blocks(2, L, S) == 2 * 3 * 2 * 64);
}
TEST(attention_refusals) {
  Problem p({Dtype::F32, 1, 1, 1, 4, 4, 4, 4});
  p.a.dtype = Dtype::F64;
  THROWS(attention(p.a, p.drop, nullptr), "dtype");
  p.a.dtype = Dtype::F32;
  p.a.E = 129;
  THROWS(attention(p.a, p.drop, nullptr), "head sizes");
}

MAIN()
