#include "kernels/cuda/attention.cuh"

#include <algorithm>

#include "kernels/cuda/large_backward.cuh"
#include "kernels/cuda/large_forward.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/window4.cuh"
#include "kernels/cuda/window8.cuh"

namespace diffit::kernels::cuda {
namespace {

/// Calls function.operator()<D>() for the head size, which takes_attention has accepted.
template <class Function>
auto with_small_head(int head_dim, const Function& function) {
  if (head_dim == 16) return function.template operator()<16>();
  if (head_dim == 32) return function.template operator()<32>();
  return function.template operator()<64>();
}
template <class Function>
auto with_large_head(int head_dim, const Function& function) {
  if (head_dim == 32) return function.template operator()<32>();
  if (head_dim == 64) return function.template operator()<64>();
  return function.template operator()<72>();
}

int windows_of(const Attention& a) {
  return a.height / a.window * (a.width / a.window);
}
int channels_of(const Attention& a) {
  return a.heads * a.head_dim;
}
bool is_large(const Attention& a) {
  return a.window >= 16;
}

/// Hands out a workspace piece by piece.
class Pieces {
 public:
  explicit Pieces(void* start) : start_(static_cast<unsigned char*>(start)) {}
  template <class T>
  T* take(std::size_t count) {
    T* const piece = reinterpret_cast<T*>(start_ + used_);
    used_ += (count * sizeof(T) + 255) / 256 * 256;
    return start_ == nullptr ? nullptr : piece;
  }
  std::size_t used() const { return used_; }

