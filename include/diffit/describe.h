// What a file holds: a model, statistics, a data set, an image; and what this installation has.
#pragma once

#include <string>

#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

struct DescribeSpec {
  /// A model file or autoencoder (.safetensors, *.index.json, .pt, .pth, .bin, .ckpt), a bundled model, a
  /// diffusers folder, statistics (.npz), a data set, latents or an image. Empty: this installation.
  std::string what;
  /// List the labels and names of the model's classes instead; `what` may also be the name of a table:
  /// "imagenet" (if empty), "cifar10", "fashion-mnist".
  bool classes = false;
  bool check = false;  // also read every weight of a model and measure the loading time
};

struct DescribeResult {
  std::string json;  // everything that `diffit info --json` prints
  std::string text;  // the same in words
};

/// Only the description of this installation depends on `runtime`. Progress of data sets is reported in
/// images. Throws Error: invalid for a file that is none of these or is malformed, failed, or cancelled.
DescribeResult describe(const DescribeSpec& spec, const RuntimeOptions& runtime = {});
DescribeResult describe(const DescribeSpec& spec, const RuntimeOptions& runtime, Monitor& monitor);

}  // namespace diffit
