// Training data: images, or latents encoded in advance.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "data/dataset.h"
#include "data/latents.h"
#include "train/recipe.h"

namespace diffit::training {

using TrainingData = std::variant<std::shared_ptr<const Dataset>, std::shared_ptr<const LatentDataset>>;

/// Summary of a data set for logs and --dry-run.
struct DataSummary {
  /// Resolution and channels are those of the latents for latent data.
  std::int64_t images = 0, resolution = 0, channels = 0, classes = 0;
  std::string description;
};

/// Opens data.path as the data set for the recipe's model. Throws Error(invalid) that includes data.hint if
/// the path is not set or does not exist; if it is not set, the message begins with `where`.
TrainingData open_training_data(const Recipe& recipe, const std::string& where);

/// Fills in fields that depend on the data and checks the others against it (train/recipe.h). A resolved
/// recipe contains the complete model configuration. Throws Error(invalid).
void resolve(Recipe& recipe, const TrainingData& data, const std::string& where);

/// Opens the images at data.test, prepared like those of data.path; null if the recipe does not set it.
/// Throws Error(invalid) if they have another size, no labels, or more classes than `dataset`.
std::shared_ptr<const Dataset> open_test_set(const Recipe& recipe, const Dataset& dataset);

DataSummary summary(const TrainingData& data);

}  // namespace diffit::training
