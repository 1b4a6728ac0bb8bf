// Tells weights apart, whatever file they come in.
#pragma once

#include <string>
#include <string_view>

#include "nn/layers/parameter_list.h"

namespace diffit::nn {

/// 16 hexadecimal digits of a hash of names, shapes and float32 values; the order of the list does not
/// matter. Not made against forgers. Buffers are left out.
std::string identity_of(const ParameterList& parameters);

/// 16 hexadecimal digits of a hash of these bytes, the same on every machine. Not made against forgers.
std::string identity_of(std::string_view bytes);

}  // namespace diffit::nn
