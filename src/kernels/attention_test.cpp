#include <cmath>

#include "kernels/cpu/large_window.h"
#include "kernels/ops.h"
#include "kernels/testing.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using testing::expect_close;

struct Case {
  std::int64_t batch, height, width, heads, head_dim, window;
};

std::string name_of(const Case& c, at::ScalarType type) {
  return fmt::format("B{} {}x{} heads {} of {} window {} {}", c.batch, c.height, c.width, c.heads, c.head_dim,
                     c.window, c10::toString(type));
}

// Head widths with and without remainders, windows of 4, 9, 16, 64 and 256 tokens, maps that are not square,
// batches small enough that work is split by head and large enough that it is split by strip. Windows of 16
// and more pixels have a kernel of their own: one and several of them on a map, odd head widths.
// Above 16 the backward pass goes by blocks of queries: one and several rows of a window, the last block
// short, sides that are no multiple of a vector.
const Case cases[] = {
    {1, 2, 4, 1, 8, 2},     {2, 6, 3, 2, 12, 3},    {3, 8, 12, 4, 16, 4},   {2, 8, 8, 3, 32, 8},
    {1, 16, 8, 2, 72, 8},   {5, 16, 16, 2, 16, 4},  {17, 4, 4, 2, 20, 4},   {1, 16, 16, 2, 24, 16},
    {2, 7, 14, 1, 40, 7},   {2, 32, 16, 1, 9, 16},  {1, 16, 48, 2, 35, 16}, {2, 16, 16, 3, 72, 16},
    {2, 32, 32, 2, 72, 32}, {1, 48, 48, 1, 17, 48}, {2, 17, 17, 1, 9, 17},  {1, 20, 40, 2, 16, 20}};

/// Whether q, k, v and the probabilities are rounded to bfloat16 on their way.
bool rounds_operands(const Case& c, at::ScalarType type) {
  const cpu::AttentionShape shape{c.batch, c.height, c.width, c.heads, c.head_dim, c.window};
  return type == at::kBFloat16 && cpu::takes_large_window(shape) && cpu::multiplies_bfloat16();
}

struct Inputs {
  Tensor qkv, qkv_t, table, d_out;
};

Inputs make_inputs(const Case& c, at::ScalarType type) {
  at::manual_seed(7);
  const std::int64_t channels = c.heads * c.head_dim, span = 2 * c.window - 1;
  return {at::randn({c.batch, c.height, c.width, 3 * channels}).to(type),
          at::randn({c.batch, 3 * channels}).to(type), at::randn({span * span, c.heads}),
          at::randn({c.batch, c.height, c.width, channels}).to(type)};
}

struct Results {
  Tensor out, d_qkv, d_qkv_t, d_table;
};

using Operation = Tensor (*)(const Tensor&, const Tensor&, const Tensor&, std::int64_t, std::int64_t);

Results run(Operation operation, const Case& c, const Inputs& inputs, std::optional<at::ScalarType> as = {}) {
  const auto leaf = [&](const Tensor& x) { return (as ? x.to(*as) : x).detach().clone().requires_grad_(); };
  const Tensor qkv = leaf(inputs.qkv), qkv_t = leaf(inputs.qkv_t), table = leaf(inputs.table);
  const Tensor out = operation(qkv, qkv_t, table, c.heads, c.window);
  out.backward(inputs.d_out.to(out.scalar_type()));
  return {out.detach(), qkv.grad(), qkv_t.grad(), table.grad()};
}

/// Rounding grows with the square root of the number of terms (Higham and Mary 2019, with lambda = 4), times
/// the norms of what is multiplied: through the scores into the probabilities, and from there into each
/// gradient.
void expect_within_rounding(const Case& c, at::ScalarType type) {
  const Inputs inputs = make_inputs(c, type);
  const Results want = run(&definition::tmsa_attention, c, inputs, at::kDouble);
  const Results got = run(&tmsa_attention, c, inputs);
  ASSERT_EQ(got.out.scalar_type(), type);

  const auto parts = (inputs.qkv.to(at::kDouble) + inputs.qkv_t.to(at::kDouble).unsqueeze(1).unsqueeze(1))
                         .reshape({-1, 3, c.heads, c.head_dim});
  const auto norm = [&](const Tensor& x) { return x.norm(2, -1).max().item<double>(); };
  const double q = norm(parts.select(1, 0)), k = norm(parts.select(1, 1)), v = norm(parts.select(1, 2));
  const double g = norm(inputs.d_out.to(at::kDouble).reshape({-1, c.heads, c.head_dim}));
  const double tokens = static_cast<double>(c.window * c.window), width = static_cast<double>(c.head_dim);
  const double pixels = static_cast<double>(c.height * c.width);
  const double scale = 1 / std::sqrt(width), lambda_epsilon = 4 * testing::epsilon(at::kFloat);
  const double bias = inputs.table.abs().max().item<double>();
  const double probability =
      lambda_epsilon * (std::sqrt(width) * (scale * q * k + 1) + bias + std::sqrt(tokens) + 4);  // relative
  // Where operands are rounded: q and k (their dot product by Cauchy and Schwarz), then v and the
  // probability.
  const double operands = rounds_operands(c, type) ? testing::epsilon(type) * (2 * scale * q * k + 2) : 0;
  const double dscore = 2 * g * v * (probability + lambda_epsilon * (std::sqrt(width) + std::sqrt(tokens)));
  const double dqkv = std::max(
      {scale * k * dscore, scale * q * dscore * std::sqrt(tokens), probability * g * std::sqrt(tokens)});
  const auto rounded = [&](const Tensor& x) { return testing::epsilon(type) * x.abs(); };

  const std::string name = name_of(c, type);
  expect_close(got.out, want.out, (probability + operands) * v + rounded(want.out), name + " out");
  ASSERT_EQ(got.d_qkv.scalar_type(), type);
  ASSERT_EQ(got.d_qkv_t.scalar_type(), type);
  ASSERT_EQ(got.d_table.scalar_type(), at::kFloat);
  expect_close(got.d_qkv, want.d_qkv, dqkv + rounded(want.d_qkv), name + " d_qkv");
  expect_close(got.d_qkv_t, want.d_qkv_t, dqkv * std::sqrt(pixels) + rounded(want.d_qkv_t),
               name + " d_qkv_t");
  expect_close(got.d_table, want.d_table, dscore * std::sqrt(pixels * static_cast<double>(c.batch)),
               name + " d_table");
}

