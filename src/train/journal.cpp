#include "train/journal.h"

#include <chrono>
#include <ctime>

#include "base/error.h"

namespace diffit {

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
  return kept;
}

}  // namespace

Journal::Journal(const RunFolder& folder, std::int64_t images)
    : events_(folder.path(), images > 0 ? images + 1 : 0), stats_path_(folder.stats()) {
  if (fs::exists(stats_path_)) write_file(stats_path_, lines_until(stats_path_, images));
  stats_.open(stats_path_, std::ios::app);
  log_.open(folder.log(), std::ios::app);
  if (!stats_ || !log_) fail("{}: its stats.jsonl and log.txt cannot be written", folder.path().string());
}

void Journal::record(const TrainingStatus& s) {
  const Json row = {{"images", s.images},
                    {"loss", s.loss},
                    {"gradient_norm", s.gradient_norm},
                    {"lr", s.lr},
                    {"images_per_second", s.images_per_second},
                    {"seconds", s.seconds},
                    {"skipped", s.skipped},
                    {"memory_bytes", s.memory_bytes}};
  stats_ << row.dump() << "\n" << std::flush;
  if (!stats_) fail("{}: cannot be written; is the disk full?", stats_path_.string());
  for (const auto& [key, value] : row.items()) {
    if (key != "images") events_.scalar("train/" + key, value.get<double>(), s.images);
  }
}

void Journal::record_evaluation(const Json& figures, double seconds, std::int64_t images) {
  const Json row = {{"images", images}, {"eval", figures}, {"eval_seconds", seconds}};
  stats_ << row.dump() << "\n" << std::flush;
  if (!stats_) fail("{}: cannot be written; is the disk full?", stats_path_.string());
  for (const auto& [key, value] : figures.items())
    if (value.is_number()) events_.scalar("eval/" + key, value.get<double>(), images);
}

void Journal::record_picture(const std::string& tag, const Picture& picture, std::int64_t images) {
  events_.image(tag, encode_png(picture, 6), picture.width, picture.height, picture.channels, images);
}

void Journal::say(const std::string& text) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  localtime_r(&now, &parts);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &parts);
  log_ << stamp << "  " << text << "\n" << std::flush;
}

void Journal::flush() {
  stats_.flush();
  log_.flush();
  events_.flush();
}

}  // namespace diffit
