// Model files made out of others: another element type, one file out of many, out of what torch saved.
#pragma once

#include <optional>
#include <string>

#include "io/weights_file.h"

namespace diffit {

struct ConvertReport {
  std::size_t tensors = 0;
  std::uint64_t bytes = 0;  // of the data written
  std::string config;       // "stated" by the source, "inferred" from names and shapes, or "none"
};

/// Writes every tensor of `source` into one .safetensors file, floating-point ones as `dtype` where one is
/// given (f32, f16 or bf16), tensor by tensor: memory for one piece at a time. Metadata is kept; the
/// configuration is added where it can be inferred. The file appears whole or not at all. Error(invalid)
/// names a tensor that holds NaN or infinity, or numbers that `dtype` cannot.
ConvertReport convert_model(const WeightsFile& source, const fs::path& destination,
                            std::optional<Dtype> dtype);

}  // namespace diffit
