// A training from start to end, with its folder.
#pragma once

#include <functional>
#include <memory>

#include "dist/group.h"
#include "train/journal.h"

namespace diffit::training {

struct TrainingRequest {
  Recipe recipe;  // resolved against the data
  TrainingData data;
  fs::path folder;
  bool resume = false;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  /// Figures of the half-life average by their keys, asked for every train.eval_images and at the end. Must
  /// draw no random numbers but counted ones. What it throws becomes a warning. Error(invalid) where
  /// train.eval_images is set and there is none.
  std::function<Json(const Exhibit&)> evaluate = {};
  std::vector<std::string> preamble = {};  // first lines of log.txt of this session: command, machine
  /// The processes that train together. The leader owns the folder and reports to its monitor; monitors of
  /// other ranks are only asked whether to stop.
  std::shared_ptr<dist::Group> group = dist::Group::alone();
};

enum class TrainingEnd { finished, nothing_left, interrupted };

/// Trains to recipe.train.images, or until the monitor asks to stop: then a checkpoint is saved and the
/// result is `interrupted`. Lines of log.txt are also notes and warnings. Error(invalid) where the folder
/// holds a run and `resume` is not set, where another process trains in it, or where the state does not fit
/// the recipe; Error(failed) where nonfinite_limit steps in a row were skipped: the last good state stays, or
/// where another rank is lost: the message names the last checkpoint.
TrainingEnd run_training(const TrainingRequest& request, TrainMonitor& monitor);

}  // namespace diffit::training
