#include "jobs/sample_folder.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/lock.h"
#include "config/json_text.h"
#include "jobs/part_file.h"
#include "jobs/unfinished.h"

namespace diffit::jobs {

namespace {

constexpr std::uint64_t kLargestRequest = std::uint64_t{1} << 32;

/// "000007.png"; where one seed is used for several images, the number of the image too.
std::string name_of(std::uint64_t seed, std::size_t i, bool once) {
  return once ? fmt::format("{:06}.png", seed) : fmt::format("{:06}-{}.png", seed, i);
}

/// How diffit sample says that it made an image; nothing of other images, and of damaged ones.
std::optional<Json> made_by_of(const fs::path& path) {
  try {
    const PngText text = read_png_text(path);
    const auto found = text.find("diffit");
    if (found == text.end()) return {};
    Json made_by = Json::parse(found->second, nullptr, /*allow_exceptions=*/false);
    for (const char* key : {"model", "sampler", "seeds"}) {
      if (!made_by.is_object() || !made_by.contains(key)) return {};
    }
    const Json& seeds = made_by["seeds"];
    if (!seeds.is_array() || seeds.size() != 1 || !seeds[0].is_number_unsigned()) return {};
    return made_by;
  } catch (const Error&) {
    return {};
  }
}

/// Whether an image has the name that diffit sample gives it.
bool has_own_name(const std::string& name, const Json& made_by) {
  const std::string start = fmt::format("{:06}", made_by["seeds"][0].get<std::uint64_t>());
  if (name == start + ".png") return true;
  if (!name.starts_with(start + "-") || !name.ends_with(".png")) return false;
  const std::string number = name.substr(start.size() + 1, name.size() - start.size() - 5);
  return !number.empty() && number.find_first_not_of("0123456789") == std::string::npos;
}

bool is_whole(const fs::path& path) {
  try {
    read_image(path);
    return true;
  } catch (const Error&) {
    return false;
  }
}

class FolderOutput : public SampleOutput {
 public:
  FolderOutput(const fs::path& folder, FolderRequest request, Rounding rounding, bool restart)
      : folder_(folder),
        note_(folder / kUnfinishedName),
        request_(std::move(request)),
        rounding_(rounding),
        made_folder_(make(folder)),
        lock_(FileLock::path_in(folder)) {
    if (lock_.busy()) {
      fail(
          "{}: another process is writing samples to this folder; wait for it to finish, or give another "
          "folder",
          folder_.string());
    }
    std::unordered_map<std::uint64_t, std::int64_t> uses;
    for (const std::uint64_t seed : request_.seeds) ++uses[seed];
    for (std::size_t i = 0; i < request_.seeds.size(); ++i) {
      names_.push_back(name_of(request_.seeds[i], i, uses.at(request_.seeds[i]) == 1));
      numbers_[names_.back()] = i;
    }
    remove_temporaries(folder_);
    if (restart) {
      clear();
    } else if (fs::exists(note_)) {
      const Json stated = parse_json(read_text(note_, kLargestRequest), note_.string());
      resumed_ = true;
      earlier_ = !first_difference(stated, request_.earlier);
      if (!earlier_) check_same_request(stated, request_.now, note_);
    }
    if (!restart) look();
    if (done_ < names_.size() && !resumed_) {
      write_file(note_, json_text(request_.now));
    }
  }

  ~FolderOutput() override {
    if (added_ || (resumed_ && done_ > 0)) return;
    std::error_code none;
    fs::remove(note_, none);
  }

  std::int64_t done() const override { return static_cast<std::int64_t>(done_); }

  void add(std::int64_t first, const at::Tensor& samples) override {
    auto i = static_cast<std::size_t>(first);
    for (const Image& image : to_images(samples, rounding_)) {
      write_png(folder_ / names_[i], image, text(i));
      added_ = true;
      done_ = std::max(done_, ++i);
    }
  }

  void finish() override {
    std::error_code error;
    fs::remove(note_, error);
    if (error) fail("{}: cannot remove: {}", note_.string(), error.message());
  }

  std::string warning() const override { return lock_.warning(); }

 private:
  /// Removes the folder again, where this object made it and nothing came of it; after the lock is gone.
  struct MadeFolder {
    fs::path path;
    bool made;
    ~MadeFolder() {
      std::error_code none;
      if (made) fs::remove(path, none);  // only where it is empty
    }
  };

