#include "report/grid_files.h"

#include <algorithm>

#include "base/error.h"
#include "data/resize.h"

namespace diffit::report {

namespace {

Image no_larger(Image image, std::int64_t most) {
  const std::int64_t side = std::max(image.width, image.height);
  if (side <= most) return image;
  return resized(image, std::max<std::int64_t>(1, image.width * most / side),
                 std::max<std::int64_t>(1, image.height * most / side), Filter::lanczos);
}

}  // namespace

void GridFiles::add(const fs::path& path, std::int64_t largest, const std::string& caption,
                    const std::string& alt) {
  try {
    shown_.push_back({no_larger(read_image(path), largest), caption, alt});
  } catch (const Error& error) {
    missing_.push_back(fmt::format("Not shown: {}", error.what()));
  }
}

void GridFiles::put(Section& section, ImageGrid grid, std::int64_t room) && {
  if (!shown_.empty()) {
    const std::int64_t width = std::max<std::int64_t>(1, shown_.front().image.width);
    grid.enlarge = std::clamp<std::int64_t>(room / width, 1, 3);
    grid.rows = {{"", std::move(shown_)}};
    section.blocks.emplace_back(std::move(grid));
  }
  if (!missing_.empty()) section.blocks.emplace_back(Text{std::move(missing_)});
}

}  // namespace diffit::report
