// A training recipe: the contents of a preset as data. `diffit train` reads one and writes the resolved one
// to the run folder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/fields.h"
#include "data/latents.h"
#include "nn/diffit/config.h"
#include "nn/features/classifier_config.h"
#include "nn/vae/vae_config.h"

namespace diffit::training {

/// Kind of model that is trained. A section accepts only the keys that this kind uses; others are unknown.
enum class ModelKind { image, latent, vae, classifier };

/// Returns true if samples can be drawn from this kind of model.
constexpr bool makes_images(ModelKind kind) {
  return kind == ModelKind::image || kind == ModelKind::latent;
}

struct DataSection {
  ModelKind kind = ModelKind::image;
  std::string path, hint;
  std::string test;  // classifier: held-out images; empty measures nothing
  std::int64_t size = 0;
  double flip = 0, augment = 0;
  std::int64_t threads = 1;
  std::string vae;   // latent: identity of the autoencoder; empty leaves it to the data
  double scale = 0;  // latent: of the latents; 0 leaves it to the data
};

struct TrainSection {
  ModelKind kind = ModelKind::image;
  std::int64_t images = 0, batch = 256, microbatch = 0, snapshot_images = 0, log_images = 0, seed = 0;
  std::int64_t eval_images = 0;
  std::int64_t keep_states = 2, nonfinite_limit = 10;
  std::string dtype = "auto", init_from;
  double label_dropout = 0;
  double epochs = 0;  // 0 once it is resolved into images
  bool checkpointing = false;

  std::int64_t passes() const { return batch / microbatch; }
};

struct OptimiserSection {
  std::string name = "adam", decay = "linear";
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0, clip = 1;
  std::int64_t warmup_images = 0, decay_images = 0;
};

struct EmaSection {
  std::int64_t half_life_images = 500000;
  double ramp_up = 0.05;
  std::vector<double> power{0.05, 0.10};
};

struct LossSection {
  ModelKind kind = ModelKind::image;
  double noise_mean = -1.2, noise_deviation = 1.2;  // image: EDM's loss
  double vlb_weight = 1;                            // latent: the hybrid loss
  double l2_weight = 0.5, kl_weight = 1e-4;         // vae: beside the L1 error
  double label_smoothing = 0;                       // classifier: cross entropy
};

struct SampleSection {
  ModelKind kind = ModelKind::image;
  std::int64_t images = 64, steps = 18;
  double guidance = 1;
  std::string vae;  // latent: file that decodes; empty is no grid
};

/// Metrics of the EMA weights during training, if train.eval_images is set.
struct EvalSection {
  ModelKind kind = ModelKind::image;
  std::string features, reference, metrics = "fid";
  std::int64_t images = 5000, steps = 0;
};

/// How the processes of a training share its batches (dist/shards.h).
struct DistSection {
  std::int64_t shards = 0;
  double timeout = 1800;

