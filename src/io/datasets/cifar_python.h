// Batches of the Python version of CIFAR: pickles of a dict with a NumPy array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace diffit::io::detail {

struct CifarBatch {
  int classes = 0;                   // 10 or 100
  std::vector<std::uint8_t> labels;  // below `classes`; of CIFAR-100 the fine ones
  std::vector<std::uint8_t> planes;  // [N, 3, 32, 32]
};

/// Whether the bytes begin like a pickle of protocol 2 to 5.
bool is_pickle(std::span<const std::byte> bytes);

/// Reads the pickle of a batch: `data` uint8 [N, 3072], and `labels` (CIFAR-10) or `fine_labels` (CIFAR-100),
/// a list of N. Nothing in it is executed. Throws Error(invalid) that begins with `where`.
CifarBatch read_cifar_pickle(std::span<const std::byte> bytes, const std::string& where);

/// The names in batches.meta (`label_names`) or meta (`fine_label_names`); empty if there are none.
std::vector<std::string> read_cifar_meta(std::span<const std::byte> bytes, const std::string& where);

}  // namespace diffit::io::detail
