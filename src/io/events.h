// Writer for TensorBoard event files that does not need TensorBoard: TFRecords of protocol buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"

namespace diffit::io {

/// CRC-32C (Castagnoli), the checksum of TFRecords before masking.
std::uint32_t crc32c(std::span<const std::byte> bytes);

/// Writes to a new file events.out.tfevents.TIME.HOST.PID.N in `folder`, which must exist. Each event is
/// written immediately, so that TensorBoard shows it at once and a killed process loses none. Not
/// thread-safe. All functions throw Error(failed) if the file cannot be written; earlier events stay
/// readable.
class EventWriter {
 public:
  /// first_step > 0 resumes a run: TensorBoard then discards the events of earlier files in the folder at
  /// that step and later.
  explicit EventWriter(const fs::path& folder, std::int64_t first_step = 0);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  /// Path of the event file.
  const fs::path& path() const;

  /// The part of `tag` before '/' is the group: "train/loss".
  void scalar(std::string_view tag, double value, std::int64_t step);
  /// `png` is a complete PNG file; width, height and channels (1, 3 or 4) must be those of the image in it.
  void image(std::string_view tag, std::span<const std::byte> png, std::int64_t width, std::int64_t height,
             std::int64_t channels, std::int64_t step);
  /// The text is shown as Markdown.
  void text(std::string_view tag, std::string_view markdown, std::int64_t step);
  /// Forces all events written so far to disk.
  void flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace diffit::io
