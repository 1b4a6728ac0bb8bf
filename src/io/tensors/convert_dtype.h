// Conversion of tensor dtypes without LibTorch, reading tensors in place.
#pragma once

#include <functional>

#include "io/tensors/tensor_table.h"

namespace diffit::io {

/// Converts the elements of a floating-point tensor to `to` (f32, f16 or bf16), rounded to nearest even, and
/// passes them to `sink` in pieces, so that little memory is needed. Other tensors are passed unchanged.
/// Throws Error(invalid), with a message that begins with `where` and names the tensor, if it contains NaN,
/// infinity, or a number larger than `to` can represent (65504 for f16).
void convert_elements(const TensorView& tensor, Dtype to, const std::string& where,
                      const std::function<void(std::span<const std::byte>)>& sink);

/// Whether the dtype is f64, f32, f16 or bf16.
bool is_floating(Dtype dtype);

}  // namespace diffit::io
