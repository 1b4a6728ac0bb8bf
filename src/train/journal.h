// What a training tells: lines of stats.jsonl, TensorBoard events, log.txt.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "base/append_file.h"
#include "config/fields.h"
#include "diffit/train.h"
#include "io/events.h"
#include "io/images/image.h"
#include "train/run_folder.h"

namespace diffit::training {

/// Appends to a run folder's records. On a resumed run, lines of later images than the state's are cut first:
/// they will be written again. Only the constructor throws: what cannot be written later (a full disk) is
/// lost from the records, reported once, and never ends the training.
class Journal {
 public:
  Journal(const RunFolder& folder, std::int64_t images);

  /// A line of stats.jsonl, and the same numbers as TensorBoard's scalars under "train/".
  void record(const TrainStep& status);
  /// Figures by key: a line {"images", "eval": {...}, "eval_seconds"}, and scalars under "eval/".
  void record_evaluation(const Json& figures, double seconds, std::int64_t images);
  void record_image(const std::string& tag, const Image& image, std::int64_t images);
  /// A line of log.txt with the time.
  void say(const std::string& text);
  /// Waits until everything so far is on disk.
  void flush();
  /// Why a record could not be written, once for each time that writing begins to fail; "" otherwise.
  std::string take_warning() { return std::exchange(warning_, {}); }

 private:
  void note(const fs::path& path, int reason);
  template <class F>
  void to_events(F write);

  EventWriter events_;
  AppendFile stats_, log_;
  std::string warning_;
  std::set<fs::path> failing_;
};

}  // namespace diffit::training
