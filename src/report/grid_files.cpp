#include "report/grid_files.h"

#include <algorithm>

#include "base/error.h"
#include "data/resize.h"

namespace diffit {

namespace {

Picture no_larger(Picture picture, std::int64_t most) {
  const std::int64_t side = std::max(picture.width, picture.height);
  if (side <= most) return picture;
  return resized(picture, std::max<std::int64_t>(1, picture.width * most / side),
                 std::max<std::int64_t>(1, picture.height * most / side), Filter::lanczos);
}

}  // namespace

void GridFiles::add(const fs::path& path, std::int64_t largest, const std::string& caption,
                    const std::string& alt) {
  try {
    shown_.push_back({no_larger(read_picture(path), largest), caption, alt});
  } catch (const Error& error) {
    missing_.push_back(fmt::format("Not shown: {}", error.what()));
  }
}

void GridFiles::put(Section& section, PictureGrid grid, std::int64_t room) && {
  if (!shown_.empty()) {
    const std::int64_t width = std::max<std::int64_t>(1, shown_.front().picture.width);
    grid.enlarge = std::clamp<std::int64_t>(room / width, 1, 3);
    grid.rows = {{"", std::move(shown_)}};
    section.blocks.emplace_back(std::move(grid));
  }
  if (!missing_.empty()) section.blocks.emplace_back(Text{std::move(missing_)});
}

}  // namespace diffit
