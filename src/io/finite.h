// NaN and infinity in tensors as files hold them.
#pragma once

#include "io/tensor_table.h"

namespace diffit {

/// True where no element is NaN or infinite; whole numbers never are. Reads the bytes once and takes no
/// memory.
bool all_finite(Dtype dtype, std::span<const std::byte> bytes);

}  // namespace diffit
