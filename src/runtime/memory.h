// Memory that tensors leave behind, kept for the next ones.
#pragma once

#include <cstddef>

#include "base/layers.h"

namespace diffit::runtime {

/// Makes LibTorch's CPU tensors re-use freed blocks of 64 KiB and more. The system gives back fresh pages
/// filled with zeros; a step of training that takes and returns its activations pays for that more than for
/// reading them. Blocks of 2 MiB and more lie on huge pages where the system has them. Call once, before
/// other threads run.
void reuse_tensor_memory();

/// Bytes held for re-use. What is held is given back when it exceeds what is in use.
std::size_t memory_held();

}  // namespace diffit::runtime
