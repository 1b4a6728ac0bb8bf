// Sampling: images (or latents) from a model file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "diffit/image.h"
#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

/// Classifier-free guidance, or autoguidance if SampleSpec::autoguidance names a weaker model. A field that
/// is not set has the usual value for the model.
struct GuidanceSpec {
  std::optional<double> scale;          // 1: no guidance
  std::optional<std::string> schedule;  // "constant", "power-cosine[:POWER]" (latent models)
  std::optional<std::string> channels;  // "all" or a count
  std::optional<std::string> interval;  // "LO,HI" in sigma, "t:LO,HI" in timesteps, "step:LO,HI" in shares
  std::optional<double> tolerance;      // scales this near to 1 count as 1
};

/// What to sample. Image i is a function of the model, these options, its seed and its class alone. A field
/// that is not set is taken from the preset, else it has the usual value for the model and the sampler.
struct SampleSpec {
  std::string model;  // a model file, or the name of a bundled model
  /// x.png (one image, or a grid), x.npz, x.safetensors, or a folder; empty: the result holds the images.
  std::string out;
  std::int64_t count = 0;            // number of images, with seeds 0 .. count - 1; 0: 1, or as many as seeds
  std::optional<std::string> seeds;  // "A-B", "a,b,c"
  std::string classes = "all";       // "all" (in turn), "random" (by the seed), or labels or names "a,b,c"
  std::string preset;                // options of a published set of samples (presets/sampling)
  std::string vae;                   // autoencoder of a latent model; empty: the one that the model names
  std::string autoguidance;          // a weaker model for autoguidance
  std::string init_noise;            // .safetensors with `noise` [N, C, H, W] instead of that of the seeds
  std::string step_noise;            // .safetensors with `noise` [steps, N, C, H, W]
  std::optional<std::string> sampler;  // image-space models: heun, euler; latent models also ddpm, ddim, ...
  std::optional<std::int64_t> steps;
  std::optional<double> eta;                           // ddim: 0 (deterministic) to 1
  std::optional<std::string> spacing;                  // of timesteps: leading, linspace, trailing
  std::optional<double> sigma_min, sigma_max, rho;     // heun, euler: the grid of noise levels
  std::optional<double> churn, s_min, s_max, s_noise;  // heun, euler: EDM's stochastic sampler
  std::optional<std::string> rounding;                 // to bytes: nearest, truncate
  GuidanceSpec guidance;
  std::int64_t batch = 0;    // images at a time; does not change the result; 0: the usual number
  std::int64_t columns = 0;  // of a grid; 0: nearly square, or one per class
  bool restart = false;      // discard what an interrupted run left of `out`
  bool raw = false;          // without `out`: samples as the sampler leaves them, instead of images
  /// An image file that sampling begins with instead of noise alone (SDEdit), brought to the model's size.
  std::string init_image;
  /// Above 0, up to 1: where in the grid of noise levels it begins; below 1 with heun and euler only. 1:
  /// noise alone. Default 0.6, with `mask` 1.
  std::optional<double> strength;
  std::string mask;  // an image file as large as init_image: white is made, black is kept (inpainting)
  /// The starting noise of every image is mixed with that of this seed, for variations and interpolation.
  std::optional<std::int64_t> mix_seed;
  std::optional<std::string> mix;  // shares of mix_seed's noise, 0 to 1: "0.3", or "0,0.5,1" (in turn)
};

struct SampleResult {
  std::vector<Image> images;  // if SampleSpec::out is empty
  /// With SampleSpec::raw: images in [-1, 1], or latents, [N, C, H, W], the last index fastest.
  std::vector<float> samples;
  std::vector<std::int64_t> samples_shape;
  std::int64_t count = 0;              // images of the whole request
  std::vector<std::uint64_t> seeds;    // one per image of the whole request
  std::vector<std::int64_t> labels;    // the same; empty for a model without classes
  std::int64_t resumed_after = 0;      // images that an earlier, interrupted run had made
  std::int64_t evaluations = 0;        // of the network, per image
  std::int64_t evaluations_saved = 0;  // per image: not needed, because guidance changes nothing there
  double seconds = 0;
  std::string made_by;  // all options in effect, as JSON
  std::vector<std::string> warnings;
};

/// The images of a batch before one step of the sampler.
struct SampleStep {
  std::int64_t first = 0;                // number of the batch's first image in the request
  std::int64_t step = 0, steps = 0;      // 0 .. steps - 1, from the noisiest
  double sigma = 0;                      // standard deviation of the noise in `noisy`
  std::vector<Image> noisy = {};         // scaled to unit variance, decoded for a latent model
  std::vector<Image> estimate = {};      // D(x; sigma), the sample that the model expects
  std::vector<std::int64_t> shape = {};  // of `state`: [B, C, H, W]
  std::vector<float> state = {};         // the noisy samples (or latents), not scaled
};

/// Receives intermediate states, called from the thread that samples.
class SampleMonitor : public Monitor {
 public:
  /// Whether step() is to be called before step `step` of `steps`. Images are decoded only if it is.
  virtual bool wants_step(std::int64_t /*step*/, std::int64_t /*steps*/) { return false; }
  virtual void step(const SampleStep&) {}
};

/// Throws Error(invalid), as sample() would, for fields that are wrong or do not fit the model. Reads the
/// model's configuration only; does not look at SampleSpec::out.
void check_sample(const SampleSpec& spec);

/// A sampler that SampleSpec::sampler may name.
struct SamplerInfo {
  std::string name, title, source;  // "heun", "Heun's method", "Karras 2022"
  std::int64_t usual_steps = 0, least_steps = 0, most_steps = 0;
  std::int64_t evaluations = 1;  // of the network per step; 2: the last step has 1
  bool latent_only = false;      // needs the timesteps of a latent model
  bool uses_eta = false, uses_spacing = false, uses_sigmas = false;  // fields of SampleSpec
};
std::vector<SamplerInfo> known_samplers();

/// Samples. An interrupted request for x.npz, x.safetensors or a folder is continued when it is made again.
/// Progress is reported in evaluations.
///
/// Throws Error: invalid for a wrong field or file, failed if the output cannot be written or samples are
/// not finite, cancelled if the monitor asks for it.
SampleResult sample(const SampleSpec& spec, const RuntimeOptions& runtime = {});
SampleResult sample(const SampleSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);
/// The same; the monitor also receives intermediate states. They do not change the samples.
SampleResult sample(const SampleSpec& spec, const RuntimeOptions& runtime, SampleMonitor& monitor);

}  // namespace diffit
