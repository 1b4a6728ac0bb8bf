#include "train/trainer.h"

#include <cmath>

#include "base/error.h"
#include "train/init_from.h"

namespace diffit::training {

Trainer::Trainer(const Recipe& recipe, const TrainingData& data, at::Device device, at::ScalarType dtype)
    : recipe_(recipe), objective_(make_objective(recipe, data, device, dtype)), notes_(objective_->notes()) {
  if (!recipe_.train.init_from.empty()) {
    for (std::string& note : start_from(recipe_, parameters())) notes_.push_back(std::move(note));
  }
  prepare(parameters(), device);
  optimiser_ = std::make_unique<Optimiser>(recipe_.optimiser, parameters().trained());
  emas_ = make_emas(recipe_.ema, parameters());
}

StepResult Trainer::step() {
  StepResult result;
  result.lr = learning_rate(recipe_.optimiser, static_cast<double>(images_),
                            static_cast<double>(recipe_.train.images));
  optimiser_->clear_gradients();
  for (std::int64_t pass = 0; pass < recipe_.train.passes(); ++pass) {
    const at::Tensor loss = objective_->loss() / static_cast<double>(recipe_.train.passes());
    loss.backward();
    result.loss += loss.item<double>();
  }
  result.gradient_norm = optimiser_->gradient_norm();
  whole_ = false;
  images_ += recipe_.train.batch;

  result.skipped = !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm);
  if (result.skipped) {
    ++skipped_;
    ++skipped_in_a_row_;
    whole_ = true;
    return result;
  }
  skipped_in_a_row_ = 0;
  optimiser_->clip(result.gradient_norm);
  optimiser_->step(result.lr);
  for (Ema& ema : emas_) ema.update(static_cast<double>(images_), static_cast<double>(recipe_.train.batch));
  whole_ = true;
  return result;
}

std::vector<std::pair<std::string, at::Tensor>> Trainer::tensors() const {
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (const Parameter& p : parameters()) all.emplace_back("weights." + p.name, p.tensor.detach());
  for (auto& named : optimiser_->state()) all.push_back(std::move(named));
  for (const Ema& ema : emas_) {
    for (auto& named : ema.state()) all.push_back(std::move(named));
  }
  return all;
}

Json Trainer::counters() const {
  return {{"images", images_},
          {"optimiser_steps", optimiser_->steps()},
          {"skipped", skipped_},
          {"skipped_in_a_row", skipped_in_a_row_}};
}

void Trainer::restore_counters(const Json& counters, const std::string& where) {
  std::int64_t steps = 0;
  for (const auto& [key, target] :
       {std::pair{"images", &images_}, std::pair{"optimiser_steps", &steps}, std::pair{"skipped", &skipped_},
        std::pair{"skipped_in_a_row", &skipped_in_a_row_}}) {
    DIFFIT_CHECK(counters.contains(key) && counters[key].is_number_integer() && counters[key] >= 0,
                 "{}: the checkpoint has no counter '{}'", where, key);
    *target = counters[key];
  }
  optimiser_->restore_steps(steps);
  objective_->seek(images_);
  whole_ = true;
}

}  // namespace diffit::training