TEST(TmsaAttention, Float32AgreesWithDefinitionInFloat64) {
  for (const Case& c : cases) expect_within_rounding(c, at::kFloat);
}

TEST(TmsaAttention, Bfloat16AgreesWithDefinitionInFloat64) {
  for (const Case& c : cases) expect_within_rounding(c, at::kBFloat16);
}

TEST(TmsaAttention, WithoutGradientGivesTheSameAsWithIt) {
  for (const Case& c : cases) {
    const Inputs inputs = make_inputs(c, at::kFloat);
    const Tensor recorded = run(&tmsa_attention, c, inputs).out;
    const Tensor plain = tmsa_attention(inputs.qkv, inputs.qkv_t, inputs.table, c.heads, c.window);
    EXPECT_FALSE(plain.requires_grad());
    EXPECT_TRUE(at::equal(plain, recorded)) << name_of(c, at::kFloat);
  }
}

TEST(TmsaAttention, IsBitForBitTheSameForAnyThreadCount) {
  for (const Case& c : cases) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const Inputs inputs = make_inputs(c, type);
      const auto all = [&] {
        const Results r = run(&tmsa_attention, c, inputs);
        return std::vector<Tensor>{r.out, r.d_qkv, r.d_qkv_t, r.d_table};
      };
      testing::expect_independent_of_threads(all, name_of(c, type));
    }
  }
}

TEST(TmsaAttention, GivesASampleTheSameAloneAsInABatch) {
  for (const Case& c : cases) {
    const Inputs inputs = make_inputs(c, at::kFloat);
    const Tensor same_time = inputs.qkv_t.narrow(0, 0, 1);
    const auto operation = [&](const Tensor& x) {
      return tmsa_attention(x, same_time.expand({x.size(0), -1}), inputs.table, c.heads, c.window);
    };
    testing::expect_independent_of_batch(operation, inputs.qkv, name_of(c, at::kFloat));
  }
}

TEST(TmsaAttention, TakesMapsThatAreNotContiguous) {
  const Case c = cases[2];
  Inputs inputs = make_inputs(c, at::kFloat);
  const Tensor want = tmsa_attention(inputs.qkv, inputs.qkv_t, inputs.table, c.heads, c.window);
  const Tensor strided = inputs.qkv.permute({0, 3, 1, 2}).contiguous().permute({0, 2, 3, 1});
  ASSERT_FALSE(strided.is_contiguous());
  EXPECT_TRUE(at::equal(tmsa_attention(strided, inputs.qkv_t, inputs.table, c.heads, c.window), want));
}

// Both kernels: of small windows and of large ones.
const Case extreme_cases[] = {cases[2], cases[11]};

TEST(TmsaAttention, SurvivesScoresThatOverflowAnExponential) {
  for (const Case& c : extreme_cases) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const Inputs inputs = make_inputs(c, type);
      const Tensor out = tmsa_attention(inputs.qkv * 40, inputs.qkv_t, inputs.table, c.heads, c.window);
      EXPECT_TRUE(out.isfinite().all().item<bool>()) << name_of(c, type);
    }
  }
}

TEST(TmsaAttention, PassesOnWhatIsNotANumber) {
  for (const Case& c : extreme_cases) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      for (const std::int64_t part : {0, 1, 2}) {
        Inputs inputs = make_inputs(c, type);
        inputs.qkv[0][0][0][part * c.heads * c.head_dim] = std::nan("");
        const Tensor out = tmsa_attention(inputs.qkv, inputs.qkv_t, inputs.table, c.heads, c.window);
        EXPECT_TRUE(out.isnan().any().item<bool>()) << name_of(c, type) << " part " << part;
      }
    }
  }
}

}  // namespace
}  // namespace diffit::kernels