  static MadeFolder make(const fs::path& folder) {
    std::error_code error;
    const bool made = fs::create_directories(folder, error);
    if (error) fail("{}: cannot create: {}", folder.string(), error.message());
    return {folder, made};
  }

  PngText text(std::size_t i) const {
    return {{"Software", "diffit"}, {"diffit", json_text(request_.made_by(i))}};
  }

  /// Images in the folder, by name; hidden files are none. Refuses pipes, folders, devices and links without
  /// a target under the names that will be written.
  std::vector<std::string> images() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string();
      std::error_code none;
      if (name.starts_with('.') || !is_image_name(name)) continue;
      if (entry.is_regular_file(none)) {
        found.push_back(name);
      } else {
        DIFFIT_CHECK(
            !numbers_.contains(name),
            "{}: contains {}, which is not a file and diffit sample did not write; give another folder",
            folder_.string(), name);
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  /// Finds the images that are there already, and refuses others.
  void look() {
    std::vector<bool> there(names_.size());
    for (const std::string& name : images()) {
      const fs::path path = folder_ / name;
      const auto number = numbers_.find(name);
      const bool expected = number != numbers_.end();
      const bool whole = is_whole(path);
      std::optional<Json> made_by = made_by_of(path);
      if (expected && resumed_ && (!made_by || !whole)) continue;  // damaged: it is made again
      DIFFIT_CHECK(made_by && has_own_name(name, *made_by),
                   "{}: contains {}, which diffit sample did not write there; give another folder",
                   folder_.string(), name);
      Json wanted = request_.made_by(expected ? number->second : 0);
      if (earlier_ && !made_by->contains("files")) wanted.erase("files");
      if (!expected) {
        for (const char* key : {"seeds", "classes"}) {
          made_by->erase(key);
          wanted.erase(key);
        }
      }
      const std::optional<std::string> difference = first_difference(*made_by, wanted);
      DIFFIT_CHECK(expected && !difference,
                   "{}: contains {} of another request ({}); give another folder, or `restart` to remove the "
                   "images that diffit sample wrote there",
                   folder_.string(), name, difference.value_or("its seed is not part of the request"));
      there[number->second] = whole;
    }
    while (done_ < there.size() && there[done_]) ++done_;
  }

  /// Removes the images that diffit sample made: those with its text and name, and damaged ones that
  /// unfinished.json lists. Refuses where others are there, before anything is removed.
  void clear() {
    std::vector<fs::path> own;
    const std::vector<std::string> listed = listed_names();
    for (const std::string& name : images()) {
      const std::optional<Json> made_by = made_by_of(folder_ / name);
      const bool is_own =
          made_by ? has_own_name(name, *made_by) : std::binary_search(listed.begin(), listed.end(), name);
      DIFFIT_CHECK(is_own,
                   "{}: contains {}, which diffit sample did not write and --restart does not remove; give "
                   "another folder",
                   folder_.string(), name);
      own.push_back(folder_ / name);
    }
    for (const fs::path& path : own) {
      std::error_code error;
      fs::remove(path, error);
      if (error) fail("{}: cannot remove: {}", path.string(), error.message());
    }
  }

  /// Names of the images of the request that was interrupted, sorted.
  std::vector<std::string> listed_names() const {
    std::vector<std::string> names;
    std::error_code none;
    if (!fs::exists(note_, none)) return names;
    const Json stated = Json::parse(read_text(note_, kLargestRequest), nullptr, /*allow_exceptions=*/false);
    if (!stated.is_object() || !stated.contains("seeds") || !stated["seeds"].is_array()) return names;
    for (std::size_t i = 0; i < stated["seeds"].size(); ++i) {
      if (!stated["seeds"][i].is_number_unsigned()) continue;
      const auto seed = stated["seeds"][i].get<std::uint64_t>();
      for (const bool once : {false, true}) names.push_back(name_of(seed, i, once));
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  fs::path folder_, note_;
  FolderRequest request_;
  Rounding rounding_;
  MadeFolder made_folder_;
  FileLock lock_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::size_t> numbers_;
  bool resumed_ = false, earlier_ = false, added_ = false;
  std::size_t done_ = 0;
};

}  // namespace

std::unique_ptr<SampleOutput> open_sample_folder(const fs::path& folder, FolderRequest request,
                                                 Rounding rounding, bool restart) {
  return std::make_unique<FolderOutput>(folder, std::move(request), rounding, restart);
}

}  // namespace diffit::jobs
