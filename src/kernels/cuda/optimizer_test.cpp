// The fused optimizer against LibTorch's fused Adam and AdamW and its lerp.
#include <ATen/autocast_mode.h>

#include "kernels/cuda/test_target.h"
#include "kernels/cuda_linear.h"
#include "kernels/fused_optimizer.h"
#include "kernels/ops.h"
#include "kernels/testing.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using testing::Target;

constexpr double kBetas[] = {0.9, 0.99};
const std::vector<double> kRates = {0.25, 0.001};

/// Parameters of several pieces, of a size that is no multiple of four, of one number, channels-last, and one
/// without a gradient.
std::vector<Tensor> weights() {
  return {at::randn({150, 130}), at::randn({7}), at::randn({1}),
          at::randn({6, 5, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast), at::randn({20})};
}

std::vector<FusedParameter> parameters(const std::vector<Tensor>& weights, double weight_decay,
                                       at::Device device) {
  std::vector<FusedParameter> all;
  for (const Tensor& w : weights) {
    FusedParameter p{w.to(device, w.scalar_type(), false, /*copy=*/true), {}, {}, {}, weight_decay};
    p.first = at::zeros_like(p.weight);
    p.second = at::zeros_like(p.weight);
    for (std::size_t k = 0; k < kRates.size(); ++k) p.averages.push_back(p.weight.clone());
    p.weight.set_requires_grad(true);
    all.push_back(std::move(p));
  }
  return all;
}

/// Gives all parameters but the last one the gradients of step `step`.
void set_gradients(const std::vector<FusedParameter>& parameters, int step, double scale) {
  at::manual_seed(100 + static_cast<std::uint64_t>(step));
  for (std::size_t i = 0; i + 1 < parameters.size(); ++i) {
    const Tensor& w = parameters[i].weight;
    w.mutable_grad() = (scale * at::randn(w.sizes()).contiguous(w.suggest_memory_format())).to(w.device());
  }
}

double norm_of(const std::vector<FusedParameter>& parameters) {
  double square = 0;
  for (const FusedParameter& p : parameters) {
    if (p.weight.grad().defined()) square += p.weight.grad().to(at::kDouble).square().sum().item<double>();
  }
  return std::sqrt(square);
}

/// The same step by LibTorch, in float64.
struct Reference {
  std::vector<FusedParameter> parameters;
  std::vector<Tensor> steps;
  FusedSettings settings;

  void update(double lr) {
    const at::NoGradGuard no_grad;
    const double norm = norm_of(parameters);
    const double scale = settings.clip > 0 && norm > settings.clip ? settings.clip / norm : 1;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      FusedParameter& p = parameters[i];
      const Tensor g = p.weight.grad().defined() ? p.weight.grad() * scale : at::zeros_like(p.weight);
      steps[i] += 1;
      using Fused = void(at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList,
                         at::TensorList, double, double, double, double, double, bool, bool,
                         const std::optional<Tensor>&, const std::optional<Tensor>&);
      Fused* const adam = at::_fused_adam_;
      Fused* const adamw = at::_fused_adamw_;
      (settings.decoupled ? adamw : adam)(p.weight, g, p.first, p.second, {}, steps[i], lr, settings.beta1,
                                          settings.beta2, p.weight_decay, settings.eps, false, false, {}, {});
      for (std::size_t k = 0; k < kRates.size(); ++k) p.averages[k].lerp_(p.weight, kRates[k]);
    }
  }
};

Tensor rates(double lr, at::Device device) {
  return at::tensor({lr, kRates[0], kRates[1]}).to(device, at::kFloat);
}

