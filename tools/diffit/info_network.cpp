#include "tools/diffit/info_network.h"

#include "base/text.h"
#include "metrics/feature_network.h"
#include "model/model_file.h"

namespace diffit::cli {

void describe_feature_network(const WeightsFile& file, const CommonOptions& common) {
  const auto network = make_feature_network(file, at::kCPU, at::kFloat);
  const FeatureInfo& info = network->info();
  std::int64_t numbers = 0;
  for (const TensorView& view : file.tensors()) numbers += view.count();
  Json metadata = Json::object();
  for (const auto& [key, value] : file.metadata()) {
    if (key.starts_with("diffit.") && value.size() < 4096) metadata[key] = value;
  }
  const Json object = {{"path", file.path().string()},
                       {"kind", "feature network"},
                       {"file", file.kind()},
                       {"name", info.name},
                       {"identity", info.identity},
                       {"frechet", info.frechet_label()},
                       {"width", info.width},
                       {"spatial", info.spatial},
                       {"classes", info.classes},
                       {"numbers", numbers},
                       {"tensors", file.tensors().size()},
                       {"metadata", metadata}};
  std::string text = fmt::format("{} ({})\n{}, a feature network of identity {}\n", file.path().string(),
                                 file.kind(), info.name, info.identity);
  text += fmt::format("{} features per image, {} classes: {}{}, IS, precision and recall\n", info.width,
                      info.classes, info.frechet_label(),
                      info.spatial > 0 ? fmt::format(", sFID with {} numbers", info.spatial) : "");
  text += fmt::format("{} numbers in {} tensors\n", human_count(static_cast<double>(numbers)),
                      file.tensors().size());
  for (const auto& [key, value] : metadata.items())
    text += fmt::format("{} = {}\n", key, value.get<std::string>());
  print_result(common, object, text);
}

}  // namespace diffit::cli
