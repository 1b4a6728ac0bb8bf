#include "nn/features/inception.h"

#include <cmath>
#include <cstring>
#include <list>

#include "base/test_folder.h"
#include "kernels/ops.h"
#include "kernels/testing.h"
#include "nn/features/inception_input.h"
#include "nn/layers/weights_io.h"
#include "runtime/pch.h"

namespace diffit::nn {
namespace {

using at::Tensor;
using testing::expect_close;
using testing::expect_rejected;

/// Names and shapes of pytorch-fid's file, written down independently of the network's own table, with the
/// block widths of Szegedy et al.
class Names {
 public:
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> all;

  Names() {
    conv("Conv2d_1a_3x3", 3, 32, 3, 3);
    conv("Conv2d_2a_3x3", 32, 32, 3, 3);
    conv("Conv2d_2b_3x3", 32, 64, 3, 3);
    conv("Conv2d_3b_1x1", 64, 80, 1, 1);
    conv("Conv2d_4a_3x3", 80, 192, 3, 3);
    a("Mixed_5b", 192, 32);
    a("Mixed_5c", 256, 64);
    a("Mixed_5d", 288, 64);
    conv("Mixed_6a.branch3x3", 288, 384, 3, 3);
    conv("Mixed_6a.branch3x3dbl_1", 288, 64, 1, 1);
    conv("Mixed_6a.branch3x3dbl_2", 64, 96, 3, 3);
    conv("Mixed_6a.branch3x3dbl_3", 96, 96, 3, 3);
    c("Mixed_6b", 128);
    c("Mixed_6c", 160);
    c("Mixed_6d", 160);
    c("Mixed_6e", 192);
    conv("Mixed_7a.branch3x3_1", 768, 192, 1, 1);
    conv("Mixed_7a.branch3x3_2", 192, 320, 3, 3);
    conv("Mixed_7a.branch7x7x3_1", 768, 192, 1, 1);
    conv("Mixed_7a.branch7x7x3_2", 192, 192, 1, 7);
    conv("Mixed_7a.branch7x7x3_3", 192, 192, 7, 1);
    conv("Mixed_7a.branch7x7x3_4", 192, 192, 3, 3);
    e("Mixed_7b", 1280);
    e("Mixed_7c", 2048);
    all.push_back({"fc.weight", {1008, 2048}});
    all.push_back({"fc.bias", {1008}});
  }

