#include <array>

#include "base/error.h"
#include "data/format.h"

namespace diffit::data {

#define DIFFIT_DATA_FORMAT(name) extern const DataFormat format_##name;
#include "data/formats.def"
#undef DIFFIT_DATA_FORMAT

namespace {

constexpr std::array kFormats = {
#define DIFFIT_DATA_FORMAT(name) &format_##name,
#include "data/formats.def"
#undef DIFFIT_DATA_FORMAT
};

}  // namespace

std::span<const DataFormat* const> data_formats() {
  return kFormats;
}

std::string data_format_titles() {
  std::string text;
  for (std::size_t i = 0; i < kFormats.size(); ++i) {
    if (i > 0) text += i + 1 == kFormats.size() ? " or " : ", ";
    text += kFormats[i]->title;
  }
  return text;
}

}  // namespace diffit::data
