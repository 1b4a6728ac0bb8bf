#include "train/journal.h"

#include <chrono>
#include <cstring>
#include <ctime>
#include <fstream>

#include "base/error.h"
#include "base/utf8.h"
#include "config/json_text.h"

namespace diffit::training {

namespace {

/// The lines of up to `images`; a last line that was cut short is dropped.
std::string lines_until(const fs::path& path, std::int64_t images) {
  std::string kept;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const Json row = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (row.is_object() && row.contains("images") && row["images"].is_number() && row["images"] <= images) {
      kept += line + "\n";
    }
  }
  if (in.bad()) fail("{}: cannot read", path.string());
  return kept;
}

/// A device or a pipe has no earlier records.
fs::path kept_stats(fs::path path, std::int64_t images) {
  if (fs::is_regular_file(path)) write_file(path, lines_until(path, images));
  return path;
}

}  // namespace

Journal::Journal(const RunFolder& folder, std::int64_t images)
    : events_(folder.path(), images > 0 ? images + 1 : 0),
      stats_(kept_stats(folder.stats(), images)),
      log_(folder.log()) {}

void Journal::note(const fs::path& path, int reason) {
  if (reason == 0) {
    failing_.erase(path);
  } else if (failing_.insert(path).second) {
    warning_ = fmt::format("{}: cannot write: {}; training continues without it", path.string(),
                           std::strerror(reason));
  }
}

template <class F>
void Journal::to_events(F write) {
  try {
    write();
    failing_.erase(events_.path());
  } catch (const Error& error) {
    if (failing_.insert(events_.path()).second) {
      warning_ = fmt::format("{}; training continues without it", error.what());
    }
  }
}

void Journal::record(const TrainStep& s) {
  Json row = {{"images", s.images},
              {"loss", s.loss},
              {"gradient_norm", s.gradient_norm},
              {"lr", s.lr},
              {"images_per_second", s.images_per_second},
              {"seconds", s.seconds},
              {"skipped", s.skipped},
              {"memory_bytes", s.memory_bytes}};
  if (s.mfu > 0) row["mfu"] = s.mfu;
  note(stats_.path(), stats_.append(json_text(row) + "\n"));
  to_events([&] {
    for (const auto& [key, value] : row.items()) {
      if (key != "images") events_.scalar("train/" + key, value.get<double>(), s.images);
    }
  });
}

void Journal::record_evaluation(const Json& figures, double seconds, std::int64_t images) {
  const Json row = {{"images", images}, {"eval", figures}, {"eval_seconds", seconds}};
  note(stats_.path(), stats_.append(json_text(row) + "\n"));
  to_events([&] {
    for (const auto& [key, value] : figures.items()) {
      if (value.is_number()) events_.scalar("eval/" + key, value.get<double>(), images);
    }
  });
}

void Journal::record_image(const std::string& tag, const Image& image, std::int64_t images) {
  const std::vector<std::byte> png = encode_png(image, 6);
  to_events([&] { events_.image(tag, png, image.width, image.height, image.channels, images); });
}

void Journal::say(const std::string& text) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  localtime_r(&now, &parts);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &parts);
  note(log_.path(), log_.append(fmt::format("{}  {}\n", stamp, escaped(text))));
}

void Journal::flush() {
  // Only a record that was written tells that writing works again.
  for (AppendFile* file : {&stats_, &log_}) {
    if (const int reason = file->sync(); reason != 0) note(file->path(), reason);
  }
  if (!failing_.contains(events_.path())) to_events([&] { events_.flush(); });
}

}  // namespace diffit::training
