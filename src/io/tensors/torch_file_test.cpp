// Files that torch 2.11 itself saved (tests/golden/make_torch_files.py) give what it says they hold.
#include "io/tensors/torch_file.h"

#include "base/test_folder.h"
#include "io/tensors/safetensors.h"
#include "io/tensors/weights_file.h"

namespace diffit::io {
namespace {

using testing::expect_rejected;

fs::path saved(const std::string& name) {
  return fs::path(DIFFIT_SOURCE_DIR) / "tests/golden/torch" / name;
}

void expect_same(const TensorView& got, const TensorView& wanted) {
  EXPECT_EQ(got.dtype, wanted.dtype) << wanted.name;
  EXPECT_EQ(got.shape, wanted.shape) << wanted.name;
  EXPECT_TRUE(std::equal(got.bytes.begin(), got.bytes.end(), wanted.bytes.begin(), wanted.bytes.end()))
      << wanted.name;
}

class SavedByTorch : public ::testing::TestWithParam<const char*> {};

TEST_P(SavedByTorch, TensorsAreBitIdentical) {
  const SafetensorsFile expected(saved("expected.safetensors"));
  WeightsFile opened(saved(std::string(GetParam()) + ".pt"));
  const WeightsFile file(std::move(opened));
  const std::string prefix = std::string(GetParam()) + "/";
  std::size_t count = 0;
  for (const TensorView& wanted : expected.tensors()) {
    if (!wanted.name.starts_with(prefix)) continue;
    expect_same(file.at(wanted.name.substr(prefix.size())), wanted);
    ++count;
  }
  EXPECT_GT(count, 0u);
  EXPECT_EQ(file.tensors().size(), count);
  EXPECT_EQ(file.kind(), "torch");
}

INSTANTIATE_TEST_SUITE_P(, SavedByTorch,
                         ::testing::Values("dtypes", "shared", "module", "parameter", "nested", "parallel",
                                           "optimizer", "protocol4"));

TEST(TorchFile, ContiguousTensorsAreNotCopied) {
  const TorchFile file(saved("shared.pt"), Average::preferred);
  const auto bytes_of = [&](std::string_view name) {
    for (const TensorView& view : file.tensors()) {
      if (view.name == name) return view.bytes;
    }
    return std::span<const std::byte>();
  };
  EXPECT_EQ(bytes_of("again").data(), bytes_of("whole").data());
  EXPECT_EQ(bytes_of("row").data(), bytes_of("whole").data() + 2 * 6 * sizeof(float));
  EXPECT_NE(bytes_of("columns").data(), bytes_of("whole").data() + sizeof(float));
}

TEST(TorchFile, SelectsOrRejectsEmaWeights) {
  const SafetensorsFile expected(saved("expected.safetensors"));
  expect_same(WeightsFile(saved("nested.pt"), Average::wanted).at("0.bias"), expected.at("nested/0.bias"));
  expect_same(WeightsFile(saved("nested.pt"), Average::refused).at("0.bias"), expected.at("module/0.bias"));
  expect_rejected([] { WeightsFile(saved("module.pt"), Average::wanted); },
                  {"module.pt", "EMA weights", "0.weight", "`ema`"});
  expect_rejected([] { WeightsFile(saved("optimizer.pt"), Average::wanted); }, {"state_dict, opt"});
}

TEST(TorchFile, RejectsOtherContentsWithAdvice) {
  expect_rejected([] { WeightsFile(saved("old.pt")); }, {"old.pt", "before 1.6", "torch.save"});
  expect_rejected([] { WeightsFile(saved("object.pt")); },
                  {"object.pt", "torch.nn.modules.linear.Linear", "state_dict()"});
}

}  // namespace
}  // namespace diffit::io
