// A set of safetensors files with an index, as large models are handed out (docs/formats.md).
//
// model.safetensors.index.json: {"metadata": {...}, "weight_map": {"TENSOR": "FILE", ...}}; the files lie
// beside it.
#pragma once

#include <vector>

#include "io/tensors/safetensors.h"

namespace diffit::io {

struct ShardedSet {
  std::vector<SafetensorsFile> files;
  std::vector<TensorView> tensors;  // in the order of the files' names, then of their data
  Metadata metadata;                // the index's own texts, then what the files say alike
};

/// Opens the index and every file that it names. Error(invalid) where a file's name is more than a name in
/// this folder, and where index and files do not agree on which tensor lies where, both ways.
ShardedSet open_sharded(const fs::path& index);

}  // namespace diffit::io
