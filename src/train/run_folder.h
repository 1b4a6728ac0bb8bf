// Run folder: its files, and writing and restoring checkpoints.
//
//   config.toml                      the resolved recipe
//   log.txt                          messages with times
//   stats.jsonl                      one JSON object per line: images, loss, learning rate, ...
//   events.out.tfevents.*            the same for TensorBoard
//   reals.png                        training images as the network sees them
//   samples-000012800.png            sample grid of the half-life EMA after this many images
//   snapshot-000012800.safetensors   weights; -ema, -ema-0.050, -ema-0.100: EMA weights
//   state-000012800.safetensors      checkpoint, for --resume
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
  /// Image counts of the existing checkpoints, newest first.
  std::vector<std::int64_t> states() const;
  /// Returns true if the folder contains a run.
  bool used() const;

 private:
  fs::path path_;
};

/// Writes a checkpoint atomically, with the recipe and checksums of all bytes, and removes all but the newest
/// `keep` checkpoints. `progress` is stored for the caller. If a value is not finite, throws Error(failed)
/// and writes nothing. Collective: every rank of the trainer's group calls it, and the leader writes.
void save_state(const RunFolder& folder, const Trainer& trainer, const Recipe& recipe, const Json& progress,
                std::int64_t keep);

/// Restores the newest checkpoint with correct checksums and returns the caller's progress; null if there is
/// no checkpoint. Damaged checkpoints are named in `warnings`. Throws Error(invalid) if all are damaged, or
/// if the recipe differs from that of the checkpoint in a key that may_change_on_resume() does not allow.
Json load_newest_state(const RunFolder& folder, Trainer& trainer, const Recipe& recipe,
                       std::vector<std::string>& warnings);

}  // namespace diffit::training
