#include "data/listing.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "data/data_names.h"
#include "data/shards.h"

namespace diffit::data::detail {
namespace {

constexpr const char* kJson = "dataset.json";

std::string_view first_part(std::string_view name) {
  return name.substr(0, name.find('/'));
}

/// Counts by reason, in order of first appearance.
class Tally {
 public:
  explicit Tally(std::vector<Skipped>& list) : list_(list) {}
  void add(std::string_view reason, std::string_view name) {
    const auto found =
        std::find_if(list_.begin(), list_.end(), [&](const Skipped& s) { return s.reason == reason; });
    if (found != list_.end()) {
      ++found->count;
    } else {
      list_.push_back({std::string(reason), 1, printable(name)});
    }
  }

 private:
  std::vector<Skipped>& list_;
};

struct Hidden {
  std::string_view why;     // empty if no part of the path is hidden
  std::string_view folder;  // the folder that contains the hidden part, "" at the top
};

Hidden hidden_part(std::string_view path) {
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (const std::string_view why = why_no_data(path.substr(begin, end - begin)); !why.empty())
      return {why, path.substr(0, begin == 0 ? 0 : begin - 1)};
    begin = end + 1;
  }
  return {};
}

bool is_hidden(std::string_view path) {
  return !hidden_part(path).why.empty();
}

std::string quoted(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    text += (i > 0 ? ", '" : "'") + printable(names[i]) + "'";
  }
  return names.size() > kShown ? text + ", ..." : text;
}

/// A folder at the top of the set.
struct Top {
  std::int64_t images = 0;
  bool wanted = false;  // it has images, or what may have been images, or nothing at all
};

class Arrangement {
 public:
  Arrangement(const Listing& listing, const SourceOptions& options, const std::string& where)
      : listing_(listing), options_(options), where_(where) {
    layout_.facts.skipped = listing.skipped;
    sort_out();
    find_root();
    sort_images();
  }

  Layout finish(const std::function<std::string(std::size_t, std::uint64_t)>& read_json) {
    SourceFacts& facts = layout_.facts;
    for (const Skipped& s : facts.skipped) {
      if (s.reason.starts_with("hidden") || s.reason.starts_with("file created by") ||
          s.reason.starts_with("macOS") || s.reason == kNoImage)
        continue;
      facts.warnings.push_back(fmt::format("{}: {} skipped, the first is {}", s.reason, s.count, s.first));
    }
    if (!root_.empty()) {
      facts.notes.push_back(
          fmt::format("everything is inside the folder '{}', which is treated as the top level",
                      printable(root_.substr(0, root_.size() - 1))));
    }
    if (options_.labels == LabelMode::none) {
      if (json_) facts.notes.push_back("the labels of dataset.json are not used (`labels` none)");
      layout_.has_json = json_.has_value();
    } else if (json_ && options_.labels == LabelMode::automatic) {
      layout_.has_json = true;
      std::vector<std::string> names;
      names.reserve(layout_.images.size());
      for (const std::size_t i : layout_.images) names.push_back(listing_.files[i].substr(root_.size()));
      const std::string text = read_json(*json_, largest_json(names.size()));
      layout_.labels = labels_of(names, text, where_ + ": " + printable(listing_.files[*json_]));
      facts.class_names = layout_.labels.class_names;
      facts.labels_from = layout_.labels.classes > 0 ? kJson : "nothing (dataset.json says null)";
    } else {
      if (json_) facts.notes.push_back("the labels of dataset.json are not used (`labels` folders)");
      take_folders();
    }
    return std::move(layout_);
  }

 private:
  static constexpr const char* kNoImage = "not an image file name";
  static constexpr const char* kUnread = "image in an unsupported format (convert it to PNG)";

