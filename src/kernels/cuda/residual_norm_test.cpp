// The sum with a branch and its LayerNorm against the definition in float64.
#include "kernels/residual_norm.h"

#include <ATen/autocast_mode.h>

#include "kernels/cuda/test_target.h"
#include "kernels/ops.h"
#include "kernels/testing.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using testing::Target;

/// Autocast of CUDA to bfloat16, which the operation asks for; nothing else here does.
struct Narrow {
  explicit Narrow(bool on) {
    at::autocast::set_autocast_dtype(at::kCUDA, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCUDA, on);
  }
  ~Narrow() { at::autocast::set_autocast_enabled(at::kCUDA, false); }
};

/// Sum, normal form, and the gradients of x and branch for gradients of both or of one.
std::vector<Tensor> results(const Tensor& x, const Tensor& branch, const Tensor& d_sum,
                            const Tensor& d_normal, bool exact) {
  const Tensor a = x.detach().clone().requires_grad_(),
               b = branch.defined() ? branch.detach().clone().requires_grad_() : Tensor();
  SumAndNorm made;
  if (exact) {
    made.sum = b.defined() ? a + b : a * 1;
    made.normal = definition::layer_norm(made.sum, 1e-6);
  } else {
    made = residual_layer_norm(a, b, 1e-6);
  }
  Tensor loss;
  if (d_normal.defined()) loss = (made.normal.to(at::kDouble) * d_normal.to(at::kDouble)).sum();
  if (d_sum.defined()) {
    const Tensor direct = (made.sum.to(at::kDouble) * d_sum.to(at::kDouble)).sum();
    loss = loss.defined() ? loss + direct : direct;
  }
  loss.backward();
  std::vector<Tensor> all = {made.sum.detach(), made.normal.detach(), a.grad()};
  if (b.defined()) all.push_back(b.grad());
  return all;
}

TEST(CudaResidualNorm, AgreesWithDefinitionInFloat64) {
  struct Types {
    at::ScalarType stream, branch;
  };
  for (const Types types :
       {Types{at::kFloat, at::kFloat}, {at::kFloat, at::kBFloat16}, {at::kBFloat16, at::kBFloat16}}) {
    for (const std::int64_t width : {8, 264, 1152}) {
      for (const int given : {1, 2, 3}) {  // gradients: 1 of the normal form, 2 of the sum, 3 of both
        for (const bool with_branch : {true, false}) {
          if (given == 2 && !with_branch) continue;
          at::manual_seed(6);
          const Tensor x = (3 + at::randn({2, 3, width})).to(types.stream),
                       branch = with_branch ? at::randn({2, 3, width}).to(types.branch) : Tensor();
          const Tensor d_sum = given & 2 ? at::randn({2, 3, width}).to(types.stream) : Tensor(),
                       d_normal = given & 1 ? at::randn({2, 3, width}).to(types.branch) : Tensor();
          const auto wide = [](const Tensor& t) { return t.defined() ? t.to(at::kDouble) : t; };
          const std::vector<Tensor> want = results(wide(x), wide(branch), wide(d_sum), wide(d_normal), true);
          const Target target;
          const auto there = [&](const Tensor& t) { return t.defined() ? t.to(target.device) : t; };
          std::vector<Tensor> got, again;
          {
            const Narrow narrow(types.branch == at::kBFloat16);
            got = results(there(x), there(branch), there(d_sum), there(d_normal), false);
            again = results(there(x), there(branch), there(d_sum), there(d_normal), false);
          }
          const std::string name =
              fmt::format("{} {} width {} gradients {} branch {}", c10::toString(types.stream),
                          c10::toString(types.branch), width, given, with_branch);
          ASSERT_EQ(got.size(), want.size()) << name;
          EXPECT_EQ(got[0].scalar_type(), types.stream) << name;
          EXPECT_EQ(got[1].scalar_type(), types.branch) << name;
          for (std::size_t i = 0; i < want.size(); ++i) {
            // A rounded sum shifts the whole row: the normal form is as exact as the stream.
            const double rounding =
                16 * testing::epsilon(at::kFloat) * 3 +
                4 * testing::epsilon(i == 1 || types.stream == at::kBFloat16 ? types.branch
                                                                             : got[i].scalar_type());
            const double error =
                ((got[i].cpu().to(at::kDouble) - want[i]).norm() / want[i].norm()).item<double>();
            EXPECT_LT(error, rounding) << name << " result " << i;
            EXPECT_TRUE(at::equal(got[i], again[i])) << name << " result " << i << " differs from run to run";
          }
        }
      }
    }
  }
}

TEST(CudaResidualNorm, IsTheSumAndTheLayerNormElsewhere) {
  const Tensor x = at::randn({3, 24}), branch = at::randn({3, 24});
  const SumAndNorm made = residual_layer_norm(x, branch, 1e-6);
  EXPECT_TRUE(at::equal(made.sum, x + branch));
  EXPECT_TRUE(at::equal(made.normal, layer_norm(x + branch, 1e-6)));
  EXPECT_TRUE(residual_layer_norm(x, {}, 1e-6).sum.is_same(x));
}

}  // namespace
}  // namespace diffit::kernels
