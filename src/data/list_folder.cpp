// Walks a folder of images.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "data/data_names.h"
#include "data/listing.h"

namespace diffit::data::detail {
namespace {

constexpr std::size_t kDeepest = 256;  // folders within folders

class Walk {
 public:
  explicit Walk(fs::path folder) : folder_(std::move(folder)) {}

  Listing operator()() {
    pending_.push_back("");
    while (!pending_.empty() || !links_.empty()) {
      if (pending_.empty()) {
        // Real folders are read first, so that the name of a folder does not depend on the links to it.
        std::sort(links_.begin(), links_.end());
        pending_.push_back(links_.front());
        links_.erase(links_.begin());
      }
      const std::string name = std::move(pending_.back());
      pending_.pop_back();
      enter(name);
    }
    return std::move(listing_);
  }

 private:
  void enter(const std::string& name) {
    struct stat status {};
    if (::stat((folder_ / name).c_str(), &status) != 0) return skip_for_errno(name);
    if (!seen_.emplace(status.st_dev, status.st_ino).second)
      return skip("link to a folder that is already read", name, false);
    if (static_cast<std::size_t>(std::count(name.begin(), name.end(), '/')) >= kDeepest)
      return skip("folder that is nested too deeply", name, true);
    if (!name.empty()) listing_.folders.push_back(name);
    std::error_code error;
    fs::directory_iterator at(folder_ / name, error), end;
    for (; !error && at != end; at.increment(error)) take(*at, name);
    if (!error) return;
    if (name.empty()) fail("{}: cannot read the folder: {}", folder_.string(), error.message());
    skip("folder that cannot be read", name, true);
  }

  void take(const fs::directory_entry& entry, const std::string& parent) {
    const std::string file = entry.path().filename().string();
    const std::string name = parent.empty() ? file : parent + "/" + file;
    if (const std::string_view why = why_no_data(file); !why.empty()) return skip(why, name, false);
    std::error_code error;
    const fs::file_type type = entry.symlink_status(error).type();
    if (error) return skip_for_errno(name);
    if (type == fs::file_type::directory) {
      pending_.push_back(name);
    } else if (type == fs::file_type::regular) {
      take_file(entry.path(), name);
    } else if (type == fs::file_type::symlink) {
      const fs::file_type target = entry.status(error).type();
      if (target == fs::file_type::not_found) return skip("broken link", name, true);
      if (error) return skip_for_errno(name);
      if (target == fs::file_type::directory) {
        links_.push_back(name);
      } else if (target == fs::file_type::regular) {
        take_file(entry.path(), name);
      } else {
        skip("neither a file nor a folder (pipe, socket or device)", name, true);
      }
    } else {
      skip("neither a file nor a folder (pipe, socket or device)", name, true);
    }
  }

  void take_file(const fs::path& path, const std::string& name) {
    if (is_image_name(name) && ::access(path.c_str(), R_OK) != 0)
      return skip("file that cannot be read (permissions?)", name, true);
    listing_.files.push_back(name);
  }

  void skip_for_errno(const std::string& name) { skip("file or folder that cannot be reached", name, true); }

  void skip(std::string_view reason, const std::string& name, bool may_hold_images) {
    auto& list = listing_.skipped;
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const Skipped& s) { return s.reason == reason; });
    if (found == list.end()) {
      list.push_back({std::string(reason), 1, name});
    } else {
      ++found->count;
      found->first = std::min(found->first, name);
    }
    if (may_hold_images) listing_.unreadable.push_back(name);
  }

  const fs::path folder_;
  Listing listing_;
  std::vector<std::string> pending_, links_;
  std::set<std::pair<dev_t, ino_t>> seen_;
};

}  // namespace

Listing list_folder(const fs::path& folder) {
  Listing listing = Walk(folder)();
  for (Skipped& s : listing.skipped) s.first = printable(s.first);
  return listing;
}

}  // namespace diffit::data::detail
