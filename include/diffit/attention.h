// Attention of a diffusion model, one layer and one pixel at a time: where a pixel looks, measures of every
// head, the share of time, the position bias, and what the model makes if one of them is changed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diffit/image.h"
#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

/// What is looked at: a clean image x_0, to which noise sigma n is added.
struct AttentionSpec {
  /// x_0: an image of any size, brought to the model's size (the centred square, Lanczos) and number of
  /// channels, and encoded for a latent model. Not set: the model's own sample of `seed` and `label` (heun
  /// with 18 steps, for a latent model dpmpp2m with 20).
  std::optional<Image> image;
  std::uint64_t seed = 0;  // of the noise n, and of the model's own sample
  /// Class, 0 to the number of classes, which is the null label. Not set: the null label; a sample of the
  /// model's own needs a class.
  std::optional<std::int64_t> label;
  double sigma = 1;         // noise level above 0; a latent model uses the nearest of its timesteps
  std::string layer;        // a name of AttentionModel::layers(); empty: the first
  double y = 0.5, x = 0.5;  // the pixel, as shares of height and width, 0 <= y, x < 1
  bool all_layers = true;   // false: measures of `layer` only, which takes less time
};

/// An attention layer of a network.
struct AttentionLayerInfo {
  std::string name;         // "encoder.0.blocks.1", "blocks.5"
  std::int64_t side = 0;    // of its map of tokens, in tokens
  std::int64_t window = 0;  // side of its attention windows; the whole map has side / window squared of them
  std::int64_t heads = 0;
  bool time_key = false;  // the time token is an additional key of every window
  bool bias = false;      // it has a table of position biases
};

/// A layer in one evaluation. Vectors by head are means over all windows and queries.
struct AttentionLayer {
  std::string name;
  bool measured = false;          // whether the vectors and shares that follow are set
  std::vector<double> entropy;    // of the attention of a query, in nats: 0 to ln(number of keys)
  std::vector<double> distance;   // from query to key weighted by attention, in tokens of the layer's map
  std::vector<double> agreement;  // with another head, mean over these: 1 - total variation, 0 to 1
  std::vector<double> on_time;    // attention on the time token; 0 unless AttentionLayerInfo::time_key
  /// Shares of q, k, v and of the scores (q k^T / sqrt(d) + bias without their mean over keys) that the time
  /// token explains: <a - a_0, a> / <a, a>, with a_0 for a time token of zeros and the same input of the
  /// layer. The time token contains noise level and class.
  double q = 0, k = 0, v = 0, scores = 0;
  // The pixel: its token, and the corner of its window, in the layer's map.
  std::int64_t row = 0, column = 0, top = 0, left = 0;
  std::vector<float>
      attention;  // [heads, keys]: of the pixel; keys: the window row by row, then the time token
};

struct AttentionView {
  double sigma = 0;                         // noise level of the evaluation
  Image clean = {};                         // x_0, decoded for a latent model (like all images here)
  Image noisy = {};                         // x_0 + sigma n, scaled to unit variance
  Image estimate = {};                      // D(x_0 + sigma n; sigma)
  std::vector<AttentionLayer> layers = {};  // in the order of evaluation
  /// The position bias of `layer` at this noise level, [heads, side, side] with side = 2 window - 1: entry
  /// (window - 1 + dy, window - 1 + dx) is that of a key dy tokens below and dx right of the query.
  std::vector<float> bias = {};
  std::int64_t bias_side = 0;
};

/// Measures over noise levels. The noise n is the same at all.
struct AttentionCurves {
  std::vector<double> sigmas;  // increasing
  /// [level][layer]; all layers, or `layer` alone if not AttentionSpec::all_layers. Without `attention`.
  std::vector<std::vector<AttentionLayer>> at;
};

/// A change of one layer's attention, or of every layer's.
struct AttentionChange {
  std::string layer;                    // empty: every layer
  std::optional<double> time_sigma;     // the block of the layer receives the time token of this noise level
  bool zero_bias = false;               // its position bias is zero
  std::vector<std::int64_t> heads_off;  // these heads give zero; needs `layer`
};

/// The model with and without a change, on the same noise.
struct AttentionCounterfactual {
  double sigma = 0;
  Image estimate = {}, changed = {};  // D(x_0 + sigma n; sigma)
  /// |D' - D| / |D| over all elements, in the space of the model (latents for a latent model).
  double difference = 0;
  Image sample = {}, changed_sample = {};  // from the noise of the seed, if `steps` > 0
  double sample_difference = 0;            // likewise
};

/// An open model whose attention can be looked at. Copies share it. Calls from several threads are safe and
/// run one after another. Every function throws Error: invalid for a wrong field, cancelled if the monitor
/// asks for it.
class AttentionModel {
 public:
  AttentionModel() = default;
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  const std::vector<AttentionLayerInfo>& layers() const;
  std::int64_t classes() const;
  /// Range of the noise levels that the model knows.
  double sigma_min() const;
  double sigma_max() const;

  AttentionView view(const AttentionSpec& spec, Monitor* monitor = nullptr) const;
  /// levels: 2 to 100 noise levels, equally spaced in ln sigma between the two; `sigma` of the specification
  /// is not used.
  AttentionCurves curves(const AttentionSpec& spec, std::int64_t levels, double sigma_min, double sigma_max,
                         Monitor* monitor = nullptr) const;
  /// steps: 0, or 2 to 1000 steps of a whole sample with and without the change, by Heun's method.
  AttentionCounterfactual counterfactual(const AttentionSpec& spec, const AttentionChange& change,
                                         std::int64_t steps = 0, Monitor* monitor = nullptr) const;
  /// Writes `layer` as a whole to an .npz file, float32: `x` [C, R, R], `denoised` [C, R, R], `time` [T], `q`
  /// [windows, heads, N, d], `k` and `v` [windows, heads, M, d], `bias` [heads, N, M], `attention` [windows,
  /// heads, N, M], `bias_by_offset` [heads, 2w - 1, 2w - 1]; `sigma` float64 and `label`, `window` int64, as
  /// arrays of one number. Throws Error(failed) if the file cannot be written.
  void write_layer(const AttentionSpec& spec, const std::string& path) const;

 private:
  friend AttentionModel open_attention(const std::string& path, const RuntimeOptions& runtime,
                                       const std::string& vae);
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

/// Opens a model file, or a bundled model by its name. `vae`: the autoencoder of a latent model; empty: the
/// one that the model names; without one, images of latent models are empty and AttentionSpec::image is
/// refused. Throws Error(invalid) for a file that holds no diffusion model, or one without attention.
AttentionModel open_attention(const std::string& path, const RuntimeOptions& runtime = {},
                              const std::string& vae = {});

}  // namespace diffit
