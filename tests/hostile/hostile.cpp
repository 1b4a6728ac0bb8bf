#include "tests/hostile/hostile.h"

#include <zlib.h>

#include "base/error.h"

namespace diffit::hostile {

std::optional<std::string> refusal(const std::string& label, const std::string& name,
                                   const std::function<void()>& action) {
  constexpr std::size_t kLongest = 1500;
  try {
    action();
    return std::nullopt;
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::invalid) << label << ": " << message;
    EXPECT_NE(message.find(name), std::string::npos) << label << ": does not name the file: " << message;
    EXPECT_LT(message.size(), kLongest) << label << ": " << message;
    for (const char c : message) {
      const auto code = static_cast<unsigned char>(c);
      if (code < 0x20 || code == 0x7f) {
        ADD_FAILURE() << label << ": control character " << int{code} << " in: " << message;
        break;
      }
    }
    return message;
  } catch (const std::exception& error) {
    ADD_FAILURE() << label << ": not an Error: " << error.what();
    return error.what();
  }
}

std::optional<std::string> BadFile::refusal(const std::string& label, std::string_view content) const {
  const fs::path path = folder_.write(name_, content);
  return hostile::refusal(label, name_, [&] { read_(path); });
}

void BadFile::expect_refused(const std::string& label, std::string_view content,
                             std::string_view reason) const {
  const auto message = refusal(label, content);
  if (!message) {
    ADD_FAILURE() << label << ": was read; wanted a refusal with: " << reason;
  } else {
    EXPECT_NE(message->find(reason), std::string::npos)
        << label << ": wanted a refusal with '" << reason << "', got: " << *message;
  }
}

void BadFile::expect_read(const std::string& label, std::string_view content) const {
  const auto message = refusal(label, content);
  EXPECT_FALSE(message.has_value()) << label << ": refused: " << message.value_or("");
}

std::string little(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string big(std::uint64_t value, int bytes) {
  const std::string out = little(value, bytes);
  return {out.rbegin(), out.rend()};
}

std::string zeros(std::size_t count) {
  return std::string(count, '\0');
}

std::string deflated(std::string_view content, int window) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, content.size()) + 32, '\0');
  std::string in(content);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::uint32_t crc_of(std::string_view content) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
}

std::string content_of(const fs::path& path) {
  return read_text(path, 1 << 26);
}

ZipPart stored(std::string name, std::string content) {
  ZipPart part;
  part.name = std::move(name);
  part.size = part.claimed_packed = content.size();
  part.crc = crc_of(content);
  part.packed = std::move(content);
  return part;
}

ZipPart packed(std::string name, std::string_view content) {
  ZipPart part = stored(std::move(name), deflated(content, -15));
  part.method = 8;
  part.size = content.size();
  part.crc = crc_of(content);
  return part;
}

std::string zip_of(const std::vector<ZipPart>& parts, const ZipEnd& end) {
  std::string archive, directory;
  for (const ZipPart& part : parts) {
    const auto count = [](std::size_t n) { return little(n, 2); };
    const std::string common = little(20, 2) + little(static_cast<unsigned>(part.flags), 2) +
                               little(static_cast<unsigned>(part.method), 2) + little(0, 2) +
                               little(0x21, 2) + little(part.crc, 4) + little(part.claimed_packed, 4) +
                               little(part.size, 4) + count(part.name.size()) + count(part.extra.size());
    const std::uint64_t offset = part.offset ? *part.offset : archive.size();
    archive += "PK\3\4" + common + part.name + part.extra + part.packed;
    directory += "PK\1\2" + little(20, 2) + common + little(0, 2) + little(0, 2) + little(0, 2) +
                 little(0, 4) + little(offset, 4) + part.name + part.extra;
  }
  const std::uint64_t entries = end.entries.value_or(parts.size());
  const std::uint64_t offset = end.offset.value_or(archive.size());
  return archive + directory + "PK\5\6" + little(0, 4) + little(entries, 2) + little(entries, 2) +
         little(end.size.value_or(directory.size()), 4) + little(offset, 4) + little(0, 2);
}

}  // namespace diffit::hostile
