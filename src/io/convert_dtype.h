// Element types of weights changed where they lie in files, without LibTorch.
#pragma once

#include <functional>

#include "io/tensor_table.h"

namespace diffit {

/// The elements of a floating-point tensor as `to` (f32, f16 or bf16), rounded to nearest even, handed to
/// `sink` piece by piece, so that little memory is taken. Every other tensor is handed over as it is.
/// Error(invalid) that begins with `where` and names the tensor, if it holds NaN or infinity, or a number
/// beyond `to`'s largest (65504 for f16).
void convert_elements(const TensorView& tensor, Dtype to, const std::string& where,
                      const std::function<void(std::span<const std::byte>)>& sink);

/// True for f64, f32, f16 and bf16.
bool is_floating(Dtype dtype);

}  // namespace diffit
