#include "jobs/unfinished.h"

#include "base/error.h"

namespace diffit::jobs {

std::string unfinished_in(const fs::path& path) {
  std::error_code none;
  if (!fs::is_directory(path, none)) return {};
  if (fs::exists(path / kUnfinishedName, none)) return (path / kUnfinishedName).string();
  for (const auto& entry : fs::directory_iterator(path, none)) {
    if (entry.is_directory(none) && fs::exists(entry.path() / kUnfinishedName, none))
      return (entry.path() / kUnfinishedName).string();
  }
  return {};
}

void refuse_unfinished(const fs::path& path, std::string_view what) {
  const fs::path found = unfinished_in(path);
  DIFFIT_CHECK(found.empty(),
               "{} {}: the set is incomplete, because the run that writes it was interrupted; run the same "
               "command again to finish it, or remove {} to use the existing images",
               what, found.parent_path().string(), found.string());
}

}  // namespace diffit::jobs