void expect_same(const std::vector<FusedParameter>& got, const std::vector<FusedParameter>& want,
                 const std::string& name) {
  // A few roundings a step in float32; the update of a weight is at most lr / (1 - beta1) of a step.
  const double bound = 40 * testing::epsilon(at::kFloat);
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto close = [&](const Tensor& g, const Tensor& w, const char* what) {
      testing::expect_close(g.cpu(), w, bound * (w.detach().abs() + 0.02),
                            fmt::format("{}: {} {}", name, what, i));
    };
    close(got[i].weight, want[i].weight, "weight");
    close(got[i].first, want[i].first, "first moment");
    close(got[i].second, want[i].second, "second moment");
    for (std::size_t k = 0; k < kRates.size(); ++k) close(got[i].averages[k], want[i].averages[k], "average");
  }
}

TEST(CudaOptimizer, AgreesWithLibTorchInFloat64) {
  for (const bool decoupled : {false, true}) {
    for (const double clip : {0.0, 5.0}) {
      at::manual_seed(1);
      const std::vector<Tensor> start = weights();
      const FusedSettings settings{decoupled, kBetas[0], kBetas[1], 1e-8, clip};
      std::vector<Tensor> exact, steps;
      for (const Tensor& w : start) {
        exact.push_back(w.to(at::kDouble));
        steps.push_back(at::zeros({}, at::kDouble));
      }
      Reference reference{parameters(exact, 0.1, at::kCPU), steps, settings};
      const Target target;
      const std::vector<FusedParameter> fused = parameters(start, 0.1, target.device);
      FusedOptimizer optimizer(fused, settings);
      for (int step = 0; step < 4; ++step) {
        const double scale = step == 2 ? 0.01 : 1;  // not clipped
        set_gradients(fused, step, scale);
        set_gradients(reference.parameters, step, scale);
        for (std::size_t i = 0; i + 1 < fused.size(); ++i)
          reference.parameters[i].weight.mutable_grad() = fused[i].weight.grad().cpu().to(at::kDouble);
        const double norm = norm_of(reference.parameters);
        reference.update(1e-2);
        const Tensor result =
            optimizer.update(at::full({}, 0.5F, fused[0].first.options()), rates(1e-2, target.device)).cpu();
        EXPECT_EQ(result[0].item<float>(), 0.5F);
        EXPECT_NEAR(result[1].item<double>(), norm, 1e-5 * norm);
        EXPECT_EQ(result[2].item<float>(), 0);
      }
      expect_same(fused, reference.parameters, fmt::format("decoupled {} clip {}", decoupled, clip));
    }
  }
}

TEST(CudaOptimizer, SkipsAStepThatIsNotFiniteAndDoesNotCountIt) {
  const Target target;
  for (const bool in_loss : {true, false}) {
    at::manual_seed(2);
    const std::vector<FusedParameter> fused = parameters(weights(), 0, target.device),
                                      plain = parameters(weights(), 0, target.device);
    for (std::size_t i = 0; i < fused.size(); ++i) {
      const at::NoGradGuard no_grad;
      plain[i].weight.copy_(fused[i].weight);
      for (std::size_t k = 0; k < kRates.size(); ++k) plain[i].averages[k].copy_(fused[i].averages[k]);
    }
    FusedOptimizer with_skip(fused, {}), without(plain, {});
    const Tensor loss = at::ones({}, fused[0].first.options());
    const auto both = [&](int step) {
      set_gradients(fused, step, 1);
      set_gradients(plain, step, 1);
      with_skip.update(loss, rates(1e-2, target.device));
      without.update(loss, rates(1e-2, target.device));
    };
    both(0);
    set_gradients(fused, 1, 1);
    if (!in_loss) fused[1].weight.mutable_grad()[3] = std::numeric_limits<float>::infinity();
    const Tensor result =
        with_skip.update(in_loss ? loss * std::nanf("") : loss, rates(1e-2, target.device)).cpu();
    EXPECT_EQ(result[2].item<float>(), 1);
    both(2);
    for (std::size_t i = 0; i < fused.size(); ++i) {
      EXPECT_TRUE(at::equal(fused[i].weight, plain[i].weight)) << i;
      EXPECT_TRUE(at::equal(fused[i].second, plain[i].second)) << i;
      EXPECT_TRUE(at::equal(fused[i].averages[1], plain[i].averages[1])) << i;
    }
  }
}

