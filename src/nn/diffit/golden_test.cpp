// Compares the networks with golden states of the plain PyTorch reference: outputs and every gradient.
//
// Tolerance: the rounding error of the reference itself. Both float32 results are compared with the same
// network in float64; the error of ours may be at most kFactor times the error of the reference (worst
// element relative to the tensor's scale).
#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/ops.h"
#include "nn/layers/weights_io.h"

namespace diffit::nn {
namespace {

constexpr double kFactor = 8;

at::Tensor input(const SafetensorsFile& file, const std::string& name) {
  return to_tensor(file.at(name));
}

void require_gradients(const ParameterList& parameters) {
  for (const Parameter& p : parameters.trained()) p.tensor.requires_grad_();
}

/// Checks our float32 `got` against `want` from the file; both errors are measured from the float64 result
/// `exact`.
void expect_as_exact(const at::Tensor& got, const at::Tensor& want, const at::Tensor& exact,
                     const std::string& name) {
  ASSERT_EQ(got.sizes(), want.sizes()) << name;
  const auto truth = exact.detach().to(at::kDouble);
  const double scale = truth.abs().max().item<double>();
  // Even a float32 sum of a single term is off by half an ulp of the largest element.
  const double theirs = (want.to(at::kDouble) - truth).abs().max().item<double>() + scale * 6e-8;
  const at::Tensor error = (got.detach().to(at::kDouble) - truth).abs();
  const std::int64_t worst = error.argmax().item<std::int64_t>();
  EXPECT_LE(error.max().item<double>(), kFactor * theirs)
      << name << "[" << worst << "]: got " << got.flatten()[worst].item<double>() << ", reference "
      << want.flatten()[worst].item<double>() << ", exact " << truth.flatten()[worst].item<double>();
}

class Golden : public testing::TestWithParam<const char*> {
 protected:
  SafetensorsFile open(const std::string& name) const {
    return SafetensorsFile(fs::path(DIFFIT_SOURCE_DIR) / "tests/golden" / GetParam() / name);
  }
  static ModelConfig config_of(const SafetensorsFile& file) {
    return read_model_config(parse_json(file.metadata().at("diffit.config"), "golden"), "golden");
  }
};

template <class Model, class Evaluate>
void compare(const SafetensorsFile& file, const Model& model, const Model& exact, const Evaluate& evaluate) {
  for (const auto* m : {&model, &exact})
    load_parameters(m->parameters(), file.tensors(), "weights.", "golden");
  exact.parameters().to(at::kDouble);
  for (const auto* m : {&model, &exact}) require_gradients(m->parameters());
  const at::Tensor got = evaluate(model, at::kFloat), truth = evaluate(exact, at::kDouble);
  expect_as_exact(got, input(file, "out.forward"), truth, "forward");
  got.square().mean().backward();
  truth.square().mean().backward();
  const auto ours = model.parameters().trained(), theirs = exact.parameters().trained();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    ASSERT_TRUE(ours[i].tensor.grad().defined()) << ours[i].name << " got no gradient";
    expect_as_exact(ours[i].tensor.grad(), input(file, "grad." + ours[i].name), theirs[i].tensor.grad(),
                    "grad." + ours[i].name);
  }
}

TEST_P(Golden, ImageModelMatchesReferenceWithGradients) {
  const SafetensorsFile file = open("image.safetensors");
  const auto config = std::get<ImageConfig>(config_of(file));
  for (const bool checkpointing : {false, true}) {
    ImageDiffiT model(config);
    const ImageDiffiT exact(config);
    model.set_checkpointing(checkpointing);
    const Condition condition{input(file, "in.y"), {}};
    const at::Tensor sigma = input(file, "in.sigma");
    compare(file, model, exact, [&](const ImageDiffiT& m, at::ScalarType type) {
      const at::Tensor x = input(file, "in.x").to(type).permute({0, 2, 3, 1}).contiguous();
      // c_noise is float32 in the reference, too.
      return m(x, sigma.log() / 4, condition).permute({0, 3, 1, 2});
    });
  }
}

TEST_P(Golden, LatentModelMatchesReferenceWithGradients) {
  const SafetensorsFile file = open("latent.safetensors");
  const auto config = std::get<LatentConfig>(config_of(file));
  const LatentDiffiT model(config), exact(config);
  compare(file, model, exact, [&](const LatentDiffiT& m, at::ScalarType type) {
    return m(input(file, "in.x").to(type), input(file, "in.t"), input(file, "in.y"));
  });
}

TEST_P(Golden, InfersLatentConfigFromNamesAndShapes) {
  const SafetensorsFile file = open("latent.safetensors");
  std::vector<TensorView> weights;
  for (TensorView view : file.tensors()) {
    if (!view.name.starts_with("weights.")) continue;
    view.name = view.name.substr(8);
    weights.push_back(view);
  }
  EXPECT_EQ(write_model_config(infer_config(weights, "golden")), write_model_config(config_of(file)));
}

// DDPM++ with its own attention and with TMSA in its place, compared with tests/golden/make_ddpmpp.py.
TEST(GoldenDdpmpp, MatchesReferenceWithGradients) {
  for (const char* name : {"own", "tmsa"}) {
    SCOPED_TRACE(name);
    const SafetensorsFile file(fs::path(DIFFIT_SOURCE_DIR) / "tests/golden/ddpmpp" /
                               (std::string(name) + ".safetensors"));
    const auto config =
        std::get<ImageConfig>(read_model_config(parse_json(file.metadata().at("diffit.config"), name), name));
    for (const bool checkpointing : {false, true}) {
      ImageDiffiT model(config);
      const ImageDiffiT exact(config);
      model.set_checkpointing(checkpointing);
      compare(file, model, exact, [&](const ImageDiffiT& m, at::ScalarType type) {
        const at::Tensor x = input(file, "in.x").to(type).permute({0, 2, 3, 1}).contiguous();
        return m(x, input(file, "in.c_noise"), {input(file, "in.y"), {}}).permute({0, 3, 1, 2});
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Golden, testing::Values("seed0", "seed1", "seed2"),
                         [](const auto& seed) { return std::string(seed.param); });

}  // namespace
}  // namespace diffit::nn