 private:
  void conv(const std::string& name, std::int64_t in, std::int64_t out, std::int64_t h, std::int64_t w) {
    all.push_back({name + ".conv.weight", {out, in, h, w}});
    for (const char* part : {"weight", "bias", "running_mean", "running_var"})
      all.push_back({name + ".bn." + part, {out}});
  }
  void a(const std::string& name, std::int64_t in, std::int64_t pool) {
    conv(name + ".branch1x1", in, 64, 1, 1);
    conv(name + ".branch5x5_1", in, 48, 1, 1);
    conv(name + ".branch5x5_2", 48, 64, 5, 5);
    conv(name + ".branch3x3dbl_1", in, 64, 1, 1);
    conv(name + ".branch3x3dbl_2", 64, 96, 3, 3);
    conv(name + ".branch3x3dbl_3", 96, 96, 3, 3);
    conv(name + ".branch_pool", in, pool, 1, 1);
  }
  void c(const std::string& name, std::int64_t width) {
    conv(name + ".branch1x1", 768, 192, 1, 1);
    conv(name + ".branch7x7_1", 768, width, 1, 1);
    conv(name + ".branch7x7_2", width, width, 1, 7);
    conv(name + ".branch7x7_3", width, 192, 7, 1);
    conv(name + ".branch7x7dbl_1", 768, width, 1, 1);
    conv(name + ".branch7x7dbl_2", width, width, 7, 1);
    conv(name + ".branch7x7dbl_3", width, width, 1, 7);
    conv(name + ".branch7x7dbl_4", width, width, 7, 1);
    conv(name + ".branch7x7dbl_5", width, 192, 1, 7);
    conv(name + ".branch_pool", 768, 192, 1, 1);
  }
  void e(const std::string& name, std::int64_t in) {
    conv(name + ".branch1x1", in, 320, 1, 1);
    conv(name + ".branch3x3_1", in, 384, 1, 1);
    conv(name + ".branch3x3_2a", 384, 384, 1, 3);
    conv(name + ".branch3x3_2b", 384, 384, 3, 1);
    conv(name + ".branch3x3dbl_1", in, 448, 1, 1);
    conv(name + ".branch3x3dbl_2", 448, 384, 3, 3);
    conv(name + ".branch3x3dbl_3a", 384, 384, 1, 3);
    conv(name + ".branch3x3dbl_3b", 384, 384, 3, 1);
    conv(name + ".branch_pool", in, 192, 1, 1);
  }
};

/// Same formula as in tests/golden/make_inception.py.
Tensor by_formula(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::uint64_t seed = 0xcbf29ce484222325;
  for (const unsigned char byte : name) seed = (seed ^ byte) * 0x100000001b3;
  Tensor out = at::empty(shape, at::kFloat);
  auto* values = out.mutable_data_ptr<float>();
  const std::int64_t fan_in = out.numel() / shape[0];
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    std::uint64_t z = seed + static_cast<std::uint64_t>(i) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    double u = static_cast<double>(z >> 40) / 8388608.0 - 1;
    if (name.ends_with(".conv.weight")) {
      u *= std::sqrt(6 / static_cast<double>(fan_in));
    } else if (name.ends_with(".bn.weight")) {
      u = 1 + 0.2 * u;
    } else if (name.ends_with(".bn.running_var")) {
      u = 1 + 0.5 * u;
    } else {
      u *= 0.1;
    }
    values[i] = static_cast<float>(u);
  }
  return out;
}

struct File {
  std::list<Tensor> tensors;
  std::vector<TensorView> views;

  void add(const std::string& name, const Tensor& tensor) {
    views.push_back(view_of(name, tensors.emplace_back(tensor)));
  }
  TensorView& at(const std::string& name) {
    return *std::find_if(views.begin(), views.end(), [&](const TensorView& v) { return v.name == name; });
  }
};

const File& formula_file() {
  static const File file = [] {
    File made;
    for (const auto& [name, shape] : Names().all) made.add(name, by_formula(name, shape));
    return made;
  }();
  return file;
}

const Inception& network() {
  static const Inception made(formula_file().views, "formula", at::kCPU, at::kFloat);
  return made;
}

class InceptionGolden : public ::testing::TestWithParam<std::string> {
 protected:
  InceptionGolden() : file_(fs::path(DIFFIT_SOURCE_DIR) / "tests/golden/inception.safetensors") {}
  Tensor read(const std::string& name) const { return to_tensor(file_.at(GetParam() + "." + name)); }

  /// Tolerance: see docs/numerics.md, "Networks against golden states".
  void expect_as_reference(const Tensor& got, const std::string& name) const {
    const Tensor exact = read("exact." + name);
    const double theirs = (read("reference." + name) - exact).abs().max().item<double>();
    expect_close(got, exact, 8 * (theirs + exact.abs().max().item<double>() * 6e-8), GetParam() + " " + name);
  }

