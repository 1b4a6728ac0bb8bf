// LibTorch's settings, which belong to the process and are as they were after every call.
#pragma once

#include <ATen/Context.h>

#include <optional>

#include "capi/names.h"

namespace diffit::capi {

/// Restores LibTorch's number of threads and its settings of numerics when it ends. Jobs change them.
class TorchSettings {
 public:
  TorchSettings();
  ~TorchSettings();
  TorchSettings(const TorchSettings&) = delete;
  TorchSettings& operator=(const TorchSettings&) = delete;

 private:
  int threads_;
  bool deterministic_, warn_only_, fill_, deterministic_cudnn_, benchmark_cudnn_;
  at::Float32Precision matmul_, conv_, rnn_;                // of CUDA
  std::optional<at::Float32MatmulPrecision> older_matmul_;  // the older setting of the same
};

}  // namespace diffit::capi
