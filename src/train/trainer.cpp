#include "train/trainer.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "dist/gather.h"
#include "train/init_from.h"

namespace diffit::training {

Trainer::Trainer(const Recipe& recipe, const TrainingData& data, at::Device device, at::ScalarType dtype,
                 std::shared_ptr<dist::Group> group)
    : recipe_(recipe),
      group_(std::move(group)),
      objective_(make_objective(recipe, data, device, dtype)),
      notes_(objective_->notes()) {
  if (!recipe_.train.init_from.empty()) {
    for (std::string& note : start_from(recipe_, parameters())) notes_.push_back(std::move(note));
  }
  prepare(parameters(), device);
  trained_ = parameters().trained();
  owners_.assign(trained_.size(), 0);
  if (recipe_.dist.shards_or_one() > 1) share_batches();
  std::vector<Parameter> owned;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    if (owners_[i] == group_->rank()) owned.push_back(trained_[i]);
  }
  optimiser_ = std::make_unique<Optimiser>(recipe_.optimiser, owned);
  emas_ = make_emas(recipe_.ema, owned);
  if (!sum_ && DeviceStep::available(device, emas_.size()) && !owned.empty()) {
    device_step_ = std::make_unique<DeviceStep>(*objective_, recipe_.optimiser, *optimiser_, emas_, device,
                                                recipe_.train.passes());
  }
}

void Trainer::share_batches() {
  std::vector<at::Tensor> tensors;
  for (const Parameter& p : trained_) tensors.push_back(p.tensor);
  sum_ = std::make_unique<dist::GradientSum>(group_, recipe_.dist.shards, std::move(tensors));
  for (std::size_t i = 0; i < trained_.size(); ++i) owners_[i] = sum_->owner(i);
  const std::int64_t images = recipe_.train.batch / recipe_.dist.shards;
  objective_->set_portion({sum_->range().first * images, sum_->range().size * images, recipe_.train.batch});
}

/// Accumulates the gradients of the whole batch. Returns its mean loss.
double Trainer::backward() {
  double sum = 0;
  for (std::int64_t pass = 0; pass < recipe_.train.passes(); ++pass) sum += backward_pass();
  return sum;
}

/// The same for the shards of this rank. Returns the loss of each, as its share of the mean.
std::vector<double> Trainer::backward_by_shards() {
  const std::int64_t passes = recipe_.train.passes() / recipe_.dist.shards;
  std::vector<double> losses;
  for (std::int64_t shard = sum_->range().first; shard < sum_->range().end(); ++shard) {
    double sum = 0;
    for (std::int64_t pass = 0; pass < passes; ++pass) {
      if (shard == sum_->range().end() - 1 && pass == passes - 1) sum_->begin_last_pass();
      sum += backward_pass();
    }
    sum_->end_shard(shard);
    losses.push_back(sum);
  }
  sum_->finish();
  return losses;
}

double Trainer::backward_pass() {
  const at::Tensor loss = objective_->loss() / static_cast<double>(recipe_.train.passes());
  loss.backward();
  return loss.item<double>();
}

/// Sets loss, norm and stop of a step from what all ranks found: each gives whether it is to stop, the losses
/// of its shards, and the norms of the gradients that it owns.
void Trainer::agree(const std::vector<double>& losses, StepResult& result) const {
  const std::vector<float> norms = optimiser_->gradient_norms();
  std::vector<double> own{result.stop ? 1.0 : 0.0};
  own.insert(own.end(), losses.begin(), losses.end());
  own.insert(own.end(), norms.begin(), norms.end());
  const std::vector<std::vector<double>> all = group_->gather(own);

  dist::TreeSum<double> loss;
  std::vector<std::size_t> next;  // position of the next norm of each rank
  for (int r = 0; r < group_->size(); ++r) {
    const auto& numbers = all[static_cast<std::size_t>(r)];
    const dist::ShardRange range = dist::shards_of_rank(recipe_.dist.shards, r, group_->size());
    result.stop = result.stop || numbers[0] != 0;
    for (std::int64_t i = 0; i < range.size; ++i)
      loss.push({range.first + i, 1}, numbers[static_cast<std::size_t>(1 + i)]);
    next.push_back(static_cast<std::size_t>(1 + range.size));
  }
  result.loss = loss.nodes().at(0).value;
  std::vector<float> in_order;
  for (const bool decayed : {true, false}) {
    for (std::size_t i = 0; i < trained_.size(); ++i) {
      const auto owner = static_cast<std::size_t>(owners_[i]);
      if (is_decayed(trained_[i]) == decayed)
        in_order.push_back(static_cast<float>(all[owner].at(next[owner]++)));
    }
  }
  result.gradient_norm = total_norm(in_order);
}

