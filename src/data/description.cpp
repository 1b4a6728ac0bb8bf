#include "data/description.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "data/data_names.h"
#include "data/workers.h"

namespace diffit::data {
namespace {

constexpr std::size_t kShownClasses = 24, kShownBroken = 20, kShownSizes = 8;

bool same_sides(const ImageInfo& a, const ImageInfo& b) {
  return a.width == b.width && a.height == b.height;
}

/// Labels without images as "0, 3-7".
std::string ranges_of_empty(const std::vector<DataClass>& classes) {
  constexpr int kShown = 6;
  std::string text;
  int shown = 0;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (classes[i].images > 0) continue;
    std::size_t last = i;
    while (last + 1 < classes.size() && classes[last + 1].images == 0) ++last;
    if (shown++ == kShown) return text + ", ...";
    text += text.empty() ? "" : ", ";
    text += last > i ? fmt::format("{}-{}", i, last) : std::to_string(i);
    i = last;
  }
  return text;
}

/// In lower case, without spaces at the ends.
std::string bare(std::string_view name) {
  return detail::lower_case(trim(name));
}

void warn_of_similar_names(DataDescription& d) {
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < d.classes.size(); ++i) {
    const auto [at, fresh] = seen.emplace(bare(d.classes[i].name), i);
    if (fresh || d.classes[i].name.empty()) continue;
    d.warnings.push_back(
        fmt::format("the names of the classes '{}' (label {}) and '{}' (label {}) differ only in "
                    "case or spaces; are they one class?",
                    d.classes[at->second].name, at->second, d.classes[i].name, i));
    return;
  }
}

void warn_of_classes(DataDescription& d) {
  warn_of_similar_names(d);
  const auto empty =
      std::count_if(d.classes.begin(), d.classes.end(), [](const DataClass& c) { return c.images == 0; });
  if (empty == 0) return;
  const auto named =
      std::find_if(d.classes.begin(), d.classes.end(), [](const DataClass& c) { return c.images == 0; });
  if (d.labels_from == "folders") {
    std::string names;
    constexpr int kShown = 5;
    int shown = 0;
    for (std::size_t i = 0; i < d.classes.size() && shown < kShown; ++i) {
      if (d.classes[i].images > 0) continue;
      names += fmt::format("{}'{}' (label {})", shown++ > 0 ? ", " : "", d.classes[i].name, i);
    }
    d.warnings.push_back(
        fmt::format("{} of {} class folders ha{} no readable image: {}{}; {} the label, and the other labels "
                    "do not change; remove the folder if it is not a class",
                    empty, d.classes.size(), empty == 1 ? "s" : "ve", names, empty > kShown ? ", ..." : "",
                    empty == 1 ? "it keeps" : "they keep"));
    return;
  }
  const bool from_one = named == d.classes.begin() && empty == 1;
  d.warnings.push_back(
      fmt::format("{}labels {} of 0 to {} have no image ({} of {} classes have images): a model would have "
                  "classes that are never trained",
                  from_one ? "labels begin at 1: " : "", ranges_of_empty(d.classes), d.classes.size() - 1,
                  d.classes.size() - static_cast<std::size_t>(empty), d.classes.size()));
}

void warn_of_images(DataDescription& d, const ImageScan& scan) {
  if (scan.broken_count > 0) {
    d.warnings.push_back(
        fmt::format("{} of {} images cannot be read, the first is {}; `diffit data info --check` lists all, "
                    "`diffit data convert --skip-broken` skips them",
                    scan.broken_count, d.images, scan.broken.front().reason));
  }
  if (const std::int64_t odd = scan.odd_count(); odd > 0) {
    d.warnings.push_back(fmt::format(
        "images have {} sizes: {} are {}x{}, {} are not: {}; "
        "`diffit data convert --size N --crop center` makes the sizes equal",
        d.sizes.size(), d.images - scan.broken_count - odd, d.width, d.height, odd, list_odd(scan.odd)));
  }
}

}  // namespace

ImageInfo ImageScan::usual() const {
  return sizes.empty() ? ImageInfo{} : ImageInfo{sizes[0].info.width, sizes[0].info.height, channels()};
}

std::int64_t ImageScan::channels() const {
  std::int64_t most = sizes.empty() ? 0 : 1;
  for (const ImageSize& size : sizes) most = std::max(most, size.info.channels);
  return most;
}

std::int64_t ImageScan::odd_count() const {
  std::int64_t count = 0;
  for (const ImageSize& size : sizes) count += same_sides(size.info, sizes[0].info) ? 0 : size.images;
  return count;
}

std::int64_t ImageScan::first_odd() const {
  std::int64_t first = -1;
  for (const ImageSize& size : sizes) {
    if (!same_sides(size.info, sizes[0].info) && (first < 0 || size.first < first)) first = size.first;
  }
  return first;
}

