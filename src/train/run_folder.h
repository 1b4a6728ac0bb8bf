// The folder of a run: what is where, and what may be resumed.
//
//   config.toml                      the resolved recipe
//   log.txt                          what was said, with times
//   stats.jsonl                      one JSON object a line: images, loss, rate, ...
//   events.out.tfevents.*            the same for TensorBoard
//   reals.png                        images as training sees them
//   samples-000012800.png            a grid of the half-life average after so many images
//   snapshot-000012800.safetensors   the weights; -ema, -ema-0.050, -ema-0.100: the averages
//   state-000012800.safetensors      everything, for --resume
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/trainer.h"

namespace diffit::training {

class RunFolder {
 public:
  explicit RunFolder(fs::path path) : path_(std::move(path)) {}

  const fs::path& path() const { return path_; }
  fs::path config() const { return path_ / "config.toml"; }
  fs::path log() const { return path_ / "log.txt"; }
  fs::path stats() const { return path_ / "stats.jsonl"; }
  fs::path reals() const { return path_ / "reals.png"; }
  fs::path samples(std::int64_t images) const;
  /// `average`: "" for the weights, or the name of an Ema.
  fs::path snapshot(std::int64_t images, const std::string& average) const;
  fs::path state(std::int64_t images) const;
  /// Image counts of the states there are, newest first.
  std::vector<std::int64_t> states() const;
  /// Whether a run has been here.
  bool used() const;

 private:
  fs::path path_;
};

/// Writes the whole state, with its recipe and a checksum of every byte, whole or not at all; then removes
/// all but the newest `keep` states. `progress` is kept for the caller. A state that is not finite is
/// Error(failed), unwritten.
void save_state(const RunFolder& folder, const Trainer& trainer, const Recipe& recipe, const Json& progress,
                std::int64_t keep);

/// Restores the newest state whose checksum holds and returns the caller's progress; null where there is no
/// state at all. Damaged states are named in `warnings`. Error(invalid) where all are damaged, or where the
/// recipe differs from the state's in a key that may_change_on_resume does not allow.
Json load_newest_state(const RunFolder& folder, Trainer& trainer, const Recipe& recipe,
                       std::vector<std::string>& warnings);

}  // namespace diffit::training
