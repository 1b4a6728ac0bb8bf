#include "train/training_data.h"

#include "base/error.h"

namespace diffit::training {

TrainingData open_training_data(const Recipe& recipe, const std::string& where) {
  const std::string hint = recipe.data.hint.empty() ? "" : "; " + recipe.data.hint;
  DIFFIT_CHECK(!recipe.data.path.empty(), "{}: data.path is not set: give `data` PATH{}", where, hint);
  std::error_code none;
  DIFFIT_CHECK(fs::exists(recipe.data.path, none), "{}: there is no such file or folder{}", recipe.data.path,
               hint);
  if (recipe.kind() == ModelKind::latent) {
    return std::make_shared<const LatentDataset>(recipe.data.path);
  }
  DIFFIT_CHECK(!holds_latents(recipe.data.path),
               "{}: contains latents, which need model.model = \"latent\"; this recipe needs images",
               recipe.data.path);
  return open_dataset(recipe.data.path, recipe.data.size);
}

void resolve(Recipe& recipe, const TrainingData& data, const std::string& where) {
  resolve_epochs(recipe, summary(data).images, where);
  if (const auto* latents = std::get_if<std::shared_ptr<const LatentDataset>>(&data)) {
    resolve_latents(recipe, (*latents)->info(), where);
    return;
  }
  const Dataset& images = *std::get<std::shared_ptr<const Dataset>>(data);
  if (recipe.kind() == ModelKind::vae) {
    resolve_vae(recipe, images.resolution(), images.channels(), where);
    return;
  }
  if (recipe.kind() == ModelKind::classifier) {
    resolve_classifier(recipe, images.resolution(), images.channels(), images.classes(), where);
    open_test_set(recipe, images);
    return;
  }
  resolve_model(recipe, images.resolution(), images.channels(), images.classes(), where);
}

DataSummary summary(const TrainingData& data) {
  if (const auto* latents = std::get_if<std::shared_ptr<const LatentDataset>>(&data)) {
    const LatentInfo& info = (*latents)->info();
    return {info.images, info.height, info.channels, info.classes,
            fmt::format("latents of {}, mean {:.4f} and standard deviation {:.4f} after scaling by {:.6g}, "
                        "encoded by the VAE {}",
                        info.source, info.mean, info.deviation, info.scale, info.vae)};
  }
  const Dataset& images = *std::get<std::shared_ptr<const Dataset>>(data);
  return {images.size(), images.resolution(), images.channels(), images.classes(),
          images.source().describe()};
}

}  // namespace diffit::training
