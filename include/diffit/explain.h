// How attention depends on the noise level: how far the attention, q, k and v of each layer move if only the
// time token is replaced.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

struct ExplainSpec {
  std::string model;         // a model file, or the name of a bundled model
  std::string data;          // a data set whose images are used; empty: the model's own samples
  std::string vae;           // the autoencoder that encodes `data` for a latent model; empty: the model's
  std::int64_t images = 16;  // number of images
  std::int64_t levels = 8;   // number of noise levels, at least 2, equally spaced in ln sigma
  double sigma_min = 0.02, sigma_max = 20;
  std::string out;  // x.html (table and plots), x.svg or x.png (the plot of attention); empty: no file
};

struct ExplainResult {
  /// Change in a layer at a noise level, when its time token is replaced by that of every other level; means
  /// over these, images, windows, heads and queries.
  struct Level {
    double attention = 0;        // total variation of the attention map, 0 to 1
    double q = 0, k = 0, v = 0;  // norm of the difference over the norm
    double reach = 0;            // mean distance from query to key, in pixels of the layer's map
  };
  struct Layer {
    std::string name;
    std::int64_t window = 0;    // side of the attention window
    std::vector<Level> levels;  // one for each of `sigmas`
  };
  struct Network {
    std::vector<double> sigmas;  // increasing
    std::vector<Layer> layers;   // in the order of evaluation
  };

  std::string images;          // the images to which noise was added, in words
  std::string time;            // where time enters the network: "tmsa", "add", ...
  Network trained, untrained;  // untrained: the same network with initial weights of seed 0
  std::string json;            // everything that `diffit explain --json` prints
  std::string markdown;        // a table with one row per layer
};

/// Progress is reported in evaluations and noise levels. Throws Error: invalid for a wrong field or file,
/// failed, or cancelled.
ExplainResult explain(const ExplainSpec& spec, const RuntimeOptions& runtime = {});
ExplainResult explain(const ExplainSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
