// A model on images that it was not trained on: denoising error by noise level, and a bound on the
// likelihood.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "diffit/diagnose.h"
#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

struct RobustnessSpec {
  std::string model;                // a model file, or the name of a bundled model
  std::vector<std::string> data;    // the data sets to measure
  std::string held_out;             // the set that others are compared with; empty: the first
  std::string vae;                  // the autoencoder of a latent model; empty: the one that the model names
  std::string corruptions = "all";  // "all": also corruptions of the held-out set; "none"
  std::int64_t images = 128;        // of each set
  std::int64_t levels = 9;          // noise levels between sigma 0.02 and 50 (latent models: 8)
  std::int64_t likelihood_steps = 20;  // of the probability-flow ODE; 0: no bound
  std::int64_t seed = 0;
  std::string out;      // x.html, a page with the result; empty: no file
  std::string command;  // stated on the page as what made it
};

struct RobustnessResult {
  struct Set {
    std::string name;
    std::int64_t images = 0;
    std::vector<Estimate> errors;  // mean square error per element at each of `sigmas`
    /// Bits per element: an upper bound for images, the density of a latent. Not set without likelihood.
    std::optional<Estimate> bits;
    /// Probability that an image of this set has more bits than one of the first set: 0.5 if they are alike.
    std::optional<double> separation;
  };
  std::vector<double> sigmas;  // decreasing
  std::vector<Set> sets;       // the held-out set first, then the others, then the corruptions
  std::string json;            // everything that `diffit eval --robustness --json` prints
};

/// Progress is reported in per cent of a set. Throws Error: invalid for a wrong field or file, failed, or
/// cancelled.
RobustnessResult robustness(const RobustnessSpec& spec, const RuntimeOptions& runtime = {});
RobustnessResult robustness(const RobustnessSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
