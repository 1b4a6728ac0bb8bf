// What a training reads: pictures, or latents that were encoded before.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "data/dataset.h"
#include "data/latents.h"
#include "train/recipe.h"

namespace diffit {

using TrainingData = std::variant<std::shared_ptr<const Dataset>, std::shared_ptr<const LatentDataset>>;

/// What is told of it.
struct DataSummary {
  std::int64_t pictures = 0, resolution = 0, channels = 0,
               classes = 0;  // resolution, channels: of a latent too
  std::string description;
};

/// Opens data.path as what the recipe's model is trained on. Error(invalid), beginning with `where` where
/// data.path is open, says data.hint.
TrainingData open_training_data(const Recipe& recipe, const std::string& where);

/// Fills what the recipe leaves to the data and checks the rest against it (train/recipe.h). A resolved
/// recipe holds the whole configuration of its model.
void resolve(Recipe& recipe, const TrainingData& data, const std::string& where);

/// The pictures at data.test, framed as those of data.path; null where the recipe names none. Error(invalid)
/// where they are of another size or have classes that `dataset` lacks.
std::shared_ptr<const Dataset> open_test_set(const Recipe& recipe, const Dataset& dataset);

DataSummary summary(const TrainingData& data);

}  // namespace diffit
