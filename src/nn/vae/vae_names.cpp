#include "nn/vae/vae_names.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"

namespace diffit::nn {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

std::string replace_all(std::string text, std::span<const Pair> pairs) {
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
  if (kind == Kind::older) return replace_all(name, kOlder);
  constexpr std::string_view up = "decoder.up_blocks.";
  if (!name.starts_with(up)) return replace_all(name, kOriginal);
  const std::size_t dot = name.find('.', up.size());
  const std::int64_t stage = parse_int(name.substr(up.size(), dot - up.size()), name);
  return replace_all(fmt::format("{}{}{}", up, stages - 1 - stage, name.substr(dot)), kOriginal);
}

namespace {

/// Beginnings of tensor names after the prefix that distinguish an autoencoder from other encoders (CLIP:
/// encoder.layers, T5: encoder.block).
constexpr std::string_view kMarks[] = {"encoder.down.",      "encoder.mid.",         "decoder.up.",
                                       "decoder.mid.",       "encoder.down_blocks.", "encoder.mid_block.",
                                       "decoder.up_blocks.", "decoder.mid_block."};

/// Returns the prefixes of autoencoders, and the number of tensors with each.
std::map<std::string, std::size_t> prefixes_in(std::span<const TensorView> tensors) {
  std::map<std::string, std::size_t> found;
  for (const TensorView& view : tensors) {
    for (const std::string_view mark : kMarks) {
      const std::size_t at = view.name.find(mark);
      if (at == std::string::npos || (at > 0 && view.name[at - 1] != '.')) continue;
      ++found[view.name.substr(0, at)];
      break;
    }
  }
  return found;
}

/// Chooses a prefix: that of complete checkpoints, else the empty one, else the only one.
std::string choose_prefix(const std::map<std::string, std::size_t>& found, const std::string& where) {
  for (const char* usual : {"first_stage_model.", ""}) {
    if (found.contains(usual)) return usual;
  }
  std::vector<std::string> names;
  for (const auto& [prefix, count] : found) names.push_back(printable(prefix));
  DIFFIT_CHECK(found.size() == 1,
               "{}: found autoencoders under {} prefixes, {}: keep only the tensors of one", where,
               found.size(), fmt::join(names, ", "));
  return found.begin()->first;
}

}  // namespace

bool is_unrelated(std::string_view name) {
  // First components of names: training of the autoencoder, EMA weights, and other networks of a checkpoint.
  static constexpr std::string_view kRoots[] = {"loss",
                                                "losses",
                                                "loss_fn",
                                                "criterion",
                                                "discriminator",
                                                "disc",
                                                "perceptual_loss",
                                                "perceptual",
                                                "lpips",
                                                "lpips_loss",
                                                "vgg",
                                                "gan",
                                                "gan_loss",
                                                "logvar",
                                                "colorize",
                                                "model_ema",
                                                "ema",
                                                "ema_model",
                                                "optimizer",
                                                "optimizers",
                                                "optimizer_states",
                                                "optimizer_state",
                                                "opt",
                                                "opt_ae",
                                                "opt_disc",
                                                "optimizer_g",
                                                "optimizer_d",
                                                "scheduler",
                                                "lr_scheduler",
                                                "lr_schedulers",
                                                "scaler",
                                                "grad_scaler",
                                                "callbacks",
                                                "metrics",
                                                "model",
                                                "cond_stage_model",
                                                "conditioner",
                                                "denoiser",
                                                "global_step",
                                                "epoch",
                                                "step",
                                                "iteration",
                                                "num_updates",
                                                "decay",
                                                "n_averaged",
                                                "scale_factor",
                                                "betas",
                                                "alphas_cumprod",
                                                "alphas_cumprod_prev",
                                                "lvlb_weights"};
  const std::string_view root = name.substr(0, name.find('.'));
  return std::find(std::begin(kRoots), std::end(kRoots), root) != std::end(kRoots) ||
         root.starts_with("sqrt_") || root.starts_with("log_one_minus_") || root.starts_with("posterior_");
}

VaeLayout layout_of(std::span<const TensorView> tensors, const std::string& where) {
  const std::map<std::string, std::size_t> found = prefixes_in(tensors);
  DIFFIT_CHECK(!found.empty(),
               "{}: wanted an autoencoder (encoder.down_blocks..., or encoder.down... as in the original "
               "files), got {}",
               where, tensors.empty() ? "no tensors" : "tensors like " + printable(tensors.front().name));
  VaeLayout layout;
  layout.prefix = choose_prefix(found, where);
  const auto any = [&](std::string_view beginning) {
    const std::string whole = layout.prefix + std::string(beginning);
    return std::any_of(tensors.begin(), tensors.end(),
                       [&](const TensorView& view) { return view.name.starts_with(whole); });
  };
  DIFFIT_CHECK(!any("quantize."),
               "{}: {}quantize...: an autoencoder with a code book (VQ), wanted AutoencoderKL", where,
               layout.prefix);
  if (any("encoder.down.") || any("encoder.mid.") || any("decoder.up.") || any("decoder.mid.")) {
    layout.kind = VaeLayout::Kind::original;
  } else if (any("encoder.mid_block.attentions.0.query.") || any("decoder.mid_block.attentions.0.query.")) {
    layout.kind = VaeLayout::Kind::older;
  }
  return layout;
}

VaeConfig infer_vae_config(std::span<const TensorView> tensors, const VaeLayout& layout,
                           const std::string& where, const VaeConfig& otherwise) {
  std::map<std::string, const std::vector<std::int64_t>*> shapes;
  for (const TensorView& view : tensors) shapes[view.name] = &view.shape;
  std::int64_t stages = 1;  // names that depend on it are not used before it is known
  const auto name_of = [&](const std::string& name) { return layout.prefix + layout.name_of(name, stages); };
  const auto any = [&](const std::string& beginning) {
    const auto at = shapes.lower_bound(name_of(beginning));
    return at != shapes.end() && at->first.starts_with(name_of(beginning));
  };
  /// Returns the size of an axis of the first of these tensors that exists.
  const auto axis = [&](std::initializer_list<std::pair<std::string, std::size_t>> candidates) {
    for (const auto& [name, i] : candidates) {
      const auto found = shapes.find(name_of(name));
      if (found != shapes.end() && i < found->second->size()) return (*found->second)[i];
    }
    reject("{}: no \"diffit.config\" in its metadata, and missing {}, to infer one from", where,
           name_of(candidates.begin()->first));
  };
  constexpr std::int64_t max_stages = 9, max_blocks = 65;  // one more than any configuration may have
  VaeConfig c = otherwise;
  while (stages < max_stages && any(fmt::format("encoder.down_blocks.{}.", stages))) ++stages;
  c.blocks = 1;
  while (c.blocks < max_blocks && any(fmt::format("encoder.down_blocks.0.resnets.{}.", c.blocks))) ++c.blocks;
  c.in_channels = axis({{"encoder.conv_in.weight", 1}, {"decoder.conv_out.weight", 0}});
  c.latent_channels = axis({{"decoder.conv_in.weight", 1}, {"post_quant_conv.weight", 0}});
  c.channels.clear();
  for (std::int64_t i = 0; i < stages; ++i) {
    const std::string block = fmt::format("encoder.down_blocks.{}.resnets.0.", i);
    c.channels.push_back(
        axis({{block + "conv2.weight", 0}, {block + "conv1.weight", 0}, {block + "norm2.weight", 0}}));
  }
  return read_vae_config(write_vae_config(c),
                         where + " (inferred from tensor shapes, which do not determine norm_groups)");
}

}  // namespace diffit::nn
