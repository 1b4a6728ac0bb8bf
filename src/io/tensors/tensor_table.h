// Named tensors as files hold them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "io/tensors/dtype.h"

namespace diffit::io {

using Metadata = std::map<std::string, std::string>;

/// A tensor's bytes where they lie: row-major, little-endian, perhaps unaligned: copy, do not cast. Does not
/// own them.
struct TensorView {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  std::int64_t count() const;
};

/// Tensors in an order, and by name.
class TensorTable {
 public:
  TensorTable() = default;
  /// Error(invalid) that begins with `where` if two share a name.
  TensorTable(std::vector<TensorView> tensors, const std::string& where);

  const std::vector<TensorView>& all() const { return tensors_; }
  /// nullptr where there is none of that name.
  const TensorView* find(const std::string& name) const;
  /// Error(invalid) that begins with `where` and lists what there is, if there is none of that name.
  const TensorView& at(const std::string& name, const std::string& where) const;

 private:
  std::vector<TensorView> tensors_;
  std::map<std::string, std::size_t> by_name_;
};

}  // namespace diffit::io
