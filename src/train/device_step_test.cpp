// The step that a GPU makes, with its kernels run by the emulator, against the step of the CPU.
#include "train/device_step.h"

#include <cmath>

#include "kernels/cuda/test_target.h"
#include "kernels/testing.h"
#include "train/testing.h"
#include "train/trainer.h"

namespace diffit::training {
namespace {

using testing::shades;
using testing::small_recipe;

/// A trainer whose step is that of DeviceStep on the CPU: kernels are chosen when it is constructed and
/// called.
struct Emulated {
  kernels::EmulatedCuda kernels{testing::emulated_functions()};
  Trainer trainer;

  explicit Emulated(const Recipe& recipe, std::shared_ptr<const Dataset> data = shades())
      : trainer(recipe, TrainingData(std::move(data)), at::kCPU, at::kFloat) {}
};

std::vector<StepResult> steps_of(Trainer& trainer, int count) {
  std::vector<StepResult> results;
  for (int i = 0; i < count; ++i) results.push_back(trainer.step());
  return results;
}

std::vector<at::Tensor> copies(const Trainer& trainer) {
  std::vector<at::Tensor> all;
  for (const auto& [name, tensor] : trainer.tensors()) all.push_back(tensor.clone());
  return all;
}

TEST(DeviceStep, TrainsAsTheStepOfTheCpu) {
  for (const std::int64_t microbatch : {8, 4}) {
    Recipe recipe = small_recipe(64);
    recipe.train.microbatch = microbatch;
    recipe.optimiser.clip = 0.5;
    std::vector<StepResult> want;
    std::vector<at::Tensor> weights;
    {
      Trainer plain(recipe, TrainingData(shades()), at::kCPU, at::kFloat);
      want = steps_of(plain, 4);
      weights = copies(plain);
    }
    Emulated emulated(recipe);
    const std::vector<StepResult> got = steps_of(emulated.trainer, 4);
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i].loss, want[i].loss, 1e-4 * want[i].loss) << "step " << i;
      EXPECT_NEAR(got[i].gradient_norm, want[i].gradient_norm, 1e-3 * want[i].gradient_norm) << "step " << i;
      EXPECT_FALSE(got[i].skipped);
      EXPECT_EQ(got[i].lr, want[i].lr);
    }
    // Adam divides by the root of the second moment: where a gradient is near zero, its rounding decides the
    // sign of a step of at most lr. Of all weights, that is few.
    const std::vector<at::Tensor> after = copies(emulated.trainer);
    double square = 0, difference = 0;
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (!after[i].is_floating_point()) continue;
      square += weights[i].to(at::kDouble).square().sum().item<double>();
      difference += (after[i] - weights[i]).to(at::kDouble).square().sum().item<double>();
    }
    EXPECT_LT(std::sqrt(difference / square), 1e-3) << "microbatch " << microbatch;
    EXPECT_EQ(emulated.trainer.images(), 32);
    EXPECT_EQ(emulated.trainer.counters()["optimiser_steps"], 4);
  }
}

TEST(DeviceStep, GoesOnFromACheckpointBitForBit) {
  const Recipe recipe = small_recipe(64);
  std::vector<at::Tensor> half, whole;
  Json counters;
  {
    Emulated all(recipe);
    steps_of(all.trainer, 2);
    half = copies(all.trainer);
    counters = all.trainer.counters();
    steps_of(all.trainer, 2);
    whole = copies(all.trainer);
  }
  Emulated resumed(recipe);
  steps_of(resumed.trainer, 1);  // what was read ahead must be forgotten
  const auto tensors = resumed.trainer.tensors();
  for (std::size_t i = 0; i < half.size(); ++i) {
    const at::NoGradGuard no_grad;
    tensors[i].second.copy_(half[i]);
  }
  resumed.trainer.restore_counters(counters, "test");
  steps_of(resumed.trainer, 2);
  const std::vector<at::Tensor> got = copies(resumed.trainer);
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(at::equal(got[i], whole[i])) << tensors[i].first;
}

/// Images that cannot be read from number `first` on.
class Broken : public testing::ShadedImages {
 public:
  explicit Broken(std::int64_t calls) : left_(calls) {}
  Image read(std::int64_t index) const override {
    if (left_-- <= 0) fail("image {} cannot be read", index);
    return ShadedImages::read(index);
  }

 private:
  mutable std::atomic<std::int64_t> left_;
};

TEST(DeviceStep, ThrowsAnErrorOfReadingAtTheStepThatNeedsTheImage) {
  Recipe recipe = small_recipe(64);
  recipe.data.threads = 0;
  // Without a cache every read reaches the source; the constructor reads what it needs for the description.
  const auto data = std::make_shared<const Dataset>(std::make_unique<Broken>(64 + 20), /*cache_bytes=*/0);
  Emulated emulated(recipe, data);
  std::int64_t done = 0;
  try {
    for (; done < 8; ++done) emulated.trainer.step();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("cannot be read"), std::string::npos) << error.what();
  }
  EXPECT_GE(done, 2);
  EXPECT_EQ(emulated.trainer.images(), 8 * done);
  EXPECT_TRUE(emulated.trainer.whole());
}

TEST(DeviceStep, SkipsAStepWithALossThatIsNotFinite) {
  const Recipe recipe = small_recipe(64);
  Emulated emulated(recipe);
  emulated.trainer.step();
  {
    const at::NoGradGuard no_grad;
    emulated.trainer.parameters().items()[0].tensor.view(-1)[0] = std::nanf("");
  }
  const StepResult result = emulated.trainer.step();
  EXPECT_TRUE(result.skipped);
  EXPECT_EQ(emulated.trainer.skipped_steps(), 1);
  EXPECT_EQ(emulated.trainer.counters()["optimiser_steps"], 1);
  EXPECT_EQ(emulated.trainer.images(), 16);
}

}  // namespace
}  // namespace diffit::training
