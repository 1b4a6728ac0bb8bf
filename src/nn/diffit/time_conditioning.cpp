#include "nn/diffit/time_conditioning.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/linear_gelu.h"
#include "kernels/ops.h"
#include "kernels/residual_norm.h"
#include "nn/diffit/block.h"

namespace diffit::nn {

namespace time_variants {
#define DIFFIT_TIME_VARIANT(name) extern const TimeVariant name;
#include "nn/diffit/time/variants.def"
#undef DIFFIT_TIME_VARIANT
}  // namespace time_variants

namespace {

constexpr std::size_t kMaxVariants = 64;
constexpr TimeSite kSites[] = {TimeSite::convolution, TimeSite::block, TimeSite::attention, TimeSite::cross,
                               TimeSite::mlp};

/// Variants and their names by the value of TimePath.
struct Table {
  std::vector<const TimeVariant*> variants;
  std::vector<std::string_view> names;

  void add(const TimeVariant& variant) {
    variants.push_back(&variant);
    names.push_back(variant.name);
  }
};

Table& table() {
  static Table all = [] {
    Table built_in;
    built_in.names.reserve(kMaxVariants);  // so that spans over the names stay valid
#define DIFFIT_TIME_VARIANT(name) built_in.add(time_variants::name);
#include "nn/diffit/time/variants.def"
#undef DIFFIT_TIME_VARIANT
    return built_in;
  }();
  return all;
}

}  // namespace

std::span<const std::string_view> enum_names(TimePath) {
  return table().names;
}

const TimeVariant& variant_of(TimePath path) {
  return *table().variants.at(static_cast<std::size_t>(path));
}

bool time_enters_attention(TimePath path) {
  return variant_of(path).attention != TimeInAttention::none;
}

TimePath register_time_variant(const TimeVariant& variant) {
  Table& all = table();
  DIFFIT_CHECK(std::find(all.names.begin(), all.names.end(), variant.name) == all.names.end(),
               "time variant '{}': the name is already in use; choose another name", variant.name);
  DIFFIT_CHECK(all.names.size() < kMaxVariants, "time variant '{}': all {} places for variants are taken",
               variant.name, kMaxVariants);
  all.add(variant);
  return static_cast<TimePath>(all.names.size() - 1);
}

TimeConditioning::TimeConditioning(const TimeVariant& variant, const BlockShape& shape) {
  for (const TimeSite site : kSites) {
    Structure structure;
    variant.describe(shape, site, structure);
    for (const LayerSpec& spec : structure.layers()) {
      if (spec.kind != LayerSpec::Kind::linear) continue;
      layers_.push_back({site, spec, Linear(spec.in, spec.out, spec.bias)});
    }
  }
}

void TimeConditioning::add_to(TimeSite site, ParameterList& list, const std::string& prefix) const {
  for (const Layer& layer : layers_) {
    if (layer.site == site) layer.linear.add_to(list, prefix + "." + layer.spec.name, layer.spec.initializer);
  }
}

at::Tensor TimeConditioning::convolve(const GroupNorm& norm, const Conv2d& conv, const at::Tensor& x,
                                      const at::Tensor& /*time*/, const Dropout& dropout) const {
  return conv(apply_dropout(norm(x, /*silu=*/true), dropout));
}

at::Tensor TimeConditioning::transform(const Block& block, const at::Tensor& x,
                                       const at::Tensor& time) const {
  const auto [attended, normal] =
      residual_layer_norm(x, block.attn(attention_input(x, time), time), kLayerNormEps);
  return attended + block.mlp(normal, time);
}

at::Tensor TimeConditioning::attention_input(const at::Tensor& x, const at::Tensor& /*time*/) const {
  return residual_layer_norm(x, {}, kLayerNormEps).normal;
}

at::Tensor TimeConditioning::attention_output(const WindowAttention& attention, const at::Tensor& x,
                                              const at::Tensor& /*time*/) const {
  const at::Tensor map = attention.qkv(x);
  return tmsa_attention(map, at::zeros({map.size(0), map.size(3)}, map.options()), attention.table,
                        attention.heads, attention.window);
}

AttentionParts TimeConditioning::attention_parts(const WindowAttention& attention, const at::Tensor& x,
                                                 const at::Tensor& /*time*/) const {
  AttentionParts parts = split_windows(attention.qkv(x), attention.heads, attention.window);
  parts.bias = position_bias(attention.table, attention.window);
  return parts;
}

at::Tensor TimeConditioning::mlp_activation(const Linear& fc1, const at::Tensor& x,
                                            const at::Tensor& /*time*/) const {
  return linear_gelu_tanh(x, fc1.weight, fc1.bias);
}

at::Tensor expand_to_map(const at::Tensor& time, const at::Tensor& x) {
  return time.to(x.scalar_type())
      .unsqueeze(1)
      .unsqueeze(1)
      .expand({x.size(0), x.size(1), x.size(2), time.size(-1)});
}

at::Tensor modulate(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift) {
  return at::addcmul(expand_to_map(shift, x), x, expand_to_map(1 + scale, x));
}

}  // namespace diffit::nn
