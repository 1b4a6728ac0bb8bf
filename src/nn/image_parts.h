// What the image-space model is put together from: ResBlocks, stages, and what halves and doubles maps.
#pragma once

#include <string>
#include <vector>

#include "nn/block.h"
#include "nn/dropout.h"

namespace diffit {

inline constexpr double kGroupNormEps = 1e-5;

/// Groups of a GroupNorm over `width` channels.
std::int64_t groups_of(std::int64_t width);

/// x = Block(Conv3x3(SiLU(GN(x))), time) + x (DiffiT eq. 9 and 10); a plain one is x = Block(x, time).
/// Dropout, which the paper does not have, zeroes inputs of the convolution; a plain block has none.
struct ResBlock {
  GroupNorm norm;
  Conv2d conv;         // undefined in a plain one
  Linear norm_temb;    // scale_shift: [2C], scale and shift
  Linear concat_temb;  // concat: [C / 4]
  Linear add_temb;     // add: [C]
  Block block;

  /// Without `convolution`: a plain one.
  ResBlock(std::int64_t width, std::int64_t time_width, std::int64_t heads, std::int64_t window,
           double mlp_ratio, TimePath path, bool convolution);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout = {}) const;
  /// The input of its transformer block.
  at::Tensor convolved(const at::Tensor& x, const at::Tensor& time, const Dropout& dropout = {}) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// p x p pixels as channels of one, row by row: [B, H, W, C] -> [B, H / p, W / p, p * p * C].
at::Tensor space_to_depth(const at::Tensor& x, std::int64_t p);
/// Its inverse: [B, H, W, p * p * C] -> [B, p H, p W, C].
at::Tensor depth_to_space(const at::Tensor& x, std::int64_t p);

/// [B, H, W, in] -> [B, H / 2, W / 2, out]: 3x3 of stride 2, or Linear(LN(2 x 2 pixels)).
struct Down {
  Conv2d conv;
  Linear merge;

  Down() = default;
  Down(std::int64_t in, std::int64_t out, Sampling sampling);
  bool defined() const { return conv.weight.defined() || merge.weight.defined(); }
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// [B, H, W, in] -> [B, 2H, 2W, out]: 3x3 after doubling, or Linear to 2 x 2 pixels.
struct Up {
  Conv2d conv;
  Linear expand;

  Up() = default;
  Up(std::int64_t in, std::int64_t out, Sampling sampling);
  bool defined() const { return conv.weight.defined() || expand.weight.defined(); }
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// The ResBlocks of one resolution on one side of the U.
struct Stage {
  std::string name;  // "encoder.0"
  std::vector<ResBlock> blocks;
  std::int64_t first_place = 0;  // place of dropout in blocks[0]; blocks[k] has first_place + k
  Down down;                     // encoder, but for the last stage
  Up up;                         // decoder
  Conv2d fuse;                   // decoder: 1x1 over [up, skip]

  void add_to(ParameterList& list) const;
};

/// ViT's: patches p x p through one linear layer, plus a learned table of positions.
struct PatchEmbedding {
  Linear proj;
  at::Tensor position;  // [1, side, side, width]
  std::int64_t patch = 1;

  PatchEmbedding() = default;
  PatchEmbedding(std::int64_t channels, std::int64_t width, std::int64_t patch, std::int64_t side);
  at::Tensor operator()(const at::Tensor& x) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

/// Multi-level feature aggregation (Zheng et al. 2021, SETR-MLA): each level through a 1x1, plus the level
/// below it; then a 3x3 with SiLU, to full resolution by bilinear interpolation, and a 3x3 over all of them.
/// The levels of a ViT get there by a linear layer to the pixels of a patch: interpolated, they could not say
/// what differs within a patch, and a denoiser has to.
struct MlaDecoder {
  std::vector<Conv2d> lateral, refine;  // one a level
  std::vector<Linear> expand;           // of a ViT's, one a level
  Conv2d fuse;
  std::int64_t patch = 1;

  MlaDecoder() = default;
  /// patch: side of a ViT's patches in pixels; 1: the levels are stages.
  MlaDecoder(const std::vector<std::int64_t>& channels, std::int64_t width, std::int64_t patch);
  /// levels[i] [B, s_i, s_i, channels[i]], s_i not growing -> [B, side, side, width].
  at::Tensor operator()(const std::vector<at::Tensor>& levels, std::int64_t side) const;
  void add_to(ParameterList& list, const std::string& prefix) const;
};

}  // namespace diffit
