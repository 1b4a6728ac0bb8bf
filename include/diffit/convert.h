// Model files in another format or element type.
#pragma once

#include <cstdint>
#include <string>

namespace diffit {

struct ConvertSpec {
  /// A model file: .safetensors, the index of a sharded set, a state dict of torch.save (no code in it is
  /// executed), a diffusers folder with an autoencoder, or the name of a bundled model.
  std::string source;
  std::string destination;     // the .safetensors file to write
  std::string dtype = "auto";  // of the weights in the file: "auto" (unchanged), "f32", "f16", "bf16"
  bool ema = false;       // of a file with both sets: the EMA weights, also if it is a training checkpoint
  bool no_ema = false;    // of a file with both sets: the trained weights
  bool null_row = false;  // add a row for the null label to the label table of a latent model
};

struct ConvertResult {
  std::string from;    // what the source is: "safetensors", ...
  std::string config;  // of the model: "stated", "inferred" or "none"
  std::int64_t tensors = 0, bytes = 0;
};

/// Converts weights tensor by tensor. Integers are not converted. Throws Error(invalid) for a wrong field or
/// file, and for a value that the new type cannot represent; it names the tensor.
ConvertResult convert_model(const ConvertSpec& spec);

}  // namespace diffit
