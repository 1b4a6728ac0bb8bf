// The instructions that the kernels use, for the device and (DIFFIT_EMULATE) for the emulator.
#pragma once
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernels/cuda/functions.h"

namespace diffit::kernels::cuda {

/// Bytes of shared memory to allow a kernel whose first launch takes so many. Any kernel may take 48 KiB,
/// which must not be lowered: a later launch may take more than the first.
constexpr std::size_t shared_to_allow(std::size_t bytes) {
  return bytes > (48 << 10) ? bytes : 48 << 10;
}

}  // namespace diffit::kernels::cuda

#ifdef DIFFIT_EMULATE
#include "kernels/cuda/emulator.h"

namespace diffit::kernels::cuda {

using bf16 = std::uint16_t;  // the bits of a bfloat16
#define DIFFIT_DEVICE inline
#define DIFFIT_SHARED(name) unsigned char* name = emulator::smem
#define DIFFIT_LAUNCH(kernel, grid, block, bytes, stream, ...) \
  (static_cast<void>(stream), emulator::launch(grid, block, bytes, [=] { kernel(__VA_ARGS__); }))
#define DIFFIT_ALIGNED(p, n) EMULATOR_CHECK(reinterpret_cast<uintptr_t>(p) % (n) == 0)

DIFFIT_DEVICE uint32_t shared_address(const void* p) {
  return emulator::address(p);
}
DIFFIT_DEVICE void mma16(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                         uint32_t b1) {
  const uint32_t a[4] = {a0, a1, a2, a3}, b[2] = {b0, b1};
  emulator::mma<16>(d, a, b, d);
}
DIFFIT_DEVICE void mma8(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t b0) {
  const uint32_t a[2] = {a0, a1}, b[1] = {b0};
  emulator::mma<8>(d, a, b, d);
}
DIFFIT_DEVICE void ldsm4(uint32_t (&r)[4], uint32_t at) {
  emulator::ldmatrix<4, false>(r, at);
}
DIFFIT_DEVICE void ldsm2(uint32_t (&r)[2], uint32_t at) {
  emulator::ldmatrix<2, false>(r, at);
}
DIFFIT_DEVICE void ldsm4t(uint32_t (&r)[4], uint32_t at) {
  emulator::ldmatrix<4, true>(r, at);
}
DIFFIT_DEVICE void ldsm2t(uint32_t (&r)[2], uint32_t at) {
  emulator::ldmatrix<2, true>(r, at);
}
DIFFIT_DEVICE uint32_t transpose8x8(uint32_t a) {
  return emulator::movmatrix(a);
}
DIFFIT_DEVICE void cp16(void* to, const void* from) {
  emulator::cp16(to, from);
}
DIFFIT_DEVICE void cp_commit() {
  emulator::commit();
}
template <int N>
DIFFIT_DEVICE void cp_wait() {
  emulator::wait(N);
}
DIFFIT_DEVICE float ex2(float x) {
  return exp2f(x);
}
DIFFIT_DEVICE float lg2(float x) {
  return log2f(x);
}
DIFFIT_DEVICE uint32_t pack(float lo, float hi) {
  return emulator::round_bf16(lo) | static_cast<uint32_t>(emulator::round_bf16(hi)) << 16;
}
DIFFIT_DEVICE float low(uint32_t r) {
  return emulator::value(static_cast<uint16_t>(r));
}
DIFFIT_DEVICE float high(uint32_t r) {
  return emulator::value(static_cast<uint16_t>(r >> 16));
}
DIFFIT_DEVICE float shuffle(float v, int from) {
  return emulator::number(emulator::shuffle(emulator::bits(v), from));
}
DIFFIT_DEVICE float shuffle_xor(float v, int mask) {
  return shuffle(v, emulator::cur->index ^ mask);
}
DIFFIT_DEVICE bool warp_any(bool p) {
  return emulator::any(p);
}
DIFFIT_DEVICE void sync_warp() {
  emulator::syncwarp();
}
DIFFIT_DEVICE void sync_block() {
  emulator::barrier();
}
DIFFIT_DEVICE float rsqrt_of(float x) {
  return 1 / sqrtf(x);
}
DIFFIT_DEVICE float exp_of(float x) {
  return expf(x);
}
DIFFIT_DEVICE uint32_t ld32(const void* p) {
  DIFFIT_ALIGNED(p, 4);
  return *static_cast<const uint32_t*>(p);
}
DIFFIT_DEVICE uint2 ld64(const void* p) {
  DIFFIT_ALIGNED(p, 8);
  return *static_cast<const uint2*>(p);
}
DIFFIT_DEVICE uint4 ld128(const void* p) {
  DIFFIT_ALIGNED(p, 16);
  return *static_cast<const uint4*>(p);
}

/// As below; few blocks, so that a test makes each do several turns.
template <auto KERNEL>
int resident_blocks(int, size_t bytes) {
  if (emulator::allowed<KERNEL> == 0) emulator::allowed<KERNEL> = shared_to_allow(bytes);
  EMULATOR_CHECK(bytes <= emulator::allowed<KERNEL>);
  return 4;
}
inline Status last_error() {
  return nullptr;
}
#else
#include <cuda_bf16.h>
#include <cuda_runtime.h>

namespace diffit::kernels::cuda {

using bf16 = std::uint16_t;  // the bits of a bfloat16
#define DIFFIT_DEVICE __device__ __forceinline__
#define DIFFIT_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#define DIFFIT_LAUNCH(kernel, grid, block, bytes, stream, ...) \
  kernel<<<grid, block, bytes, static_cast<cudaStream_t>(stream)>>>(__VA_ARGS__)
#define DIFFIT_ALIGNED(p, n)

DIFFIT_DEVICE uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
// D += A B; D and C are separate operands, so that an initial C that stays live costs no move.
DIFFIT_DEVICE void mma16(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                         uint32_t b1) {
  float r0, r1, r2, r3;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%10,%11,%12,%13};"
      : "=f"(r0), "=f"(r1), "=f"(r2), "=f"(r3)
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1), "f"(d[0]), "f"(d[1]), "f"(d[2]), "f"(d[3]));
  d[0] = r0, d[1] = r1, d[2] = r2, d[3] = r3;
}
DIFFIT_DEVICE void mma8(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t b0) {
  float r0, r1, r2, r3;
  asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%8,%9,%10};"
      : "=f"(r0), "=f"(r1), "=f"(r2), "=f"(r3)
      : "r"(a0), "r"(a1), "r"(b0), "f"(d[0]), "f"(d[1]), "f"(d[2]), "f"(d[3]));
  d[0] = r0, d[1] = r1, d[2] = r2, d[3] = r3;
}
// volatile with a memory clobber: must stay behind the barrier that makes the tile readable.
DIFFIT_DEVICE void ldsm4(uint32_t (&r)[4], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}
DIFFIT_DEVICE void ldsm2(uint32_t (&r)[2], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(at)
               : "memory");
}
DIFFIT_DEVICE void ldsm4t(uint32_t (&r)[4], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}
DIFFIT_DEVICE void ldsm2t(uint32_t (&r)[2], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(at)
               : "memory");
}
DIFFIT_DEVICE uint32_t transpose8x8(uint32_t a) {
  uint32_t d;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(d) : "r"(a));
  return d;
}
DIFFIT_DEVICE void cp16(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to)), "l"(from) : "memory");
}
DIFFIT_DEVICE void cp_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int N>
DIFFIT_DEVICE void cp_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
DIFFIT_DEVICE float ex2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DIFFIT_DEVICE float lg2(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
DIFFIT_DEVICE uint32_t pack(float lo, float hi) {
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;"
      : "=r"(r)
      : "f"(hi), "f"(lo));  // the first operand goes to the upper half
  return r;
}
DIFFIT_DEVICE float low(uint32_t r) {
  return __uint_as_float(r << 16);
}
DIFFIT_DEVICE float high(uint32_t r) {
  return __uint_as_float(r & 0xffff0000u);
}
DIFFIT_DEVICE float shuffle(float v, int from) {
  return __shfl_sync(0xffffffffu, v, from);
}
DIFFIT_DEVICE float shuffle_xor(float v, int mask) {
  return __shfl_xor_sync(0xffffffffu, v, mask);
}
DIFFIT_DEVICE bool warp_any(bool p) {
  return __any_sync(0xffffffffu, p);
}
DIFFIT_DEVICE void sync_warp() {
  __syncwarp();
}
DIFFIT_DEVICE void sync_block() {
  __syncthreads();
}
DIFFIT_DEVICE float rsqrt_of(float x) {
  return rsqrtf(x);
}
DIFFIT_DEVICE float exp_of(float x) {
  return __expf(x);
}
DIFFIT_DEVICE uint32_t ld32(const void* p) {
  return __ldg(static_cast<const uint32_t*>(p));
}
DIFFIT_DEVICE uint2 ld64(const void* p) {
  return __ldg(static_cast<const uint2*>(p));
}
DIFFIT_DEVICE uint4 ld128(const void* p) {
  return __ldg(static_cast<const uint4*>(p));
}

