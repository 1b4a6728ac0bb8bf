#include "analysis/network_change.h"

#include "base/error.h"
#include "nn/diffit/image_model.h"
#include "nn/diffit/latent_model.h"

namespace diffit::analysis {

namespace {

/// Replaces the time token of the block that follows, and restores it before another block is evaluated.
class TimeOfOneLayer {
 public:
  TimeOfOneLayer(std::string layer, at::Tensor token) : layer_(std::move(layer)), token_(std::move(token)) {}

  void operator()(const ObservedAttention& observed) {
    // A new evaluation has a new token.
    if (before_.defined() && observed.time.is_same(changed_)) changed_.copy_(before_);
    before_ = at::Tensor();
    changed_ = at::Tensor();
    if (!layer_.empty() && layer_ != observed.layer) return;
    changed_ = observed.time;
    before_ = changed_.clone();
    changed_.copy_(token_.expand_as(changed_));
  }

 private:
  std::string layer_;
  at::Tensor token_, changed_, before_;
};

bool is_output_projection(const std::string& name) {
  return name.ends_with(".proj.weight") && name.find(".cross.") == std::string::npos;
}

}  // namespace

template <class Network>
void ChangedNetwork::apply(Network& network, const NetworkChange& change) {
  change_weights(network.parameters(), change);
  if (!change.time.defined()) return;
  stop_observing_ = [&network] { network.observe({}); };
  network.observe(TimeOfOneLayer(change.layer, change.time));
}

ChangedNetwork::ChangedNetwork(ImageDiffiT& network, const NetworkChange& change) {
  DIFFIT_CHECK(!change.time.defined() || !network.config().is_ddpmpp(),
               "`time_sigma`: the time of one layer cannot be fixed in DDPM++");
  apply(network, change);
}

ChangedNetwork::ChangedNetwork(LatentDiffiT& network, const NetworkChange& change) {
  apply(network, change);
}

ChangedNetwork::~ChangedNetwork() {
  const at::NoGradGuard no_grad;
  if (stop_observing_) stop_observing_();
  for (auto& [tensor, before] : kept_) tensor.copy_(before);
}

void ChangedNetwork::change_weights(const ParameterList& parameters, const NetworkChange& change) {
  std::vector<at::Tensor> tables, projections;
  for (const Parameter& p : parameters) {
    const bool in_block =
        p.name.find("blocks.") != std::string::npos || p.name.find(".attention.") != std::string::npos;
    if (change.layer.empty() ? !in_block : !p.name.starts_with(change.layer + ".")) continue;
    if (p.name.ends_with(".relative_position_bias_table")) tables.push_back(p.tensor);
    if (is_output_projection(p.name)) projections.push_back(p.tensor);
  }
  DIFFIT_CHECK(!change.zero_bias || !tables.empty(), "`zero_bias`: {} no position bias",
               change.layer.empty() ? "the layers of this model have" : change.layer + " has");
  const at::NoGradGuard no_grad;
  const auto keep = [this](const at::Tensor& tensor) { kept_.emplace_back(tensor, tensor.clone()); };
  for (const at::Tensor& table : tables) {
    if (!change.zero_bias) continue;
    keep(table);
    table.zero_();
  }
  for (const at::Tensor& projection : projections) {
    if (change.heads_off.empty()) continue;
    keep(projection);
    const std::int64_t width = projection.size(1) / change.heads;
    for (const std::int64_t head : change.heads_off) projection.narrow(1, head * width, width).zero_();
  }
}

}  // namespace diffit::analysis
