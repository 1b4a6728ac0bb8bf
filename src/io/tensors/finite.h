// Detection of NaN and infinity in tensors as stored in files.
#pragma once

#include "io/tensors/tensor_table.h"

namespace diffit::io {

/// Returns whether no element is NaN or infinite; always true for integer types. Reads the bytes once and
/// allocates no memory.
bool all_finite(Dtype dtype, std::span<const std::byte> bytes);

}  // namespace diffit::io
