// Configurations of the diffusion networks, as stored in a model file under the metadata key "diffit.config".
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "config/fields.h"
#include "nn/diffit/prediction.h"
#include "nn/diffit/variant.h"

namespace diffit::nn {

/// Image-space model (DiffiT section 3.2): U-shaped network of DiffiT ResBlocks, used with EDM
/// preconditioning.
struct ImageConfig {
  std::int64_t resolution = 32;                       // R, side of the image in pixels
  std::vector<std::int64_t> channels{128, 256, 256};  // width of each stage; stage i has side R / 2^i
  std::vector<std::int64_t> depth{2, 2, 2};           // ResBlocks of each encoder and decoder stage
  std::int64_t window = 4;  // side of an attention window in pixels; the last stage attends to its whole map
  std::int64_t head_dim = 32;
  double mlp_ratio = 4.0;
  std::int64_t classes = 0;  // 0: unconditional
  std::int64_t in_channels = 3;
  std::int64_t augment_labels = 0;  // width of the augmentation label: 0 or 9
  double sigma_data = 0.5;          // standard deviation of the data, for EDM preconditioning
  // DDPM++: sides of the maps with attention; the lowest resolution always has it.
  std::vector<std::int64_t> attention_sides{16};
  double dropout = 0;  // dropout probability in each block during training
  // Variants compared in the paper (nn/diffit/variant.h). A file names them only if they differ from these
  // defaults.
  TimePath time = TimePath::tmsa;
  TimeFeatures time_embedding = TimeFeatures::positional;
  Encoder encoder = Encoder::diffit;
  Decoder decoder = Decoder::diffit;
  Sampling sampling = Sampling::convolution;
  Schedule precondition = Schedule::edm;
  Prediction prediction = Prediction::automatic;

  std::int64_t stages() const { return static_cast<std::int64_t>(channels.size()); }
  std::int64_t resolution_of(std::int64_t stage) const { return resolution >> stage; }
  /// Side of the attention window of a stage; the last stage attends to its whole map.
  std::int64_t window_of(std::int64_t stage) const;
  std::int64_t heads_of(std::int64_t stage) const {
    return channels[static_cast<std::size_t>(stage)] / head_dim;
  }
  bool is_ddpmpp() const { return encoder == Encoder::ddpmpp; }
  /// Whether DDPM++ has attention in this stage.
  bool attends(std::int64_t stage) const;
  /// Number of blocks of a ViT encoder: the sum over all stages.
  std::int64_t vit_depth() const;
  /// Width of the time token: 4 * channels[0].
  std::int64_t time_width() const { return 4 * channels.front(); }
};

/// Latent model (DiffiT section 3.3). In the released code it predicts noise and a variance range.
struct LatentConfig {
  std::int64_t input_size = 32;  // side of the latent
  std::int64_t patch = 2;
  std::int64_t hidden = 1152;
  std::int64_t depth = 28;
  std::int64_t heads = 16;
  double mlp_ratio = 4.0;
  std::int64_t classes = 1000;
  std::int64_t in_channels = 4;
  // A file names these only if they differ from these defaults.
  Prediction prediction = Prediction::eps;
  bool learned_variance = true;

  std::int64_t grid() const { return input_size / patch; }
  /// Channels of the prediction, followed by as many for the variance if it is learned.
  std::int64_t out_channels() const { return (learned_variance ? 2 : 1) * in_channels; }
};

using ModelConfig = std::variant<ImageConfig, LatentConfig>;

template <class V>
void visit_fields(V& v, ImageConfig& c) {
  v("resolution", c.resolution, "side of the image in pixels", 1, 4096);
  v("channels", c.channels, "width of each stage, from full resolution down", 1, 65536);
  v("depth", c.depth, "DiffiT ResBlocks in each stage of the encoder and of the decoder", 0, 1024);
  v("window", c.window, "side of an attention window in pixels; the last stage attends to its whole map", 1,
    256);
  v("head_dim", c.head_dim, "width of an attention head", 1, 1024);
  v("mlp_ratio", c.mlp_ratio, "width of the MLP over the width of the stage", 0.01, 64);
  v("classes", c.classes, "number of classes; 0 is unconditional", 0, 1e6);
  v("in_channels", c.in_channels, "channels of the image: 1 for greyscale, 3 for RGB", 1, 64);
  v("augment_labels", c.augment_labels, "width of the augmentation label: 0, or 9 for EDM's", 0, 64);
  v("sigma_data", c.sigma_data, "standard deviation of the data, for EDM's preconditioning", 1e-3, 1e3);
  v("time", c.time, "how time enters a block");
  v("time_embedding", c.time_embedding, "features from which the time token is computed");
  v("encoder", c.encoder, "architecture of the encoder");
  v("decoder", c.decoder, "architecture of the decoder");
  v("sampling", c.sampling,
    "how feature maps are downsampled and upsampled: by convolution, or by patch merging and expanding");
  v("precondition", c.precondition, "preconditioning of the denoiser, and the noise levels of its training");
  v("attention_sides", c.attention_sides,
    "ddpmpp: sides of the maps with attention; the lowest resolution always has it", 1, 4096);
  v("dropout", c.dropout,
    "dropout probability in each block during training (encoder and decoder diffit or ddpmpp)", 0, 0.9);
  v("prediction", c.prediction, "what the network predicts; auto is edm for precondition edm, else eps");
}

template <class V>
void visit_fields(V& v, LatentConfig& c) {
  v("input_size", c.input_size, "side of the latent", 1, 4096);
  v("patch", c.patch, "side of a patch of the latent", 1, 64);
  v("hidden", c.hidden, "width of a token", 4, 65536);
  v("depth", c.depth, "transformer blocks", 0, 1024);
  v("heads", c.heads, "attention heads", 1, 1024);
  v("mlp_ratio", c.mlp_ratio, "width of the MLP over the width of a token", 0.01, 64);
  v("classes", c.classes, "number of classes; the null label is the last row of the table", 0, 1e6);
  v("in_channels", c.in_channels, "channels of the latent", 1, 64);
  v("prediction", c.prediction, "what the network predicts: x0, eps, v or velocity");
  v("learned_variance", c.learned_variance,
    "whether the network also predicts the variance that the sampler ddpm uses");
}

/// Reads and checks a configuration of the form {"model": "image" | "latent", ...}. Throws Error(invalid)
/// with a message that begins with `where`.
ModelConfig read_model_config(const Json& object, const std::string& where);
Json write_model_config(const ModelConfig& config);

/// Throws Error(invalid) if fields contradict each other. The range of each single field is checked by the
/// reader.
void check_config(const ImageConfig& config, const std::string& where);
void check_config(const LatentConfig& config, const std::string& where);

}  // namespace diffit::nn
