#include "jobs/bench/latent.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "base/stopwatch.h"
#include "jobs/bench/traced.h"
#include "kernels/ops.h"
#include "nn/inference/latent_evaluator.h"
#include "nn/layers/weights_io.h"
#include "runtime/device.h"

namespace diffit::jobs {

namespace {

/// Seconds that one call takes: the mean over calls that fill `at_least` seconds, all of them finished on the
/// device.
double seconds_a_call(at::Device device, const std::function<void()>& work, double at_least) {
  synchronize(device);
  const auto start = std::chrono::steady_clock::now();
  int calls = 0;
  do {
    work();
    ++calls;
  } while (seconds_since(start) < at_least);
  synchronize(device);
  return seconds_since(start) / calls;
}

/// The largest resident memory of the process so far, in bytes.
std::int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

Json spread(std::vector<double> values) {
  const Json all = values;
  std::sort(values.begin(), values.end());
  return {{"all", all},
          {"median", values[values.size() / 2]},
          {"lowest", values.front()},
          {"highest", values.back()}};
}
double median(const Json& figure) {
  return figure["median"].get<double>();
}

struct Product {
  std::int64_t in, out;
};

std::int64_t tokens_of(const LatentConfig& c) {
  return c.grid() * c.grid();
}

/// The linear layers of a block that see every token.
std::vector<Product> products_of(const LatentConfig& c) {
  const auto mlp = static_cast<std::int64_t>(static_cast<double>(c.hidden) * c.mlp_ratio);
  return {{c.hidden, 3 * c.hidden}, {c.hidden, c.hidden}, {c.hidden, mlp}, {mlp, c.hidden}};
}

/// Operations of a block's linear layers, and of its attention, on `batch` images.
double linear_flop(const LatentConfig& c, std::int64_t batch) {
  double numbers = 0;
  for (const Product& p : products_of(c)) numbers += static_cast<double>(p.in * p.out);
  return 2 * static_cast<double>(batch * tokens_of(c)) * numbers;
}
double attention_flop(const LatentConfig& c, std::int64_t batch) {
  return 4 * static_cast<double>(batch * tokens_of(c) * tokens_of(c) * c.hidden);
}

/// The machine's own rate of matrix products: on the shapes of a block, the better of LibTorch's two
/// operators for each.
class MatrixProducts {
 public:
  MatrixProducts(const LatentConfig& config, std::int64_t batch, const Runtime& machine)
      : config_(config), batch_(batch), device_(machine.device) {
    const auto type = at::TensorOptions(machine.device).dtype(machine.dtype);
    for (const Product& p : products_of(config)) {
      const at::Tensor weight =
          at::randn({p.out, p.in}).mul_(1 / std::sqrt(static_cast<double>(p.in))).to(type);
      const at::Tensor bias = at::zeros({p.out}, weight.options());
      const std::int64_t rows = batch * tokens_of(config);
      shapes_.push_back({at::randn({rows, p.in}).to(type), weight, bias, PackedLinear(weight, bias, rows)});
    }
  }
  /// FLOP a second in one round of about `seconds`.
  double rate(double seconds) const {
    double total = 0;
    const double each = seconds / static_cast<double>(2 * shapes_.size());
    for (const Shape& s : shapes_) {
      const double plain = seconds_a_call(
          device_, [&] { at::linear(s.x, s.weight, s.bias); }, each);
      const double packed = seconds_a_call(
          device_, [&] { s.packed(s.x); }, each);
      total += std::min(plain, packed);
    }
    return linear_flop(config_, batch_) / total;
  }

 private:
  struct Shape {
    at::Tensor x, weight, bias;
    PackedLinear packed;
  };
  LatentConfig config_;
  std::int64_t batch_;
  at::Device device_;
  std::vector<Shape> shapes_;
};

/// Random weights of a file: every block has those of the first, which costs no more memory than one.
class RandomWeights {
 public:
  explicit RandomWeights(LatentConfig config) {
    config.depth = std::min<std::int64_t>(config.depth, 1);
    const LatentDiffiT model(config);
    initialise(model.parameters(), 1);
    for (const Parameter& p : model.parameters()) {
      if (p.name == "final_layer.linear.weight") p.tensor.normal_(0, 0.02);
    }
    tensors_ = named_tensors(model.parameters());
  }
  std::vector<TensorView> views(std::int64_t depth) const {
    std::vector<TensorView> all;
    for (const auto& [name, tensor] : tensors_) {
      const std::string first = "blocks.0.";
      if (!name.starts_with(first)) {
        all.push_back(view_of(name, tensor));
        continue;
      }
      for (std::int64_t i = 0; i < depth; ++i) {
        all.push_back(view_of(fmt::format("blocks.{}.{}", i, name.substr(first.size())), tensor));
      }
    }
    return all;
  }