/// The step of DeviceStep, counted as below.
void Trainer::step_on_device(StepResult& result) {
  const double batch = static_cast<double>(recipe_.train.batch);
  const double after = static_cast<double>(images_) + batch;
  std::vector<double> rates;
  for (const Ema& ema : emas_) rates.push_back(1 - ema.beta(after, batch));
  const bool last = images_ + recipe_.train.batch >= recipe_.train.images;
  const DeviceStep::Result made = device_step_->run(result.lr, rates, last);
  images_ += recipe_.train.batch;
  result.loss = made.loss;
  result.gradient_norm = made.gradient_norm;
  result.skipped = made.skipped;
  count_skip(result.skipped);
  if (!result.skipped) optimiser_->count_step();
}

void Trainer::count_skip(bool skipped) {
  if (skipped) ++skipped_;
  skipped_in_a_row_ = skipped ? skipped_in_a_row_ + 1 : 0;
}

StepResult Trainer::step(bool stop) {
  StepResult result;
  result.stop = stop;
  result.lr = learning_rate(recipe_.optimiser, static_cast<double>(images_),
                            static_cast<double>(recipe_.train.images));
  if (device_step_) {
    step_on_device(result);
    return result;
  }
  for (const Parameter& p : trained_) p.tensor.mutable_grad().reset();
  if (sum_) {
    agree(backward_by_shards(), result);
  } else {
    result.loss = backward();
    result.gradient_norm = total_norm(optimiser_->gradient_norms());
  }
  whole_ = false;
  images_ += recipe_.train.batch;

  result.skipped = !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm);
  count_skip(result.skipped);
  if (result.skipped) {
    whole_ = true;
    return result;
  }
  optimiser_->clip(result.gradient_norm);
  optimiser_->step(result.lr);
  for (Ema& ema : emas_) ema.update(static_cast<double>(images_), static_cast<double>(recipe_.train.batch));
  if (sum_) sum_->share_parameters();
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

std::vector<at::Tensor> Trainer::gathered(const std::vector<at::Tensor>& owned) const {
  std::vector<at::Tensor> like;
  for (const Parameter& p : trained_) like.push_back(p.tensor);
  return dist::gather_to_leader(*group_, owners_, owned, like);
}

std::vector<std::pair<std::string, at::Tensor>> Trainer::all_tensors() const {
  if (group_->size() == 1) return tensors();
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (const Parameter& p : parameters()) all.emplace_back("weights." + p.name, p.tensor.detach());
  const std::vector<at::Tensor> first = gathered(optimiser_->first_moments());
  const std::vector<at::Tensor> second = gathered(optimiser_->second_moments());
  for (std::size_t i = 0; i < first.size(); ++i) {
    all.emplace_back("adam.m." + trained_[i].name, first[i]);
    all.emplace_back("adam.v." + trained_[i].name, second[i]);
  }
  for (const Ema& ema : emas_) {
    const std::vector<at::Tensor> averages = gathered(ema.averages());
    for (std::size_t i = 0; i < averages.size(); ++i)
      all.emplace_back(ema.name() + "." + trained_[i].name, averages[i]);
  }
  if (!group_->leads()) all.clear();
  return all;
}

void Trainer::copy_average(const Ema& ema, const ParameterList& to) const {
  const at::NoGradGuard no_grad;
  const std::vector<at::Tensor> averages = gathered(ema.averages());
  if (!group_->leads()) return;
  std::map<std::string, at::Tensor> by_name;
  for (const Parameter& p : parameters()) by_name[p.name] = p.tensor;
  for (std::size_t i = 0; i < trained_.size(); ++i) by_name[trained_[i].name] = averages[i];
  for (const Parameter& p : to) p.tensor.copy_(by_name.at(p.name));
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
  if (device_step_) device_step_->restart(steps);
  whole_ = true;
}

}  // namespace diffit::training