  /// Which files may be data, which are passed over.
  void sort_out() {
    Tally skipped(layout_.facts.skipped);
    std::vector<std::size_t> order(listing_.files.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return listing_.files[a] < listing_.files[b]; });
    for (const std::size_t i : order) {
      const std::string& name = listing_.files[i];
      const std::string_view file = std::string_view(name).substr(name.rfind('/') + 1);
      if (const Hidden hidden = hidden_part(name); !hidden.why.empty()) {
        skipped.add(hidden.why, name);
        // Its folder exists even if it contains nothing else, also in a zip without entries for folders.
        if (!hidden.folder.empty()) folders_.emplace_back(hidden.folder);
      } else if (is_image_name(std::string(file))) {
        images_.push_back(i);
      } else if (lower_case(file) == kJson) {
        jsons_.push_back(i);
      } else if (is_unread_image_name(file)) {
        skipped.add(kUnread, name);
        hints_.push_back(name);
      } else {
        skipped.add(kNoImage, name);
        others_.push_back(name);
      }
    }
    for (const std::string& name : listing_.folders) {
      if (!is_hidden(name)) folders_.push_back(name);
    }
    for (const std::string& name : listing_.unreadable) {
      if (!is_hidden(name)) hints_.push_back(name);
    }
    std::string told;
    for (const Skipped& s : layout_.facts.skipped)
      told += fmt::format("; {}: {}, the first is {}", s.reason, s.count, s.first);
    for (const std::string& name : others_) {
      if (const std::string_view means = known_data_file(name); !means.empty()) {
        told += fmt::format("; {} looks like {}", printable(name), means);
        break;
      }
    }
    DIFFIT_CHECK(
        !images_.empty(), "{}: wanted images (.png, .jpg, .jpeg, .webp){}, found none among {} entries{}",
        where_,
        listing_.folders.empty() && listing_.files.empty() ? "; a folder of images, CIFAR or IDX" : "",
        listing_.files.size(), told);
  }

  /// Goes down while a single folder holds everything.
  void find_root() {
    while (true) {
      json_ = json_at(root_);
      tops_.clear();
      std::int64_t beside = 0;
      const auto top = [&](const std::string& name) -> Top* {
        if (!name.starts_with(root_) || name.size() <= root_.size()) return nullptr;
        const std::string_view rest = std::string_view(name).substr(root_.size());
        return rest.find('/') == std::string_view::npos ? nullptr : &tops_[std::string(first_part(rest))];
      };
      for (const std::string& name : folders_) top(name + "/");
      std::set<std::string> filled;
      for (const std::size_t i : images_) {
        Top* of = top(listing_.files[i]);
        of == nullptr ? ++beside : ++of->images;
        if (of != nullptr) of->wanted = true;
      }
      for (const std::string& name : hints_) {
        // What could not be read at the top itself may be a folder: a class.
        const std::string_view rest =
            name.starts_with(root_) ? std::string_view(name).substr(root_.size()) : "";
        const bool folder = rest.find('/') == std::string_view::npos && !rest.empty() &&
                            !is_image_name(std::string(rest)) && !is_unread_image_name(rest);
        if (Top* of = top(folder ? name + "/" : name)) of->wanted = true;
      }
      for (const std::string& name : others_) {
        if (name.starts_with(root_)) filled.emplace(first_part(std::string_view(name).substr(root_.size())));
      }
      for (const std::size_t i : jsons_) {
        if (listing_.files[i].starts_with(root_))
          filled.emplace(first_part(std::string_view(listing_.files[i]).substr(root_.size())));
      }
      for (auto& [name, of] : tops_) of.wanted = of.wanted || (of.images == 0 && !filled.contains(name));
      beside_ = beside;
      const auto wanted =
          std::count_if(tops_.begin(), tops_.end(), [](const auto& t) { return t.second.wanted; });
      if (json_ || beside > 0 || wanted != 1) return;
      if (options_.labels == LabelMode::folders && is_last_folder()) return;
      root_ +=
          std::find_if(tops_.begin(), tops_.end(), [](const auto& t) { return t.second.wanted; })->first +
          "/";
    }
  }

  /// Whether the images of the only folder lie in it directly: with --labels folders it is a class.
  bool is_last_folder() const {
    return std::any_of(images_.begin(), images_.end(), [&](std::size_t i) {
      const std::string_view rest = std::string_view(listing_.files[i]).substr(root_.size());
      return std::count(rest.begin(), rest.end(), '/') == 1;
    });
  }

  std::optional<std::size_t> json_at(const std::string& root) const {
    std::optional<std::size_t> found;
    for (const std::size_t i : jsons_) {
      const std::string& name = listing_.files[i];
      if (!name.starts_with(root) || name.find('/', root.size()) != std::string::npos) continue;
      if (!found || name == root + kJson) found = i;
    }
    return found;
  }

  void sort_images() { layout_.images = images_; }

  std::string_view top_of(std::size_t place) const {
    const std::string_view rest = std::string_view(listing_.files[place]).substr(root_.size());
    return rest.find('/') == std::string_view::npos ? std::string_view() : first_part(rest);
  }

  bool folders_are_shards(const std::vector<std::string>& names) const {
    std::vector<PlacedImage> placed;
    for (const std::size_t i : images_) {
      const std::string& path = listing_.files[i];
      if (const std::string_view folder = top_of(i); !folder.empty())
        placed.push_back({folder, std::string_view(path).substr(path.rfind('/') + 1)});
    }
    return are_shards(names, placed);
  }

  void take_folders() {
    SourceFacts& facts = layout_.facts;
    const bool forced = options_.labels == LabelMode::folders;
    std::vector<std::string> classes;
    std::int64_t inside = 0;
    const auto wanted =
        std::count_if(tops_.begin(), tops_.end(), [](const auto& t) { return t.second.wanted; });
    for (const auto& [name, top] : tops_) {
      inside += top.images;
      // A folder of other files among class folders may be a class whose images are gone.
      if (top.wanted || wanted >= 2) classes.push_back(name);
    }
    if (classes.empty() || (wanted < 2 && !forced)) {
      if (beside_ > 0 && inside > 0) {
        facts.warnings.push_back(
            fmt::format("{} images are next to the folder {}, which contains {} more: the folder is not "
                        "treated as a class; use `labels` folders to treat it as one",
                        beside_, quoted(classes), inside));
      }
      return;
    }
    if (!forced) {
      if (beside_ >= inside) {
        facts.warnings.push_back(
            fmt::format("{} images are next to the folders {}, which contain {}: the folders are not treated "
                        "as classes; move the images into folders, or use `labels` folders, which skips them",
                        beside_, quoted(classes), inside));
        return;
      }
      const auto splits = std::count_if(classes.begin(), classes.end(), is_split_name);
      const auto beside = std::count_if(classes.begin(), classes.end(), is_beside_splits);
      const auto others = std::count_if(classes.begin(), classes.end(), [&](const std::string& name) {
        return tops_[name].images > 0 && !is_split_name(name) && !is_beside_splits(name);
      });
      if (splits >= 1 && splits + beside >= 2 && others == 0) {
        facts.warnings.push_back(fmt::format(
            "the folders {} look like splits of a data set, not classes: all images are read without labels; "
            "give one of the folders, or use `labels` folders to treat them as classes",
            quoted(classes)));
        return;
      }
      if (splits >= 2) {
        facts.warnings.push_back(
            fmt::format("some class folders look like splits of a data set ({}); is this the right folder?",
                        quoted(classes)));
      }
      if (std::all_of(classes.begin(), classes.end(), is_piece_name)) {
        facts.warnings.push_back(
            fmt::format("the folders {} look like numbered pieces of one data set, not classes: all images "
                        "are read without "
                        "labels; use `labels` folders to treat them as classes",
                        quoted(classes)));
        return;
      }
      if (are_parts_of_images(classes)) {
        facts.warnings.push_back(
            fmt::format("the class folders {} look like images and their masks or annotations; give the "
                        "folder of the images",
                        quoted(classes)));
      }
      if (folders_are_shards(classes)) {
        facts.notes.push_back(fmt::format(
            "the folders {} look like shards (numbered or named by hashes), not classes: no labels; "
            "use `labels` folders to treat them as classes",
            quoted(classes)));
        return;
      }
    }
    name_classes(std::move(classes));
  }

  void name_classes(std::vector<std::string> classes) {
    SourceFacts& facts = layout_.facts;
    const bool numbers =
        std::all_of(classes.begin(), classes.end(), [](const auto& n) { return number_of(n).has_value(); });
    if (numbers) {
      std::stable_sort(classes.begin(), classes.end(),
                       [](const auto& a, const auto& b) { return *number_of(a) < *number_of(b); });
      bool same = true;
      for (std::size_t i = 0; i < classes.size(); ++i)
        same = same && number_of(classes[i]) == static_cast<std::int64_t>(i);
      if (same) {
        facts.notes.push_back("class folders have numbers as names: the label is the number");
      } else {
        facts.warnings.push_back(fmt::format(
            "class folders have numbers as names, but not 0 to {}: labels follow the order of the numbers, "
            "'{}' is label 0 and '{}' is label {}; if these are shards of images, use `labels` none",
            classes.size() - 1, classes.front(), classes.back(), classes.size() - 1));
      }
    }
    std::map<std::string, std::int64_t, std::less<>> label;
    for (const std::string& name : classes) {
      label[name] = static_cast<std::int64_t>(facts.class_names.size());
      facts.class_names.push_back(printable(name));
    }
    Labels& labels = layout_.labels;
    labels.classes = static_cast<std::int64_t>(classes.size());
    std::vector<std::size_t> kept;
    Tally skipped(facts.skipped);
    for (const std::size_t i : layout_.images) {
      const auto found = label.find(top_of(i));
      if (found == label.end()) {
        skipped.add("image outside the class folders, without a class", listing_.files[i]);
        continue;
      }
      kept.push_back(i);
      labels.values.push_back(found->second);
    }
    if (kept.size() < layout_.images.size()) {
      facts.warnings.push_back(fmt::format(
          "{} images are outside the class folders and have no class: they are skipped, the first is {}",
          layout_.images.size() - kept.size(), facts.skipped.back().first));
    }
    layout_.images = std::move(kept);
    facts.labels_from = "folders";
  }

  const Listing& listing_;
  const SourceOptions& options_;
  const std::string& where_;
  Layout layout_;
  std::vector<std::size_t> images_, jsons_;  // places, in order of name
  std::vector<std::string> others_, hints_, folders_;
  std::string root_;  // "" or "wrapper/"
  std::map<std::string, Top> tops_;
  std::int64_t beside_ = 0;
  std::optional<std::size_t> json_;
};

}  // namespace

Layout arrange(const Listing& listing, const SourceOptions& options, const std::string& where,
               const std::function<std::string(std::size_t, std::uint64_t)>& read_json) {
  return Arrangement(listing, options, where).finish(read_json);
}

}  // namespace diffit::data::detail
