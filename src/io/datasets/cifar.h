// CIFAR-10 and CIFAR-100, binary and Python versions.
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

/// `path` is one file, a folder, or the tarball as downloaded (cifar-10-binary.tar.gz,
/// cifar-10-python.tar.gz) of data_batch_1 to data_batch_5 (CIFAR-10's 50,000 training images; test_batch if
/// there are none) or train (CIFAR-100), with .bin in the binary version. A folder may contain them in the
/// folder of their archive (cifar-10-batches-bin, cifar-100-python, ...). CIFAR-10 and 100 are distinguished
/// by size and label range. Pickles are read as data and never executed. Throws Error(invalid) that names the
/// file.
CifarSet read_cifar(const fs::path& path);
/// Whether `path` looks like one of the above by name.
bool is_cifar(const fs::path& path);

}  // namespace diffit::io
