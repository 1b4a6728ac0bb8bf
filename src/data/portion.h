// Which images of a training one process reads, where several processes share each batch.
#pragma once

#include <cstdint>

namespace diffit::data {

/// Images first .. first + count - 1 of each batch of `batch` images. The default is every image.
struct Portion {
  std::int64_t first = 0, count = 1, batch = 1;

  /// Returns the running number of the image that is the `k`-th to be read, if the training starts with the
  /// batch whose first image has the number `start`.
  std::int64_t image(std::int64_t start, std::int64_t k) const {
    return start + k / count * batch + first + k % count;
  }
};

}  // namespace diffit::data
