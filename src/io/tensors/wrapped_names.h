// Names of weights as training code wraps them: "module.", "_orig_mod.", "ema.", ...
#pragma once

#include <string>
#include <vector>

#include "io/images/average.h"
#include "io/tensors/tensor_table.h"

namespace diffit::io {

struct TakenOff {
  std::string wrapper;   // "module.", "model._orig_mod.", or ""
  bool average = false;  // whether one of them was an average's
};

/// Takes off the wrappers that all names share.
///
/// Counters (a single number under a name such as `step`, `n_averaged` or `model_ema.decay`) do not count,
/// and go too where a wrapper goes. Where every name is under one of two wrappers, one of an average (`ema.`,
/// `ema_model.`, `model_ema.`, ...) and one of what was trained (`model.`, `online_model.`, ...), and the
/// average has no name that the other lacks, `average` chooses; `preferred` takes the average.
TakenOff take_off_wrappers(std::vector<TensorView>& tensors, Average average);

}  // namespace diffit::io
