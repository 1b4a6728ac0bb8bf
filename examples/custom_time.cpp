// Adds a variant of time conditioning to the library, trains a small model with it and samples from the
// model. In this variant, the time token is projected to a vector that shifts the input of attention.
//
//   custom_time IMAGES RUN_FOLDER
#include <ATen/TensorOperators.h>
#include <diffit/diffit.h>

#include <cstdio>

#include "nn/diffit/time_conditioning.h"

namespace {

using namespace diffit::nn;

class ShiftedInput final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  /// The layers that the variant adds: a linear layer [T] -> [C], evaluated once per image.
  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site == TimeSite::block) structure.linear("shift_temb", shape.time_width, shape.width, 1);
  }
  at::Tensor attention_input(const at::Tensor& x, const at::Tensor& time) const override {
    const at::Tensor normalized = TimeConditioning::attention_input(x, time);
    return normalized + expand_to_map(layer(0)(time), normalized);
  }
};

constexpr TimeVariant kShiftedInput = time_variant<ShiftedInput>("shifted_input", TimeInAttention::qkv);

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: custom_time IMAGES RUN_FOLDER\n", stderr), 2;
  try {
    // From here on, configurations and model files can name the variant.
    register_time_variant(kShiftedInput);
    const diffit::TrainResult trained =
        diffit::train({.config = "smoke",
                       .set = {"train.images=128", "model.time=shifted_input"},
                       .data = argv[1],
                       .out = argv[2]});
    std::printf("trained for %lld images: %s\n", static_cast<long long>(trained.images),
                trained.model.c_str());

    const diffit::SampleResult samples = diffit::sample({.model = trained.model, .count = 4, .steps = 4});
    std::printf("%zu samples\n", samples.images.size());
  } catch (const diffit::Error& error) {
    return std::fprintf(stderr, "error: %s\n", error.what()), 1;
  }
}
