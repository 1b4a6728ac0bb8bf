// Figures of the average while it is trained: what the table eval of a recipe asks for.
#pragma once

#include <memory>

#include "runtime/runtime.h"
#include "train/objective.h"
#include "train/recipe.h"
#include "train/training_data.h"

namespace diffit::jobs {

class TrainEvaluation {
 public:
  /// Loads the feature network and opens the reference; where the recipe names none it is `data` as training
  /// sees it, without augmentation. Error(invalid), beginning with `where`, for what the recipe names
  /// wrongly.
  TrainEvaluation(const Recipe& recipe, const TrainingData& data, const std::string& where,
                  const Runtime& machine, Monitor& monitor);
  ~TrainEvaluation();

  /// Figures by their keys. The reference is measured when the first are wanted. Error(failed) where `stop`
  /// is set meanwhile.
  Json operator()(const Exhibit& averaged);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace diffit::jobs
