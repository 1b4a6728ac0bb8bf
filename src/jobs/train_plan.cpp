// The job behind diffit/train_plan.h.
#include "diffit/train_plan.h"

#include "base/text.h"
#include "config/json_text.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "jobs/train_evaluation.h"
#include "jobs/train_job.h"
#include "runtime/matrix_rate.h"
#include "train/plan.h"

namespace diffit::jobs {

namespace {

/// Share of the matrix product rate that training this model reaches here; bench/ measures it.
constexpr double kExpectedShare = 0.4;
constexpr double kMeasuredSeconds = 0.3;

/// The result's numbers.
TrainPlan numbers_of(const PreparedTraining& p, const TrainingPlan& plan) {
  const DataSummary data = summary(p.data);
  TrainPlan r;
  r.data = {data.images, data.resolution, data.channels, data.classes};
  r.parameters = plan.network.parameters;
  r.forward_macs = plan.network.layer_macs;
  r.attention_macs = plan.network.attention_macs;
  r.flops_per_image = plan.flops_per_image;
  r.flops = plan.flops;
  r.steps = plan.steps;
  r.memory_bytes = plan.weights_bytes + plan.activations_bytes;
  r.disk_bytes = plan.snapshot_bytes * static_cast<double>(plan.snapshots) +
                 plan.state_bytes * static_cast<double>(p.recipe.train.keep_states);
  r.matmul_flops_per_second = matrix_product_rate(p.runtime.device, p.runtime.dtype, kMeasuredSeconds);
  r.seconds = plan.flops / (r.matmul_flops_per_second * kExpectedShare);
  return r;
}

Json json_of(const TrainPlan& r, const PreparedTraining& p) {
  Json object = {{"config", write_recipe(p.recipe)},
                 {"data",
                  {{"pictures", r.data.images},
                   {"resolution", r.data.resolution},
                   {"channels", r.data.channels},
                   {"classes", r.data.classes}}},
                 {"parameters", r.parameters},
                 {"forward_macs", r.forward_macs},
                 {"attention_macs", r.attention_macs},
                 {"flops_per_image", r.flops_per_image},
                 {"flops", r.flops},
                 {"steps", r.steps},
                 {"memory_bytes", r.memory_bytes},
                 {"disk_bytes", r.disk_bytes},
                 {"matmul_flops_per_second", r.matmul_flops_per_second},
                 {"estimated_seconds", r.seconds}};
  if (p.description() != nullptr) object["data"]["description"] = description_json(*p.description());
  return object;
}

std::string text_of(const TrainPlan& r, const PreparedTraining& p, const TrainingPlan& plan) {
  const Recipe& recipe = p.recipe;
  const Runtime& machine = p.runtime;
  const DataSummary data = summary(p.data);
  const DataDescription* description = p.description();
  std::string text = r.config;
  text += fmt::format("\n# data        {} images, {} x {} x {}, {} classes: {}\n", data.images,
                      data.resolution, data.resolution, data.channels, data.classes, data.description);
  if (description != nullptr) text += description_text(*description, "#             ");
  text += fmt::format("# parameters  {}\n", human_count(static_cast<double>(plan.network.parameters)));
  text += fmt::format(
      "# work        {}MAC per forward pass and image, {}FLOP per training image, {}FLOP in total\n",
      human_count(plan.network.layer_macs), human_count(plan.flops_per_image), human_count(plan.flops));
  text += fmt::format("# steps       {} of {} images\n", plan.steps, recipe.train.batch);
  text += fmt::format(
      "# memory      {} for weights, gradients, optimizer moments and EMA weights; {} for activations of {} "
      "images\n",
      human_bytes(plan.weights_bytes), human_bytes(plan.activations_bytes), recipe.train.microbatch);
  text +=
      fmt::format("# disk        {} snapshots of {}, {} checkpoints of {}\n", plan.snapshots,
                  human_bytes(plan.snapshot_bytes), recipe.train.keep_states, human_bytes(plan.state_bytes));
  text += fmt::format(
      "# time        about {} on this machine: {}FLOP/s measured in {} matrix products, of which training is "
      "expected to reach {:.0f}%\n",
      human_seconds(r.seconds), human_count(r.matmul_flops_per_second),
      machine.dtype == at::kFloat ? "f32" : "bf16", 100 * kExpectedShare);
  return text;
}

TrainPlan run_plan(const TrainSpec& given, const RuntimeOptions& options, Monitor& monitor) {
  TrainSpec spec = given;
  spec.join = false;
  const PreparedTraining p = prepare_training(spec, options, /*will_write=*/false, monitor);
  if (p.recipe.train.eval_images > 0) TrainEvaluation(p.recipe, p.data, p.where, p.runtime, monitor);
  const TrainingPlan plan =
      plan_training(p.recipe, summary(p.data).resolution, p.runtime.dtype == at::kFloat ? 4 : 2);
  TrainPlan result = numbers_of(p, plan);
  result.config = format_toml(write_recipe(p.recipe));
  result.json = json_text(json_of(result, p));
  result.text = text_of(result, p, plan);
  return result;
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

TrainPlan plan_training(const TrainSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::run_plan(spec, runtime, monitor); });
}

TrainPlan plan_training(const TrainSpec& spec, const RuntimeOptions& runtime) {
  return plan_training(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit
