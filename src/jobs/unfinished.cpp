#include "jobs/unfinished.h"

#include "base/error.h"

namespace diffit::jobs {

void refuse_unfinished(const fs::path& path, std::string_view what) {
  const auto refuse = [what](const fs::path& folder) {
    std::error_code none;
    DIFFIT_CHECK(!fs::exists(folder / kUnfinishedName, none),
                 "{} {}: the set is incomplete, because the run that writes it was interrupted; run the same "
                 "command again to finish it, or remove {} to use the existing images",
                 what, folder.string(), (folder / kUnfinishedName).string());
  };
  std::error_code none;
  if (!fs::is_directory(path, none)) return;
  refuse(path);
  for (const auto& entry : fs::directory_iterator(path, none)) {
    if (entry.is_directory(none)) refuse(entry.path());
  }
}

}  // namespace diffit::jobs
