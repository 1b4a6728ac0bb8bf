// Time conditioning: how the time token x_t enters a block, as one class for each variant.
//
// A variant is a class derived from TimeConditioning in a file of its own, nn/diffit/time/NAME.cpp, and one
// line in nn/diffit/time/variants.def. A program that uses the library registers a variant of its own with
// register_time_variant. W, with any index, is a linear layer applied to x_t.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/diffit/variant.h"
#include "nn/diffit/windows.h"
#include "nn/layers/dropout.h"
#include "nn/layers/layers.h"
#include "nn/layers/structure.h"

namespace diffit::nn {

struct Block;
class TimeConditioning;
struct WindowAttention;

/// Sizes of a block.
struct BlockShape {
  std::int64_t width = 0;       // C
  std::int64_t time_width = 0;  // T
  std::int64_t heads = 1;
  std::int64_t window = 1;  // side of an attention window
  double mlp_ratio = 1;
  double pixels = 0;  // of the feature map; only used for costs

  std::int64_t mlp_width() const { return static_cast<std::int64_t>(static_cast<double>(width) * mlp_ratio); }
  /// Number of rows of the relative position bias table.
  std::int64_t offsets() const { return (2 * window - 1) * (2 * window - 1); }
};

/// Where a variant can add layers to a block, in the order of the parameters. The comments give examples.
enum class TimeSite {
  convolution,  // before the 3x3 convolution of a ResBlock: "norm_temb"
  block,        // before everything in the transformer block: "adaln.modulation"
  attention,    // between the bias table and qkv: "attn.qkv_temb"
  cross,        // after attention: "cross.q"
  mlp,          // before the MLP's layers: "mlp.temb"
};

/// What depends on time in the attention of a block, for a given input of the block.
enum class TimeInAttention {
  none,
  probabilities,  // the attention probabilities, through the bias or an additional key, but not q, k and v
  qkv,
};

/// Description of a variant: its name, its layers, and how its class is created. It must outlive all
/// networks.
struct TimeVariant {
  std::string_view name;  // in configurations
  TimeInAttention attention = TimeInAttention::none;
  /// Returns the number of input channels of the 3x3 convolution of a ResBlock.
  std::int64_t (*convolution_inputs)(const BlockShape& shape) = nullptr;
  /// Describes the layers that the variant adds at a site. Names are relative to the site.
  void (*describe)(const BlockShape& shape, TimeSite site, Structure& structure) = nullptr;
  std::unique_ptr<TimeConditioning> (*make)(const TimeVariant& variant, const BlockShape& shape) = nullptr;
};

/// The base class is a block without time: x += Attention(LN(x)); x += MLP(LN(x)), in a ResBlock after a
/// convolution. A variant overrides the steps that time changes. Maps are [B, H, W, C], `time` is x_t [B, T].
/// Each step is a pure function of its arguments and the weights, and may be called several times.
class TimeConditioning {
 public:
  /// Creates the linear layers that the variant describes, in the order of the sites. Weights are
  /// uninitialized.
  TimeConditioning(const TimeVariant& variant, const BlockShape& shape);
  virtual ~TimeConditioning() = default;
  TimeConditioning(const TimeConditioning&) = delete;
  TimeConditioning& operator=(const TimeConditioning&) = delete;

  /// Adds the parameters of a site. `prefix` is the name of the module that the site belongs to: the
  /// ResBlock, the block, its attention or its MLP.
  void add_to(TimeSite site, ParameterList& list, const std::string& prefix) const;

  /// Computes the convolution of a ResBlock: conv(dropout(SiLU(norm(x)))).
  virtual at::Tensor convolve(const GroupNorm& norm, const Conv2d& conv, const at::Tensor& x,
                              const at::Tensor& time, const Dropout& dropout) const;
  /// Computes the transformer block: DiffiT eq. 7 and 8.
  virtual at::Tensor transform(const Block& block, const at::Tensor& x, const at::Tensor& time) const;
  /// Computes the input of attention from the input of the block: LN(x).
  virtual at::Tensor attention_input(const at::Tensor& x, const at::Tensor& time) const;
  /// Computes attention without its output projection.
  virtual at::Tensor attention_output(const WindowAttention& attention, const at::Tensor& x,
                                      const at::Tensor& time) const;
  /// Returns the inputs of that attention: q, k and v, including the contribution of time, and the bias.
  virtual AttentionParts attention_parts(const WindowAttention& attention, const at::Tensor& x,
                                         const at::Tensor& time) const;
  /// Computes the hidden layer of the MLP: GELU(fc1(x)).
  virtual at::Tensor mlp_activation(const Linear& fc1, const at::Tensor& x, const at::Tensor& time) const;

  // Used for variants that do not define functions of the same name (see TimeVariant).
  static std::int64_t convolution_inputs(const BlockShape& shape) { return shape.width; }
  static void describe(const BlockShape& /*shape*/, TimeSite /*site*/, Structure& /*structure*/) {}

 protected:
  /// Returns the i-th linear layer that the variant describes, counted over all sites.
  const Linear& layer(std::size_t i) const { return layers_[i].linear; }

 private:
  struct Layer {
    TimeSite site;
    LayerSpec spec;
    Linear linear;
  };
  std::vector<Layer> layers_;
};

/// Returns the description of the variant implemented by class T.
template <class T>
constexpr TimeVariant time_variant(std::string_view name, TimeInAttention attention) {
  return {name, attention, &T::convolution_inputs, &T::describe,
          [](const TimeVariant& variant, const BlockShape& shape) -> std::unique_ptr<TimeConditioning> {
            return std::make_unique<T>(variant, shape);
          }};
}

/// Returns the description of a variant.
const TimeVariant& variant_of(TimePath path);

/// Adds a variant to those that configurations can name. Not thread-safe: call it before any configuration is
/// read. Throws Error(invalid) if the name is in use or if there are too many variants.
TimePath register_time_variant(const TimeVariant& variant);

/// Broadcasts a vector per sample [B, C] to every pixel of a map of x's size: [B, H, W, C].
at::Tensor expand_to_map(const at::Tensor& time, const at::Tensor& x);
/// Returns x (1 + scale) + shift for x [B, H, W, C] and scale and shift [B, C].
at::Tensor modulate(const at::Tensor& x, const at::Tensor& scale, const at::Tensor& shift);

}  // namespace diffit::nn
