#include "jobs/bench/random_data.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/random.h"
#include "config/set_option.h"

namespace diffit::jobs {

namespace {

/// Images of random bytes.
class RandomImages : public ImageSource {
 public:
  RandomImages(std::int64_t side, std::int64_t channels, std::int64_t classes)
      : side_(side), channels_(channels), classes_(classes) {}
  std::int64_t size() const override { return 1024; }
  Image read(std::int64_t index) const override {
    Image p{side_, side_, channels_, {}};
    p.pixels.resize(static_cast<std::size_t>(p.width * p.height * p.channels));
    Random random(0, stream_of(Purpose::test, static_cast<std::uint64_t>(index)));
    for (std::uint8_t& pixel : p.pixels) pixel = static_cast<std::uint8_t>(random.bits());
    return p;
  }
  std::int64_t classes() const override { return classes_; }
  std::int64_t label(std::int64_t index) const override {
    return index % std::max<std::int64_t>(classes_, 1);
  }
  std::string describe() const override { return "random images"; }
  std::string name(std::int64_t index) const override { return std::to_string(index); }

 private:
  std::int64_t side_, channels_, classes_;
};

TrainingData images(std::int64_t side, std::int64_t channels, std::int64_t classes) {
  return std::make_shared<const Dataset>(std::make_unique<RandomImages>(side, channels, classes));
}

/// Writes a cache of random latents for the model of a recipe.
void write_latents(const fs::path& folder, const Recipe& recipe, const std::string& where) {
  const auto config = std::get<LatentConfig>(read_model_config(recipe.model, where + ": model"));
  LatentInfo info;
  info.vae = recipe.data.vae.empty() ? "random" : recipe.data.vae;
  info.scale = recipe.data.scale > 0 ? recipe.data.scale : 1;
  info.source = "random latents";
  info.images = 256;
  info.channels = config.in_channels;
  info.height = info.width = config.input_size;
  info.classes = config.classes;
  LatentShard shard;
  shard.moments.resize(static_cast<std::size_t>(info.images * info.numbers()));
  Random(0, stream_of(Purpose::test)).normal(shard.moments);
  shard.flipped = shard.moments;
  if (info.classes > 0) {
    for (std::int64_t i = 0; i < info.images; ++i) shard.labels.push_back(i % info.classes);
  }
  write_latent_shard(folder, info, shard);
}

fs::path temporary_folder() {
  std::string path = (fs::temp_directory_path() / "diffit-bench-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) fail("{}: no temporary folder can be made", path);
  return path;
}

}  // namespace

RandomData::RandomData(Recipe& recipe, std::int64_t size, const std::string& where) {
  const auto stated = [&](const char* key, std::int64_t otherwise) {
    return read_whole_number(recipe.model, key, otherwise, where + ": model");
  };
  const std::int64_t channels = stated("in_channels", 3), classes = stated("classes", 0);
  std::int64_t side = stated("resolution", size > 0 ? size : 32);
  switch (recipe.kind()) {
    case ModelKind::image:
      resolve_model(recipe, side, channels, classes, where);
      data_ = images(side, channels, classes);
      break;
    case ModelKind::vae:
      side = size > 0 ? size : std::max<std::int64_t>(recipe.data.size, 32);
      resolve_vae(recipe, side, channels, where);
      data_ = images(side, channels, 0);
      break;
    case ModelKind::classifier:
      resolve_classifier(recipe, side, channels, std::max<std::int64_t>(classes, 2), where);
      data_ = images(side, channels, std::max<std::int64_t>(classes, 2));
      break;
    case ModelKind::latent:
      recipe.sample.images = 0;
      folder_ = temporary_folder();
      write_latents(folder_, recipe, where);
      const auto latents = std::make_shared<const LatentDataset>(folder_);
      resolve_latents(recipe, latents->info(), where);
      data_ = latents;
      break;
  }
}

RandomData::~RandomData() {
  if (folder_.empty()) return;
  data_ = {};
  std::error_code none;
  fs::remove_all(folder_, none);
}

}  // namespace diffit::jobs
