// Building blocks of the image-space model: ResBlocks, stages, and down- and upsampling of feature maps.
#pragma once

#include <string>
#include <vector>

#include "nn/diffit/block.h"
#include "nn/layers/dropout.h"

namespace diffit::nn {

inline constexpr double kGroupNormEps = 1e-5;

/// Number of groups of a GroupNorm over `width` channels.
std::int64_t groups_of(std::int64_t width);

/// x = Block(Conv3x3(SiLU(GN(x))), time) + x (DiffiT eq. 9 and 10). A plain block is x = Block(x, time).
/// Dropout, which the paper does not have, is applied to the input of the convolution; a plain block has
/// none.
struct ResBlock {
  GroupNorm norm;
  Conv2d conv;         // undefined in a plain block
  Linear norm_temb;    // scale_shift: [2C], scale and shift
  Linear concat_temb;  // concat: [C / 4]
  Linear add_temb;     // add: [C]
  Block block;

  /// With `convolution` = false, a plain block.
  ResBlock(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
           double mlp_ratio, TimePath path, bool convolution);
  /// x [B, H, W, C], time [B, time_width] -> [B, H, W, C].
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout = {}) const;
  /// Returns the input of the transformer block: the result of the convolution, or x in a plain block.
  at::Tensor convolved(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout = {}) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Moves p x p pixels, row by row, into the channels of one: [B, H, W, C] -> [B, H / p, W / p, p * p * C].
at::Tensor space_to_depth(const at::Tensor& x, std::int64_t p);
/// Inverse of space_to_depth: [B, H, W, p * p * C] -> [B, p H, p W, C].
at::Tensor depth_to_space(const at::Tensor& x, std::int64_t p);

/// Downsampling: [B, H, W, in] -> [B, H / 2, W / 2, out] by a 3x3 convolution of stride 2, or by Linear(LN(2
/// x 2 pixels)).
struct Down {
  Conv2d conv;
  Linear merge;

  Down() = default;
  Down(std::int64_t in, std::int64_t out, Sampling sampling);
  bool defined() const { return conv.weight.defined() || merge.weight.defined(); }
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Upsampling: [B, H, W, in] -> [B, 2H, 2W, out] by a 3x3 convolution after upsampling, or by a linear layer
/// to 2 x 2 pixels.
struct Up {
  Conv2d conv;
  Linear expand;

  Up() = default;
  Up(std::int64_t in, std::int64_t out, Sampling sampling);
  bool defined() const { return conv.weight.defined() || expand.weight.defined(); }
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// ResBlocks of one resolution in the encoder or the decoder.
struct Stage {
  std::string name;  // "encoder.0"
  std::vector<ResBlock> blocks;
  std::int64_t first_place = 0;  // dropout place of blocks[0]; blocks[k] has first_place + k
  Down down;                     // encoder, except in the last stage
  Up up;                         // decoder
  Conv2d fuse;                   // decoder: 1x1 convolution over [up, skip]

  void add_to(ParameterList& list) const;
};

/// Patch embedding of a ViT: a linear layer over p x p patches, plus a learned position table. Maps [B, H, W,
/// channels] to [B, side, side, width].
struct PatchEmbedding {
  Linear proj;
  at::Tensor position;  // [1, side, side, width]
  std::int64_t patch = 1;

  PatchEmbedding() = default;
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

  MlaDecoder() = default;
  /// `patch`: side of a ViT patch in pixels; 1 means that the levels are the stages of a U-Net.
  MlaDecoder(const std::vector<std::int64_t>& channels, std::int64_t width, std::int64_t patch);
  /// levels[i] [B, s_i, s_i, channels[i]], with s_i not increasing -> [B, side, side, width].
  at::Tensor operator()(const std::vector<at::Tensor>& levels, std::int64_t side) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

}  // namespace diffit::nn
