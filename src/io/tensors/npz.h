// NumPy's .npy (versions 1 to 3) and .npz: reading checked and bounded, writing streamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/archives/zip.h"
#include "io/tensors/dtype.h"

namespace diffit::io {

/// The header of an .npy: little-endian or single-byte elements, C order. Object, string, structured,
/// big-endian, complex and Fortran-ordered arrays are refused by name; numpy has no bfloat16.
struct NpyHeader {
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t data_offset = 0;

  std::uint64_t bytes() const;  // of the data; overflow was checked when the header was read
};

/// Parses the header at the start of `bytes`; `where` names file and array in errors.
NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& where);
/// The header's bytes, padded to a multiple of 64; Error(failed) for bf16.
std::string format_npy_header(Dtype dtype, std::span<const std::int64_t> shape);

/// One array, whole in memory.
struct NpyArray {
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> data;
};

/// Reads the arrays of an archive; safe for concurrent reads. Entries that are no .npy are left out. Throws
/// Error(invalid), naming file and array, for anything malformed.
class NpzReader {
 public:
  explicit NpzReader(const fs::path& path);
  const fs::path& path() const { return zip_.path(); }
  const std::vector<std::string>& names() const { return names_; }  // without ".npy"
  bool has(const std::string& name) const;
  /// The header alone, without the data.
  NpyHeader header(const std::string& name) const;
  /// The whole array, at most `limit` bytes.
  NpyArray read(const std::string& name, std::uint64_t limit) const;
  /// The data in pieces of whole rows (first axis): sink(first_row, bytes). A piece is at most 1 MiB, or one
  /// row where that is larger. An array without axes is one row.
  void stream_rows(const std::string& name,
                   const std::function<void(std::int64_t, std::span<const std::byte>)>& sink) const;

 private:
  std::size_t entry(const std::string& name) const;
  std::string where(const std::string& name) const;
  ZipReader zip_;
  std::vector<std::string> names_;
};

/// Writes arrays one after the other, stored; an array's rows may come in pieces. Whole at finish(), or not
/// at all. An array whose data is not as large as its shape says is Error(failed).
class NpzWriter {
 public:
  explicit NpzWriter(const fs::path& path) : zip_(path) {}
  void add(const std::string& name, Dtype dtype, std::span<const std::int64_t> shape,
           std::span<const std::byte> data);
  void begin(const std::string& name, Dtype dtype, std::span<const std::int64_t> shape);
  void write(std::span<const std::byte> rows);
  void end();
  void finish() { zip_.finish(); }

 private:
  ZipWriter zip_;
  std::string name_;
  std::uint64_t left_ = 0;  // bytes that the open array still lacks
};

}  // namespace diffit::io
