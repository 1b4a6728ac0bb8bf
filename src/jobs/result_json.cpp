#include "jobs/result_json.h"

#include <fmt/format.h>

namespace diffit::jobs {

Json json_of(const SampleResult& r) {
  return {{"count", r.count},
          {"resumed_after", r.resumed_after},
          {"evaluations", r.evaluations},
          {"evaluations_saved", r.evaluations_saved},
          {"seconds", r.seconds},
          {"made_by", Json::parse(r.made_by)},
          {"warnings", r.warnings}};
}

Json json_of(const TrainResult& r) {
  return {{"folder", r.folder},  {"model", r.model},
          {"images", r.images},  {"nothing_left", r.nothing_left},
          {"loss", r.loss},      {"images_per_second", r.images_per_second},
          {"skipped", r.skipped}};
}

Json json_of(const StatisticsResult& r) {
  return {{"images", r.images},
          {"width", r.width},
          {"height", r.height},
          {"channels", r.channels},
          {"network", {{"name", r.network}, {"identity", r.identity}}},
          {"features", r.features},
          {"spatial_features", r.spatial_features},
          {"kept_features", r.kept_features},
          {"warnings", r.warnings}};
}

Json json_of(const EncodeResult& r) {
  return {{"shape", r.shape},
          {"scale", r.scale},
          {"scale_from", r.scale_from},
          {"vae_identity", r.vae_identity},
          {"mean", r.mean},
          {"standard_deviation", r.deviation},
          {"seconds", r.seconds}};
}

Json json_of(const DecodeResult& r) {
  return {{"shape", r.shape},
          {"scale", r.scale},
          {"scale_from", r.scale_from},
          {"tile", r.tile},
          {"seconds", r.seconds}};
}

Json json_of(const LatentData& r) {
  return {{"source", r.source},
          {"images", r.images},
          {"width", r.width},
          {"height", r.height},
          {"channels", r.channels},
          {"classes", r.classes},
          {"shards", r.shards},
          {"vae_identity", r.vae_identity},
          {"scale", r.scale},
          {"mean", r.mean},
          {"standard_deviation", r.deviation}};
}

Json json_of(const ConvertDataResult& r) {
  Json object = {{"images", r.images},       {"resolution", r.resolution},
                 {"channels", r.channels},   {"classes", r.classes},
                 {"skipped", Json::array()}, {"source", Json::parse(r.source_json)},
                 {"warnings", r.warnings}};
  for (const SkippedImage& image : r.skipped)
    object["skipped"].push_back({{"name", image.name}, {"index", image.index}, {"reason", image.reason}});
  return object;
}

Json selected(const Json& object, std::initializer_list<std::pair<const char*, const char*>> names) {
  Json result = Json::object();
  for (const auto& [name, place] : names)
    result[name] = object.at(Json::json_pointer(fmt::format("/{}", place)));
  return result;
}

}  // namespace diffit::jobs
