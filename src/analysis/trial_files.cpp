#include "analysis/trial_files.h"

#include <algorithm>

#include "base/error.h"

namespace diffit::analysis {

namespace {

constexpr const char* kArchive = "runs.zip";

void add_trials_of_archive(const fs::path& path, std::vector<TrialFiles>& found) {
  const auto archive = std::make_shared<const ZipReader>(path);
  const std::string config = "config.toml";
  std::vector<std::string> prefixes;
  for (const ZipReader::Entry& entry : archive->entries()) {
    if (!entry.name.ends_with(config)) continue;
    const std::string prefix = entry.name.substr(0, entry.name.size() - config.size());
    if (prefix.empty() || prefix.back() == '/') prefixes.push_back(prefix);
  }
  std::sort(prefixes.begin(), prefixes.end());
  for (const std::string& prefix : prefixes) found.emplace_back(archive, prefix);
}

}  // namespace

TrialFiles::TrialFiles(const RunFolder& folder) : folder_(folder.path()) {}

TrialFiles::TrialFiles(std::shared_ptr<const ZipReader> archive, std::string prefix)
    : archive_(std::move(archive)), prefix_(std::move(prefix)) {}

std::string TrialFiles::where(const std::string& name) const {
  if (!archive_) return (folder_ / name).string();
  return archive_->path().string() + ": " + prefix_ + name;
}

std::string TrialFiles::describe() const {
  if (!archive_) return folder_.string();
  return archive_->path().string() + ": " + prefix_.substr(0, prefix_.size() - (prefix_.empty() ? 0 : 1));
}

bool TrialFiles::has(const std::string& name) const {
  std::error_code none;
  return archive_ ? archive_->find(prefix_ + name) >= 0 : fs::exists(folder_ / name, none);
}

std::string TrialFiles::read(const std::string& name, std::uint64_t limit) const {
  if (!archive_) return read_text(folder_ / name, limit);
  const std::int64_t index = archive_->find(prefix_ + name);
  DIFFIT_CHECK(index >= 0, "{}: no such entry in the archive", where(name));
  const std::vector<std::byte> content = archive_->read(static_cast<std::size_t>(index), limit);
  return {reinterpret_cast<const char*>(content.data()), content.size()};
}

std::vector<TrialFiles> finished_trials_of(const fs::path& path) {
  std::vector<TrialFiles> found;
  std::error_code none;
  if (fs::is_regular_file(path, none)) {
    add_trials_of_archive(path, found);
  } else {
    std::vector<fs::path> folders;
    for (const auto& entry : fs::directory_iterator(path / "runs", none)) folders.push_back(entry.path());
    std::sort(folders.begin(), folders.end());
    for (const fs::path& folder : folders) found.emplace_back(RunFolder(folder));
    if (fs::exists(path / kArchive, none)) add_trials_of_archive(path / kArchive, found);
  }
  std::erase_if(
      found, [](const TrialFiles& trial) { return !trial.has("config.toml") || !trial.has("scores.json"); });
  return found;
}

}  // namespace diffit::analysis