  std::int64_t shards_or_one() const { return shards > 0 ? shards : 1; }
  friend bool operator==(const DistSection&, const DistSection&) = default;
};

/// Published result that the recipe reproduces; for information only.
struct PublishedSection {
  double fid = 0;
  std::string source;
};

template <class V>
void visit_fields(V& v, DataSection& s) {
  const bool latent = s.kind == ModelKind::latent;
  v("path", s.path,
    latent ? "folder of latents (diffit data encode)" : "IDX(.gz), CIFAR binary, zip or folder of images");
  v("hint", s.hint, "how to get the data; printed if it is missing");
  if (s.kind == ModelKind::classifier) v("test", s.test, "held-out images on which snapshots are evaluated");
  if (!latent)
    v("size", s.size, "side to which smaller images are padded with zeros; 0: no padding", 0, 4096);
  v("flip", s.flip, "probability of mirroring an image, without a label", 0, 1);
  if (s.kind == ModelKind::image) {
    v("augment", s.augment, "probability of each of EDM's non-leaky augmentations; 0: none", 0, 1);
  }
  if (!latent) v("threads", s.threads, "threads that decode images", 1, 256);
  if (latent) {
    v("vae", s.vae, "fingerprint of the autoencoder that encoded the latents; empty: that of the data");
    v("scale", s.scale, "factor that latents are multiplied by; 0: that of the data", 0, 1e6);
  }
}

template <class V>
void visit_fields(V& v, TrainSection& s) {
  v("images", s.images, "length of the training in images", 0, 1e13);
  v("epochs", s.epochs, "length in epochs, instead of images; 0: not set", 0, 1e9);
  v("batch", s.batch, "images per optimizer step", 1, 1 << 20);
  v("microbatch", s.microbatch,
    "images per forward and backward pass; gradients accumulate over the batch; 0: the whole batch", 0,
    1 << 20);
  v("snapshot_images", s.snapshot_images,
    "images between snapshots, sample grids and checkpoints; 0: only at the end", 0, 1e13);
  v("log_images", s.log_images, "images between lines of stats.jsonl; 0: every step", 0, 1e13);
  if (makes_images(s.kind)) {
    v("eval_images", s.eval_images,
      "images between evaluations of the EMA weights (table eval), with one at the end; 0: none", 0, 1e13);
  }
  v("seed", s.seed, "seed of weights, data order, noise and augmentation", 0, 9e15);
  v("keep_states", s.keep_states, "number of checkpoints to keep", 1, 1000);
  v("nonfinite_limit", s.nonfinite_limit, "consecutive skipped steps after which training stops", 1, 1e6);
  v("dtype", s.dtype, "precision of matrix products and convolutions: auto, f32, bf16");
  if (s.kind == ModelKind::image || s.kind == ModelKind::latent) {
    v("label_dropout", s.label_dropout, "probability of the null label, for classifier-free guidance", 0, 1);
    v("checkpointing", s.checkpointing,
      "recompute activations in the backward pass: less memory, about a third more computation");
  }
  v("init_from", s.init_from,
    "model file whose weights initialize the training; empty: random initialization");
}

template <class V>
void visit_fields(V& v, OptimiserSection& s) {
  v("name", s.name, "adam or adamw");
  v("lr", s.lr, "learning rate after warm-up", 0, 10);
  v("beta1", s.beta1, "decay of the first moment", 0, 0.999999);
  v("beta2", s.beta2, "decay of the second moment", 0, 0.999999);
  v("eps", s.eps, "added to the root of the second moment", 0, 1);
  v("weight_decay", s.weight_decay, "decay of weights with at least two dimensions (adamw)", 0, 10);
  v("clip", s.clip, "norm to which the gradient is clipped; 0: no clipping", 0, 1e9);
  v("warmup_images", s.warmup_images, "images of linear warm-up of the learning rate", 0, 1e13);
  v("decay_images", s.decay_images, "images at the end over which the learning rate falls to zero", 0, 1e13);
  v("decay", s.decay, "shape of the final decay: linear or cosine");
}

template <class V>
void visit_fields(V& v, EmaSection& s) {
  v("half_life_images", s.half_life_images, "half-life of the EMA weights in images", 0, 1e13);
  v("ramp_up", s.ramp_up, "upper bound of the half-life as a fraction of the images seen; 0: none", 0, 1);
  v("power", s.power, "relative widths of EDM2's power-function averages, for post-hoc EMA", 0.001, 0.28);
}

template <class V>
void visit_fields(V& v, LossSection& s) {
  switch (s.kind) {
    case ModelKind::image:
      v("noise_mean", s.noise_mean, "mean of ln sigma", -20, 20);
      v("noise_deviation", s.noise_deviation, "standard deviation of ln sigma", 0.01, 20);
      break;
    case ModelKind::latent:
      v("vlb_weight", s.vlb_weight, "weight of the variational bound, which trains the variance", 0, 1e6);
      break;
    case ModelKind::vae:
      v("l2_weight", s.l2_weight, "weight of the squared error; the absolute error has weight 1", 0, 1e6);
      v("kl_weight", s.kl_weight,
        "weight of the KL divergence of the posterior from N(0, I), in nats per image value", 0, 1e6);
      break;
    case ModelKind::classifier:
      v("label_smoothing", s.label_smoothing,
        "label smoothing: fraction of each label that is spread over all classes", 0, 0.9);
      break;
  }
}

template <class V>
void visit_fields(V& v, SampleSection& s) {
  if (s.kind == ModelKind::classifier) return;  // it makes no images
  v("pictures", s.images, "images in a sample grid; 0: no grid", 0, 10000);
  if (s.kind == ModelKind::image) v("steps", s.steps, "steps of Heun's method for the samples", 2, 10000);
  if (s.kind == ModelKind::latent) {
    v("steps", s.steps, "steps of DPM-Solver++(2M) for the samples", 2, 1000);
    v("guidance", s.guidance, "classifier-free guidance scale for the samples; 1: no guidance", 0, 100);
    v("vae", s.vae, "file of the autoencoder that decodes the samples; empty: no grid");
  }
}

template <class V>
void visit_fields(V& v, EvalSection& s) {
  if (!makes_images(s.kind)) return;
  v("features", s.features, "feature network: a bundled one's name, or a file");
  v("reference", s.reference, "reference: statistics (diffit stats), npz, zip or folder; empty: data.path");
  v("metrics", s.metrics, "comma-separated list of fid, sfid, is, precision, recall, kid");
  v("pictures", s.images, "samples per evaluation: seeds 0, 1, ..., classes in turn", 2, 1e6);
  v("steps", s.steps, "sampling steps for the evaluation; 0: sample.steps", 0, 10000);
}

template <class V>
void visit_fields(V& v, PublishedSection& s) {
  v("fid", s.fid, "published FID that the recipe reproduces", 0, 1e6);
  v("source", s.source, "source of the published FID");
}

template <class V>
void visit_fields(V& v, DistSection& s) {
  v("shards", s.shards,
    "virtual shards of a batch, a power of two: gradients are added in a fixed tree over them, so that the "
    "result "
    "does not depend on the number of processes, which is at most this; 0: 1 for one process, else at least "
    "8",
    0, 4096);
  v("timeout", s.timeout, "seconds to wait for another process before training stops", 1, 1e6);
}

struct Recipe {
  DataSection data;
  Json model = Json::object();  // may leave resolution, in_channels and classes to the data
  TrainSection train;
  OptimiserSection optimiser;
  EmaSection ema;
  LossSection loss;
  SampleSection sample;
  EvalSection eval;
  DistSection dist;
  PublishedSection published;

