// Recurrent layers on the device: one direction of one layer over a whole sequence; RnnArgs as on the CPU (kernels.h),
// with device pointers. w_hh, h0, c0, y, dy, dh, dc and dgates have the dtype; bias, b_hn, gates, cells, hn, carry and
// state its compute dtype (float32 for the 16-bit ones). Without projections.
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

struct RnnPass {
  RnnArgs a;          // sizes lie on the host; cells and hn are null without keep
  const int* starts;  // on the device: the row where each step begins, and the rows; null: `batch` rows a step
  const void* bias;   // [G * hidden] or null: what gates lack
  void* state;        // [batch, hidden]: the last c of an LSTM, the last h of a GRU in the compute dtype; else null
};

// Auto: one cooperative kernel with the recurrent weights on chip where they fit and there are several steps; else a
// product and a kernel for the gates a step.
enum class RnnVariant : int { Auto, Steps, Persistent };

// The workspace must be zeros. Throws std::invalid_argument where the variant does not cover the arguments.
size_t rnn_workspace(const RnnPass& p, RnnVariant variant, bool backward);
void rnn(const RnnPass& p, RnnVariant variant, void* workspace, Stream stream);
void rnn_backward(const RnnPass& p, RnnVariant variant, void* workspace, Stream stream);

}  // namespace cuda
}  // namespace fastnn
