// Figures of the average while it is trained: what the table eval of a recipe asks for.
#pragma once

#include <atomic>
#include <memory>

#include "tools/diffit/machine.h"
#include "train/objective.h"
#include "train/recipe.h"

namespace diffit {

class TrainEvaluation {
 public:
  /// Loads the feature network and opens the reference. Error(invalid), beginning with `where`, for what the
  /// recipe names wrongly.
  TrainEvaluation(const Recipe& recipe, const std::string& where, const Machine& machine,
                  const CommonOptions& common, const std::atomic<bool>* stop);
  ~TrainEvaluation();

  /// Figures by their keys. The reference is measured when the first are wanted. Error(failed) where `stop`
  /// is set meanwhile.
  Json operator()(const Exhibit& averaged);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace diffit