  /// Kind of model named by model.model.
  ModelKind kind() const { return train.kind; }
};

/// Sets a key of a recipe, such as "train.batch=64", in its TOML. `optimizer.KEY` sets `optimiser.KEY`.
/// Throws as set_by_path does.
void set_in_recipe(Json& toml, std::string_view assignment);

/// Reads and checks a recipe from TOML as JSON; a table `optimizer` is read as `optimiser`. Error(invalid),
/// beginning with `where`, names the nearest key.
Recipe read_recipe(const Json& toml, const std::string& where);
Json write_recipe(const Recipe& recipe);

/// Replaces train.epochs by the corresponding train.images for a data set of this size: the nearest whole
/// number, at least 1. Does nothing if train.epochs is 0.
void resolve_epochs(Recipe& recipe, std::int64_t data_images, const std::string& where);

/// Returns true for keys that do not change what a training computes, such as its length and logging.
bool may_change_on_resume(const std::string& key);

/// Complete the model configuration from the data. Throw Error(invalid) if the recipe states another size or
/// number of classes than the data; resolve_latents also if it states another autoencoder or scale.
ImageConfig resolve_model(Recipe& recipe, std::int64_t resolution, std::int64_t channels,
                          std::int64_t classes, const std::string& where);
VaeConfig resolve_vae(Recipe& recipe, std::int64_t resolution, std::int64_t channels,
                      const std::string& where);
ClassifierConfig resolve_classifier(Recipe& recipe, std::int64_t resolution, std::int64_t channels,
                                    std::int64_t classes, const std::string& where);
LatentConfig resolve_latents(Recipe& recipe, const LatentInfo& latents, const std::string& where);

}  // namespace diffit::training
