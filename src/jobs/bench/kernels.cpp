#include "jobs/bench/kernels.h"

#include <algorithm>
#include <chrono>

#include "kernels/ops.h"
#include "runtime/device.h"

namespace diffit::jobs {

namespace {

using at::Tensor;
using Inputs = std::vector<Tensor>;

struct KernelCase {
  std::string name;
  Inputs inputs;  // those that get gradients
  std::function<Tensor(const Inputs&)> fast, definition;
};

/// Medians over rounds, in milliseconds.
struct Times {
  double forward = 0, both = 0;
};

double milliseconds(at::Device device, const KernelsBenchOptions& options,
                    const std::function<void()>& once) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  once();
  synchronize(device);
  const auto first = Clock::now();
  once();
  synchronize(device);
  // Calls are queued many at a time, so that a GPU is not waited for between them.
  const int calls = static_cast<int>(std::clamp(options.seconds / std::max(since(first), 1e-6), 1.0, 1e4));
  std::vector<double> rounds;
  for (int round = 0; round < options.rounds; ++round) {
    const auto start = Clock::now();
    for (int call = 0; call < calls; ++call) once();
    synchronize(device);
    rounds.push_back(since(start) * 1e3 / calls);
  }
  std::sort(rounds.begin(), rounds.end());
  return rounds[rounds.size() / 2];
}

Times measure(const KernelCase& c, const std::function<Tensor(const Inputs&)>& operation, at::Device device,
              const KernelsBenchOptions& options) {
  Inputs leaves;
  for (const Tensor& x : c.inputs) leaves.push_back(x.detach().clone().requires_grad_(true));
  const Tensor d_out = at::ones_like(operation(leaves)).detach();
  Times times;
  {
    const at::NoGradGuard no_grad;
    times.forward = milliseconds(device, options, [&] { operation(leaves); });
  }
  times.both = milliseconds(device, options, [&] {
    operation(leaves).backward(d_out);
    for (Tensor& leaf : leaves) leaf.mutable_grad().reset();
  });
  return times;
}

double distance(const Tensor& got, const Tensor& want) {
  const Tensor exact = want.to(at::kDouble);
  return ((got.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

std::vector<KernelCase> cases_of(const KernelsBenchOptions& options, const Runtime& machine) {
  const auto type = at::TensorOptions(machine.device).dtype(machine.dtype);
  std::vector<KernelCase> cases;
  const auto attention = [&](std::int64_t maps, std::int64_t side, std::int64_t window, std::int64_t heads,
                             std::int64_t head_dim) {
    const std::int64_t batch = options.batch > 0 ? options.batch : maps, span = 2 * window - 1;
    const auto run = [heads, window](auto* operation) {
      return [=](const Inputs& in) { return operation(in[0], in[1], in[2], heads, window); };
    };
    cases.push_back(
        {fmt::format("attention {}x{}x{} w{} h{} d{}", batch, side, side, window, heads, head_dim),
         {at::randn({batch, side, side, 3 * heads * head_dim}, type),
          at::randn({batch, 3 * heads * head_dim}, type),
          at::randn({span * span, heads}, type.dtype(at::kFloat))},
         run(&tmsa_attention),
         run(&definition::tmsa_attention)});
  };
  attention(256, 32, 4, 4, 32);
  attention(256, 8, 8, 8, 32);
  attention(64, 16, 16, 16, 72);
  attention(16, 32, 32, 16, 72);
  const auto group = [&](std::int64_t maps, std::int64_t side, std::int64_t channels) {
    const std::int64_t batch = options.batch > 0 ? options.batch : maps;
    cases.push_back(
        {fmt::format("group norm, SiLU {}x{}x{}x{}", batch, side, side, channels),
         {at::randn({batch, side, side, channels}, type), at::randn({channels}, type.dtype(at::kFloat)),
          at::randn({channels}, type.dtype(at::kFloat))},
         [](const Inputs& in) { return group_norm(in[0], 32, in[1], in[2], 1e-5, true); },
         [](const Inputs& in) { return definition::group_norm(in[0], 32, in[1], in[2], 1e-5, true); }});
  };
  group(512, 32, 128);
  group(512, 16, 256);
  const std::int64_t rows = options.batch > 0 ? options.batch * 256 : 64 * 256;
  cases.push_back({fmt::format("layer norm {}x1152", rows),
                   {at::randn({rows, 1152}, type)},
                   [](const Inputs& in) { return layer_norm(in[0], 1e-6); },
                   [](const Inputs& in) { return definition::layer_norm(in[0], 1e-6); }});
  return cases;
}

}  // namespace

BenchFigures bench_kernels(const KernelsBenchOptions& options, const Runtime& machine) {
  Json results = Json::array();
  std::string text;
  for (const KernelCase& c : cases_of(options, machine)) {
    const double error = distance(c.fast(c.inputs), c.definition(c.inputs));
    const Times fast = measure(c, c.fast, machine.device, options),
                plain = measure(c, c.definition, machine.device, options);
    results.push_back({{"operation", c.name},
                       {"forward_ms", fast.forward},
                       {"both_ms", fast.both},
                       {"definition_forward_ms", plain.forward},
                       {"definition_both_ms", plain.both},
                       {"distance", error}});
    text += fmt::format(
        "{:<36} forward {:8.3f} ms, {:5.1f} x the definition; with backward {:8.3f} ms, {:5.1f} x; "
        "difference {:.1g}\n",
        c.name, fast.forward, plain.forward / fast.forward, fast.both, plain.both / fast.both, error);
  }
  return BenchFigures{
      {{"what", "kernels"}, {"dtype", machine.dtype == at::kFloat ? "f32" : "bf16"}, {"results", results}},
      text};
}

}  // namespace diffit::jobs
