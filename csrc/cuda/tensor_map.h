// Tensor maps: what TMA is told about an array, encoded by the driver on the host (by the emulator: written down). Each
// is checked here first against the driver's rules, so that a map which the hardware would refuse fails without one.
#pragma once
#include "cuda/launch.h"
#include "cuda/prim_im2col.h"
#ifndef FASTNN_EMU
#include <cudaTypedefs.h>
#endif

namespace fastnn {
namespace cuda {
namespace {

[[noreturn]] inline void refuse_map(const char* what, const std::string& why) {
  throw std::invalid_argument(std::string(what) + ": a tensor map " + why);
}

// The rules of both modes: 16-byte addresses and strides below 2^40, sizes of 1 to 2^32.
inline void check_map(const char* what, const void* base, const uint64_t* size, const uint64_t* stride, int rank) {
  if (reinterpret_cast<uintptr_t>(base) % 16) refuse_map(what, "of an address that is no multiple of 16");
  for (int i = 0; i < rank; ++i)
    if (size[i] < 1 || size[i] > uint64_t(1) << 32) refuse_map(what, "with a size of " + std::to_string(size[i]));
  for (int i = 0; i + 1 < rank; ++i)
    if (stride[i] % 16 || stride[i] >> 40) refuse_map(what, "with a stride of " + std::to_string(stride[i]) + " bytes");
}

#ifndef FASTNN_EMU
template <class F>
F map_encoder(const char* what, const char* name) {
  void* f = nullptr;
  cudaDriverEntryPointQueryResult found;
  check(cudaGetDriverEntryPointByVersion(name, &f, 12000, cudaEnableDefault, &found), what);
  if (!f) throw std::runtime_error(std::string(what) + ": the driver has no " + name);
  return reinterpret_cast<F>(f);
}
inline CUtensorMapDataType map_type(Dtype dtype) {
  return dtype == Dtype::BF16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
}
inline void check_encoded(const char* what, CUresult r) {
  if (r != CUDA_SUCCESS)
    throw std::runtime_error(std::string(what) + ": the driver refuses a tensor map, error " + std::to_string(r));
}
#endif

// Boxes of an array of three dimensions of 16-bit elements, the first contiguous, with the 128-byte swizzle. stride: in
// bytes, of the second and of the third dimension.
[[maybe_unused]] inline TensorMap tiled_map(const char* what, Dtype dtype, const void* base, const uint64_t (&size)[3],
                                            const uint64_t (&stride)[2], const uint32_t (&box)[3]) {
  check_map(what, base, size, stride, 3);
  for (uint32_t b : box)
    if (b < 1 || b > 256) refuse_map(what, "with a box of " + std::to_string(b));
  if (box[0] * 2 > 128) refuse_map(what, "whose box is wider than the swizzle's 128 bytes");
#ifdef FASTNN_EMU
  (void)dtype;
  TensorMap m = {};
  m.base = base;
  m.element = 2;
  m.swizzle = 128;
  for (int i = 0; i < 3; ++i) m.size[i] = size[i], m.box[i] = box[i], m.stride[i] = i ? stride[i - 1] : 2;
  return m;
#else
  static const auto encode = map_encoder<PFN_cuTensorMapEncodeTiled_v12000>(what, "cuTensorMapEncodeTiled");
  TensorMap m;
  cuuint64_t sizes[3] = {size[0], size[1], size[2]}, strides[2] = {stride[0], stride[1]};
  cuuint32_t boxes[3] = {box[0], box[1], box[2]}, step[3] = {1, 1, 1};
  check_encoded(what, encode(&m, map_type(dtype), 3, const_cast<void*>(base), sizes, strides, boxes, step,
                             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                             CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  return m;
#endif
}

// Whether the im2col mode can express the corners and steps of one direction of four-dimensional tensors: eight signed
// bits for a corner, steps of at most eight.
inline bool im2col_fits(int64_t lower, int64_t upper, int64_t step) {
  return lower >= -128 && lower <= 127 && upper >= -128 && upper <= 127 && step >= 1 && step <= 8;
}

// Columns of `pixels` pixels of an array [N, H, W, C] of 16-bit elements, `channels` of each, with the 128-byte
// swizzle. size: C, W, H, N; stride: in bytes, of W, H, N; lower, upper, step: of W, of H.
[[maybe_unused]] inline Im2colMap im2col_map(const char* what, Dtype dtype, const void* base, const uint64_t (&size)[4],
                                             const uint64_t (&stride)[3], const int (&lower)[2], const int (&upper)[2],
                                             uint32_t channels, uint32_t pixels, const uint32_t (&step)[2]) {
  check_map(what, base, size, stride, 4);
  for (int i = 0; i < 2; ++i) {
    if (!im2col_fits(lower[i], upper[i], step[i])) refuse_map(what, "whose corners or steps do not fit their bits");
    if (int64_t(size[1 + i]) - 1 + upper[i] < lower[i]) refuse_map(what, "with an empty box");
  }
  if (channels < 1 || channels * 2 > 128 || channels > 256) refuse_map(what, "of too many channels at once");
  if (pixels < 1 || pixels > 256) refuse_map(what, "of too many pixels at once");
#ifdef FASTNN_EMU
  (void)dtype;
  Im2colMap m = {};
  m.base = base;
  m.element = 2;
  m.swizzle = 128;
  for (int i = 0; i < 4; ++i) m.size[i] = size[i], m.stride[i] = i ? stride[i - 1] : 2;
  for (int i = 0; i < 2; ++i) m.lower[i] = lower[i], m.upper[i] = upper[i], m.step[i] = step[i];
  m.channels = channels, m.pixels = pixels;
  return m;
#else
  static const auto encode = map_encoder<PFN_cuTensorMapEncodeIm2col_v12000>(what, "cuTensorMapEncodeIm2col");
  Im2colMap m;
  cuuint64_t sizes[4] = {size[0], size[1], size[2], size[3]}, strides[3] = {stride[0], stride[1], stride[2]};
  cuuint32_t steps[4] = {1, step[0], step[1], 1};
  check_encoded(what, encode(&m, map_type(dtype), 4, const_cast<void*>(base), sizes, strides, lower, upper, channels,
                             pixels, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                             CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  return m;
#endif
}

}  // namespace
}  // namespace cuda
}  // namespace fastnn
