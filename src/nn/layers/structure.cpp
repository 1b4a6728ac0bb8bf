#include "nn/layers/structure.h"

#include <algorithm>

namespace diffit::nn {

using Kind = LayerSpec::Kind;

std::vector<std::pair<std::string, std::int64_t>> LayerSpec::parameters() const {
  switch (kind) {
    case Kind::linear:
    case Kind::convolution:
    case Kind::norm: {
      const std::int64_t weight = kind == Kind::norm ? out : in * out * kernel * kernel;
      std::vector<std::pair<std::string, std::int64_t>> list{{name + ".weight", weight}};
      if (bias) list.emplace_back(name + ".bias", out);
      return list;
    }
    case Kind::table:
      return {{name, out}};
    case Kind::attention:
    case Kind::elementwise:
      break;
  }
  return {};
}

std::int64_t LayerSpec::parameter_count() const {
  switch (kind) {
    case Kind::linear:
    case Kind::convolution:
      return in * out * kernel * kernel + (bias ? out : 0);
    case Kind::norm:
      return 2 * out;
    case Kind::table:
      return out;
    case Kind::attention:
    case Kind::elementwise:
      break;
  }
  return 0;
}

double LayerSpec::layer_macs() const {
  if (kind != Kind::linear && kind != Kind::convolution) return 0;
  return static_cast<double>(in * out * kernel * kernel) * uses;
}

double LayerSpec::attention_macs() const {
  return kind == Kind::attention ? 2.0 * static_cast<double>(in) * uses * keys : 0;
}

double LayerSpec::activations() const {
  return kind == Kind::attention || kind == Kind::table ? 0 : static_cast<double>(out) * uses;
}

void Structure::part(const std::string& name) {
  part_ = name;
  if (std::find(parts_.begin(), parts_.end(), name) == parts_.end()) parts_.push_back(name);
}

void Structure::add(LayerSpec spec) {
  spec.name.insert(0, scope_);
  layers_.push_back(std::move(spec));
}

void Structure::linear(std::string name, std::int64_t in, std::int64_t out, double uses, bool bias,
                       Initializer initializer) {
  add({.part = part_,
       .name = std::move(name),
       .kind = Kind::linear,
       .in = in,
       .out = out,
       .uses = uses,
       .bias = bias,
       .initializer = initializer});
}

void Structure::convolution(std::string name, std::int64_t in, std::int64_t out, std::int64_t kernel,
                            double pixels) {
  add({.part = part_,
       .name = std::move(name),
       .kind = Kind::convolution,
       .in = in,
       .out = out,
       .kernel = kernel,
       .uses = pixels});
}

void Structure::norm(std::string name, std::int64_t width, double pixels) {
  add({.part = part_, .name = std::move(name), .kind = Kind::norm, .out = width, .uses = pixels});
}

void Structure::table(std::string name, std::int64_t numbers) {
  add({.part = part_, .name = std::move(name), .kind = Kind::table, .out = numbers});
}

void Structure::attention(std::string name, std::int64_t width, double queries, double keys) {
  add({.part = part_,
       .name = std::move(name),
       .kind = Kind::attention,
       .in = width,
       .uses = queries,
       .keys = keys});
}

void Structure::elementwise(std::string name, std::int64_t width, double uses) {
  add({.part = part_, .name = std::move(name), .kind = Kind::elementwise, .out = width, .uses = uses});
}

std::vector<PartCost> cost_of(const Structure& structure) {
  std::vector<PartCost> costs;
  for (const std::string& part : structure.parts()) costs.push_back({.part = part});
  std::size_t at = 0;
  for (const LayerSpec& layer : structure.layers()) {
    if (costs[at].part != layer.part) {
      const auto found = std::find(structure.parts().begin(), structure.parts().end(), layer.part);
      at = static_cast<std::size_t>(found - structure.parts().begin());
    }
    costs[at].parameters += layer.parameter_count();
    costs[at].layer_macs += layer.layer_macs();
    costs[at].attention_macs += layer.attention_macs();
    costs[at].activations += layer.activations();
  }
  return costs;
}

PartCost total(const std::vector<PartCost>& parts) {
  PartCost sum{.part = "total"};
  for (const PartCost& p : parts) {
    sum.parameters += p.parameters;
    sum.layer_macs += p.layer_macs;
    sum.attention_macs += p.attention_macs;
    sum.activations += p.activations;
  }
  return sum;
}

}  // namespace diffit::nn