  SafetensorsFile file_;
};

TEST_P(InceptionGolden, MatchesTorchFidelityAndPytorchFid) {
  const Tensor images = read("pictures");
  const InceptionFeatures features = network()(images);
  using at::indexing::None, at::indexing::Slice;
  expect_as_reference(inception_input(images).index({Slice(), Slice(None, None, 23), Slice(None, None, 13)}),
                      "input");
  expect_as_reference(features.pooled, "pooled");
  expect_as_reference(features.spatial, "spatial");
  expect_as_reference(features.probabilities, "probabilities");
  // Both results have their own rounding error.
  const Tensor exact = read("exact.pooled"), other = read("pytorch_fid.pooled");
  const double theirs = (other - exact).abs().max().item<double>() + exact.abs().max().item<double>() * 6e-8;
  expect_close(features.pooled, other.to(at::kDouble), 9 * theirs, "pytorch-fid");
}

INSTANTIATE_TEST_SUITE_P(Cases, InceptionGolden, ::testing::Values("square", "oblong"),
                         [](const auto& test) { return test.param; });

TEST(Inception, FastKernelsMatchLibTorchConvolutions) {
  const Tensor images = at::randint(0, 256, {2, 40, 48, 3}, at::kByte);
  const InceptionFeatures fast = network()(images);
  use_fast_kernels(false);
  const InceptionFeatures plain = Inception(formula_file().views, "formula", at::kCPU, at::kFloat)(images);
  use_fast_kernels(true);
  // 94 convolutions, each a sum of n <= 3456 terms with an error of at most lambda sqrt(n) u.
  const double bound = 4 * std::sqrt(94.0 * 3456) * testing::epsilon(at::kFloat);
  expect_close(fast.pooled, plain.pooled, bound * plain.pooled.abs().max().item<double>(), "pooled");
  expect_close(fast.spatial, plain.spatial, bound * plain.spatial.abs().max().item<double>(), "spatial");
}

TEST(Inception, Bfloat16ErrorIsWithinRounding) {
  const Tensor images = at::randint(0, 256, {2, 32, 32, 3}, at::kByte);
  const Tensor exact = network()(images).pooled;
  const Tensor rounded = Inception(formula_file().views, "formula", at::kCPU, at::kBFloat16)(images).pooled;
  // About twenty convolutions on each path, with three roundings each (input, weight, result), add up as a
  // random walk; the bound is four standard deviations, relative to the largest feature.
  const double bound = 4 * std::sqrt(60.0) * testing::epsilon(at::kBFloat16);
  expect_close(rounded, exact, bound * exact.abs().max().item<double>(), "bfloat16");
  EXPECT_FALSE(at::equal(rounded, exact));
}

TEST(Inception, FeaturesDoNotDependOnBatch) {
  const Tensor images = at::randint(0, 256, {3, 24, 24, 3}, at::kByte);
  const InceptionFeatures together = network()(images);
  for (std::int64_t b = 0; b < 3; ++b) {
    const InceptionFeatures alone = network()(images.narrow(0, b, 1));
    const double bound = 4 * std::sqrt(94.0 * 3456) * testing::epsilon(at::kFloat);
    expect_close(alone.pooled, together.pooled.narrow(0, b, 1),
                 bound * together.pooled.abs().max().item<double>(), "alone");
  }
}

TEST(Inception, RepeatsGrayChannel) {
  const Tensor grey = at::randint(0, 256, {1, 28, 28, 1}, at::kByte);
  EXPECT_TRUE(at::equal(inception_input(grey), inception_input(grey.expand({1, 28, 28, 3}).contiguous())));
}

/// The definition in float64: the value at (y, x) is the tent-weighted sum of the four surrounding pixels.
Tensor resized_by_formula(const Tensor& images) {
  const auto weights = [](std::int64_t in) {
    Tensor w = at::zeros({kInceptionSide, in}, at::kDouble);
    for (std::int64_t i = 0; i < kInceptionSide; ++i) {
      const std::int64_t floor = i * in / kInceptionSide;
      const double part = static_cast<double>(i * in % kInceptionSide) / static_cast<double>(kInceptionSide);
      w[i][floor] += 1 - part;
      w[i][std::min(floor + 1, in - 1)] += part;
    }
    return w;
  };
  const Tensor rows = weights(images.size(1)), columns = weights(images.size(2));
  const Tensor planes = images.to(at::kDouble).permute({0, 3, 1, 2});  // [B, C, H, W]
  const Tensor resized = at::matmul(at::matmul(rows, planes), columns.t());
  return (resized.permute({0, 2, 3, 1}) - 128) / 128;
}

TEST(InceptionInput, MatchesBilinearResizeOfTensorFlow1) {
  at::manual_seed(5);
  for (const auto& [height, width] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {32, 32}, {1, 1}, {2, 300}, {256, 256}, {299, 299}, {598, 26}, {64, 48}, {1024, 700}}) {
    const Tensor images = at::randint(0, 256, {2, height, width, 3}, at::kByte);
    // The position of a pixel is rounded once as a quotient and once as a product, each with an error of u
    // times the position, which changes the value by at most 255 per pixel along each axis; five further
    // roundings of values up to 255 are added.
    const double u = testing::epsilon(at::kFloat);
    const double bound = 255 * u * (2 * static_cast<double>(height + width) + 5) / 128;
    expect_close(inception_input(images), resized_by_formula(images), bound,
                 fmt::format("{} x {}", height, width));
  }
}

