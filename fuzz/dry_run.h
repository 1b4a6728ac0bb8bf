// `diffit train --dry-run` on text instead of files: all processing of the configuration, without data.
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "analysis/experiment.h"
#include "base/bundled.h"
#include "base/file.h"
#include "train/plan.h"

namespace diffit::analysis {

/// Resolves a recipe against data of this format and plans it. The data have as many classes as the recipe if
/// it has 0 or 1000, and otherwise ten.
inline TrainingPlan dry_run(Recipe recipe, std::int64_t resolution, std::int64_t channels,
                            const std::string& where) {
  const Json stated = recipe.model.value("classes", Json(10));
  const std::int64_t images = 1000, classes = stated == 0 ? 0 : stated == 1000 ? 1000 : 10;
  resolve_epochs(recipe, images, where);
  std::int64_t side = resolution;
  switch (recipe.kind()) {
    case ModelKind::image:
      resolve_model(recipe, resolution, channels, classes, where);
      break;
    case ModelKind::latent: {
      LatentInfo info;
      info.vae = "crc32:00000000";
      info.scale = 0.5;
      info.images = images;
      info.channels = 4;
      info.height = info.width = side = resolution / 8;
      info.classes = classes;
      resolve_latents(recipe, info, where);
      break;
    }
    case ModelKind::vae:
      resolve_vae(recipe, resolution, channels, where);
      break;
    case ModelKind::classifier:
      resolve_classifier(recipe, resolution, channels, classes, where);
      break;
  }
  write_recipe(recipe);
  return plan_training(recipe, side, 4);
}

/// Applies the assignments of --set, then plans a recipe or, if the text has the table [[variant]], an
/// experiment with its variants as changes of `base`.
inline void dry_run_text(const std::string& toml, const std::vector<std::string>& assignments,
                         std::int64_t resolution, std::int64_t channels, const std::string& where) {
  Json json = parse_toml(toml, where);
  for (const std::string& assignment : assignments) set_by_path(json, assignment);
  if (!json.is_object() || !json.contains("variant")) {
    dry_run(read_recipe(json, where), resolution, channels, where);
    return;
  }
  const Experiment experiment = read_experiment(json, where);
  write_experiment(experiment);
  for (const VariantSection& variant : experiment.variants) {
    // Only bundled recipes are allowed: a mutated name must not open any other file.
    const bool bundled = std::all_of(experiment.base.begin(), experiment.base.end(),
                                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; });
    const fs::path base = bundled ? preset_path(experiment.base) : fs::path();
    Json changed = bundled ? parse_toml(read_text(base, 1 << 20), base.string()) : Json::object();
    for (const auto* set : {&experiment.set, &variant.set}) {
      for (const std::string& assignment : *set) set_by_path(changed, assignment);
    }
    dry_run(read_recipe(changed, where), resolution, channels, where);
  }
}

}  // namespace diffit::analysis
