// The safetensors format, read as strictly as its own reader does (docs/formats.md).
//
// File: u64 little-endian N, N bytes of JSON header, then the data. Every byte of the data belongs to exactly
// one tensor: no gaps, overlaps, or bytes after the end; names are unique; metadata values are strings.
#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "io/tensors/tensor_table.h"

namespace diffit::io {

/// "F32", "BF16", ... as the format spells them; "" where the format has none.
std::string_view safetensors_name(Dtype dtype);

/// A mapped file. Views stay valid as long as it lives, and while it is moved.
/// Throws Error(invalid), naming file and tensor, for anything that is not a well-formed file.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const fs::path& path);

  const fs::path& path() const { return file_.path(); }
  /// In the order of their data.
  const std::vector<TensorView>& tensors() const { return table_.all(); }
  /// nullptr where there is none of that name.
  const TensorView* find(const std::string& name) const { return table_.find(name); }
  /// Error(invalid) that lists what there is, where there is none of that name.
  const TensorView& at(const std::string& name) const { return table_.at(name, path().string()); }
  const Metadata& metadata() const { return metadata_; }
  /// The tensor will not be read soon: its bytes leave this process's memory.
  void done_with(const TensorView& view) const { file_.done_with(view.bytes); }

 private:
  MappedFile file_;
  TensorTable table_;
  Metadata metadata_;
};

/// Writes a file tensor by tensor, so that no more than one need be in memory. It appears whole at finish()
/// (AtomicFile), or not at all. The data's order: widest element type first, so that each tensor is aligned,
/// then the order of `tensors`.
class SafetensorsWriter {
 public:
  /// Names, types and shapes; the bytes are not looked at. Error(failed) where two share a name.
  SafetensorsWriter(const fs::path& path, std::span<const TensorView> tensors, const Metadata& metadata);

  /// The order in which contents are to be written: indices into `tensors`.
  const std::vector<std::size_t>& order() const { return order_; }
  /// The next bytes of the data.
  void write(std::span<const std::byte> bytes);
  /// Error(failed) unless every byte that was announced has been written.
  void finish();

 private:
  AtomicFile file_;
  std::string where_;
  std::vector<std::size_t> order_;
  std::uint64_t end_ = 0;  // of the whole file
};

/// Writes tensors that are all in memory.
void write_safetensors(const fs::path& path, std::span<const TensorView> tensors, const Metadata& metadata);

}  // namespace diffit::io
