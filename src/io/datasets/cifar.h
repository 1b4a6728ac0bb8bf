// CIFAR-10 and CIFAR-100 in their binary versions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/images/image.h"

namespace diffit::io {

/// Records of 1 label + 3072 bytes (CIFAR-10) or 2 labels (coarse, fine) + 3072 (CIFAR-100, fine is taken);
/// pixels are planes R, G, B of 32x32.
struct CifarSet {
  int classes = 0;  // 10 or 100
  std::vector<std::uint8_t> labels;
  std::vector<std::uint8_t> planes;      // [N, 3, 32, 32]
  std::vector<std::string> class_names;  // by label, from batches.meta.txt or fine_label_names.txt; or empty
  bool test = false;                     // the test images, since there were no others

  std::size_t size() const { return labels.size(); }
  Image image(std::size_t index) const;
};

/// `path` is a .bin file, a folder, or the tarball as it is downloaded (cifar-10-binary.tar.gz): of
/// data_batch_1..5.bin (CIFAR-10's 50,000 for training, test_batch.bin if there are none) or train.bin
/// (CIFAR-100). A folder may hold them in cifar-10-batches-bin or cifar-100-binary. The two kinds are told
/// apart by size and label range. Error(invalid) for the Python version names what to download instead.
CifarSet read_cifar(const fs::path& path);
/// Whether `path` looks like one of the above by name.
bool is_cifar(const fs::path& path);

}  // namespace diffit::io
