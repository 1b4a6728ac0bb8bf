// Noise made on the device against base/random.h.
#include "kernels/cuda/test_target.h"
#include "kernels/device_noise.h"
#include "kernels/testing.h"

namespace diffit::kernels {
namespace {

using testing::Target;

TEST(CudaNoise, GivesTheNumbersOfTheStreamsOfTheImages) {
  const Target target;
  ASSERT_TRUE(has_device_noise(target.device));
  constexpr std::uint64_t kSeed = 0x123456789abcdefULL;
  constexpr std::int64_t kFirst = 70000, kRows = 3;
  for (const DrawnBefore before : {DrawnBefore::nothing, DrawnBefore::normal, DrawnBefore::uniform}) {
    for (const std::int64_t numbers : {1, 2, 7, 1000}) {
      at::Tensor want = at::empty({kRows, numbers}, at::kFloat);
      const at::Tensor scale = at::tensor({1.0F, 0.25F, 80.0F});
      for (std::int64_t i = 0; i < kRows; ++i) {
        Random random(kSeed, stream_of(Purpose::training_noise, static_cast<std::uint64_t>(kFirst + i)));
        if (before == DrawnBefore::normal) random.normal();
        if (before == DrawnBefore::uniform) random.uniform();
        random.normal({want[i].mutable_data_ptr<float>(), static_cast<std::size_t>(numbers)});
        want[i] *= scale[i];
      }
      const at::Tensor got =
          device_noise({kRows, numbers}, kSeed, Purpose::training_noise,
                       at::full({}, kFirst, at::kLong).to(target.device), scale.to(target.device), before)
              .cpu();
      // Both are rounded from float64 results of other libraries.
      testing::expect_close(got, want, 2 * testing::epsilon(at::kFloat) * want.abs() + 1e-12,
                            fmt::format("before {} numbers {}", static_cast<int>(before), numbers));
    }
  }
}

}  // namespace
}  // namespace diffit::kernels
