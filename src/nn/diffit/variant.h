// Variants compared in the paper (DiffiT section 5, tables 4 to 6), as values of the image-space model's
// fields.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/layers.h"

namespace diffit::nn {

/// Where the time token x_t [B, T] enters a block; field `time`. Everything not mentioned is as in a block
/// without time: q, k, v = LN(x) W, then softmax(q k^T / sqrt(d) + B) v with B = table. W_... are linear
/// layers applied to x_t.
enum class TimePath {
  tmsa,           // H: q = x W_q + x_t W_qt, likewise k and v (eq. 3 to 5)
  position_bias,  // F: B(x_t) = table + x_t W_b, one number per head and offset; q, k, v do not depend on
                  // time
  mlp,            // G: fc2(gelu(fc1(x) + x_t W_m)); attention does not depend on time
  tokens,         // one additional key and value in each window, x_t W_k and x_t W_v, with position bias 0
  adaln,          // LN(x) (1 + s) + b before attention and MLP, (s, b) = SiLU(x_t) W (DiT, "adaLN")
  adaln_zero,     // like adaln, with each branch multiplied by a gate, all starting at 0 (DiT, "adaLN-Zero")
  scale_shift,    // Conv3x3(SiLU(GN(x) (1 + s) + b)), (s, b) = x_t W (ADM)
  concat,         // Conv3x3 of [SiLU(GN(x)), x_t W at each pixel], C / 4 additional channels
  add,            // Conv3x3(SiLU(GN(x))) + x_t W at each pixel (DDPM)
  cross_attention,  // after attention, x += CA(LN(x)): queries from x, keys and values from kTimeTokens
                    // tokens computed from x_t
  none,             // time does not enter; the network does not know the noise level
};

/// Number of tokens of cross_attention. A single token would receive all the attention, whatever the query.
inline constexpr std::int64_t kTimeTokens = 4;

/// Whether the attention map, or q, k and v for a given input, depend on time.
constexpr bool time_enters_attention(TimePath path) {
  return path == TimePath::tmsa || path == TimePath::position_bias || path == TimePath::tokens ||
         path == TimePath::adaln || path == TimePath::adaln_zero;
}

/// Features from which the time token is computed; field `time_embedding`.
enum class TimeFeatures {
  positional,  // cos and sin of t 10000^(-i / 128)
  fourier,     // cos and sin of 2 pi f t, f ~ N(0, 16^2) drawn once (Song et al. 2021; used by EDM for VE)
};

/// Fields `encoder` and `decoder` (configurations A to E). Blocks other than DiffiT's are plain transformer
/// blocks without the convolution, and take time as an additional token in each window, like the class token
/// of a ViT.
enum class Encoder {
  vit,               // A: patches, at the resolution of the last stage, one width, global attention
  multi_resolution,  // B, C: stages of the U-Net with plain blocks
  diffit,            // D, E: stages of the U-Net with DiffiT ResBlocks
  ddpmpp,  // encoder and decoder of DDPM++ (nn/unet/ddpmpp.h); time is `add` with its own attention, or
           // `tmsa`
};
enum class Decoder {
  setr_mla,          // A, B: multi-level aggregation (Zheng et al. 2021, SETR-MLA)
  multi_resolution,  // C, D: stages of the U-Net with skips and plain blocks
  diffit,            // E: DiffiT ResBlocks
  ddpmpp,            // DDPM++
};

/// Field `sampling`: how feature maps are downsampled and upsampled.
enum class Sampling {
  convolution,  // 3x3 of stride 2; 3x3 after upsampling
  patch,  // as in Swin: patch merging, Linear(LN(2 x 2 pixels)); patch expanding, Linear to 2 x 2 pixels
};

// Names of the values in configurations.
std::span<const std::string_view> enum_names(TimePath);
std::span<const std::string_view> enum_names(TimeFeatures);
std::span<const std::string_view> enum_names(Encoder);
std::span<const std::string_view> enum_names(Decoder);
std::span<const std::string_view> enum_names(Sampling);

}  // namespace diffit::nn
