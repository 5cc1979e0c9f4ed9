// Tensor cores and asynchronous copies, with the two bodies of prim.h: cp.async, ldmatrix and mma.sync (sm_80);
// mbarriers, TMA, wgmma and clusters (sm_90a). The twins are asynchronous too: what has been issued lands late, and
// until then its destination is full of NaN.
#pragma once
#include "cuda/prim.h"
#ifndef FASTNN_EMU
#include <cuda.h>

#include "cuda/wgmma.h"
#endif

#if defined(FASTNN_EMU) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define FASTNN_HAS_WGMMA 1  // without it a kernel of sm_90a has an empty body
#endif

#ifdef FASTNN_EMU
namespace fastnn {
namespace emu {
void copy_async(void* shared, const void* global, unsigned bytes, bool valid, Where where);
void copy_commit();
void copy_wait(unsigned groups_left, Where where);
void load_matrix(uint32_t* r, const void* row, bool transposed, Where where);
enum class Mma { Bf16, F16, Tf32 };
void mma(float* d, const uint32_t* a, const uint32_t* b, Mma type, Where where);
void barrier_init(uint64_t* b, unsigned count, Where where);
void barrier_arrive(uint64_t* b, unsigned bytes, Where where);
void barrier_arrive_peer(uint64_t* b, unsigned rank, Where where);
void barrier_wait(const uint64_t* b, unsigned parity, Where where);
struct TensorMap {
  const void* base;
  int element, swizzle;
  uint64_t size[3], stride[3];  // stride in bytes; [0] is the element's
  uint32_t box[3];
};
void tensor_load(void* shared, const TensorMap* map, uint64_t* barrier, int c0, int c1, int c2, Where where);
// ra: four registers of the thread in place of a's descriptor, or null
void wgmma(float* d, int n, const uint32_t* ra, uint64_t a, uint64_t b, bool add, bool trans_a, bool trans_b, Mma type,
           Where where);
void wgmma_commit();
void wgmma_wait(unsigned groups_left, Where where);
}  // namespace emu
}  // namespace fastnn
#endif

namespace fastnn {
namespace cuda {

// ---- cp.async: 16 (or 8) bytes from global to shared memory, zeros where not valid ----
#ifdef FASTNN_EMU
inline void cp_async16(void* shared, const void* global, bool valid, FASTNN_EMU_PLACE) {
  emu::copy_async(shared, global, 16, valid, FASTNN_EMU_HERE);
}
inline void cp_async8(void* shared, const void* global, bool valid, FASTNN_EMU_PLACE) {
  emu::copy_async(shared, global, 8, valid, FASTNN_EMU_HERE);
}
inline void cp_async_commit() { emu::copy_commit(); }
template <int kGroupsLeft>
void cp_async_wait(FASTNN_EMU_PLACE) {
  emu::copy_wait(kGroupsLeft, FASTNN_EMU_HERE);
}
#else
__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
__device__ __forceinline__ void cp_async16(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void cp_async8(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_address(shared)), "l"(global),
               "r"(valid ? 8 : 0)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kGroupsLeft>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroupsLeft) : "memory");
}
#endif

// ---- ldmatrix: four 8 x 8 matrices of 16-bit elements; lane i gives the address of row i % 8 of matrix i / 8 ----
#ifdef FASTNN_EMU
template <bool kTransposed>
void ldmatrix_x4(uint32_t (&r)[4], const void* row, FASTNN_EMU_PLACE) {
  emu::load_matrix(r, row, kTransposed, FASTNN_EMU_HERE);
}
#else
template <bool kTransposed>
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* row) {
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
}
#endif

