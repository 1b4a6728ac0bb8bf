// What the paper compares (DiffiT section 5, tables 4 to 6), as values of the image-space model's fields.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace diffit {

/// Where the time token x_t [B, T] enters a block; field `time`. What is not said stays as in a block without
/// time: q, k, v = LN(x) W, then softmax(q k^T / sqrt(d) + B) v, B = table; W_... are linear layers of x_t.
enum class TimePath {
  tmsa,             // H: q = x W_q + x_t W_qt, k and v alike (eq. 3 to 5)
  position_bias,    // F: B(x_t) = table + x_t W_b, one number per head and offset; q, k, v know no time
  mlp,              // G: fc2(gelu(fc1(x) + x_t W_m)); attention knows no time
  tokens,           // one more key and value in each window, x_t W_k and x_t W_v, of position bias 0
  adaln,            // LN(x) (1 + s) + b before attention and MLP, (s, b) = SiLU(x_t) W (DiT, "adaLN")
  adaln_zero,       // the same with each branch times a gate, all starting at 0 (DiT, "adaLN-Zero")
  scale_shift,      // Conv3x3(SiLU(GN(x) (1 + s) + b)), (s, b) = x_t W (ADM)
  concat,           // Conv3x3 of [SiLU(GN(x)), x_t W at each pixel], C / 4 channels more
  add,              // Conv3x3(SiLU(GN(x))) + x_t W at each pixel (DDPM)
  cross_attention,  // after attention, x += CA(LN(x)): queries of x, keys and values kTimeTokens tokens of
                    // x_t
  none,             // nowhere: the network is not told the noise level
};

/// One token would take all the attention whatever the query.
inline constexpr std::int64_t kTimeTokens = 4;

/// Whether the attention map, or q, k and v for a given input, depend on time.
constexpr bool time_enters_attention(TimePath path) {
  return path == TimePath::tmsa || path == TimePath::position_bias || path == TimePath::tokens ||
         path == TimePath::adaln || path == TimePath::adaln_zero;
}

/// Of the features that the time token is made of; field `time_embedding`.
enum class TimeFeatures {
  positional,  // cos and sin of t 10000^(-i / 128)
  fourier,     // cos and sin of 2 pi f t, f ~ N(0, 16^2) drawn once (Song et al. 2021; EDM's for VE)
};

/// Fields `encoder` and `decoder` (configurations A to E). Blocks that are not DiffiT's are plain transformer
/// blocks without the convolution, and take time as a token of each window, as ViT takes its class.
enum class Encoder {
  vit,               // A: patches of the last stage's size, one width, attention to all
  multi_resolution,  // B, C: the stages of the U, plain blocks
  diffit,            // D, E: the stages of the U, DiffiT ResBlocks
  ddpmpp,  // DDPM++ (nn/ddpmpp.h), encoder and decoder; time is `add` with its own attention, or `tmsa`
};
enum class Decoder {
  setr_mla,          // A, B: multi-level aggregation (Zheng et al. 2021, SETR-MLA)
  multi_resolution,  // C, D: the stages of the U with skips, plain blocks
  diffit,            // E: DiffiT ResBlocks
  ddpmpp,            // DDPM++
};

/// Field `sampling`: how a map is halved and doubled.
enum class Sampling {
  convolution,  // 3x3 of stride 2; 3x3 after doubling
  patch,        // Swin's: merging, Linear(LN(2 x 2 pixels)); expanding, Linear to 2 x 2 pixels
};

/// Field `precondition`: what D(x; sigma) is made of F by, and the noise levels of training
/// (diffusion/edm.h).
enum class Precondition { edm, vp, ve };

/// The value of that name. Error(invalid), "where: field: wanted one of ...", names the nearest.
template <class E>
E variant_named(const std::string& name, const std::string& where);
/// The names, in the order of the enum.
template <class E>
std::span<const std::string> variant_names();

}  // namespace diffit
