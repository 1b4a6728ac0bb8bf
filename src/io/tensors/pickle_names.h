// Names of Python's that stand in pickles.
#pragma once

#include <string_view>

#include "io/tensors/dtype.h"

namespace diffit::io {

/// The element type of a storage named "torch.FloatStorage", ...; nullptr for any other name.
const Dtype* storage_dtype(std::string_view name);

/// Whether a pickle runs programs, or code that it brings along, by this name: os.system, builtins.eval, ...
bool runs_programs(std::string_view module, std::string_view name);

}  // namespace diffit::io