 private:
  unsigned char* start_;
  std::size_t used_ = 0;
};

// ---- Windows of 4 x 4 and 8 x 8

/// Blocks that the device holds at once, rounded down to a multiple of the heads, no more than there is work
/// for.
int small_grid(int resident, int heads, std::int64_t work) {
  const std::int64_t most = std::max<std::int64_t>(heads, resident / heads * heads);
  return static_cast<int>(std::min<std::int64_t>(most, (work + heads - 1) / heads * heads));
}

/// Windows of 4 x 4 whose sums for d_qkv_t are written together.
int segment_of(const Attention& a) {
  return a.window == 4 && windows_of(a) % 2 == 0 ? 2 : 1;
}

template <int D, int SEGMENT>
constexpr auto small4_backward = &window4_backward<D, SEGMENT,
                                                   D == 64   ? 2
                                                   : D == 32 ? 4
                                                             : 5>;
template <int D>
constexpr auto small8_backward = &window8_backward<D, D == 64 ? 2 : 3>;
constexpr std::size_t kSmall4BackwardBytes = 4096;

struct SmallPlan {
  int grid, parts, entries, rows;  // rows: of part_table
  std::size_t bytes;
};

template <int D>
SmallPlan plan_small_backward(const Attention& a) {
  const std::int64_t all = static_cast<std::int64_t>(a.batch) * windows_of(a) * a.heads;
  SmallPlan plan{};
  plan.parts = windows_of(a) / segment_of(a);
  if (a.window == 4) {
    plan.bytes = kSmall4BackwardBytes;
    const int resident = segment_of(a) == 2 ? resident_blocks<small4_backward<D, 2>>(128, plan.bytes)
                                            : resident_blocks<small4_backward<D, 1>>(128, plan.bytes);
    plan.grid = small_grid(resident, a.heads, (all / segment_of(a) + 3) / 4);
    plan.entries = 49;
    plan.rows = plan.grid * 4;
  } else {
    plan.bytes = window8_backward_bytes<D>();
    plan.grid = small_grid(resident_blocks<small8_backward<D>>(128, plan.bytes), a.heads, all);
    plan.entries = 225;
    plan.rows = plan.grid;
  }
  return plan;
}

Windows small_parameters(const Attention& a, const AttentionBuffers& b, int units) {
  Windows p{};
  p.qkv = static_cast<const bf16*>(b.qkv), p.qkv_t = static_cast<const bf16*>(b.qkv_t);
  p.d_out = static_cast<const bf16*>(b.d_out), p.table = b.table;
  p.out = static_cast<bf16*>(b.out), p.d_qkv = static_cast<bf16*>(b.d_qkv);
  p.batch = a.batch, p.height = a.height, p.width = a.width, p.heads = a.heads, p.units = units;
  return p;
}

template <int D>
Status small_forward(const Attention& a, const AttentionBuffers& b, Stream stream) {
  const Windows p = small_parameters(a, b, a.batch * windows_of(a));
  const std::int64_t work = static_cast<std::int64_t>(p.units) * a.heads;
  if (a.window == 4) {
    constexpr auto kernel = &window4_forward < D, D == 64 ? 4 : 6 > ;
    const int grid = small_grid(resident_blocks<kernel>(128, 0), a.heads, (work + 3) / 4);
    return launch<kernel>(dim3(grid), 128, 0, stream, p);
  }
  constexpr auto kernel = &window8_forward < D, D == 64 ? 3 : 4 > ;
  constexpr std::size_t bytes = window8_forward_bytes<D>();
  return launch<kernel>(dim3(small_grid(resident_blocks<kernel>(128, bytes), a.heads, work)), 128, bytes,
                        stream, p);
}

template <int D>
Pieces small_backward_workspace(const Attention& a, const SmallPlan& plan, void* workspace, Windows& p) {
  Pieces pieces(workspace);
  p.part_t = pieces.take<float>(static_cast<std::size_t>(a.batch) * plan.parts * 2 * channels_of(a));
  p.part_table = pieces.take<float>(static_cast<std::size_t>(plan.rows) * plan.entries);
  return pieces;
}

template <int D>
Status small_backward(const Attention& a, const AttentionBuffers& b, Stream stream) {
  const SmallPlan plan = plan_small_backward<D>(a);
  Windows p = small_parameters(a, b, a.batch * plan.parts);
  small_backward_workspace<D>(a, plan, b.workspace, p);
  const dim3 grid(plan.grid);
  const Status status = a.window == 8 ? launch<small8_backward<D>>(grid, 128, plan.bytes, stream, p)
                        : segment_of(a) == 2
                            ? launch<small4_backward<D, 2>>(grid, 128, plan.bytes, stream, p)
                            : launch<small4_backward<D, 1>>(grid, 128, plan.bytes, stream, p);
  if (status != nullptr) return status;
  if (const Status failed =
          launch<&reduce_table_windows<0>>(dim3(plan.entries, a.heads), 128, 512, stream, p.part_table,
                                           b.d_table, plan.rows, plan.entries, a.heads))
    return failed;
  return launch<&reduce_time<0>>(dim3((3 * channels_of(a) + 127) / 128, a.batch), 128, 0, stream, p.part_t,
                                 b.d_qkv_t, plan.parts, channels_of(a));
}

// ---- Windows of 16 x 16 and 32 x 32, or whole maps of that size

/// The parameters, their workspace laid out from b.workspace; `used` becomes its size.
template <int D, int W>
Large large_parameters(const Attention& a, const AttentionBuffers& b, bool backward, std::size_t& used) {
  Large p{};
  p.qkv = static_cast<const bf16*>(b.qkv), p.qkv_t = static_cast<const bf16*>(b.qkv_t);
  p.d_out = static_cast<const bf16*>(b.d_out), p.table = b.table;
  p.out = static_cast<bf16*>(b.out), p.d_qkv = static_cast<bf16*>(b.d_qkv);
  p.d_qkv_t = b.d_qkv_t, p.d_table = b.d_table, p.lse = b.statistics;
  p.windows_down = a.height / W, p.windows_across = a.width / W, p.map_width = a.width;
  p.windows = a.batch * windows_of(a), p.heads = a.heads;
  const std::size_t all = static_cast<std::size_t>(p.windows), N = W * W, C = channels_of(a), H = a.heads;
  Pieces pieces(b.workspace);
  p.bias = pieces.take<float>(H * 2 * table_floats<W>());
  if (backward) {
    p.delta = pieces.take<float>(all * H * N);
    p.queries = pieces.take<bf16>(all * N * C);
    p.part_t = pieces.take<float>(all * (N / 128) * 2 * C);
    p.part_table = pieces.take<float>(all * H * (N / 128) * block_rows<W>() * 2 * W);
  }
  used = pieces.used();
  return p;
}

template <int D, int W>
Status prepare_large(const Large& p, Stream stream) {
  return launch<&prepare_table<W>>(dim3((table_floats<W>() + 127) / 128, p.heads, 2), 128, 0, stream, p.table,
                                   p.bias, p.heads, sqrtf(static_cast<float>(D)));
}

template <int D, int W>
Status large_forward(const Attention& a, const AttentionBuffers& b, Stream stream) {
  std::size_t used = 0;
  const Large p = large_parameters<D, W>(a, b, false, used);
  if (const Status failed = prepare_large<D, W>(p, stream)) return failed;
  return launch<&large_attention_forward<D, W, 32, 2>>(dim3(W * W / 128, p.heads, p.windows), 128,
                                                       large_forward_bytes<D, W>(), stream, p);
}

template <int D, int W>
Status large_backward(const Attention& a, const AttentionBuffers& b, Stream stream) {
  std::size_t used = 0;
  const Large p = large_parameters<D, W>(a, b, true, used);
  if (const Status failed = prepare_large<D, W>(p, stream)) return failed;
  if (const Status failed = launch<&large_backward_q<D, W, 2>>(dim3(W * W / 128, p.heads, p.windows), 128,
                                                               large_backward_q_bytes<D, W>(), stream, p))
    return failed;
  if (const Status failed = launch<&large_backward_kv<D, W, 4, 3>>(
          dim3(W * W / 64, p.heads, p.windows), 128, large_backward_kv_bytes<D, W>(), stream, p))
    return failed;
  if (const Status failed =
          launch<&reduce_table_large<W>>(dim3(2 * W - 1, p.heads), 8 * W, 8 * W * 4, stream, p))
    return failed;
  return launch<&reduce_time<0>>(dim3((3 * channels_of(a) + 127) / 128, a.batch), 128, 0, stream, p.part_t,
                                 p.d_qkv_t, windows_of(a) * W * W / 128, channels_of(a));
}

}  // namespace

bool takes_attention(const Attention& a) {
  if (a.batch < 1 || a.heads < 1 || a.window < 1 || a.height % a.window != 0 || a.width % a.window != 0)
    return false;
  const std::int64_t windows = static_cast<std::int64_t>(a.batch) * windows_of(a);
  if (a.batch > 65535 || a.heads > 65535 || windows * a.heads >= std::int64_t{1} << 31) return false;
  const int d = a.head_dim;
  if (a.window == 4 || a.window == 8) return d == 16 || d == 32 || d == 64;
  return (a.window == 16 || a.window == 32) && (d == 32 || d == 64 || d == 72) && windows <= 65535;
}

bool attention_keeps_output(const Attention& a) {
  return is_large(a);
}

std::size_t attention_statistics(const Attention& a) {
  return is_large(a) ? static_cast<std::size_t>(a.batch) * a.height * a.width * a.heads : 0;
}

std::size_t attention_workspace(const Attention& a, bool backward) {
  if (is_large(a)) {
    return with_large_head(a.head_dim, [&]<int D>() {
      std::size_t used = 0;
      if (a.window == 16)
        large_parameters<D, 16>(a, AttentionBuffers{}, backward, used);
      else
        large_parameters<D, 32>(a, AttentionBuffers{}, backward, used);
      return used;
    });
  }
  if (!backward) return 0;
  return with_small_head(a.head_dim, [&]<int D>() {
    Windows p{};
    return small_backward_workspace<D>(a, plan_small_backward<D>(a), nullptr, p).used();
  });
}

Status attention_forward(const Attention& a, const AttentionBuffers& b, Stream stream) {
  if (!is_large(a))
    return with_small_head(a.head_dim, [&]<int D>() { return small_forward<D>(a, b, stream); });
  return with_large_head(a.head_dim, [&]<int D>() {
    return a.window == 16 ? large_forward<D, 16>(a, b, stream) : large_forward<D, 32>(a, b, stream);
  });
}

Status attention_backward(const Attention& a, const AttentionBuffers& b, Stream stream) {
  if (!is_large(a))
    return with_small_head(a.head_dim, [&]<int D>() { return small_backward<D>(a, b, stream); });
  return with_large_head(a.head_dim, [&]<int D>() {
    return a.window == 16 ? large_backward<D, 16>(a, b, stream) : large_backward<D, 32>(a, b, stream);
  });
}

}  // namespace diffit::kernels::cuda
