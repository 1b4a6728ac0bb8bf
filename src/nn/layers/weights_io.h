// Parameters in and out of named tensors as files hold them. No file is read here.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "io/tensors/safetensors.h"
#include "nn/diffit/image_model.h"
#include "nn/diffit/latent_model.h"

namespace diffit::nn {

at::ScalarType scalar_type(Dtype dtype);
Dtype dtype_of(at::ScalarType type);

/// A copy as a contiguous CPU tensor of the file's own type.
at::Tensor to_tensor(const TensorView& view);
/// A view of a contiguous CPU tensor, which must outlive it.
TensorView view_of(std::string name, const at::Tensor& tensor);

/// Error(invalid) that begins with `where` and lists every tensor that is missing, unexpected (of that
/// prefix), of another shape, or whole numbers where floating point is wanted or the other way round. A
/// missing buffer is fine: it is a function of its window. No bytes are read.
void check_parameters(const ParameterList& parameters, std::span<const TensorView> tensors,
                      const std::string& prefix, const std::string& where);

/// Copies the tensors named prefix + parameter name into the parameters, converted to each one's type, with
/// no other copy on the way. Buffers are compared, not taken. Missing, unexpected (of that prefix) and
/// misshapen tensors, wrong buffers and non-finite values are all listed in one Error(invalid) that begins
/// with `where`. `done_with`, where given, hears of each tensor that has been taken.
void load_parameters(const ParameterList& parameters, std::span<const TensorView> tensors,
                     const std::string& prefix, const std::string& where,
                     const std::function<void(const TensorView&)>& done_with = {});

/// Contiguous CPU copies (or the tensors themselves where they are that already), named prefix + parameter
/// name.
std::vector<std::pair<std::string, at::Tensor>> named_tensors(const ParameterList& parameters,
                                                              const std::string& prefix = "");

/// Guesses the configuration of a latent model without one from names and shapes (the released checkpoints).
/// Heads are what the bias tables say. Error(invalid) where the names are not a latent model's.
ModelConfig infer_config(std::span<const TensorView> tensors, const std::string& where);

}  // namespace diffit::nn
