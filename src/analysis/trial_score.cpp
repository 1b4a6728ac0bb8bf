#include "analysis/trial_score.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "diffusion/generate.h"
#include "diffusion/images.h"
#include "io/tensors/safetensors.h"
#include "metrics/bootstrap.h"
#include "metrics/frechet.h"
#include "model/model_file.h"
#include "nn/layers/weights_fingerprint.h"
#include "train/dataset_images.h"

namespace diffit::analysis {

namespace {

constexpr std::int64_t kBatch = 250;

/// What a kept file says of itself: the data and the network that its numbers are of. Images stand for the
/// rest: the first, the last and some between, so that other data in the same place are another set.
Metadata origin_of(const Dataset& data, const FeatureNetwork& network) {
  constexpr std::int64_t kLooked = 16;
  std::string seen;
  std::vector<std::uint8_t> pixels(
      static_cast<std::size_t>(data.resolution() * data.resolution() * data.channels()));
  for (std::int64_t i = 0; i < std::min(kLooked, data.size()); ++i) {
    const std::int64_t index = kLooked < data.size() ? i * (data.size() - 1) / (kLooked - 1) : i;
    data.read(index, pixels);
    seen += data.source().name(index) + '\0';
    seen.append(reinterpret_cast<const char*>(pixels.data()), pixels.size());
  }
  const FeatureInfo& info = network.info();
  return {{"network", info.name},
          {"network_identity", info.identity},
          {"data", data.source().describe()},
          {"pictures", std::to_string(data.size())},
          {"resolution", std::to_string(data.resolution())},
          {"channels", std::to_string(data.channels())},
          {"looked_at", identity_of(seen)}};
}

fs::path kept_path(const Metadata& origin, const fs::path& folder) {
  std::string all;
  for (const auto& [key, value] : origin) all += key + '\0' + value + '\0';
  return folder / fmt::format("reference-{}-{}.safetensors", origin.at("network_identity"), identity_of(all));
}

/// What a kept file holds, where it is whole and says that it is of `origin`.
std::optional<Gaussian> read_kept(const fs::path& path, const Metadata& origin, std::int64_t width,
                                  std::int64_t samples) {
  std::error_code none;
  if (!fs::exists(path, none)) return std::nullopt;
  try {
    const SafetensorsFile file(path);
    Gaussian kept{to_tensor(file.at("mean")), to_tensor(file.at("covariance")), samples};
    const bool fits =
        file.metadata() == origin && kept.mean.sizes() == at::IntArrayRef{width} &&
        kept.covariance.sizes() == at::IntArrayRef{width, width} && kept.mean.scalar_type() == at::kDouble &&
        kept.covariance.scalar_type() == at::kDouble && at::isfinite(kept.mean).all().item<bool>() &&
        at::isfinite(kept.covariance).all().item<bool>();
    return fits ? std::optional(std::move(kept)) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;  // damaged: it is made again
  }
}

}  // namespace

Gaussian features_of(const Dataset& data, const FeatureNetwork& network,
                     const std::function<void(std::int64_t, std::int64_t)>& progress) {
  Moments moments(network.info().width);
  for (std::int64_t first = 0; first < data.size(); first += kBatch) {
    const std::int64_t count = std::min(kBatch, data.size() - first);
    moments.add(network.extract(image_bytes(data, index_range(first, count))).pooled);
    if (progress) progress(first + count, data.size());
  }
  return moments.gaussian();
}

Gaussian kept_features_of(const Dataset& data, const FeatureNetwork& network, const fs::path& folder,
                          const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const Metadata origin = origin_of(data, network);
  const fs::path path = kept_path(origin, folder);
  if (auto kept = read_kept(path, origin, network.info().width, data.size())) return *std::move(kept);
  const Gaussian found = features_of(data, network, progress);
  const TensorView views[] = {view_of("mean", found.mean), view_of("covariance", found.covariance)};
  write_safetensors(path, views, origin);
  return found;
}

Score score_model(const ScoreRequest& request, const FeatureNetwork& network, const Gaussian& reference,
                  const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const LoadedModel loaded = load_model(WeightsFile(request.model), request.device);
  const auto* model = std::get_if<ImageDiffiT>(&loaded);
  DIFFIT_CHECK(model != nullptr, "{}: wanted an image-space model", request.model.string());
  ImageRequest wanted;
  wanted.steps = request.steps;
  wanted.batch = request.batch;
  wanted.dtype = request.dtype;
  wanted.ask_for_first(request.samples, model->config().classes);

  std::vector<at::Tensor> pieces;
  Moments moments(network.info().width);
  generate(
      *model, wanted,
      [&](std::int64_t, const at::Tensor& samples) {
        pieces.push_back(network.extract(to_pixels(samples)).pooled);
        moments.add(pieces.back());
      },
      progress);
  const FrechetDistance distance(moments.gaussian(), reference, /*influence=*/true);
  const Interval interval = bootstrap_interval(distance.value(), distance.influence(at::cat(pieces)));
  return {.samples = request.samples,
          .value = distance.value(),
          .low = interval.low,
          .high = interval.high,
          .deviation = interval.deviation,
          .full_rank = distance.rank_a() == distance.width()};
}

Json to_json(const Score& s) {
  return {{"images", s.images}, {"pictures", s.samples},    {"value", s.value},        {"low", s.low},
          {"high", s.high},     {"deviation", s.deviation}, {"full_rank", s.full_rank}};
}

Score score_from_json(const Json& object, const std::string& where) {
  Score s;
  try {
    s.images = object.at("images");
    s.samples = object.at("pictures");
    s.value = object.at("value");
    s.low = object.at("low");
    s.high = object.at("high");
    s.deviation = object.at("deviation");
    s.full_rank = object.at("full_rank");
  } catch (const Json::exception&) {
    reject("{}: a score lacks one of images, images, value, low, high, deviation, full_rank", where);
  }
  return s;
}

}  // namespace diffit::analysis
