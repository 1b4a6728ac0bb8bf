// Field numbers after tensorboard/compat/proto: event.proto, summary.proto, tensor.proto. The record is
// TensorFlow's TFRecord: u64 length, masked CRC of it, the bytes, masked CRC of them.
#include "io/events.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/append_file.h"
#include "base/error.h"

namespace diffit::io {
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

std::uint32_t masked_crc(std::string_view text) {
  const std::uint32_t crc = crc32c(std::as_bytes(std::span(text)));
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

template <class T>
std::string_view raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A protocol buffer being built; calls give the fields in order.
class Message {
 public:
  Message& number(int field, std::int64_t value) {
    key(field, 0);
    varint(static_cast<std::uint64_t>(value));
    return *this;
  }
  Message& real(int field, double value) {
    key(field, 1);
    bytes_ += raw(value);
    return *this;
  }
  Message& real(int field, float value) {
    key(field, 5);
    bytes_ += raw(value);
    return *this;
  }
  Message& text(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return text(field, value.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  void key(int field, int wire_type) {
    varint(static_cast<std::uint64_t>(field) << 3 | static_cast<unsigned>(wire_type));
  }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Message event_at(std::int64_t step) {
  return Message().real(1, now()).number(2, step);
}

/// Says which of TensorBoard's views shows a value.
Message metadata_of(std::string_view plugin) {
  return Message().message(1, Message().text(1, plugin));
}

/// The name that TensorBoard looks for; the last number tells writers of one process and second apart.
std::string file_name() {
  static std::atomic<int> count = 0;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {'h', 'o', 's', 't'};
  for (char& c : host) {
    if (c == '/') c = '_';
  }
  return fmt::format("events.out.tfevents.{:010d}.{}.{}.{}", static_cast<std::int64_t>(now()), host.data(),
                     ::getpid(), count++);
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~0u;
  for (const std::byte b : bytes) crc = kCrcTable[(crc ^ static_cast<std::uint32_t>(b)) & 0xff] ^ crc >> 8;
  return ~crc;
}

struct EventWriter::State {
  std::optional<AppendFile> file;

  void append(const Message& event) {
    const std::string& body = event.bytes();
    const std::uint64_t length = body.size();
    const std::uint32_t length_crc = masked_crc(raw(length)), body_crc = masked_crc(body);
    std::string record;
    record.reserve(body.size() + 16);
    record += raw(length);
    record += raw(length_crc);
    record += body;
    record += raw(body_crc);
    check(file->append(record), file->path());
  }

  void add_value(std::int64_t step, const Message& value) {
    append(event_at(step).message(5, Message().message(1, value)));
  }

  static void check(int reason, const fs::path& path) {
    if (reason != 0) fail("cannot write {}: {}", path.string(), std::strerror(reason));
  }
};

EventWriter::EventWriter(const fs::path& folder, std::int64_t first_step)
    : state_(std::make_unique<State>()) {
  // Another process of the same number (in a container, say) may have begun in the same second.
  do {
    state_->file.emplace(folder / file_name(), /*fresh=*/true);
  } while (!state_->file->opened());
  state_->append(Message().real(1, now()).text(3, "brain.Event:2"));
  // TensorBoard takes the first of these in a folder for the beginning, each later one for a restart.
  constexpr int kStart = 1;  // SessionLog.START
  state_->append(event_at(first_step).message(7, Message().number(1, kStart)));
  flush();
}

EventWriter::~EventWriter() = default;

const fs::path& EventWriter::path() const {
  return state_->file->path();
}

void EventWriter::scalar(std::string_view tag, double value, std::int64_t step) {
  state_->add_value(step, Message().text(1, tag).real(2, static_cast<float>(value)));
}

void EventWriter::image(std::string_view tag, std::span<const std::byte> png, std::int64_t width,
                        std::int64_t height, std::int64_t channels, std::int64_t step) {
  const std::string_view content(reinterpret_cast<const char*>(png.data()), png.size());
  Message image;
  image.number(1, height).number(2, width).number(3, channels).text(4, content);
  state_->add_value(step, Message().text(1, tag).message(4, image));
}

void EventWriter::text(std::string_view tag, std::string_view markdown, std::int64_t step) {
  constexpr int kString = 7;  // DT_STRING
  const Message one_axis_of_one = Message().message(2, Message().number(1, 1));
  Message tensor;
  tensor.number(1, kString).message(2, one_axis_of_one).text(8, markdown);
  state_->add_value(step, Message().text(1, tag).message(8, tensor).message(9, metadata_of("text")));
}

void EventWriter::flush() {
  State::check(state_->file->sync(), state_->file->path());
}

}  // namespace diffit::io
