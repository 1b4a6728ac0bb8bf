#include "metrics/feature_network.h"

#include <algorithm>
#include <cctype>

#include "base/bundled.h"
#include "base/error.h"
#include "model/classifier_file.h"
#include "nn/features/inception.h"
#include "nn/layers/weights_fingerprint.h"
#include "runtime/autocast.h"
#include "runtime/pch.h"

namespace diffit::metrics {

std::string FeatureInfo::frechet_key() const {
  if (inception) return "fid";
  std::string key = "fd_" + name;
  std::transform(key.begin(), key.end(), key.begin(), [](unsigned char c) { return std::tolower(c); });
  return key;
}

std::string FeatureInfo::frechet_label() const {
  return inception ? "FID" : "FD-" + name;
}

namespace {

class InceptionNetwork : public FeatureNetwork {
 public:
  InceptionNetwork(const WeightsFile& file, at::Device device, at::ScalarType dtype)
      : network_(file.tensors(), file.path().string(), device, dtype,
                 [&](const TensorView& view) { file.done_with(view); }),
        info_{.name = "Inception-v3 2015-12-05",
              .identity = network_.identity(),
              .inception = true,
              .width = kInceptionWidth,
              .spatial = kInceptionSpatialSide * kInceptionSpatialSide * kInceptionSpatialChannels,
              .classes = kInceptionClasses} {}

  const FeatureInfo& info() const override { return info_; }

  Features extract(const at::Tensor& images) const override {
    InceptionFeatures f = network_(images);
    return {std::move(f.pooled), std::move(f.spatial), std::move(f.probabilities)};
  }

 private:
  Inception network_;
  FeatureInfo info_;
};

class ClassifierNetwork : public FeatureNetwork {
 public:
  ClassifierNetwork(const WeightsFile& file, at::Device device, at::ScalarType dtype)
      : network_(load_classifier(file, device)),
        device_(device),
        dtype_(dtype),
        info_{.name = network_.config().name,
              .identity = identity_of(network_.parameters()),
              .width = network_.config().width(),
              .classes = network_.config().classes} {}

  const FeatureInfo& info() const override { return info_; }

  Features extract(const at::Tensor& images) const override {
    const at::NoGradGuard no_grad;
    const at::Tensor x = (framed(images).to(at::kFloat) / 127.5 - 1).to(device_);
    const Autocast autocast(device_.type(), dtype_);
    const Classified y = network_(x);
    return {y.features.to(at::kCPU), {}, y.logits.softmax(1).to(at::kCPU)};
  }

 private:
  /// Pads like fitted() with Crop::none in data/fit.h: an odd pixel goes to the right and the bottom.
  at::Tensor framed(const at::Tensor& images) const {
    const ClassifierConfig& c = network_.config();
    const std::int64_t side = c.resolution;
    const bool pixels = images.dim() == 4 && images.scalar_type() == at::kByte && images.is_cpu();
    DIFFIT_CHECK(pixels && (images.size(3) == c.in_channels || images.size(3) == 1),
                 "{} needs {} images, uint8 [B, H, W, {}], got [{}] {}", c.name,
                 c.in_channels == 1 ? "grey" : "RGB", c.in_channels, fmt::join(images.sizes(), ", "),
                 at::toString(images.scalar_type()));
    const std::int64_t height = images.size(1), width = images.size(2);
    DIFFIT_CHECK(
        height <= side && width <= side,
        "{} needs images of at most {} x {}, got {} x {}; resize them with diffit data convert --size {}",
        c.name, side, side, width, height, side);
    const at::Tensor all = images.expand({-1, -1, -1, c.in_channels});
    if (height == side && width == side) return all;
    const std::int64_t left = (side - width) / 2, top = (side - height) / 2;
    return at::constant_pad_nd(all, {0, 0, left, side - width - left, top, side - height - top}, 0);
  }

  Classifier network_;
  at::Device device_;
  at::ScalarType dtype_;
  FeatureInfo info_;
};

}  // namespace

bool holds_feature_network(const WeightsFile& file) {
  return holds_classifier(file) || Inception::is_named_so(file.tensors());
}

std::unique_ptr<FeatureNetwork> make_feature_network(const WeightsFile& file, at::Device device,
                                                     at::ScalarType dtype) {
  if (holds_classifier(file)) return std::make_unique<ClassifierNetwork>(file, device, dtype);
  DIFFIT_CHECK(
      Inception::is_named_so(file.tensors()),
      "{}: wanted a feature network: Inception-v3 of 2015-12-05 with pytorch-fid's tensor names "
      "(Mixed_5b.branch1x1.conv.weight, ...), or the name of a bundled one; its tensors have other names",
      file.path().string());
  return std::make_unique<InceptionNetwork>(file, device, dtype);
}

std::unique_ptr<FeatureNetwork> load_feature_network(const std::string& path_or_name, at::Device device,
                                                     at::ScalarType dtype) {
  const WeightsFile file(find_file(path_or_name, "feature network", home() / "models", ".safetensors"));
  return make_feature_network(file, device, dtype);
}

}  // namespace diffit::metrics
