// TensorBoard's event files, written without TensorBoard: TFRecords of protocol buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"

namespace diffit {

/// CRC-32C (Castagnoli), the checksum of TFRecords before it is masked.
std::uint32_t crc32c(std::span<const std::byte> bytes);

/// Appends to a new file events.out.tfevents.TIME.HOST.PID.N in `folder`, which must exist. Each event is
/// written when it is given: TensorBoard sees it at once, and a killed process loses none. Not for several
/// threads at once. Throws Error(failed) where it cannot be written; the events before stay readable.
class EventWriter {
 public:
  /// first_step > 0 takes a run up again: TensorBoard forgets what earlier files of the folder hold at that
  /// step and after it.
  explicit EventWriter(const fs::path& folder, std::int64_t first_step = 0);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  const fs::path& path() const;

  /// `tag` groups by its part before '/': "train/loss".
  void scalar(std::string_view tag, double value, std::int64_t step);
  /// A whole PNG file; width, height and channels (1, 3 or 4) are those of the picture in it.
  void image(std::string_view tag, std::span<const std::byte> png, std::int64_t width, std::int64_t height,
             std::int64_t channels, std::int64_t step);
  /// Shown as Markdown.
  void text(std::string_view tag, std::string_view markdown, std::int64_t step);
  /// Everything so far is on disk.
  void flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace diffit
