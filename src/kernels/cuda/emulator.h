// Runs CUDA kernels on the CPU, one fiber a thread, for tests without a GPU (DIFFIT_EMULATE, see device.cuh).
// Warp-wide instructions (mma, ldmatrix, movmatrix, shuffles) meet at a rendezvous and follow the fragment
// layouts of the PTX ISA, decoded here on their own. Fibers are scheduled in random order and an asynchronous
// copy lands either at once or only when waited for, so that a missing barrier shows as a wrong result.
#pragma once
#include <sys/mman.h>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

inline int min(int a, int b) {
  return a < b ? a : b;
}

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __restrict__

extern "C" void diffit_emulator_switch(void** from, void* to);
asm(R"(
.text
.weak diffit_emulator_switch
diffit_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

namespace emulator {

#define EMULATOR_CHECK(c)                                                                             \
  do {                                                                                                \
    if (!(c)) throw std::logic_error("emulator: " __FILE__ ":" + std::to_string(__LINE__) + ": " #c); \
  } while (0)

struct Copy {
  void* to;
  const void* from;
};
struct Warp {
  int arrived = 0;
  int kind = 0;
  uint32_t in[32][12];
  uint32_t out[32][4];
};
struct Fiber {
  void* sp = nullptr;
  char* stack = nullptr;
  dim3 tid;
  int index = 0;
  bool done = false;
  bool ready = false;
  std::vector<std::vector<Copy>> groups;
  std::vector<Copy> open;
};
constexpr size_t kStack = 128 << 10, kShared = 228 << 10;

/// Bytes of shared memory that a kernel has been allowed, as cudaFuncSetAttribute does.
template <auto KERNEL>
inline size_t allowed = 0;

inline unsigned char* smem = nullptr;
inline size_t smem_size = 0;
inline Fiber* cur = nullptr;
inline void* main_sp = nullptr;
inline std::vector<Fiber*> fibers;
inline std::vector<int> queue;
inline std::vector<Warp> warps;
inline int barrier_arrived = 0, alive = 0;
inline dim3 block_idx, grid_dim, block_dim;
inline std::function<void()> body;
inline uint64_t seed = 88172645463325252ull;
inline uint32_t rnd() {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return static_cast<uint32_t>(seed >> 20);
}

inline void make_ready(int i) {
  if (!fibers[i]->ready && !fibers[i]->done) {
    fibers[i]->ready = true;
    queue.push_back(i);
  }
}
inline void yield() {
  Fiber* me = cur;
  diffit_emulator_switch(&me->sp, main_sp);
}
inline void land(Copy c) {
  std::memcpy(c.to, c.from, 16);
}
inline void trampoline() {
  body();
  cur->done = true;
  EMULATOR_CHECK(cur->open.empty());
  --alive;
  yield();
  EMULATOR_CHECK(false);
}

template <class F>
void collective(int kind, F compute) {
  Warp& w = warps[cur->index / 32];
  if (w.arrived == 0)
    w.kind = kind;
  else
    EMULATOR_CHECK(w.kind == kind);
  if (++w.arrived == 32) {
    w.arrived = 0;
    compute(w);
    const int base = cur->index / 32 * 32;
    for (int l = 0; l < 32; ++l)
      if (base + l != cur->index) make_ready(base + l);
    if (rnd() % 4 == 0) {
      make_ready(cur->index);
      yield();
    }
  } else
    yield();
}
inline void barrier() {
  if (++barrier_arrived == static_cast<int>(fibers.size())) {
    barrier_arrived = 0;
    for (size_t i = 0; i < fibers.size(); ++i)
      if (static_cast<int>(i) != cur->index) make_ready(i);
    if (rnd() % 2) {
      make_ready(cur->index);
      yield();
    }
  } else
    yield();
}

inline void launch(dim3 grid, dim3 block, size_t bytes, std::function<void()> f) {
  EMULATOR_CHECK(bytes <= kShared && block.y == 1 && block.z == 1 && block.x % 32 == 0);
  static unsigned char* memory = static_cast<unsigned char*>(std::aligned_alloc(4096, kShared + 4096));
  smem = memory;
  smem_size = bytes;
  body = f;
  grid_dim = grid;
  block_dim = block;
  while (fibers.size() > block.x) {
    std::free(fibers.back()->stack);
    delete fibers.back();
    fibers.pop_back();
  }
  while (fibers.size() < block.x) {
    fibers.push_back(new Fiber);
    fibers.back()->stack = static_cast<char*>(std::aligned_alloc(4096, kStack));
  }
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        block_idx = dim3(x, y, z);
        std::memset(smem, 0xff, kShared);
        warps.assign(block.x / 32, Warp());
        queue.clear();
        barrier_arrived = 0;
        alive = block.x;
        for (unsigned i = 0; i < block.x; ++i) {
          Fiber& fb = *fibers[i];
          fb.tid = dim3(i, 0, 0);
          fb.index = i;
          fb.done = false;
          fb.ready = false;
          fb.groups.clear();
          fb.open.clear();
          void** top = reinterpret_cast<void**>(fb.stack + kStack);
          *--top = nullptr;
          *--top = reinterpret_cast<void*>(&trampoline);
          for (int k = 0; k < 6; ++k) *--top = nullptr;
          fb.sp = top;
          make_ready(i);
        }
        while (!queue.empty()) {
          const size_t k = rnd() % queue.size();
          const int i = queue[k];
          queue[k] = queue.back();
          queue.pop_back();
          fibers[i]->ready = false;
          cur = fibers[i];
          diffit_emulator_switch(&main_sp, cur->sp);
        }
        EMULATOR_CHECK(alive == 0);  // else a deadlock: threads wait at different barriers
      }
}

inline float value(uint16_t b) {
  uint32_t u = static_cast<uint32_t>(b) << 16;
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
inline uint32_t bits(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  return u;
}
inline float number(uint32_t u) {
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
inline uint16_t round_bf16(float f) {
  uint32_t u = bits(f);
  if ((u & 0x7fffffff) > 0x7f800000) return 0x7fff;
  return static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
inline uint16_t half(uint32_t r, int e) {
  return static_cast<uint16_t>(e ? r >> 16 : r);
}

// PTX ISA, "Matrix fragments for mma.m16n8k16 with floating point type" (and m16n8k8), element by element.
template <int K>
void mma(float* d, const uint32_t* a, const uint32_t* b, const float* c) {
  Warp& w = warps[cur->index / 32];
  const int lane = cur->index % 32;
  for (int i = 0; i < K / 4; ++i) w.in[lane][i] = a[i];
  for (int i = 0; i < K / 8; ++i) w.in[lane][4 + i] = b[i];
  for (int i = 0; i < 4; ++i) w.in[lane][6 + i] = bits(c[i]);
  collective(K, [](Warp& w) {
    float A[16][K], B[K][8], C[16][8];
    for (int l = 0; l < 32; ++l) {
      const int group = l >> 2, thread = l & 3;
      for (int i = 0; i < K / 2; ++i) {
        int row, col;
        if (K == 16) {
          row = (i < 2 || (i >= 4 && i < 6)) ? group : group + 8;
          col = i < 4 ? thread * 2 + (i & 1) : thread * 2 + (i & 1) + 8;
        } else {
          row = i < 2 ? group : group + 8;
          col = thread * 2 + (i & 1);
        }
        A[row][col] = value(half(w.in[l][i / 2], i & 1));
      }
      for (int i = 0; i < K / 4; ++i) {
        const int row = i < 2 ? thread * 2 + (i & 1) : thread * 2 + (i & 1) + 8;
        B[row][group] = value(half(w.in[l][4 + i / 2], i & 1));
      }
      for (int i = 0; i < 4; ++i) C[i < 2 ? group : group + 8][thread * 2 + (i & 1)] = number(w.in[l][6 + i]);
    }
    for (int m = 0; m < 16; ++m) {
      float s[8];
      for (int n = 0; n < 8; ++n) s[n] = C[m][n];
      for (int k = 0; k < K; ++k)
        for (int n = 0; n < 8; ++n) s[n] += A[m][k] * B[k][n];
      for (int n = 0; n < 8; ++n) C[m][n] = s[n];
    }
    for (int l = 0; l < 32; ++l)
      for (int i = 0; i < 4; ++i)
        w.out[l][i] = bits(C[i < 2 ? (l >> 2) : (l >> 2) + 8][(l & 3) * 2 + (i & 1)]);
  });
  for (int i = 0; i < 4; ++i) d[i] = number(w.out[lane][i]);
}
template <int X, bool T>
void ldmatrix(uint32_t* r, uint32_t address) {
  Warp& w = warps[cur->index / 32];
  const int lane = cur->index % 32;
  w.in[lane][0] = address;
  collective(100 + X * 2 + T, [](Warp& w) {
    for (int m = 0; m < X; ++m) {
      uint16_t M[8][8];
      for (int row = 0; row < 8; ++row) {
        const uint32_t at = w.in[m * 8 + row][0];
        EMULATOR_CHECK(at % 16 == 0 && at + 16 <= smem_size);
        std::memcpy(M[row], smem + at, 16);
      }
      for (int l = 0; l < 32; ++l) {
        const int row = l / 4, col = 2 * (l % 4);
        const uint16_t lo = T ? M[col][row] : M[row][col], hi = T ? M[col + 1][row] : M[row][col + 1];
        w.out[l][m] = lo | static_cast<uint32_t>(hi) << 16;
      }
    }
  });
  for (int m = 0; m < X; ++m) r[m] = w.out[lane][m];
}
inline uint32_t movmatrix(uint32_t a) {
  Warp& w = warps[cur->index / 32];
  const int lane = cur->index % 32;
  w.in[lane][0] = a;
  collective(200, [](Warp& w) {
    uint16_t M[8][8];
    for (int l = 0; l < 32; ++l)
      for (int e = 0; e < 2; ++e) M[l / 4][2 * (l % 4) + e] = half(w.in[l][0], e);
    for (int l = 0; l < 32; ++l)
      w.out[l][0] = M[2 * (l % 4)][l / 4] | static_cast<uint32_t>(M[2 * (l % 4) + 1][l / 4]) << 16;
  });
  return w.out[lane][0];
}
inline uint32_t shuffle(uint32_t v, int from) {
  Warp& w = warps[cur->index / 32];
  const int lane = cur->index % 32;
  w.in[lane][0] = v;
  w.in[lane][1] = from & 31;
  collective(201, [](Warp& w) {
    for (int l = 0; l < 32; ++l) w.out[l][0] = w.in[w.in[l][1]][0];
  });
  return w.out[lane][0];
}
inline bool any(bool p) {
  Warp& w = warps[cur->index / 32];
  const int lane = cur->index % 32;
  w.in[lane][0] = p;
  collective(202, [](Warp& w) {
    uint32_t r = 0;
    for (int l = 0; l < 32; ++l) r |= w.in[l][0];
    for (int l = 0; l < 32; ++l) w.out[l][0] = r;
  });
  return w.out[lane][0];
}
inline void syncwarp() {
  collective(203, [](Warp&) {});
}
inline uint32_t address(const void* p) {
  const ptrdiff_t d = static_cast<const unsigned char*>(p) - smem;
  EMULATOR_CHECK(d >= 0 && d <= static_cast<ptrdiff_t>(smem_size));
  return static_cast<uint32_t>(d);
}
inline void cp16(void* to, const void* from) {
  EMULATOR_CHECK(address(to) % 16 == 0 && address(to) + 16 <= smem_size &&
                 reinterpret_cast<uintptr_t>(from) % 16 == 0);
  Copy c{to, from};
  if (rnd() & 1)
    land(c);
  else
    cur->open.push_back(c);
}
inline void commit() {
  cur->groups.push_back(std::move(cur->open));
  cur->open.clear();
}
inline void wait(size_t n) {
  while (cur->groups.size() > n) {
    for (Copy c : cur->groups.front()) land(c);
    cur->groups.erase(cur->groups.begin());
  }
}
/// The end of an allocation lies at a page that cannot be touched.
inline void* allocate(size_t n) {
  const size_t page = 4096, whole = ((n + 15) / 16 * 16 + page - 1) / page * page;
  char* p = static_cast<char*>(
      mmap(nullptr, whole + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  mprotect(p + whole + page, page, PROT_NONE);
  mprotect(p, page, PROT_NONE);
  return p + page + whole - (n + 15) / 16 * 16;
}
}  // namespace emulator

#define threadIdx (emulator::cur->tid)
#define blockIdx (emulator::block_idx)
#define gridDim (emulator::grid_dim)
#define blockDim (emulator::block_dim)

typedef int cudaError_t;
enum {
  cudaSuccess = 0,
  cudaMemcpyHostToDevice,
  cudaMemcpyDeviceToHost,
  cudaFuncAttributeMaxDynamicSharedMemorySize
};
inline cudaError_t cudaMalloc(void** p, size_t n) {
  *p = emulator::allocate(n);
  return 0;
}
inline cudaError_t cudaFree(void*) {
  return 0;
}
inline cudaError_t cudaMemcpy(void* a, const void* b, size_t n, int) {
  std::memcpy(a, b, n);
  return 0;
}
inline cudaError_t cudaMemset(void* a, int v, size_t n) {
  std::memset(a, v, n);
  return 0;
}
inline cudaError_t cudaDeviceSynchronize() {
  return 0;
}
inline cudaError_t cudaGetLastError() {
  return 0;
}
inline const char* cudaGetErrorString(cudaError_t) {
  return "?";
}
template <class F>
cudaError_t cudaFuncSetAttribute(F, int, int) {
  return 0;
}
template <class F>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* n, F, int, size_t) {
  *n = 2;
  return 0;
}