// ---- mma.sync: d += a b; 16 x 8 sums, k 16 for 16-bit elements, 8 for tf32 ----
#ifdef FASTNN_EMU
template <class T>
void mma_m16n8(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], FASTNN_EMU_PLACE) {
  emu::mma(d, a, b,
           std::is_same<T, bf16>::value  ? emu::Mma::Bf16
           : std::is_same<T, f16>::value ? emu::Mma::F16
                                         : emu::Mma::Tf32,
           FASTNN_EMU_HERE);
}
inline uint32_t to_tf32(float x) {  // to 10 bits of mantissa, ties away from zero
  return std::isfinite(x) ? (__float_as_uint(x) + 0x1000u) & 0xffffe000u : __float_as_uint(x);
}
#else
template <class T>
__device__ __forceinline__ void mma_m16n8(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#define FASTNN_MMA(shape)                                                                         \
  asm volatile("mma.sync.aligned." shape " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};" \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                   \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
  if constexpr (std::is_same<T, bf16>::value)
    FASTNN_MMA("m16n8k16.row.col.f32.bf16.bf16.f32");
  else if constexpr (std::is_same<T, f16>::value)
    FASTNN_MMA("m16n8k16.row.col.f32.f16.f16.f32");
  else
    FASTNN_MMA("m16n8k8.row.col.f32.tf32.tf32.f32");
#undef FASTNN_MMA
}
__device__ __forceinline__ uint32_t to_tf32(float x) {
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
}
#endif

// ---- mbarriers, in shared memory ----
using Mbarrier = uint64_t;
#ifdef FASTNN_EMU
inline void mbarrier_init(Mbarrier* b, unsigned count, FASTNN_EMU_PLACE) {
  emu::barrier_init(b, count, FASTNN_EMU_HERE);
}
inline void mbarrier_fence_init() {}
inline void mbarrier_arrive(Mbarrier* b, FASTNN_EMU_PLACE) { emu::barrier_arrive(b, 0, FASTNN_EMU_HERE); }
// Arrives, and lets the phase wait for that many bytes.
inline void mbarrier_arrive_expect(Mbarrier* b, unsigned bytes, FASTNN_EMU_PLACE) {
  emu::barrier_arrive(b, bytes, FASTNN_EMU_HERE);
}
// Arrives at the barrier of the same place in another block of the cluster.
inline void mbarrier_arrive_peer(Mbarrier* b, unsigned rank, FASTNN_EMU_PLACE) {
  emu::barrier_arrive_peer(b, rank, FASTNN_EMU_HERE);
}
// Until the phase of this parity is over.
inline void mbarrier_wait(const Mbarrier* b, unsigned parity, FASTNN_EMU_PLACE) {
  emu::barrier_wait(b, parity, FASTNN_EMU_HERE);
}
#else
__device__ __forceinline__ void mbarrier_init(Mbarrier* b, unsigned count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(count) : "memory");
}
__device__ __forceinline__ void mbarrier_fence_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ __forceinline__ void mbarrier_arrive(Mbarrier* b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
}
__device__ __forceinline__ void mbarrier_arrive_expect(Mbarrier* b, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b)), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void mbarrier_arrive_peer(Mbarrier* b, unsigned rank) {
  asm volatile(
      "{\n.reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(shared_address(b)),
      "r"(rank)
      : "memory");
}
__device__ __forceinline__ void mbarrier_wait(const Mbarrier* b, unsigned parity) {
  asm volatile(
      "{\n.reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}" ::"r"(shared_address(b)),
      "r"(parity)
      : "memory");
}
#endif

// ---- TMA: a box of a tensor of up to three dimensions; zeros where it leaves the tensor ----
#ifdef FASTNN_EMU
using TensorMap = emu::TensorMap;
inline void tma_load(void* shared, const TensorMap* map, Mbarrier* barrier, int c0, int c1, int c2, FASTNN_EMU_PLACE) {
  emu::tensor_load(shared, map, barrier, c0, c1, c2, FASTNN_EMU_HERE);
}
#else
using TensorMap = CUtensorMap;
__device__ __forceinline__ void tma_load(void* shared, const TensorMap* map, Mbarrier* barrier, int c0, int c1,
                                         int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], "
      "[%2];" ::"r"(shared_address(shared)),
      "l"(reinterpret_cast<uint64_t>(map)), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
#endif

