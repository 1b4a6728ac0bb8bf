// Converts between parameters and the named tensors of files. Does not access files.
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

/// Returns a copy as a contiguous CPU tensor with the dtype of the file.
at::Tensor to_tensor(const TensorView& view);
/// Returns a view of a contiguous CPU tensor, which must outlive the view.
TensorView view_of(std::string name, const at::Tensor& tensor);

/// Checks names, shapes and kinds of dtype (integer or floating point) without reading any values. Throws
/// Error(invalid), with a message that begins with `where`, listing every tensor that is missing, unexpected
/// (among those with the prefix) or mismatched. Buffers may be missing, because they are a function of the
/// window.
void check_parameters(const ParameterList& parameters, std::span<const TensorView> tensors,
                      const std::string& prefix, const std::string& where);

/// Copies the tensors named prefix + parameter name into the parameters, converted to the dtype of each,
/// without intermediate copies. Buffers are compared instead. Throws Error(invalid), with a message that
/// begins with `where`, listing everything that check_parameters rejects, wrong buffers and non-finite
/// values. `done_with`, if given, is called for each tensor after it has been read.
void load_parameters(const ParameterList& parameters, std::span<const TensorView> tensors,
                     const std::string& prefix, const std::string& where,
                     const std::function<void(const TensorView&)>& done_with = {});

/// Returns the parameters as contiguous CPU tensors, named prefix + parameter name. They share storage with
/// the model if no conversion is needed.
std::vector<std::pair<std::string, at::Tensor>> named_tensors(const ParameterList& parameters,
                                                              const std::string& prefix = "");

/// Infers the configuration of a latent model from the names and shapes of its tensors, for the released
/// weights, which have none. Throws Error(invalid) if the names are not those of a latent model.
ModelConfig infer_config(std::span<const TensorView> tensors, const std::string& where);

}  // namespace diffit::nn
