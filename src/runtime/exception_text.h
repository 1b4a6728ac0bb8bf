// Exceptions of LibTorch and the standard library as text.
#pragma once

#include <exception>
#include <string>

#include "base/layers.h"

namespace diffit::runtime {

/// What went wrong, in LibTorch's words without its backtrace. Out of memory, in whatever words, begins with
/// "out of memory: try a smaller ADVICE". Never throws.
std::string text_of(const std::exception_ptr& exception, const std::string& advice);

}  // namespace diffit::runtime
