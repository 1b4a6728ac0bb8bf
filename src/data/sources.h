// The formats behind open_source, one opener each. All throw Error(invalid) that names the path.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/source.h"

namespace diffit::detail {

std::unique_ptr<PictureSource> open_idx(const fs::path& images);

/// The name of picture `index` in the layout of EDM's data sets: "00012/img00012345.png".
std::string edm_name(std::int64_t index);

/// Labels of pictures by name, as a data set's own files give them.
struct Labels {
  std::vector<std::int64_t> values;  // empty: there are none
  std::int64_t classes = 0;
};

}  // namespace diffit::detail