// ---- wgmma: a warpgroup's 64 x N sums, k 16, both operands in shared memory by descriptor ----
// Tiles as TMA leaves them with the 128-byte swizzle, 1024-byte aligned. Along k: rows of 64 elements, `group` is 1024,
// the bytes of eight rows. Across k (kTrans): rows are k, of 64 elements of the operand's rows; `chunk` is the distance
// of the next 64 elements, `group` of the next eight k.
__device__ __forceinline__ uint64_t wgmma_descriptor(uint32_t address, unsigned chunk, unsigned group) {
  return uint64_t(address >> 4 & 0x3fff) | uint64_t(chunk >> 4 & 0x3fff) << 16 | uint64_t(group >> 4 & 0x3fff) << 32 |
         uint64_t(1) << 62;
}
#ifdef FASTNN_EMU
inline uint32_t shared_address(const void* p, FASTNN_EMU_PLACE) { return emu::shared_address(p, FASTNN_EMU_HERE); }
inline void wgmma_fence() {}
inline void wgmma_commit() { emu::wgmma_commit(); }
template <int kGroupsLeft>
void wgmma_wait(FASTNN_EMU_PLACE) {
  emu::wgmma_wait(kGroupsLeft, FASTNN_EMU_HERE);
}
template <class T, int N, int kTransA, int kTransB>
void wgmma_m64(float (&d)[N / 2], uint64_t a, uint64_t b, bool add, FASTNN_EMU_PLACE) {
  emu::wgmma(d, N, nullptr, a, b, add, kTransA, kTransB, std::is_same<T, bf16>::value ? emu::Mma::Bf16 : emu::Mma::F16,
             FASTNN_EMU_HERE);
}
// The left operand in registers, 16 rows a warp as in mma_m16n8; they must not change until the product is done.
template <class T, int N, int kTransB>
void wgmma_m64_registers(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool add, FASTNN_EMU_PLACE) {
  emu::wgmma(d, N, a, 0, b, add, false, kTransB, std::is_same<T, bf16>::value ? emu::Mma::Bf16 : emu::Mma::F16,
             FASTNN_EMU_HERE);
}
template <int kRegisters>
void registers_take() {}
template <int kRegisters>
void registers_give() {}
#else
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kGroupsLeft>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroupsLeft) : "memory");
}
template <class T, int N, int kTransA, int kTransB>
__device__ __forceinline__ void wgmma_m64(float (&d)[N / 2], uint64_t a, uint64_t b, bool add) {
  static_assert(N == 64 || N == 128 || N == 256, "see wgmma.h");
  if constexpr (N == 64) {
    if constexpr (std::is_same<T, bf16>::value)
      FASTNN_WGMMA_64("bf16");
    else
      FASTNN_WGMMA_64("f16");
  } else if constexpr (N == 128) {
    if constexpr (std::is_same<T, bf16>::value)
      FASTNN_WGMMA_128("bf16");
    else
      FASTNN_WGMMA_128("f16");
  } else {
    if constexpr (std::is_same<T, bf16>::value)
      FASTNN_WGMMA_256("bf16");
    else
      FASTNN_WGMMA_256("f16");
  }
}
template <class T, int N, int kTransB>
__device__ __forceinline__ void wgmma_m64_registers(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool add) {
  static_assert(N == 64 || N == 128, "see wgmma.h");
  if constexpr (N == 64) {
    if constexpr (std::is_same<T, bf16>::value)
      FASTNN_WGMMA_REGISTERS_64("bf16");
    else
      FASTNN_WGMMA_REGISTERS_64("f16");
  } else {
    if constexpr (std::is_same<T, bf16>::value)
      FASTNN_WGMMA_REGISTERS_128("bf16");
    else
      FASTNN_WGMMA_REGISTERS_128("f16");
  }
}
template <int kRegisters>
__device__ __forceinline__ void registers_take() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void registers_give() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
#endif

// ---- clusters ----
#ifdef FASTNN_EMU
inline unsigned cluster_rank() { return emu::current->cluster_rank; }
inline void cluster_arrive(FASTNN_EMU_PLACE) { emu::cluster_arrive(FASTNN_EMU_HERE); }
inline void cluster_wait(FASTNN_EMU_PLACE) { emu::cluster_wait(FASTNN_EMU_HERE); }
// The same variable in another block of the cluster.
template <class T>
T* cluster_shared(T* p, unsigned rank, FASTNN_EMU_PLACE) {
  return static_cast<T*>(emu::peer_shared(p, rank, FASTNN_EMU_HERE));
}
#else
__device__ __forceinline__ unsigned cluster_rank() {
  unsigned r;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(r));
  return r;
}
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
template <class T>
__device__ __forceinline__ T* cluster_shared(T* p, unsigned rank) {
  T* r;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(r) : "l"(p), "r"(rank));
  return r;
}
#endif
__device__ __forceinline__ void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

// ---- all blocks of a cooperative launch; `counter` is a word of global memory that was 0 before the first launch ----
#ifdef FASTNN_EMU
inline void grid_barrier(unsigned*, FASTNN_EMU_PLACE) { emu::grid_barrier(FASTNN_EMU_HERE); }
#else
__device__ __forceinline__ void grid_barrier(unsigned* counter) {
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0 && threadIdx.z == 0) {
    // The top bit turns over when the last block has come; the others add up to the complement.
    unsigned blocks = gridDim.x * gridDim.y * gridDim.z;
    bool first = blockIdx.x == 0 && blockIdx.y == 0 && blockIdx.z == 0;
    __threadfence();
    unsigned old = atomicAdd(counter, first ? 0x80000000u - (blocks - 1) : 1u);
    while (((old ^ load_acquire(counter)) & 0x80000000u) == 0) {
    }
    __threadfence();
  }
  __syncthreads();
}
#endif

}  // namespace cuda
}  // namespace fastnn
