#include "analysis/trial_score.h"

#include <algorithm>

#include "base/error.h"
#include "diffusion/generate.h"
#include "diffusion/pictures.h"
#include "io/safetensors.h"
#include "metrics/bootstrap.h"
#include "metrics/frechet.h"
#include "nn/identity.h"
#include "train/dataset_pictures.h"
#include "train/model_file.h"

namespace diffit {

namespace {

constexpr std::int64_t kBatch = 250;

fs::path kept_path(const Dataset& data, const FeatureNetwork& network, const fs::path& folder) {
  const std::string source =
      fmt::format("{} {} {}", data.source().describe(), data.size(), data.resolution());
  return folder / fmt::format("reference-{}-{:08x}.safetensors", network.info().identity,
                              static_cast<std::uint32_t>(std::hash<std::string>{}(source)));
}

}  // namespace

Gaussian features_of(const Dataset& data, const FeatureNetwork& network,
                     const std::function<void(std::int64_t, std::int64_t)>& progress) {
  Moments moments(network.info().width);
  for (std::int64_t first = 0; first < data.size(); first += kBatch) {
    const std::int64_t count = std::min(kBatch, data.size() - first);
    moments.add(network.extract(picture_bytes(data, index_range(first, count))).pooled);
    if (progress) progress(first + count, data.size());
  }
  return moments.gaussian();
}

Gaussian kept_features_of(const Dataset& data, const FeatureNetwork& network, const fs::path& folder,
                          const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const fs::path path = kept_path(data, network, folder);
  std::error_code none;
  if (fs::exists(path, none)) {
    const SafetensorsFile file(path);
    return {to_tensor(file.at("mean")), to_tensor(file.at("covariance")), data.size()};
  }
  const Gaussian found = features_of(data, network, progress);
  const TensorView views[] = {view_of("mean", found.mean), view_of("covariance", found.covariance)};
  write_safetensors(path, views, {{"network", network.info().name}, {"data", data.source().describe()}});
  return found;
}

Score score_model(const ScoreRequest& request, const FeatureNetwork& network, const Gaussian& reference,
                  const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const Model loaded = load_model(WeightsFile(request.model), request.device);
  const auto* model = std::get_if<ImageDiffiT>(&loaded);
  DIFFIT_CHECK(model != nullptr, "{}: wanted an image-space model", request.model.string());
  ImageRequest wanted;
  wanted.steps = request.steps;
  wanted.batch = request.batch;
  wanted.dtype = request.dtype;
  wanted.ask_for_first(request.pictures, model->config().classes);

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
  return {.pictures = request.pictures,
          .value = distance.value(),
          .low = interval.low,
          .high = interval.high,
          .deviation = interval.deviation,
          .full_rank = distance.rank_a() == distance.width()};
}

Json to_json(const Score& s) {
  return {{"images", s.images}, {"pictures", s.pictures},   {"value", s.value},        {"low", s.low},
          {"high", s.high},     {"deviation", s.deviation}, {"full_rank", s.full_rank}};
}

Score score_from_json(const Json& object, const std::string& where) {
  Score s;
  try {
    s.images = object.at("images");
    s.pictures = object.at("pictures");
    s.value = object.at("value");
    s.low = object.at("low");
    s.high = object.at("high");
    s.deviation = object.at("deviation");
    s.full_rank = object.at("full_rank");
  } catch (const Json::exception&) {
    reject("{}: a score lacks one of images, pictures, value, low, high, deviation, full_rank", where);
  }
  return s;
}

}  // namespace diffit