TEST(CudaOptimizer, TakesGradientsThatBeginAtAnyElement) {
  at::manual_seed(3);
  const Target target;
  const std::vector<Tensor> start = {at::randn({33}), at::randn({2})};
  const std::vector<FusedParameter> shifted = parameters(start, 0, target.device),
                                    plain = parameters(start, 0, target.device);
  const Tensor storage = at::randn({34}).to(target.device);
  shifted[0].weight.mutable_grad() = storage.narrow(0, 1, 33);
  plain[0].weight.mutable_grad() = storage.narrow(0, 1, 33).clone();
  FusedOptimizer a(shifted, {}), b(plain, {});
  const Tensor loss = at::ones({}, storage.options());
  a.update(loss, rates(1e-2, target.device));
  b.update(loss, rates(1e-2, target.device));
  EXPECT_TRUE(at::equal(shifted[0].weight, plain[0].weight));
}

TEST(CudaColumnSum, AgreesWithFloat64AndWithItself) {
  const Target target;
  for (const auto& [rows, columns] :
       {std::pair{1, 8}, {63, 8}, {200, 24}, {1000, 128}, {130, 264}, {300, 1152}}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      at::manual_seed(4);
      const Tensor x = (1 + at::randn({rows, columns})).to(type), given = x.to(target.device);
      const Tensor sum = column_sum(given);
      const std::string name = fmt::format("{} x {} {}", rows, columns, c10::toString(type));
      testing::expect_close(sum.cpu(), x.to(at::kDouble).sum(0),
                            testing::epsilon(at::kFloat) * std::sqrt(rows) * x.to(at::kDouble).abs().sum(0),
                            name);
      EXPECT_TRUE(at::equal(sum, column_sum(given))) << name << " differs from run to run";
    }
  }
}

/// On a GPU alone: LibTorch multiplies bfloat16 to float32 nowhere else.
TEST(CudaLinear, AgreesWithDefinitionInFloat64) {
  const Target target;
  if (!target.device.is_cuda()) GTEST_SKIP() << "needs a GPU";
  at::autocast::set_autocast_dtype(at::kCUDA, at::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCUDA, true);
  const double rounding = 4 * testing::epsilon(at::kBFloat16);
  const auto expect = [&](const auto& operation, const std::vector<Tensor>& inputs, const Tensor& d_y) {
    const std::vector<Tensor> want = testing::with_gradients(operation, inputs, d_y, at::kDouble);
    const std::vector<Tensor> got =
        testing::with_gradients(operation, testing::moved(inputs, target.device), d_y.to(target.device));
    for (std::size_t i = 0; i < want.size(); ++i) {
      const Tensor difference = got[i].cpu().to(at::kDouble) - want[i];
      EXPECT_LT((difference.norm() / want[i].norm()).item<double>(), rounding) << "result " << i;
      EXPECT_EQ(got[i].scalar_type(), i == 0 ? at::kBFloat16 : at::kFloat);
    }
  };
  at::manual_seed(5);
  expect([](const auto& in) { return linear(in[0], in[1], in[2]); },
         {at::randn({3, 4, 4, 64}), at::randn({48, 64}), at::randn({48})}, at::randn({3, 4, 4, 48}));
  for (const std::int64_t stride : {1, 2}) {
    expect([&](const auto& in) { return conv2d(in[0], in[1], in[2], stride); },
           {at::randn({2, 8, 8, 16}), at::randn({24, 16, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast),
            at::randn({24})},
           at::randn({2, 8 / stride, 8 / stride, 24}));
  }
  at::autocast::set_autocast_enabled(at::kCUDA, false);
}

}  // namespace
}  // namespace diffit::kernels
