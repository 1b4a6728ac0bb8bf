#include "metrics/feature_network.h"

#include <algorithm>
#include <cctype>

#include "base/bundled.h"
#include "base/error.h"
#include "kernels/pch.h"
#include "nn/inception.h"

namespace diffit {

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

  Features extract(const at::Tensor& pictures) const override {
    InceptionFeatures f = network_(pictures);
    return {std::move(f.pooled), std::move(f.spatial), std::move(f.probabilities)};
  }

 private:
  Inception network_;
  FeatureInfo info_;
};

}  // namespace

std::unique_ptr<FeatureNetwork> make_feature_network(const WeightsFile& file, at::Device device,
                                                     at::ScalarType dtype) {
  DIFFIT_CHECK(
      Inception::is_named_so(file.tensors()),
      "{}: wanted a feature network: Inception-v3 of 2015-12-05 under pytorch-fid's names "
      "(Mixed_5b.branch1x1.conv.weight, ...), or a bundled one by name; its tensors are not named so",
      file.path().string());
  return std::make_unique<InceptionNetwork>(file, device, dtype);
}

std::unique_ptr<FeatureNetwork> load_feature_network(const std::string& path_or_name, at::Device device,
                                                     at::ScalarType dtype) {
  const WeightsFile file(find_file(path_or_name, "feature network", home() / "models", ".safetensors"));
  return make_feature_network(file, device, dtype);
}

}  // namespace diffit
