// Variants compared in the paper (DiffiT section 5, tables 4 to 6), as values of the image-space model's
// fields.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/layers.h"

namespace diffit::nn {

/// How the time token x_t [B, T] enters a block (variants of nn/diffit/time/variants.def); field `time`.
/// Variants that a program registers (nn/diffit/time_conditioning.h) have further values.
enum class TimePath {
#define DIFFIT_TIME_VARIANT(name) name,
#include "nn/diffit/time/variants.def"
#undef DIFFIT_TIME_VARIANT
};

/// Whether the attention map, or q, k and v for a given input, depend on time.
bool time_enters_attention(TimePath path);

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
