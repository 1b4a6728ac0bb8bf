// Building blocks of the image-space model: ResBlocks, stages, and down- and upsampling of feature maps.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nn/diffit/backbone.h"
#include "nn/diffit/block.h"
#include "nn/layers/dropout.h"

namespace diffit::nn {

/// x = Block(Conv3x3(SiLU(GN(x))), time) + x (DiffiT eq. 9 and 10). A plain block is x = Block(x, time).
/// Dropout, which the paper does not have, is applied to the input of the convolution; a plain block has
/// none.
struct ResBlock {
  struct Convolution {
    GroupNorm norm;
    Conv2d conv;
  };
  std::optional<Convolution> convolution;  // none in a plain block
  Block block;

  /// Plain block: time enters as a token.
  explicit ResBlock(const BlockShape& shape) : block(shape, TimePath::tokens) {}
  ResBlock(const BlockShape& shape, TimePath path);
  /// x [B, H, W, C], time [B, time_width] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout = {}) const;
  /// Returns the input of the transformer block: the result of the convolution, or x in a plain block.
  at::Tensor convolve(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout = {}) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Moves p x p pixels, row by row, into the channels of one: [B, H, W, C] -> [B, H / p, W / p, p * p * C].
at::Tensor space_to_depth(const at::Tensor& x, std::int64_t p);
/// Inverse of space_to_depth: [B, H, W, p * p * C] -> [B, p H, p W, C].
at::Tensor depth_to_space(const at::Tensor& x, std::int64_t p);

/// Downsampling: [B, H, W, in] -> [B, H / 2, W / 2, out] by a 3x3 convolution of stride 2, or by Linear(LN(2
/// x 2 pixels)).
struct Down {
  std::variant<Conv2d, Linear> layer;

  Down(std::int64_t in, std::int64_t out, Sampling sampling);
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Upsampling: [B, H, W, in] -> [B, 2H, 2W, out] by a 3x3 convolution after upsampling, or by a linear layer
/// to 2 x 2 pixels.
struct Up {
  std::variant<Conv2d, Linear> layer;

  Up(std::int64_t in, std::int64_t out, Sampling sampling);
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// ResBlocks of one resolution in the encoder or the decoder.
struct Stage {
  /// Layers before the blocks of a decoder stage: upsampling, then a 1x1 convolution over [up, skip].
  struct Join {
    Up up;
    Conv2d fuse;
  };
  std::string name;  // "encoder.0"
  std::vector<ResBlock> blocks;
  std::int64_t first_place = 0;  // dropout place of blocks[0]; blocks[k] has first_place + k
  std::optional<Down> down;      // encoder, except in the last stage
  std::optional<Join> join;      // decoder

  /// Runs block k. Calls the observer before it, if there is one.
  at::Tensor run(std::size_t k, const at::Tensor& x, const at::Tensor& time, const RunOptions& options) const;
  /// Runs all blocks in order.
  at::Tensor run(at::Tensor map, const at::Tensor& time, const RunOptions& options) const;
  void add_to(ParameterList& list) const;
};

/// Sizes of the blocks of a stage.
BlockShape block_shape(const ImageConfig& config, std::int64_t stage);
/// Creates a stage of `count` blocks: DiffiT ResBlocks if `diffit`, else plain blocks.
Stage make_stage(const ImageConfig& config, std::int64_t stage, std::int64_t count, std::string name,
                 bool diffit);

/// Output head of DiffiT: GroupNorm without activation, then a 3x3 convolution that is initialized to zero.
struct Head {
  GroupNorm norm;
  Conv2d conv;

  explicit Head(const ImageConfig& config);
  /// x [B, R, R, channels[0]] -> [B, R, R, in_channels].
  at::Tensor operator()(const at::Tensor& x) const { return conv(norm(x, /*silu=*/false)); }
  void add_to(ParameterList& list) const;
};

/// Returns the number of pixels of a stage's feature map.
double pixels_of(const ImageConfig& config, std::int64_t stage);

// Describe the layers of a stage, in the order of their parameters.

/// As make_stage.
void describe_blocks(const ImageConfig& config, std::int64_t stage, std::int64_t count, bool diffit,
                     const std::string& prefix, Structure& structure);
/// From the stage to the next deeper one.
void describe_down(const ImageConfig& config, std::int64_t stage, const std::string& prefix,
                   Structure& structure);
/// From the next deeper stage to the stage.
void describe_up(const ImageConfig& config, std::int64_t stage, const std::string& prefix,
                 Structure& structure);
/// `patch` as for MlaDecoder.
void describe_mla(const ImageConfig& config, std::int64_t patch, const std::string& prefix,
                  Structure& structure);
void describe_head(const ImageConfig& config, Structure& structure);

/// Patch embedding of a ViT: a linear layer over p x p patches, plus a learned position table. Maps [B, H, W,
/// channels] to [B, side, side, width].
struct PatchEmbedding {
  Linear proj;
  at::Tensor position;  // [1, side, side, width]
  std::int64_t patch = 1;

  PatchEmbedding(std::int64_t channels, std::int64_t width, std::int64_t patch, std::int64_t side);
  /// x [B, H, W, channels] -> [B, side, side, width].
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Multi-level feature aggregation (Zheng et al. 2021, SETR-MLA): each level passes through a 1x1 convolution
/// and adds the next deeper level; then a 3x3 convolution with SiLU, bilinear interpolation to full
/// resolution, and a 3x3 convolution over all levels. The levels of a ViT are brought to full resolution by a
/// linear layer to the pixels of each patch, because interpolation would lose the detail within a patch that
/// a denoiser needs.
struct MlaDecoder {
  std::vector<Conv2d> lateral, refine;  // one for each level
  std::vector<Linear> expand;           // ViT only: one for each level
  Conv2d fuse;
  std::int64_t patch = 1;

  /// `patch`: side of a ViT patch in pixels; 1 means that the levels are the stages of a U-Net.
  MlaDecoder(const std::vector<std::int64_t>& channels, std::int64_t width, std::int64_t patch);
  /// levels[i] [B, s_i, s_i, channels[i]], with s_i not increasing -> [B, side, side, width].
  at::Tensor operator()(const std::vector<at::Tensor>& levels, std::int64_t side) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

}  // namespace diffit::nn