TEST(InceptionInput, KeepsImagesOfNativeSize) {
  const Tensor images = at::randint(0, 256, {1, kInceptionSide, kInceptionSide, 3}, at::kByte);
  EXPECT_TRUE(at::equal(inception_input(images), (images.to(at::kFloat) - 128) / 128));
}

TEST(InceptionInput, RejectsInvalidImages) {
  expect_rejected([] { inception_input(at::zeros({1, 8, 8, 4}, at::kByte)); }, {"[1, 8, 8, 4]"});
  expect_rejected([] { inception_input(at::zeros({1, 8, 8, 3})); }, {"bytes", "Float"});
  expect_rejected([] { inception_input(at::zeros({8, 8, 3}, at::kByte)); }, {"[8, 8, 3]"});
}

// ---- files

TEST(InceptionFile, IgnoresExtraTensorsOfTorchvision) {
  File file = formula_file();
  file.add("Mixed_5b.branch1x1.bn.num_batches_tracked", at::zeros({}, at::kLong));
  file.add("AuxLogits.fc.weight", at::zeros({1000, 768}));
  EXPECT_EQ(Inception(file.views, "file", at::kCPU, at::kFloat).identity(), network().identity());
}

TEST(InceptionFile, ListsEveryMismatchedTensor) {
  File file = formula_file();
  std::erase_if(file.views, [](const TensorView& v) { return v.name == "Mixed_6c.branch7x7_2.bn.bias"; });
  file.at("fc.weight").shape = {1000, 2048};
  file.at("fc.weight").bytes = file.at("fc.weight").bytes.first(1000 * 2048 * 4);
  file.add("Mixed_5b.branch9x9.conv.weight", at::zeros({2}));
  expect_rejected([&] { Inception(file.views, "a.pth", at::kCPU, at::kFloat); },
                  {"a.pth", "missing Mixed_6c.branch7x7_2.bn.bias", "fc.weight: wanted shape [1008, 2048]",
                   "unexpected Mixed_5b.branch9x9.conv.weight"});
}

TEST(InceptionFile, RejectsNegativeVariances) {
  File file = formula_file();
  const Tensor variance = at::ones({64});
  variance[3] = -0.5;
  const std::string name = "Mixed_5b.branch1x1.bn.running_var";
  file.at(name) = view_of(name, variance);
  expect_rejected([&] { Inception(file.views, "a.pth", at::kCPU, at::kFloat); }, {"a.pth", name});
}

TEST(InceptionFile, IsRecognizedByTensorNames) {
  EXPECT_TRUE(Inception::is_named_so(formula_file().views));
  EXPECT_FALSE(Inception::is_named_so({}));
}

TEST(InceptionFile, IdentityDependsOnValuesOnly) {
  File file = formula_file();
  std::reverse(file.views.begin(), file.views.end());
  const Tensor wide = file.tensors.back().to(at::kDouble);
  const std::string name = file.views.front().name;
  file.views.front() = view_of(name, wide);
  EXPECT_EQ(Inception(file.views, "file", at::kCPU, at::kFloat).identity(), network().identity());
  EXPECT_EQ(network().identity().size(), 16u);

  wide.view(-1)[0] += 1e-3;
  EXPECT_NE(Inception(file.views, "file", at::kCPU, at::kFloat).identity(), network().identity());
}

}  // namespace
}  // namespace diffit::nn
