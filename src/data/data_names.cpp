#include "data/data_names.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace diffit::data::detail {
namespace {

template <std::size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& list) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::optional<std::int64_t> parsed(std::string_view digits) {
  constexpr std::size_t kLongest = 18;
  if (digits.empty() || digits.size() > kLongest) return std::nullopt;
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view why_no_data(std::string_view name) {
  static constexpr std::array<std::string_view, 29> kLeft{"__macosx",
                                                          "thumbs.db",
                                                          "ehthumbs.db",
                                                          "ehthumbs_vista.db",
                                                          "desktop.ini",
                                                          "icon\r",
                                                          "@eadir",
                                                          "@recycle",
                                                          "@recently-snapshot",
                                                          "@tmp",
                                                          "@sharebin",
                                                          "@syno",
                                                          "#recycle",
                                                          "#snapshot",
                                                          "~snapshot",
                                                          "lost+found",
                                                          "$recycle.bin",
                                                          "recycler",
                                                          "recycled",
                                                          "system volume information",
                                                          "found.000",
                                                          "network trash folder",
                                                          "temporary items",
                                                          "thedb",
                                                          "__pycache__",
                                                          "lost.dir",
                                                          "aquota.user",
                                                          "aquota.group",
                                                          "$extend"};
  if (name.starts_with('.'))
    return name.starts_with("._") ? "macOS companion file (._*)" : "hidden file (name begins with a dot)";
  if (is_one_of(lower_case(name), kLeft))
    return "file created by a system or tool (__MACOSX, @eaDir, Thumbs.db, ...)";
  return {};
}

bool is_unread_image_name(std::string_view name) {
  static constexpr std::array<std::string_view, 24> kEndings{
      ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jpx", ".ppm",
      ".pgm", ".pbm", ".pnm", ".tga",  ".ico",  ".svg",  ".psd",  ".exr", ".hdr", ".dng", ".cr2", ".nef"};
  const std::size_t dot = name.rfind('.');
  return dot != std::string_view::npos && dot > 0 && is_one_of(lower_case(name.substr(dot)), kEndings);
}

bool is_split_name(std::string_view name) {
  static constexpr std::array<std::string_view, 18> kSplits{
      "train",      "training", "trainset", "train_set", "val",        "valid",
      "validation", "validate", "valset",   "val_set",   "dev",        "test",
      "testing",    "testset",  "test_set", "eval",      "evaluation", "holdout"};
  return is_one_of(lower_case(name), kSplits);
}

std::optional<std::int64_t> number_of(std::string_view name) {
  if (!std::all_of(name.begin(), name.end(), is_digit)) return std::nullopt;
  return parsed(name);
}

std::optional<std::int64_t> last_number(std::string_view name) {
  name = name.substr(0, name.rfind('.'));
  const auto end = std::find_if(name.rbegin(), name.rend(), is_digit).base();
  const auto begin = std::find_if_not(std::make_reverse_iterator(end), name.rend(), is_digit).base();
  return parsed({begin, end});
}

}  // namespace diffit::data::detail
