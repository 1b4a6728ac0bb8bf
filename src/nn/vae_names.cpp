#include "nn/vae_names.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "io/printable.h"

namespace diffit {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

std::string replaced(std::string text, std::span<const Pair> pairs) {
  for (const auto& [from, to] : pairs) {
    if (const std::size_t at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
  }
  return text;
}

constexpr std::array<Pair, 4> kOlder{
    {{".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}}};

constexpr std::array<Pair, 15> kOriginal{{{".down_blocks.", ".down."},
                                          {".downsamplers.0.", ".downsample."},
                                          {".upsamplers.0.", ".upsample."},
                                          {".mid_block.resnets.0.", ".mid.block_1."},
                                          {".mid_block.resnets.1.", ".mid.block_2."},
                                          {".mid_block.attentions.0.", ".mid.attn_1."},
                                          {".group_norm.", ".norm."},
                                          {".to_q.", ".q."},
                                          {".to_k.", ".k."},
                                          {".to_v.", ".v."},
                                          {".to_out.0.", ".proj_out."},
                                          {".resnets.", ".block."},
                                          {".conv_shortcut.", ".nin_shortcut."},
                                          {".conv_norm_out.", ".norm_out."},
                                          {".up_blocks.", ".up."}}};

}  // namespace

std::string VaeLayout::name_of(const std::string& name, std::int64_t stages) const {
  if (kind == Kind::current) return name;
  if (kind == Kind::older) return replaced(name, kOlder);
  constexpr std::string_view up = "decoder.up_blocks.";
  if (!name.starts_with(up)) return replaced(name, kOriginal);
  const std::size_t dot = name.find('.', up.size());
  const std::int64_t stage = parse_int(name.substr(up.size(), dot - up.size()), name);
  return replaced(fmt::format("{}{}{}", up, stages - 1 - stage, name.substr(dot)), kOriginal);
}

VaeLayout layout_of(std::span<const TensorView> tensors, const std::string& where) {
  constexpr std::string_view whole = "first_stage_model.";
  const auto any = [&](const std::string& beginning) {
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const TensorView& view) { return view.name.starts_with(beginning); });
  };
  VaeLayout layout;
  if (any(std::string(whole))) layout.prefix = whole;
  const std::string encoder = layout.prefix + "encoder.", decoder = layout.prefix + "decoder.";
  if (any(encoder + "down.") || any(encoder + "mid.") || any(decoder + "up.") || any(decoder + "mid.")) {
    layout.kind = VaeLayout::Kind::original;
  } else if (any(encoder + "down_blocks.") || any(encoder + "mid_block.") || any(decoder + "up_blocks.") ||
             any(decoder + "mid_block.")) {
    const bool older =
        any(encoder + "mid_block.attentions.0.query.") || any(decoder + "mid_block.attentions.0.query.");
    layout.kind = older ? VaeLayout::Kind::older : VaeLayout::Kind::current;
  } else {
    reject(
        "{}: wanted an autoencoder (encoder.down_blocks..., or encoder.down... as in the original files), "
        "got {}",
        where, tensors.empty() ? "no tensors" : "tensors like " + printable(tensors.front().name));
  }
  return layout;
}

VaeConfig infer_vae_config(std::span<const TensorView> tensors, const VaeLayout& layout,
                           const std::string& where) {
  std::map<std::string, const std::vector<std::int64_t>*> shapes;
  for (const TensorView& view : tensors) shapes[view.name] = &view.shape;
  std::int64_t stages = 1;  // names that count from the other end do not occur before it is known
  const auto name_of = [&](const std::string& name) { return layout.prefix + layout.name_of(name, stages); };
  const auto any = [&](const std::string& beginning) {
    const auto at = shapes.lower_bound(name_of(beginning));
    return at != shapes.end() && at->first.starts_with(name_of(beginning));
  };
  /// The axis of the first of these that there is.
  const auto axis = [&](std::initializer_list<std::pair<std::string, std::size_t>> candidates) {
    for (const auto& [name, i] : candidates) {
      const auto found = shapes.find(name_of(name));
      if (found != shapes.end() && i < found->second->size()) return (*found->second)[i];
    }
    reject("{}: no \"diffit.config\" in its metadata, and missing {}, to infer one from", where,
           name_of(candidates.begin()->first));
  };
  constexpr std::int64_t most_stages = 9, most_blocks = 65;  // one more than any configuration may have
  VaeConfig c;
  while (stages < most_stages && any(fmt::format("encoder.down_blocks.{}.", stages))) ++stages;
  c.blocks = 1;
  while (c.blocks < most_blocks && any(fmt::format("encoder.down_blocks.0.resnets.{}.", c.blocks)))
    ++c.blocks;
  c.in_channels = axis({{"encoder.conv_in.weight", 1}, {"decoder.conv_out.weight", 0}});
  c.latent_channels = axis({{"decoder.conv_in.weight", 1}, {"post_quant_conv.weight", 0}});
  c.channels.clear();
  for (std::int64_t i = 0; i < stages; ++i) {
    const std::string block = fmt::format("encoder.down_blocks.{}.resnets.0.", i);
    c.channels.push_back(
        axis({{block + "conv2.weight", 0}, {block + "conv1.weight", 0}, {block + "norm2.weight", 0}}));
  }
  return read_vae_config(write_vae_config(c), where + " (inferred; norm_groups is not told by shapes)");
}

}  // namespace diffit
