#include "nn/diffit/block.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops.h"

namespace diffit::nn {

at::Tensor relative_position_index(std::int64_t w) {
  const at::Tensor position = at::arange(w * w, at::kLong);
  const at::Tensor y = at::floor_divide(position, w), x = at::remainder(position, w);
  const at::Tensor dy = y.unsqueeze(1) - y.unsqueeze(0) + (w - 1);
  const at::Tensor dx = x.unsqueeze(1) - x.unsqueeze(0) + (w - 1);
  return dy * (2 * w - 1) + dx;
}

namespace {

/// Returns the index buffer of an earlier layer in the list with the same window, or a new one.
at::Tensor shared_index(const ParameterList& list, std::int64_t w) {
  const auto& items = list.items();
  const auto same = std::find_if(items.rbegin(), items.rend(), [w](const Parameter& p) {
    return p.initializer == Initializer::buffer && p.tensor.size(0) == w * w;
  });
  return same != items.rend() ? same->tensor : relative_position_index(w);
}

}  // namespace

Tmsa::Tmsa(std::int64_t width, std::int64_t time_width, std::int64_t heads_, std::int64_t window_,
           TimePath path_)
    : qkv(width, 3 * width),
      proj(width, width),
      table(at::empty({(2 * window_ - 1) * (2 * window_ - 1), heads_}, at::kFloat)),
      heads(heads_),
      window(window_),
      path(path_) {
  if (path == TimePath::tmsa) qkv_temb = Linear(time_width, 3 * width);
  if (path == TimePath::position_bias) bias_temb = Linear(time_width, table.numel());
  if (path == TimePath::tokens) kv_temb = Linear(time_width, 2 * width);
}

at::Tensor Tmsa::operator()(const at::Tensor& x, const at::Tensor& time) const {
  if (path == TimePath::tmsa) {
    return proj(tmsa_attention(qkv(x), qkv_temb(time), table, heads, window));
  }
  if (path == TimePath::position_bias || path == TimePath::tokens) {
    return proj(attend(parts(x, time), x.size(1), x.size(2)));
  }
  const at::Tensor map = qkv(x);
  return proj(
      tmsa_attention(map, at::zeros({map.size(0), map.size(3)}, map.options()), table, heads, window));
}

AttentionParts Tmsa::parts(const at::Tensor& x, const at::Tensor& time) const {
  at::Tensor map = qkv(x);
  if (path == TimePath::tmsa) map = map + at_every_pixel(qkv_temb(time), map);
  AttentionParts parts = split_windows(map, heads, window);
  parts.bias = position_bias(
      path == TimePath::position_bias ? table + bias_temb(time).reshape({-1, table.size(0), heads}) : table,
      window);
  if (path == TimePath::tokens) {
    const std::vector<at::Tensor> token = kv_temb(time).chunk(2, -1);
    append_token(parts, token[0], token[1]);
  }
  return parts;
}

void Tmsa::add_to(ParameterList& list, const std::string& prefix, Initializer proj_initializer) const {
  list.add(prefix + ".relative_position_bias_table", table, Initializer::truncated_002);
  list.add(prefix + ".relative_position_index", shared_index(list, window), Initializer::buffer);
  if (path == TimePath::tmsa) qkv_temb.add_to(list, prefix + ".qkv_temb");
  if (path == TimePath::position_bias)
    bias_temb.add_to(list, prefix + ".bias_temb", Initializer::truncated_002);
  if (path == TimePath::tokens) kv_temb.add_to(list, prefix + ".kv_temb");
  qkv.add_to(list, prefix + ".qkv");
  proj.add_to(list, prefix + ".proj", proj_initializer);
}

Mlp::Mlp(std::int64_t width, double ratio)
    : fc1(width, static_cast<std::int64_t>(static_cast<double>(width) * ratio)),
      fc2(fc1.weight.size(0), width) {}

Mlp::Mlp(std::int64_t width, double ratio, std::int64_t time_width) : Mlp(width, ratio) {
  temb = Linear(time_width, fc1.weight.size(0));
}

at::Tensor Mlp::operator()(const at::Tensor& x, const at::Tensor& time) const {
  const at::Tensor hidden = fc1(x);
  return fc2(gelu_tanh(temb.weight.defined() ? hidden + at_every_pixel(temb(time), hidden) : hidden));
}

void Mlp::add_to(ParameterList& list, const std::string& prefix) const {
  if (temb.weight.defined()) temb.add_to(list, prefix + ".temb");
  fc1.add_to(list, prefix + ".fc1");
  fc2.add_to(list, prefix + ".fc2");
}

Block::Block(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
             double mlp_ratio, TimePath path)
    : attn(width, time_width, heads, window, path),
      mlp(path == TimePath::mlp ? Mlp(width, mlp_ratio, time_width) : Mlp(width, mlp_ratio)) {
  if (path == TimePath::adaln || path == TimePath::adaln_zero) {
    adaln = AdaptiveLayerNorm(width, time_width, path == TimePath::adaln_zero);
  }
  if (path == TimePath::cross_attention) cross = CrossAttention(width, time_width, heads);
}

at::Tensor Block::operator()(const at::Tensor& x, const at::Tensor& time) const {
  if (adaln.modulation.weight.defined()) {
    const auto [first, second] = adaln(time);
    const at::Tensor attended = x + first.gated(attn(first.normalised(x), time));
    return attended + second.gated(mlp(second.normalised(attended), time));
  }
  at::Tensor attended = x + attn(layer_norm(x, kLayerNormEps), time);
  if (cross.q.weight.defined()) attended = attended + cross(layer_norm(attended, kLayerNormEps), time);
  return attended + mlp(layer_norm(attended, kLayerNormEps), time);
}

at::Tensor Block::attention_input(const at::Tensor& x, const at::Tensor& time) const {
  return adaln.modulation.weight.defined() ? adaln(time).first.normalised(x) : layer_norm(x, kLayerNormEps);
}

void Block::add_to(ParameterList& list, const std::string& prefix) const {
  if (adaln.modulation.weight.defined()) adaln.add_to(list, prefix + ".adaln");
  attn.add_to(list, prefix + ".attn");
  if (cross.q.weight.defined()) cross.add_to(list, prefix + ".cross");
  mlp.add_to(list, prefix + ".mlp");
}

at::Tensor timestep_features(const at::Tensor& t) {
  constexpr std::int64_t kHalf = 128;
  const at::Tensor frequency = at::exp(at::arange(kHalf, at::TensorOptions(at::kFloat).device(t.device())) *
                                       (-std::log(10000.0) / kHalf));
  const at::Tensor angle = t.to(at::kFloat).unsqueeze(1) * frequency;
  return at::cat({angle.cos(), angle.sin()}, 1);
}

namespace {

/// Returns 128 frequencies f ~ N(0, 16^2), float32 on the CPU. They are the same in every model.
at::Tensor fourier_frequencies() {
  Random random(0, stream_of(Purpose::initial_weights, 0));
  return normal_tensor({128}, random) * 16;
}

at::Tensor fourier_features(const at::Tensor& t, const at::Tensor& frequencies) {
  const at::Tensor angle = t.to(frequencies.scalar_type()).unsqueeze(1) * (2 * M_PI * frequencies);
  return at::cat({angle.cos(), angle.sin()}, 1);
}

}  // namespace

TimeEmbedder::TimeEmbedder(std::int64_t width, TimeFeatures features)
    : first(256, width),
      second(width, width),
      frequencies(features == TimeFeatures::fourier ? fourier_frequencies() : at::Tensor()) {}

at::Tensor TimeEmbedder::operator()(const at::Tensor& t) const {
  const at::Tensor features = frequencies.defined() ? fourier_features(t, frequencies) : timestep_features(t);
  return second(at::silu(first(features.to(first.weight.scalar_type()))));
}

void TimeEmbedder::add_to(ParameterList& list, const std::string& prefix) const {
  if (frequencies.defined()) list.add(prefix + ".frequencies", frequencies, Initializer::fixed);
  first.add_to(list, prefix + ".mlp.0", Initializer::normal_002);
  second.add_to(list, prefix + ".mlp.2", Initializer::normal_002);
}

LabelEmbedder::LabelEmbedder(std::int64_t classes, std::int64_t width)
    : table(at::empty({classes + 1, width}, at::kFloat)) {}

at::Tensor LabelEmbedder::operator()(const at::Tensor& y) const {
  return at::embedding(table, y);
}

void LabelEmbedder::add_to(ParameterList& list, const std::string& prefix) const {
  list.add(prefix + ".embedding_table.weight", table, Initializer::normal_002);
}

}  // namespace diffit::nn
