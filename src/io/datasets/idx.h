// IDX, the format of MNIST and Fashion-MNIST, plain or gzipped.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/file.h"

namespace diffit::io {

/// unsigned bytes [dims[0], dims[1], ...].
struct IdxArray {
  std::vector<std::int64_t> dims;
  std::vector<std::uint8_t> data;
};

/// Reads magic 0x00 0x00 0x08 ndim, big-endian dims, then exactly their product of bytes.
/// Throws Error(invalid) for anything else; gzip is told apart by content and bounded by the header's claim.
IdxArray read_idx(const fs::path& path);

/// The labels file that lies beside an images file under the usual name ("images-idx3" -> "labels-idx1",
/// with or without .gz), if it exists.
std::optional<fs::path> labels_beside(const fs::path& images);

}  // namespace diffit::io
