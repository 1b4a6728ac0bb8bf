#include "io/events.h"

#include <cstring>
#include <optional>

#include "base/test_folder.h"
#include "io/images/image.h"

namespace diffit::io {
namespace {

using testing::TemporaryFolder;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A protocol buffer taken apart: numbers as they are, everything longer as text.
struct Field {
  int number = 0;
  std::uint64_t value = 0;
  std::string text;
};

std::vector<Field> fields_of(std::string_view message) {
  std::vector<Field> fields;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(message.at(0));
      message.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (!message.empty()) {
    const std::uint64_t key = varint();
    Field field{static_cast<int>(key >> 3), 0, {}};
    const std::uint64_t kind = key & 7;
    if (kind == 0) {
      field.value = varint();
    } else {
      const std::uint64_t size = kind == 1 ? 8 : kind == 5 ? 4 : varint();
      field.text = message.substr(0, size);
      EXPECT_EQ(field.text.size(), size);
      message.remove_prefix(size);
    }
    fields.push_back(field);
  }
  return fields;
}

/// The field of that number, which must be there once.
Field only(std::string_view message, int number) {
  std::optional<Field> found;
  for (const Field& field : fields_of(message)) {
    if (field.number != number) continue;
    EXPECT_FALSE(found.has_value()) << "field " << number << " twice";
    found = field;
  }
  EXPECT_TRUE(found.has_value()) << "no field " << number;
  return found.value_or(Field{});
}

template <class T>
T number_of(std::string_view bytes) {
  T value{};
  EXPECT_EQ(bytes.size(), sizeof value);
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

void expect_masked_crc(std::string_view bytes, std::uint32_t got) {
  const std::uint32_t unmasked = got - 0xa282ead8u;
  EXPECT_EQ(unmasked << 15 | unmasked >> 17, crc32c(std::as_bytes(std::span(bytes))));
}

/// The events of a file, each checksum proved.
std::vector<std::string> records_of(const fs::path& path) {
  const std::string content = read_text(path, 1 << 20);
  std::vector<std::string> records;
  std::string_view rest = content;
  while (!rest.empty()) {
    const auto length = number_of<std::uint64_t>(rest.substr(0, 8));
    expect_masked_crc(rest.substr(0, 8), number_of<std::uint32_t>(rest.substr(8, 4)));
    const std::string_view body = rest.substr(12, length);
    expect_masked_crc(body, number_of<std::uint32_t>(rest.substr(12 + length, 4)));
    records.emplace_back(body);
    rest.remove_prefix(16 + length);
  }
  return records;
}

std::string value_of(const std::string& event) {
  return only(only(event, 5).text, 1).text;
}

TEST(Crc32c, IsThatOfRfc3720) {
  EXPECT_EQ(crc32c({}), 0u);
  EXPECT_EQ(crc32c(std::as_bytes(std::span("123456789", 9))), 0xe3069283u);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32)), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0xff})), 0x62a8ab43u);
}

TEST(Events, StartWithVersionRecord) {
  const TemporaryFolder folder;
  const EventWriter events(folder.path());
  EXPECT_EQ(events.path().parent_path(), folder.path());
  EXPECT_TRUE(events.path().filename().string().starts_with("events.out.tfevents."));
  const auto records = records_of(events.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(only(records[0], 3).text, "brain.Event:2");
  EXPECT_GT(number_of<double>(only(records[0], 1).text), 1.6e9);
}

TEST(Events, StoreScalarsImagesAndTextWithSteps) {
  const TemporaryFolder folder;
  const std::vector<std::byte> png = encode_png(Image{2, 1, 1, {0, 255}}, 6);
  EventWriter events(folder.path());
  events.scalar("train/loss", 0.25, 300);
  events.image("samples", png, 2, 1, 1, 5'000'000'000);
  events.text("recipe", "*text*", 0);
  events.flush();

  const auto records = records_of(events.path());
  ASSERT_EQ(records.size(), 5u);
  EXPECT_EQ(only(records[2], 2).value, 300u);
  const std::string scalar = value_of(records[2]);
  EXPECT_EQ(only(scalar, 1).text, "train/loss");
  EXPECT_EQ(number_of<float>(only(scalar, 2).text), 0.25f);

  EXPECT_EQ(only(records[3], 2).value, 5'000'000'000u);
  const std::string image = only(value_of(records[3]), 4).text;
  EXPECT_EQ(only(image, 1).value, 1u);  // height
  EXPECT_EQ(only(image, 2).value, 2u);  // width
  EXPECT_EQ(only(image, 3).value, 1u);
  EXPECT_EQ(only(image, 4).text, text_of(png));

  const std::string text = value_of(records[4]);
  EXPECT_EQ(only(text, 1).text, "recipe");
  EXPECT_EQ(only(only(text, 8).text, 1).value, 7u);
  EXPECT_EQ(only(only(text, 8).text, 8).text, "*text*");
  EXPECT_EQ(only(only(only(text, 9).text, 1).text, 1).text, "text");
}

TEST(Events, ResumePurgesLaterSteps) {
  const TemporaryFolder folder;
  { EventWriter(folder.path()).scalar("loss", 1, 10); }
  const EventWriter again(folder.path(), 8);
  const auto records = records_of(again.path());
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(only(records[1], 2).value, 8u);
  EXPECT_EQ(only(only(records[1], 7).text, 1).value, 1u);  // SessionLog.START
}

TEST(Events, WritersInSameSecondUseSeparateOrderedFiles) {
  const TemporaryFolder folder;
  const EventWriter first(folder.path()), second(folder.path());
  EXPECT_LT(first.path().string(), second.path().string());
}

TEST(Events, ExistingNamesAreSkipped) {
  const TemporaryFolder folder;
  const std::string name = EventWriter(folder.path()).path().filename().string();
  // events.out.tfevents.TIME.HOST.PID.N: what another process of the same number leaves in these seconds.
  const std::size_t after_time = name.find('.', std::strlen("events.out.tfevents.")), last = name.rfind('.');
  const std::int64_t now = std::stoll(name.substr(std::strlen("events.out.tfevents.")));
  const std::int64_t number = std::stoll(name.substr(last + 1));
  for (std::int64_t time = now; time < now + 5; ++time) {
    for (std::int64_t n = number; n < number + 4; ++n) {
      write_file(folder.path() / fmt::format("events.out.tfevents.{:010}{}.{}", time,
                                             name.substr(after_time, last - after_time), n),
                 "taken");
    }
  }
  const EventWriter writer(folder.path());
  EXPECT_GE(std::stoll(writer.path().extension().string().substr(1)), number + 4);
}

TEST(Events, ArriveAtOnce) {
  const TemporaryFolder folder;
  EventWriter events(folder.path());
  for (int i = 0; i < 10; ++i) {
    events.scalar("loss", i, i);
    EXPECT_EQ(records_of(events.path()).size(), 3u + static_cast<std::size_t>(i));
  }
}

TEST(Events, MissingFolderIsAnError) {
  const TemporaryFolder folder;
  try {
    EventWriter(folder / "absent");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::failed);
    EXPECT_NE(std::string(error.what()).find("absent"), std::string::npos);
  }
}

}  // namespace
}  // namespace diffit::io