ImageScan scan_images(const ImageSource& source, const ScanOptions& options) {
  ImageScan scan;
  scan.decoded = options.decode;
  const std::int64_t count = source.size();
  if (const auto uniform = source.uniform(); uniform && !options.decode) {
    if (count > 0) scan.sizes.push_back({*uniform, count, 0});
    return scan;
  }
  std::mutex mutex;
  std::vector<ImageInfo> infos(static_cast<std::size_t>(count));  // width 0 if the image is broken
  constexpr std::int64_t kBlock = 256;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, count);
    in_parallel(begin, end, thread_count(options.threads), [&](std::int64_t i) {
      ImageInfo info;
      std::string reason;
      try {
        info = options.decode ? info_of(source.read(i)) : source.info(i);
        if (!options.decode) check_memory(info, source.describe() + ": " + printable(source.name(i)));
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::failed) throw;
        reason = error.what();
      }
      const std::lock_guard lock(mutex);
      if (!reason.empty()) {
        ++scan.broken_count;
        scan.broken.push_back({i, printable(source.name(i)), std::move(reason)});
        return;
      }
      infos[static_cast<std::size_t>(i)] = info;
      const auto found = std::find_if(scan.sizes.begin(), scan.sizes.end(),
                                      [&](const ImageSize& s) { return s.info == info; });
      if (found == scan.sizes.end()) {
        scan.sizes.push_back({info, 1, i});
      } else {
        ++found->images;
        found->first = std::min(found->first, i);
      }
    });
    std::sort(scan.broken.begin(), scan.broken.end(),
              [](const BrokenImage& a, const BrokenImage& b) { return a.index < b.index; });
    if (scan.broken.size() > ImageScan::kMostListed) scan.broken.resize(ImageScan::kMostListed);
    if (options.progress) options.progress(end, count);
  }
  // By frequency of the sides, grey and RGB taken together; within them by frequency.
  const auto weight = [&](const ImageSize& size) {
    std::int64_t images = 0, first = size.first;
    for (const ImageSize& other : scan.sizes) {
      if (!same_sides(other.info, size.info)) continue;
      images += other.images;
      first = std::min(first, other.first);
    }
    return std::tuple(-images, first, -size.images, size.first);
  };
  std::vector<std::pair<std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t>, ImageSize>> keyed;
  for (const ImageSize& size : scan.sizes) keyed.emplace_back(weight(size), size);
  std::sort(keyed.begin(), keyed.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < keyed.size(); ++i) scan.sizes[i] = keyed[i].second;
  for (std::int64_t i = 0; i < count && scan.odd.size() < ImageScan::kMostListed; ++i) {
    const ImageInfo& info = infos[static_cast<std::size_t>(i)];
    if (info.width > 0 && !same_sides(info, scan.sizes[0].info))
      scan.odd.push_back({i, printable(source.name(i)), info});
  }
  return scan;
}

void check_decodes(const ImageSource& source) {
  constexpr std::int64_t kTried = 8;
  std::optional<Error> first;
  for (std::int64_t i = 0; i < std::min(kTried, source.size()); ++i) {
    try {
      source.read(i);
      return;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::failed) throw;
      if (!first) first = error;
    }
  }
  if (first) throw *first;
}

DataDescription describe_data(const ImageSource& source, const ImageScan& scan) {
  const SourceFacts& facts = source.facts();
  DataDescription d;
  d.kind = source.describe();
  d.format = facts.format;
  d.labels_from = facts.labels_from;
  d.images = source.size();
  const ImageInfo usual = scan.usual();
  d.width = usual.width;
  d.height = usual.height;
  d.channels = usual.channels;
  d.sizes = scan.sizes;
  d.broken = scan.broken;
  d.broken_count = scan.broken_count;
  d.odd = scan.odd;
  d.odd_count = scan.odd_count();
  d.decoded = scan.decoded;
  d.skipped = facts.skipped;
  d.notes = facts.notes;
  d.warnings = facts.warnings;
  d.classes.resize(static_cast<std::size_t>(source.classes()));
  for (std::size_t i = 0; i < d.classes.size() && i < facts.class_names.size(); ++i) {
    d.classes[i].name = facts.class_names[i];
  }
  for (std::int64_t i = 0; i < d.images && !d.classes.empty(); ++i) {
    ++d.classes[static_cast<std::size_t>(source.label(i))].images;
  }
  warn_of_images(d, scan);
  warn_of_classes(d);
  const auto grey =
      std::count_if(d.sizes.begin(), d.sizes.end(), [](const ImageSize& s) { return s.info.channels == 1; });
  if (grey > 0 && d.channels == 3) {
    std::int64_t images = 0;
    for (const ImageSize& s : d.sizes) images += s.info.channels == 1 ? s.images : 0;
    d.notes.push_back(fmt::format("{} greyscale images among RGB images are read as RGB", images));
  }
  return d;
}

