#include "nn/block.h"

#include <algorithm>
#include <cmath>

#include "kernels/ops.h"

namespace diffit {

namespace {

constexpr double kLayerNormEps = 1e-6;  // released code

/// [N, N] int64, N = w * w: which row of the bias table query i and key j take.
at::Tensor relative_position_index(std::int64_t w) {
  const at::Tensor position = at::arange(w * w, at::kLong);
  const at::Tensor y = at::floor_divide(position, w), x = at::remainder(position, w);
  const at::Tensor dy = y.unsqueeze(1) - y.unsqueeze(0) + (w - 1);
  const at::Tensor dx = x.unsqueeze(1) - x.unsqueeze(0) + (w - 1);
  return dy * (2 * w - 1) + dx;
}

/// That of a layer before with the same window, where the list has one.
at::Tensor shared_index(const ParameterList& list, std::int64_t w) {
  const auto& items = list.items();
  const auto same = std::find_if(items.rbegin(), items.rend(), [w](const Parameter& p) {
    return p.start == Start::buffer && p.tensor.size(0) == w * w;
  });
  return same != items.rend() ? same->tensor : relative_position_index(w);
}

}  // namespace

Tmsa::Tmsa(std::int64_t width, std::int64_t time_width, std::int64_t heads_, std::int64_t window_)
    : qkv_temb(time_width, 3 * width),
      qkv(width, 3 * width),
      proj(width, width),
      table(at::empty({(2 * window_ - 1) * (2 * window_ - 1), heads_}, at::kFloat)),
      heads(heads_),
      window(window_) {}

at::Tensor Tmsa::operator()(const at::Tensor& x, const at::Tensor& time) const {
  return proj(tmsa_attention(qkv(x), qkv_temb(time), table, heads, window));
}

void Tmsa::add_to(ParameterList& list, const std::string& prefix) const {
  list.add(prefix + ".relative_position_bias_table", table, Start::truncated_002);
  list.add(prefix + ".relative_position_index", shared_index(list, window), Start::buffer);
  qkv_temb.add_to(list, prefix + ".qkv_temb");
  qkv.add_to(list, prefix + ".qkv");
  proj.add_to(list, prefix + ".proj");
}

Mlp::Mlp(std::int64_t width, double ratio)
    : fc1(width, static_cast<std::int64_t>(static_cast<double>(width) * ratio)),
      fc2(fc1.weight.size(0), width) {}

at::Tensor Mlp::operator()(const at::Tensor& x) const {
  return fc2(gelu_tanh(fc1(x)));
}

void Mlp::add_to(ParameterList& list, const std::string& prefix) const {
  fc1.add_to(list, prefix + ".fc1");
  fc2.add_to(list, prefix + ".fc2");
}

Block::Block(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
             double mlp_ratio)
    : attn(width, time_width, heads, window), mlp(width, mlp_ratio) {}

at::Tensor Block::operator()(const at::Tensor& x, const at::Tensor& time) const {
  const at::Tensor attended = x + attn(layer_norm(x, kLayerNormEps), time);
  return attended + mlp(layer_norm(attended, kLayerNormEps));
}

void Block::add_to(ParameterList& list, const std::string& prefix) const {
  attn.add_to(list, prefix + ".attn");
  mlp.add_to(list, prefix + ".mlp");
}

at::Tensor timestep_features(const at::Tensor& t) {
  constexpr std::int64_t kHalf = 128;
  const at::Tensor frequency = at::exp(at::arange(kHalf, at::TensorOptions(at::kFloat).device(t.device())) *
                                       (-std::log(10000.0) / kHalf));
  const at::Tensor angle = t.to(at::kFloat).unsqueeze(1) * frequency;
  return at::cat({angle.cos(), angle.sin()}, 1);
}

TimeEmbedder::TimeEmbedder(std::int64_t width) : first(256, width), second(width, width) {}

at::Tensor TimeEmbedder::operator()(const at::Tensor& t) const {
  return second(at::silu(first(timestep_features(t).to(first.weight.scalar_type()))));
}

void TimeEmbedder::add_to(ParameterList& list, const std::string& prefix) const {
  first.add_to(list, prefix + ".mlp.0", Start::normal_002);
  second.add_to(list, prefix + ".mlp.2", Start::normal_002);
}

LabelEmbedder::LabelEmbedder(std::int64_t classes, std::int64_t width)
    : table(at::empty({classes + 1, width}, at::kFloat)) {}

at::Tensor LabelEmbedder::operator()(const at::Tensor& y) const {
  return at::embedding(table, y);
}

void LabelEmbedder::add_to(ParameterList& list, const std::string& prefix) const {
  list.add(prefix + ".embedding_table.weight", table, Start::normal_002);
}

}  // namespace diffit
