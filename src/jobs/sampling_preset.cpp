#include "jobs/sampling_preset.h"

#include "base/bundled.h"
#include "io/text_file.h"

#include "runtime/runtime.h"

namespace diffit::jobs {

namespace {

struct ModelOfPreset {
  std::int64_t input_size = 0;
};
template <class V>
void visit_fields(V& v, ModelOfPreset& m) {
  v("input_size", m.input_size, "side of the latents", 1, 4096);
}

}  // namespace

std::vector<std::string> sampling_preset_names() {
  return stems(home() / "presets/sampling", ".toml");
}

SamplingPreset read_sampling_preset(const std::string& name) {
  const fs::path path = find_file(name, "`preset`", home() / "presets/sampling", ".toml");
  const std::string where = path.string();
  const Json toml = read_toml(path);
  SamplingPreset preset;
  ModelOfPreset model;
  for (const auto& [key, table] : toml.items()) {
    const std::string place = where + ": " + key;
    if (key == "published") {
      read_fields(preset.published, table, place);
    } else if (key == "model") {
      read_fields(model, table, place);
    } else if (key == "sample") {
      read_fields(preset.sample, table, place);
    } else {
      reject("{}: a sampling preset needs the tables published, model and sample", place);
    }
  }
  preset.input_size = model.input_size;
  return preset;
}

}  // namespace diffit::jobs
