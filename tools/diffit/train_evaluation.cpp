#include "tools/diffit/train_evaluation.h"

#include <optional>

#include "base/error.h"
#include "metrics/evaluate.h"
#include "tools/diffit/feature_side.h"

namespace diffit {

struct TrainEvaluation::State {
  EvalSection section;
  const CommonOptions& common;
  const std::atomic<bool>* stop;
  EvaluationOptions wanted;
  std::unique_ptr<FeatureNetwork> network;
  std::unique_ptr<FeatureSide> reference;
  std::optional<FeatureSet> measured;  // of the reference
};

TrainEvaluation::TrainEvaluation(const Recipe& recipe, const std::string& where, const Machine& machine,
                                 const CommonOptions& common, const std::atomic<bool>* stop)
    : state_(new State{recipe.eval, common, stop, {}, {}, {}, {}}) {
  const EvalSection& section = state_->section;
  const std::string path = section.reference.empty() ? recipe.data.path : section.reference;
  try {
    state_->wanted.metrics = read_metrics(section.metrics);
    // The features of published figures are float32, whatever the training's products are.
    state_->network = load_feature_network(section.features, machine.device, at::kFloat);
    state_->reference = std::make_unique<FeatureSide>(path, state_->network->info(), "eval.reference");
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: table eval: {}", where, error.what()));
  }
  state_->wanted.intervals = false;
}

TrainEvaluation::~TrainEvaluation() = default;

Json TrainEvaluation::operator()(const Exhibit& averaged) {
  State& s = *state_;
  if (!averaged.sample) fail("this model has no samples to evaluate");
  if (!s.measured) {
    s.measured = s.reference->measure(*s.network, sums_of_reference(s.wanted), {0, 0, &s.common});
  }
  ProgressLine progress(s.common);
  FeatureSum sum(s.network->info(), sums_of_samples(s.wanted), s.section.pictures);
  averaged.sample(s.section.pictures, s.section.steps, [&](const at::Tensor& pictures) {
    if (s.stop != nullptr && *s.stop) fail("interrupted");
    sum.add(s.network->extract(pictures));
    progress.show_count(static_cast<double>(sum.pictures()), static_cast<double>(s.section.pictures),
                        "samples evaluated");
  });
  Json figures = Json::object();
  for (const Figure& f : evaluate(s.network->info(), sum.finish(), *s.measured, s.wanted))
    figures[f.key] = f.value;
  return figures;
}

}  // namespace diffit
