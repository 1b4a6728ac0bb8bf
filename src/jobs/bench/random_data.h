// Random data for a recipe: the speed of training does not depend on what it shows.
#pragma once

#include "base/file.h"
#include "train/training_data.h"

namespace diffit::jobs {

/// Data of the size that a recipe states, else of CIFAR-10's, with random values. Latents are in a temporary
/// folder, which the destructor removes.
class RandomData {
 public:
  /// Resolves the recipe against the data. `size`: side of the images where the recipe leaves it to the data;
  /// 0: its usual value. Throws Error(invalid) that begins with `where`.
  RandomData(Recipe& recipe, std::int64_t size, const std::string& where);
  ~RandomData();
  RandomData(const RandomData&) = delete;
  RandomData& operator=(const RandomData&) = delete;

  const TrainingData& data() const { return data_; }

 private:
  TrainingData data_;
  fs::path folder_;  // of the latents
};

}  // namespace diffit::jobs
