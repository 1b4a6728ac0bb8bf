#include "io/tensors/wrapped_names.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace diffit::io {

namespace {

constexpr std::array<std::string_view, 13> kTrained{
    "module.",  "_orig_mod.",    "model.",   "state_dict.",      "model_state_dict.", "net.",
    "network.", "online_model.", "weights.", "_forward_module.", "diffusion_model.",  "denoiser.",
    "diffit."};
constexpr std::array<std::string_view, 6> kAverages{
    "ema.", "ema_model.", "model_ema.", "averaged_model.", "ema_state_dict.", "state_dict_ema."};
constexpr std::array<std::string_view, 11> kCounters{
    "step",       "steps",       "epoch", "global_step", "iteration",      "initted",
    "n_averaged", "num_updates", "decay", "num_batches", "ema_num_updates"};

bool is_counter(const TensorView& view) {
  const std::size_t dot = view.name.rfind('.');
  const std::string_view last = std::string_view(view.name).substr(dot == std::string::npos ? 0 : dot + 1);
  return view.count() == 1 && view.shape.size() <= 1 &&
         std::find(kCounters.begin(), kCounters.end(), last) != kCounters.end() &&
         std::count(view.name.begin(), view.name.end(), '.') <= 1;
}

template <std::size_t N>
std::string_view wrapper_in(const std::array<std::string_view, N>& wrappers, const std::string& name) {
  const auto found = std::find_if(wrappers.begin(), wrappers.end(), [&](std::string_view wrapper) {
    return name.size() > wrapper.size() && name.starts_with(wrapper);
  });
  return found == wrappers.end() ? std::string_view() : *found;
}

/// The wrapper that is to go: the shared one, or the wanted one of two. "" where there is none.
std::string_view wrapper_of(const std::vector<const TensorView*>& tensors, Average average) {
  std::set<std::string_view> trained, averages;
  std::set<std::string> trained_names, average_names;
  for (const TensorView* view : tensors) {
    const std::string_view of_trained = wrapper_in(kTrained, view->name);
    const std::string_view of_average = wrapper_in(kAverages, view->name);
    if (!of_average.empty()) {
      averages.insert(of_average);
      average_names.insert(view->name.substr(of_average.size()));
    } else if (!of_trained.empty()) {
      trained.insert(of_trained);
      trained_names.insert(view->name.substr(of_trained.size()));
    } else {
      return {};
    }
  }
  if (trained.size() + averages.size() == 1) return trained.empty() ? *averages.begin() : *trained.begin();
  if (trained.size() != 1 || averages.size() != 1 || average_names.size() != trained_names.size()) return {};
  if (average_names != trained_names) return {};
  return average == Average::refused ? *trained.begin() : *averages.begin();
}

}  // namespace

TakenOff take_off_wrappers(std::vector<TensorView>& tensors, Average average) {
  TakenOff all;
  while (true) {
    std::vector<const TensorView*> weights;
    for (const TensorView& view : tensors) {
      if (!is_counter(view)) weights.push_back(&view);
    }
    if (weights.empty()) return all;
    const std::string wrapper(wrapper_of(weights, average));
    if (wrapper.empty()) return all;
    std::vector<TensorView> kept;
    for (TensorView& view : tensors) {
      if (is_counter(view) || !view.name.starts_with(wrapper)) continue;
      view.name.erase(0, wrapper.size());
      kept.push_back(std::move(view));
    }
    tensors = std::move(kept);
    all.wrapper += wrapper;
    all.average |= std::find(kAverages.begin(), kAverages.end(), wrapper) != kAverages.end();
  }
}

}  // namespace diffit::io
