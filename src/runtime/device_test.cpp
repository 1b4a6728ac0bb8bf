#include "runtime/device.h"

#include <ATen/Context.h>
#include <gtest/gtest.h>

namespace diffit::runtime {
namespace {

// PyTorch allows TF32 in convolutions by default; a model opened from Python computed with it.
TEST(GpuNumerics, SwitchOffTf32AndNondeterminism) {
  at::Context& context = at::globalContext();
  const bool deterministic = context.deterministicAlgorithms();
  context.setAllowTF32CuDNN(true);
  context.setDeterministicAlgorithms(false, false);
  use_gpu_numerics();
  EXPECT_FALSE(context.allowTF32CuDNN());
  EXPECT_TRUE(context.deterministicAlgorithms());
  EXPECT_TRUE(context.deterministicCuDNN());
  context.setDeterministicAlgorithms(deterministic, false);
}

}  // namespace
}  // namespace diffit::runtime
