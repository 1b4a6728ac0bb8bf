#include "data/data_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

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

namespace {

/// The words of a name in lower case: runs of letters.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : lower_case(name)) {
    if (c >= 'a' && c <= 'z') {
      words.back() += c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

constexpr std::array<std::string_view, 18> kSplits{
    "train", "training", "val",        "valid",   "validation", "validate", "dev",    "test",  "testing",
    "tests", "eval",     "evaluation", "holdout", "trainval",   "traina",   "trainb", "testa", "testb"};
constexpr std::array<std::string_view, 18> kFillers{
    "set",     "data",     "dataset", "image",  "images", "img",     "imgs",   "pic", "pics",
    "picture", "pictures", "photo",   "photos", "split",  "samples", "folder", "seg", "cls"};
constexpr std::array<std::string_view, 9> kBeside{"unlabeled",   "unlabelled", "extra",
                                                  "pred",        "predict",    "prediction",
                                                  "predictions", "submission", "infer"};

/// One of `wanted` among the words of the name, and nothing else but fillers.
template <std::size_t N>
bool names_only(std::string_view name, const std::array<std::string_view, N>& wanted) {
  bool any = false;
  for (std::string word : words_of(name)) {
    // "trainset", "testdata"
    for (const std::string_view filler : kFillers) {
      if (word.size() > filler.size() && word.ends_with(filler) &&
          is_one_of(word.substr(0, word.size() - filler.size()), wanted))
        word.resize(word.size() - filler.size());
    }
    if (is_one_of(word, wanted)) {
      any = true;
    } else if (!is_one_of(word, kFillers)) {
      return false;
    }
  }
  return any;
}

}  // namespace

bool is_split_name(std::string_view name) {
  return names_only(name, kSplits);
}

bool is_beside_splits(std::string_view name) {
  return names_only(name, kBeside);
}

bool is_piece_name(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kPieces{"part",   "parts", "batch",  "chunk", "shard",
                                                            "pieces", "piece", "volume", "vol",   "subset"};
  if (std::none_of(name.begin(), name.end(), is_digit)) return false;
  const std::vector<std::string> words = words_of(name);
  return !words.empty() && std::all_of(words.begin(), words.end(), [](const std::string& word) {
    return is_one_of(word, kPieces) || is_one_of(word, kFillers);
  });
}

bool are_parts_of_images(std::span<const std::string> names) {
  static constexpr std::array<std::string_view, 23> kParts{"segmentationclass",
                                                           "segmentationobject",
                                                           "imagesets",
                                                           "mask",
                                                           "masks",
                                                           "gt",
                                                           "groundtruth",
                                                           "truth",
                                                           "annotation",
                                                           "annotations",
                                                           "annot",
                                                           "annots",
                                                           "label",
                                                           "labels",
                                                           "seg",
                                                           "segmentation",
                                                           "segmentations",
                                                           "depth",
                                                           "depths",
                                                           "edges",
                                                           "sketch",
                                                           "lmk",
                                                           "landmarks"};
  static constexpr std::array<std::string_view, 10> kImages{
      "image", "images", "img", "imgs", "jpegimages", "photo", "photos", "picture", "pictures", "rgb"};
  bool images = false, parts = false;
  for (const std::string& name : names) {
    const std::vector<std::string> words = words_of(name);
    const bool part = std::any_of(words.begin(), words.end(),
                                  [](const std::string& word) { return is_one_of(word, kParts); });
    const bool image = std::any_of(words.begin(), words.end(),
                                   [](const std::string& word) { return is_one_of(word, kImages); });
    images = images || (image && !part);
    parts = parts || part;
    if (!image && !part) return false;
  }
  return images && parts;
}

std::string with_plain_slashes(std::string_view name) {
  std::string slashes(name);
  std::replace(slashes.begin(), slashes.end(), '\\', '/');
  std::string out;
  for (std::size_t begin = 0; begin < slashes.size();) {
    const std::size_t end = std::min(slashes.find('/', begin), slashes.size());
    const std::string_view part = std::string_view(slashes).substr(begin, end - begin);
    if (part != ".") out.append(part).append(end < slashes.size() ? "/" : "");
    begin = end + 1;
  }
  return out;
}

std::string_view known_data_file(std::string_view name) {
  struct Known {
    std::string_view part;
    bool ending;
    std::string_view means;
  };
  static constexpr std::array<Known, 9> kKnown{
      {{"idx3-ubyte", false, "IDX: give the images file itself"},
       {"data.mdb", true, "LMDB: export its images to a folder or zip"},
       {".parquet", true, "Parquet (Hugging Face): export them to a folder or zip"},
       {".arrow", true, "Arrow (Hugging Face): export them to a folder or zip"},
       {".tfrecord", false, "TFRecord: export its images to a folder or zip"},
       {".tar", true, "tarballs: unpack them into one folder (tar xf)"},
       {".tar.gz", true, "tarballs: unpack them into one folder (tar xf)"},
       {".npz", true, "npz: give the file itself"},
       {".zip", true, "zip: give the file itself"}}};
  const std::string lower = lower_case(name);
  for (const Known& known : kKnown) {
    if (known.ending ? lower.ends_with(known.part) : lower.find(known.part) != std::string::npos)
      return known.means;
  }
  return {};
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
