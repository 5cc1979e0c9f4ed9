// Optimizer steps over all parameters: one launch for up to kOptimTensors of them. torch's update rules, in float32
// for the 16-bit types.
#pragma once
#include "cuda/types.h"

namespace fastnn {
namespace cuda {

constexpr int kOptimTensors = 64;  // a launch; longer lists take several

struct OptimTensor {
  void* param;
  const void* grad;
  void* state[3];  // as in kernels.h, by optimizer
  int64_t n;
};

// Values that a captured graph reads anew at each replay; null: those in the arguments.
struct OptimDevice {
  const double* lr;
  const int64_t* step;      // Adam, Adagrad: counts from 1
  const float* grad_scale;  // gradients are divided by it (GradScaler), or null
  const float* found_inf;   // not 0: nothing is changed
};

enum class Optimizer : int { Sgd, Adam, Adagrad, RmsProp };
struct OptimArgs {
  Dtype dtype;
  Optimizer rule;
  double lr, weight_decay, eps;
  bool maximize;
  double momentum, dampening;              // Sgd (state 0: buffer), RmsProp (states: square, mean, buffer)
  bool has_buffers, nesterov, first_step;  // first_step: the buffer is filled
  double beta1, beta2;                     // Adam (states: mean, square, largest square)
  bool decoupled, amsgrad;                 // decoupled: AdamW
  double lr_decay;                         // Adagrad (state 0: sum)
  double alpha;                            // RmsProp
  bool centered;
  int64_t step;
  OptimDevice device;
};
void optim_step(const OptimArgs& a, const OptimTensor* tensors, int count, Stream stream);

// out: one value, float64 for F64 else float32: the p-norm (1, 2, inf or another) of all gradients together.
size_t grad_norm_workspace(const OptimTensor* tensors, int count);
void grad_norm(Dtype dtype, const OptimTensor* tensors, int count, double p, void* out, void* workspace, Stream stream);
// grad *= factor; where limit is not null: times min(1, factor / (*limit + 1e-6)), a value as grad_norm writes it:
// clip_grad_norm_ without waiting for the device. OptimTensor::param is the gradient here.
void optim_scale(Dtype dtype, const OptimTensor* tensors, int count, double factor, const void* limit, Stream stream);
// GradScaler's unscale_: grad *= *factor (float32, on the device), and *found_inf = 1 where one is not finite.
void optim_unscale(Dtype dtype, const OptimTensor* tensors, int count, const float* factor, float* found_inf,
                   Stream stream);

}  // namespace cuda
}  // namespace fastnn