 private:
  std::vector<std::pair<std::string, at::Tensor>> tensors_;
};

struct Input {
  at::Tensor x, labels;

  Input(const LatentConfig& c, std::int64_t batch, at::Device device)
      : x(at::randn({batch, c.in_channels, c.input_size, c.input_size}).to(device)),
        labels(at::arange(batch, at::kLong).remainder(c.classes + 1).to(device)) {}
};

double relative(const at::Tensor& got, const at::Tensor& want) {
  return ((got.to(at::kDouble) - want.to(at::kDouble)).norm() / want.to(at::kDouble).norm()).item<double>();
}

/// The first two blocks against the definition in float32: roundings of ten products and operands a block,
/// and of the sums in either, add up as a random walk; four of its deviations.
double checked_error(LatentConfig config, const RandomWeights& weights, const Runtime& machine) {
  config.depth = std::min<std::int64_t>(config.depth, 2);
  const Input in(config, 1, machine.device);
  LatentEvaluator evaluator(config, weights.views(config.depth), "bench", machine.dtype, machine.device);
  const at::Tensor got = evaluator(in.x, 500, in.labels).cpu();
  const LatentDiffiT model(config);
  load_parameters(model.parameters(), weights.views(config.depth), "", "bench");
  const bool fast = fast_kernels();
  use_fast_kernels(false);
  const at::Tensor want = model(in.x.cpu(), at::full({1}, 500.0F), in.labels.cpu());
  use_fast_kernels(fast);
  const double error = relative(got, want);
  const double roundoff = machine.dtype == at::kFloat ? 0x1p-24 : 0x1p-8;
  const double longest = config.mlp_ratio * static_cast<double>(config.hidden);
  const double bound = 4 * std::sqrt(10.0 * static_cast<double>(std::max<std::int64_t>(config.depth, 1))) *
                       (roundoff + std::sqrt(longest) * 0x1p-24);
  if (!(error <= bound))
    fail("the evaluator differs from its definition by {:.2g}, more than the bound {:.2g}", error, bound);
  return error;
}

Json common_json(const LatentConfig& c, const LatentBenchOptions& options, const Runtime& machine) {
  return {{"config", write_model_config(c)},
          {"what", options.what},
          {"batch", options.batch},
          {"dtype", machine.dtype == at::kFloat ? "f32" : "bf16"}};
}

/// Times `once`, which does `flop`, and the machine's own rate between its rounds.
Json timed(const LatentConfig& c, const LatentBenchOptions& options, const Runtime& machine,
           const MatrixProducts& products, const std::function<void()>& once, double flop) {
  std::vector<double> milliseconds, rates, machine_rates, shares;
  for (int round = 0; round < options.rounds; ++round) {
    const double seconds = seconds_a_call(machine.device, once, options.seconds);
    milliseconds.push_back(seconds * 1e3);
    rates.push_back(flop / seconds / 1e9);
    machine_rates.push_back(products.rate(options.seconds / 2) / 1e9);
    shares.push_back(rates.back() / machine_rates.back());
  }
  Json result = common_json(c, options, machine);
  result.update({{"milliseconds", spread(milliseconds)},
                 {"gflops", spread(rates)},
                 {"machine_gflops", spread(machine_rates)},
                 {"share", spread(shares)}});
  return result;
}

BenchFigures bench_forward(const LatentConfig& c, const LatentBenchOptions& options, const Runtime& machine) {
  const RandomWeights weights(c);
  const std::int64_t before = peak_memory();
  LatentEvaluator evaluator(c, weights.views(c.depth), "bench", machine.dtype, machine.device);
  const Input in(c, options.batch, machine.device);
  const auto once = [&] { evaluator(in.x, 500, in.labels); };
  for (int i = 0; i < runtime::calls_until_replayed(machine.device); ++i) once();
  const std::int64_t peak = peak_memory();
  const double error = checked_error(c, weights, machine);
  std::int64_t numbers = 0;
  for (const TensorView& view : weights.views(c.depth)) {
    if (view.dtype == Dtype::f32) numbers += view.count();
  }
  const std::int64_t weight_bytes = numbers * static_cast<std::int64_t>(c10::elementSize(machine.dtype));

  const MatrixProducts products(c, options.batch, machine);
  products.rate(0);
  const double flop =
      static_cast<double>(c.depth) * (linear_flop(c, options.batch) + attention_flop(c, options.batch));
  Json result = timed(c, options, machine, products, once, flop);
  result.update({{"error", error},
                 {"weight_bytes", weight_bytes},
                 {"peak_bytes", peak},
                 {"peak_bytes_before", before}});
  BenchFigures figures{
      result,
      fmt::format("latent forward {} depth {} batch {}: {:.1f} ms (median of {}; {:.1f} to {:.1f}), {:.0f} "
                  "GFLOP/s, {:.0f}% ({:.0f} to {:.0f}) of this machine's matrix-product rate of {:.0f} "
                  "GFLOP/s; peak memory {:.0f} MiB above the initial {:.0f} MiB, {:.2f} times the size of "
                  "the weights ({:.0f} MiB); difference from the definition {:.1g}",
                  result["dtype"].get<std::string>(), c.depth, options.batch, median(result["milliseconds"]),
                  options.rounds, result["milliseconds"]["lowest"].get<double>(),
                  result["milliseconds"]["highest"].get<double>(), median(result["gflops"]),
                  100 * median(result["share"]), 100 * result["share"]["lowest"].get<double>(),
                  100 * result["share"]["highest"].get<double>(), median(result["machine_gflops"]),
                  static_cast<double>(peak - before) / 0x1p20, static_cast<double>(before) / 0x1p20,
                  static_cast<double>(peak - before) / static_cast<double>(weight_bytes),
                  static_cast<double>(weight_bytes) / 0x1p20, error)};
  add_trace(options.trace, machine, once, figures);
  return figures;
}

BenchFigures bench_attention(const LatentConfig& c, const LatentBenchOptions& options,
                             const Runtime& machine) {
  const std::int64_t grid = c.grid(), span = 2 * grid - 1;
  const auto type = at::TensorOptions(machine.device).dtype(machine.dtype);
  const at::Tensor qkv = at::randn({options.batch, grid, grid, 3 * c.hidden}).to(type),
                   time = at::randn({options.batch, 3 * c.hidden}).to(type),
                   table = at::randn({span * span, c.heads}).to(machine.device);
  const auto once = [&] { return tmsa_attention(qkv, time, table, c.heads, grid); };
  const at::Tensor want =
      definition::tmsa_attention(qkv.to(at::kFloat), time.to(at::kFloat), table, c.heads, grid);
  const double error = relative(once(), want);
  // Roundings of q and k enter through the scores' size, that of their factors' norms: about sqrt(head_dim).
  const double roundoff = machine.dtype == at::kFloat ? 0x1p-24 : 0x1p-8;
  const double bound = 8 * std::sqrt(static_cast<double>(c.hidden / c.heads)) * roundoff;
  if (!(error <= bound))
    fail("attention differs from its definition by {:.2g}, more than the bound {:.2g}", error, bound);

  const MatrixProducts products(c, options.batch, machine);
  products.rate(0);
  Json result = timed(c, options, machine, products, once, attention_flop(c, options.batch));
  result.update({{"error", error}});
  return BenchFigures{
      result,
      fmt::format(
          "latent attention {} {} tokens batch {}: {:.2f} ms (median of {}; {:.2f} to {:.2f}), {:.0f} "
          "GFLOP/s, {:.0f}% of this machine's matrix-product rate; difference from the definition {:.1g}",
          result["dtype"].get<std::string>(), tokens_of(c), options.batch, median(result["milliseconds"]),
          options.rounds, result["milliseconds"]["lowest"].get<double>(),
          result["milliseconds"]["highest"].get<double>(), median(result["gflops"]),
          100 * median(result["share"]), error)};
}

BenchFigures bench_matmul(const LatentConfig& c, const LatentBenchOptions& options, const Runtime& machine) {
  const MatrixProducts products(c, options.batch, machine);
  products.rate(0);
  std::vector<double> rates;
  for (int round = 0; round < options.rounds; ++round) rates.push_back(products.rate(options.seconds) / 1e9);
  Json result = common_json(c, options, machine);
  result["gflops"] = spread(rates);
  return BenchFigures{
      result,
      fmt::format("latent matmul {} batch {}: {:.0f} GFLOP/s (median of {}; {:.0f} to {:.0f})",
                  result["dtype"].get<std::string>(), options.batch, median(result["gflops"]), rates.size(),
                  result["gflops"]["lowest"].get<double>(), result["gflops"]["highest"].get<double>())};
}

}  // namespace

BenchFigures bench_latent(const LatentConfig& config, const LatentBenchOptions& options,
                          const Runtime& machine) {
  const at::NoGradGuard no_grad;
  if (options.what == "forward") return bench_forward(config, options, machine);
  if (options.what == "attention") return bench_attention(config, options, machine);
  if (options.what == "matmul") return bench_matmul(config, options, machine);
  reject("`what`: wanted forward, attention or matmul for a latent model, got '{}'", options.what);
}

}  // namespace diffit::jobs
