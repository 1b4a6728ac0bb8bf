// The CUDA kernels behind the very operations that use them, against the definitions in float64: run on the
// CPU by the emulator, which schedules threads at random so that a missing barrier shows as a wrong result,
// and on a GPU where there is one.
#include <cmath>

#include "kernels/cuda/test_target.h"
#include "kernels/ops.h"
#include "kernels/testing.h"

namespace diffit::kernels {
namespace {

using at::Tensor;

using testing::has_gpu;
using testing::moved;
using testing::Target;

/// |got - want| in proportion to |want|.
double relative_error(const Tensor& got, const Tensor& want) {
  const Tensor exact = want.cpu().to(at::kDouble);
  return ((got.cpu().to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

struct Case {
  std::int64_t batch, height, width, heads, head_dim, window;
};

// Each kernel, with every head size; several windows on a map that is not square, odd counts of windows,
// whole maps, and more work than the emulated device holds blocks.
const Case cases[] = {{2, 8, 4, 1, 16, 4},    {1, 4, 12, 2, 32, 4},   {3, 4, 4, 2, 64, 4},
                      {2, 12, 8, 3, 16, 4},   {2, 8, 8, 2, 16, 8},    {1, 16, 8, 3, 32, 8},
                      {1, 8, 8, 1, 64, 8},    {2, 16, 16, 1, 32, 16}, {1, 16, 32, 2, 64, 16},
                      {1, 32, 16, 1, 72, 16}, {1, 32, 32, 1, 72, 32}};

/// On a GPU, sizes that fill it as well.
std::vector<Case> all_cases() {
  std::vector<Case> all(std::begin(cases), std::end(cases));
  if (has_gpu) {
    const Case large[] = {{64, 32, 32, 4, 32, 4},
                          {64, 16, 16, 8, 32, 8},
                          {4, 16, 16, 16, 72, 16},
                          {2, 32, 64, 4, 64, 32},
                          {1, 32, 32, 16, 72, 32}};
    all.insert(all.end(), std::begin(large), std::end(large));
  }
  return all;
}

std::string name_of(const Case& c) {
  return fmt::format("B{} {}x{} heads {} of {} window {}", c.batch, c.height, c.width, c.heads, c.head_dim,
                     c.window);
}

std::vector<Tensor> attention(const Case& c, const std::vector<Tensor>& inputs, const Tensor& d_out,
                              bool exact) {
  const auto operation = [&](const std::vector<Tensor>& in) {
    return (exact ? definition::tmsa_attention : tmsa_attention)(in[0], in[1], in[2], c.heads, c.window);
  };
  return testing::with_gradients(operation, inputs, d_out,
                                 exact ? std::optional<at::ScalarType>(at::kDouble) : std::nullopt);
}

TEST(CudaAttention, AgreesWithDefinitionInFloat64AndWithItself) {
  for (const Case& c : all_cases()) {
    at::manual_seed(3);
    const std::int64_t channels = c.heads * c.head_dim, span = 2 * c.window - 1;
    const std::vector<Tensor> inputs = {
        at::randn({c.batch, c.height, c.width, 3 * channels}).to(at::kBFloat16),
        at::randn({c.batch, 3 * channels}).to(at::kBFloat16), at::randn({span * span, c.heads})};
    const Tensor d_out = at::randn({c.batch, c.height, c.width, channels}).to(at::kBFloat16);
    const std::vector<Tensor> want = attention(c, inputs, d_out, true);
    const Target target;
    const std::vector<Tensor> got =
                                  attention(c, moved(inputs, target.device), d_out.to(target.device), false),
                              again =
                                  attention(c, moved(inputs, target.device), d_out.to(target.device), false);
    // q, the probabilities and the scores' gradients are rounded to bfloat16, of a relative error of at most
    // 2^-9 each; the errors of a sum are independent. The gradient of k's part of qkv_t is zero.
    const double rounding = std::ldexp(1.0, -9) * 4;
    const char* names[] = {"out", "d_qkv", "d_qkv_t", "d_table"};
    for (std::size_t i = 0; i < want.size(); ++i) {
      const std::string name = name_of(c) + " " + names[i];
      EXPECT_EQ(got[i].scalar_type(), i == 3 ? at::kFloat : at::kBFloat16) << name;
      EXPECT_LT(relative_error(got[i], want[i]), rounding) << name;
      EXPECT_TRUE(at::equal(got[i], again[i])) << name << " differs from run to run";
    }
    const Tensor d_k_t = got[2].narrow(1, channels, channels);
    EXPECT_EQ(d_k_t.abs().max().item<float>(), 0) << name_of(c);
  }
}

TEST(CudaAttention, WithoutGradientGivesTheSame) {
  for (const Case& c : {cases[1], cases[5], cases[7]}) {
    at::manual_seed(4);
    const std::int64_t channels = c.heads * c.head_dim, span = 2 * c.window - 1;
    const Tensor qkv = at::randn({c.batch, c.height, c.width, 3 * channels}).to(at::kBFloat16);
    const Tensor time = at::randn({c.batch, 3 * channels}).to(at::kBFloat16),
                 table = at::randn({span * span, c.heads});
    const Target target;
    const std::vector<Tensor> in = moved({qkv, time, table}, target.device);
    const Tensor plain = tmsa_attention(in[0], in[1], in[2], c.heads, c.window);
    const Tensor recorded = tmsa_attention(in[0].clone().requires_grad_(), in[1], in[2], c.heads, c.window);
    EXPECT_TRUE(at::equal(plain, recorded.detach())) << name_of(c);
  }
}

TEST(CudaAttention, SurvivesLargeScoresAndPassesOnWhatIsNotANumber) {
  for (const Case& c : {cases[1], cases[5], cases[7]}) {
    at::manual_seed(5);
    const std::int64_t channels = c.heads * c.head_dim, span = 2 * c.window - 1;
    const Tensor qkv = (40 * at::randn({c.batch, c.height, c.width, 3 * channels})).to(at::kBFloat16);
    const Tensor time = at::randn({c.batch, 3 * channels}).to(at::kBFloat16),
                 table = at::randn({span * span, c.heads});
    const Target target;
    const std::vector<Tensor> in = moved({qkv, time, table}, target.device);
    EXPECT_TRUE(tmsa_attention(in[0], in[1], in[2], c.heads, c.window).isfinite().all().item<bool>())
        << name_of(c);
    for (const std::int64_t part : {0, 1, 2}) {
      Tensor broken = in[0].clone();
      broken[0][0][0][part * channels] = std::nan("");
      EXPECT_TRUE(tmsa_attention(broken, in[1], in[2], c.heads, c.window).isnan().any().item<bool>())
          << name_of(c) << " part " << part;
    }
  }
}

TEST(CudaAttention, LeavesOtherShapesAndFloat32ToTheDefinition) {
  const Target target;
  for (const auto& [window, head_dim, type] : {std::tuple{2, 32, at::kBFloat16},
                                               {4, 24, at::kBFloat16},
                                               {7, 32, at::kBFloat16},
                                               {4, 32, at::kFloat}}) {
    at::manual_seed(6);
    const Tensor qkv = at::randn({1, window, window, 3 * head_dim}).to(type),
                 time = at::randn({1, 3 * head_dim}).to(type);
    const Tensor table = at::randn({(2 * window - 1) * (2 * window - 1), 1});
    const std::vector<Tensor> in = moved({qkv, time, table}, target.device);
    EXPECT_TRUE(at::equal(tmsa_attention(in[0], in[1], in[2], 1, window),
                          definition::tmsa_attention(in[0], in[1], in[2], 1, window)));
  }
}

struct Norm {
  std::int64_t batch, height, width, channels, groups;
};
// Groups of one and several channels, within and across the eight of a thread; one pixel; more threads than
// pixels; widths that are no power of two.
const Norm norms[] = {{1, 1, 1, 8, 1},    {2, 5, 3, 16, 16}, {3, 4, 4, 24, 2},
                      {1, 16, 16, 32, 8}, {2, 3, 7, 64, 4},  {1, 6, 6, 520, 13}};

TEST(CudaGroupNorm, AgreesWithDefinitionInFloat64AndWithItself) {
  for (const Norm& c : norms) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      for (const bool silu : {false, true}) {
        at::manual_seed(7);
        // A mean far from zero: sums of squares alone would lose the deviation.
        const std::vector<Tensor> inputs = {
            (30 + at::randn({c.batch, c.height, c.width, c.channels})).to(type),
            1 + 0.3 * at::randn({c.channels}), at::randn({c.channels})};
        const Tensor d_y = at::randn({c.batch, c.height, c.width, c.channels}).to(type);
        const auto want = testing::with_gradients(
            [&](const auto& in) { return definition::group_norm(in[0], c.groups, in[1], in[2], 1e-5, silu); },
            inputs, d_y, at::kDouble);
        const Target target;
        const auto operation = [&](const auto& in) {
          return group_norm(in[0], c.groups, in[1], in[2], 1e-5, silu);
        };
        const std::vector<Tensor> given = moved(inputs, target.device);
        const Tensor d_given = d_y.to(target.device);
        const auto got = testing::with_gradients(operation, given, d_given);
        const auto again = testing::with_gradients(operation, given, d_given);
        // Subtracting the mean of 30 leaves 2^-24 * 30 of each number; results are rounded to their type.
        const double rounding = 64 * testing::epsilon(at::kFloat) * 30 + testing::epsilon(type);
        const char* names[] = {"y", "d_x", "d_weight", "d_bias"};
        for (std::size_t i = 0; i < want.size(); ++i) {
          const std::string name =
              fmt::format("B{} {}x{} C{} G{} {} {}{}", c.batch, c.height, c.width, c.channels, c.groups,
                          c10::toString(type), names[i], silu ? " silu" : "");
          // One number a group has no deviation: its gradient is zero but for rounding.
          const double scale =
              c.height * c.width * c.channels == c.groups ? 1 : want[i].norm().item<double>();
          const double error = (got[i].cpu().to(at::kDouble) - want[i]).norm().item<double>();
          EXPECT_LE(error, rounding * std::max(scale, 1e-3 * d_y.to(at::kDouble).norm().item<double>()))
              << name;
          EXPECT_TRUE(at::equal(got[i], again[i])) << name << " differs from run to run";
        }
      }
    }
  }
}

TEST(CudaLayerNorm, AgreesWithDefinitionInFloat64AndWithItself) {
  for (const std::int64_t width : {8, 40, 256, 264, 520, 1152, 1280}) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      at::manual_seed(8);
      const std::vector<Tensor> inputs = {(10 + at::randn({2, 3, width})).to(type)};
      const Tensor d_y = at::randn({2, 3, width}).to(type);
      const auto want = testing::with_gradients(
          [](const auto& in) { return definition::layer_norm(in[0], 1e-6); }, inputs, d_y, at::kDouble);
      const Target target;
      const auto operation = [](const auto& in) { return layer_norm(in[0], 1e-6); };
      const std::vector<Tensor> given = moved(inputs, target.device);
      const Tensor d_given = d_y.to(target.device);
      const auto got = testing::with_gradients(operation, given, d_given),
                 again = testing::with_gradients(operation, given, d_given);
      const double rounding = 64 * testing::epsilon(at::kFloat) * 10 + testing::epsilon(type);
      for (std::size_t i = 0; i < want.size(); ++i) {
        const std::string name =
            fmt::format("width {} {} {}", width, c10::toString(type), i == 0 ? "y" : "d_x");
        EXPECT_LT(relative_error(got[i], want[i]), rounding) << name;
        EXPECT_TRUE(at::equal(got[i], again[i])) << name << " differs from run to run";
      }
      const at::NoGradGuard no_grad;
      Tensor stream = at::randn({2, 3, width}).to(target.device), same = stream.clone();
      const Tensor y = add_layer_norm(stream, given[0], 1e-6);
      EXPECT_TRUE(at::equal(stream, same + given[0]));
      EXPECT_EQ(y.scalar_type(), type);
      EXPECT_LT(relative_error(y, definition::layer_norm(stream.cpu().to(at::kDouble), 1e-6)), rounding);
    }
  }
}

TEST(CudaLayerNorm, LeavesOtherWidthsToTheDefinition) {
  const Target target;
  for (const std::int64_t width : {4, 12, 1288}) {
    const Tensor x = at::randn({3, width}).to(target.device);
    EXPECT_TRUE(at::equal(layer_norm(x, 1e-6), definition::layer_norm(x, 1e-6))) << width;
  }
}

TEST(CudaBackend, TakesTensorsThatBeginAtAnyElement) {
  at::manual_seed(9);
  const Target target;
  const Tensor storage = at::randn({8 * 64 + 1}).to(target.device),
               x = storage.narrow(0, 1, 8 * 64).reshape({8, 64});
  ASSERT_NE(reinterpret_cast<std::uintptr_t>(x.const_data_ptr()) % 16, 0U);
  EXPECT_TRUE(at::equal(layer_norm(x, 1e-6), layer_norm(x.clone(), 1e-6)));
}

TEST(CudaLibrary, RefusesAnotherVersion) {
  EXPECT_EQ(diffit_cuda_functions(cuda::kFunctionsVersion + 1), nullptr);
}

}  // namespace
}  // namespace diffit::kernels
