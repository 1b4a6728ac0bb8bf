#include "nn/diffit/block.h"

#include <algorithm>

#include "kernels/ops.h"

namespace diffit::nn {

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

Tmsa::Tmsa(const BlockShape& shape, TimePath path)
    : WindowAttention{.qkv = Linear(shape.width, 3 * shape.width),
                      .proj = Linear(shape.width, shape.width),
                      .table = at::empty({shape.offsets(), shape.heads}, at::kFloat),
                      .heads = shape.heads,
                      .window = shape.window},
      conditioning(variant_of(path).make(variant_of(path), shape)) {}

at::Tensor Tmsa::operator()(const at::Tensor& x, const at::Tensor& time) const {
  return proj(conditioning->attention_output(*this, x, time));
}

AttentionParts Tmsa::parts(const at::Tensor& x, const at::Tensor& time) const {
  return conditioning->attention_parts(*this, x, time);
}

void Tmsa::add_to(ParameterList& list, const std::string& prefix, Initializer proj_initializer) const {
  list.add(prefix + ".relative_position_bias_table", table, Initializer::truncated_002);
  list.add(prefix + ".relative_position_index", shared_index(list, window), Initializer::buffer);
  conditioning->add_to(TimeSite::attention, list, prefix);
  qkv.add_to(list, prefix + ".qkv");
  proj.add_to(list, prefix + ".proj", proj_initializer);
}

Mlp::Mlp(const BlockShape& shape, std::shared_ptr<const TimeConditioning> conditioning_)
    : fc1(shape.width, shape.mlp_width()),
      fc2(shape.mlp_width(), shape.width),
      conditioning(std::move(conditioning_)) {}

at::Tensor Mlp::operator()(const at::Tensor& x, const at::Tensor& time) const {
  return fc2(conditioning->mlp_activation(fc1, x, time));
}

void Mlp::add_to(ParameterList& list, const std::string& prefix) const {
  conditioning->add_to(TimeSite::mlp, list, prefix);
  fc1.add_to(list, prefix + ".fc1");
  fc2.add_to(list, prefix + ".fc2");
}

Block::Block(const BlockShape& shape, TimePath path) : attn(shape, path), mlp(shape, attn.conditioning) {}

void Block::add_to(ParameterList& list, const std::string& prefix) const {
  conditioning().add_to(TimeSite::block, list, prefix);
  attn.add_to(list, prefix + ".attn");
  conditioning().add_to(TimeSite::cross, list, prefix);
  mlp.add_to(list, prefix + ".mlp");
}

void describe_time(const BlockShape& shape, TimePath path, TimeSite site, const std::string& prefix,
                   Structure& structure) {
  structure.scope(prefix, [&](Structure& inner) { variant_of(path).describe(shape, site, inner); });
}

void describe_attention(const BlockShape& shape, TimePath path, const std::string& prefix,
                        Structure& structure) {
  const std::int64_t width = shape.width;
  structure.table(prefix + ".relative_position_bias_table", shape.offsets() * shape.heads);
  describe_time(shape, path, TimeSite::attention, prefix, structure);
  structure.linear(prefix + ".qkv", width, 3 * width, shape.pixels);
  structure.attention(prefix, width, shape.pixels, static_cast<double>(shape.window * shape.window));
  structure.linear(prefix + ".proj", width, width, shape.pixels);
}

void describe_block(const BlockShape& shape, TimePath path, const std::string& prefix, Structure& structure) {
  const std::int64_t width = shape.width, inner = shape.mlp_width();
  describe_time(shape, path, TimeSite::block, prefix, structure);
  describe_attention(shape, path, prefix + ".attn", structure);
  describe_time(shape, path, TimeSite::cross, prefix, structure);
  describe_time(shape, path, TimeSite::mlp, prefix + ".mlp", structure);
  structure.linear(prefix + ".mlp.fc1", width, inner, shape.pixels);
  structure.linear(prefix + ".mlp.fc2", inner, width, shape.pixels);
  // Two LayerNorms, the output of attention and the output of GELU.
  structure.elementwise(prefix, 3 * width + inner, shape.pixels);
}

}  // namespace diffit::nn