/// Blocks of the kernel, of so many threads and bytes of shared memory, that the current device holds at
/// once; 0 if it cannot run. Asked once a device; it also allows the kernel its shared memory.
template <auto KERNEL>
int resident_blocks(int threads, size_t bytes) {
  static std::array<std::atomic<int>, 64> known{};
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess || device >= 64) return 0;
  if (const int blocks = known[device]; blocks > 0) return blocks;
  int a_processor = 0, processors = 0;
  if (cudaFuncSetAttribute(KERNEL, cudaFuncAttributeMaxDynamicSharedMemorySize,
                           static_cast<int>(shared_to_allow(bytes))) != cudaSuccess ||
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&a_processor, KERNEL, threads, bytes) != cudaSuccess ||
      cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device) != cudaSuccess)
    return 0;
  return known[device] = a_processor * processors;
}
inline Status last_error() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}
#endif

/// r + s, element by element, in float32, rounded again.
DIFFIT_DEVICE uint32_t add2(uint32_t r, uint32_t s) {
  return pack(low(r) + low(s), high(r) + high(s));
}
DIFFIT_DEVICE float quad_sum(float x) {
  x += shuffle_xor(x, 1);
  return x + shuffle_xor(x, 2);
}
DIFFIT_DEVICE float quad_max(float x) {
  x = fmaxf(x, shuffle_xor(x, 1));
  return fmaxf(x, shuffle_xor(x, 2));
}

constexpr float kLog2e = 1.4426950408889634f;
constexpr uint32_t kOnes = 0x3f803f80u;  // two bfloat16 ones

/// Queues the kernel on the stream.
template <auto KERNEL, class... A>
Status launch(dim3 grid, int threads, size_t bytes, Stream stream, A... arguments) {
  if (resident_blocks<KERNEL>(threads, bytes) == 0) {
    const Status error = last_error();
    return error == nullptr ? "a CUDA kernel does not fit this GPU" : error;
  }
  DIFFIT_LAUNCH(KERNEL, grid, dim3(threads), bytes, stream, arguments...);
  return last_error();
}

}  // namespace diffit::kernels::cuda
