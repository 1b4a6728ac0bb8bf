// The safetensors format, read as strictly as its own reader does (docs/formats.md).
//
// File: u64 little-endian N, N bytes of JSON header, then the data. Every byte of the data belongs to exactly
// one tensor: no gaps, overlaps, or bytes after the end; names are unique; metadata values are strings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/dtype.h"

namespace diffit {

using Metadata = std::map<std::string, std::string>;

/// A tensor's bytes where they lie: row-major, little-endian. Does not own them.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  std::int64_t count() const;
};

/// "F32", "BF16", ... as the format spells them; "" where the format has none.
std::string_view safetensors_name(Dtype dtype);

/// A mapped file. Views stay valid as long as it lives. The data may be unaligned: copy, do not cast.
/// Throws Error(invalid), naming file and tensor, for anything that is not a well-formed file.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const fs::path& path);

  const fs::path& path() const { return file_.path(); }
  /// In the order of their data.
  const std::vector<TensorView>& tensors() const { return tensors_; }
  /// nullptr where there is none of that name.
  const TensorView* find(const std::string& name) const;
  /// Error(invalid) that lists what there is, where there is none of that name.
  const TensorView& at(const std::string& name) const;
  const Metadata& metadata() const { return metadata_; }

 private:
  MappedFile file_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::size_t> by_name_;
  Metadata metadata_;
};

/// Writes the tensors whole (AtomicFile), widest element type first so that each is aligned, then by the
/// order given.
void write_safetensors(const fs::path& path, std::span<const TensorView> tensors, const Metadata& metadata);

}  // namespace diffit