Json description_json(const DataDescription& d) {
  Json json = {{"kind", d.kind},
               {"format", d.format},
               {"labels_from", d.labels_from},
               {"pictures", d.images},
               {"width", d.width},
               {"height", d.height},
               {"channels", d.channels},
               {"classes", d.classes.size()},
               {"notes", d.notes},
               {"warnings", d.warnings},
               {"decoded", d.decoded}};
  if (!d.classes.empty()) {
    Json counts = Json::array(), names = Json::array();
    bool named = false;
    for (const DataClass& c : d.classes) {
      counts.push_back(c.images);
      names.push_back(c.name);
      named = named || !c.name.empty();
    }
    json["class_counts"] = std::move(counts);
    if (named) json["class_names"] = std::move(names);
  }
  json["sizes"] = Json::array();
  for (const ImageSize& s : d.sizes) {
    json["sizes"].push_back({{"width", s.info.width},
                             {"height", s.info.height},
                             {"channels", s.info.channels},
                             {"images", s.images}});
  }
  json["skipped"] = Json::array();
  for (const Skipped& s : d.skipped) {
    json["skipped"].push_back({{"reason", s.reason}, {"count", s.count}, {"first", s.first}});
  }
  json["broken_count"] = d.broken_count;
  json["broken"] = Json::array();
  for (const BrokenImage& b : d.broken)
    json["broken"].push_back({{"name", b.name}, {"index", b.index}, {"reason", b.reason}});
  json["other_size_count"] = d.odd_count;
  json["other_sizes"] = Json::array();
  for (const OddImage& o : d.odd)
    json["other_sizes"].push_back(
        {{"name", o.name}, {"index", o.index}, {"width", o.info.width}, {"height", o.info.height}});
  return json;
}

std::string description_text(const DataDescription& d, const std::string& indent) {
  std::string text;
  const auto line = [&](const std::string& words) { text += indent + words + "\n"; };
  line(fmt::format("{} images, {}x{}, {}{}", d.images, d.width, d.height, d.channels == 1 ? "grey" : "RGB",
                   !d.decoded            ? ""
                   : d.broken_count == 0 ? ", all decoded"
                                         : ", counting readable images"));
  if (d.sizes.size() > 1) {
    for (std::size_t i = 0; i < std::min(d.sizes.size(), kShownSizes); ++i) {
      const ImageSize& s = d.sizes[i];
      line(fmt::format("  {} are {}x{}, {}", s.images, s.info.width, s.info.height,
                       s.info.channels == 1 ? "grey" : "RGB"));
    }
    if (d.sizes.size() > kShownSizes) line(fmt::format("  and {} more sizes", d.sizes.size() - kShownSizes));
  }
  if (d.classes.empty()) {
    line("no labels");
  } else {
    const auto [least, most] = std::minmax_element(
        d.classes.begin(), d.classes.end(), [](const auto& a, const auto& b) { return a.images < b.images; });
    line(fmt::format("{} classes of {} images{}, labels from {}", d.classes.size(), least->images,
                     least->images == most->images ? "" : fmt::format(" to {}", most->images),
                     d.labels_from));
    const bool named =
        std::any_of(d.classes.begin(), d.classes.end(), [](const auto& c) { return !c.name.empty(); });
    for (std::size_t i = 0; named && i < std::min(d.classes.size(), kShownClasses); ++i) {
      line(fmt::format("  {:>4}  {}  {} images", i, d.classes[i].name, d.classes[i].images));
    }
    if (named && d.classes.size() > kShownClasses)
      line(fmt::format("  and {} more", d.classes.size() - kShownClasses));
  }
  for (const Skipped& s : d.skipped)
    line(fmt::format("skipped: {}: {}, the first is {}", s.reason, s.count, s.first));
  // A check lists them all.
  const std::size_t shown = d.decoded ? d.broken.size() : std::min(d.broken.size(), kShownBroken);
  for (std::size_t i = 0; i < shown; ++i) line("broken: " + d.broken[i].reason);
  if (d.broken_count > static_cast<std::int64_t>(shown))
    line(fmt::format("broken: {} more", d.broken_count - static_cast<std::int64_t>(shown)));
  if (d.decoded) {
    for (const OddImage& o : d.odd)
      line(fmt::format("another size: {}: {}x{}", o.name, o.info.width, o.info.height));
    if (d.odd_count > static_cast<std::int64_t>(d.odd.size()))
      line(fmt::format("another size: {} more", d.odd_count - static_cast<std::int64_t>(d.odd.size())));
  }
  for (const std::string& note : d.notes) line("note: " + note);
  for (const std::string& warning : d.warnings) line("warning: " + warning);
  return text;
}

std::string list_odd(std::span<const OddImage> odd, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(odd.size(), most); ++i)
    text +=
        fmt::format("{}{} ({}x{})", i > 0 ? ", " : "", odd[i].name, odd[i].info.width, odd[i].info.height);
  return odd.size() > most ? text + ", ..." : text;
}

void refuse_warnings(const DataDescription& d) {
  if (d.warnings.empty()) return;
  reject("{}: `strict`: {}{}", d.kind, d.warnings.front(),
         d.warnings.size() > 1
             ? fmt::format(" (and {} more warnings: see diffit data info)", d.warnings.size() - 1)
             : "");
}

}  // namespace diffit::data
