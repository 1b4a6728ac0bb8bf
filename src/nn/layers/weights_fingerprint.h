// Fingerprints of weights, which do not depend on the file that the weights are stored in.
#pragma once

#include <string>
#include <string_view>

#include "nn/layers/parameter_list.h"

namespace diffit::nn {

/// Returns 16 hexadecimal digits: a hash of the names, shapes and float32 values of all parameters except
/// buffers, in any order. Not a cryptographic hash.
std::string identity_of(const ParameterList& parameters);

/// Returns 16 hexadecimal digits: a hash of these bytes, the same on every machine. Not a cryptographic hash.
std::string identity_of(std::string_view bytes);

}  // namespace diffit::nn
