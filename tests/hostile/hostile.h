// What every test of bad files asks: a refusal of the right kind in one clean line, or a read; nothing else.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/test_folder.h"

namespace diffit::hostile {

using namespace data;

/// Reads `action` to its end. Nothing where it came through; the message where it threw Error(invalid) of one
/// line without control characters that names `name`. Everything else fails the test.
std::optional<std::string> refusal(const std::string& label, const std::string& name,
                                   const std::function<void()>& action);

using Reader = std::function<void(const fs::path&)>;

/// A file with a changing content.
class BadFile {
 public:
  BadFile(std::string name, Reader read) : name_(std::move(name)), read_(std::move(read)) {}

  std::optional<std::string> refusal(const std::string& label, std::string_view content) const;
  /// Fails the test unless the content is refused for a reason that contains `reason`.
  void expect_refused(const std::string& label, std::string_view content, std::string_view reason) const;
  void expect_read(const std::string& label, std::string_view content) const;

 private:
  testing::TemporaryFolder folder_;
  std::string name_;
  Reader read_;
};

std::string little(std::uint64_t value, int bytes);
std::string big(std::uint64_t value, int bytes);
std::string zeros(std::size_t count);
/// zlib's stream (`window` 15), raw deflate (-15) or gzip (31).
std::string deflated(std::string_view content, int window);
std::uint32_t crc_of(std::string_view content);
std::string content_of(const fs::path& path);

/// An entry of an archive, each of its claims free.
struct ZipPart {
  std::string name;
  std::string packed;
  std::uint64_t size = 0;
  std::uint32_t crc = 0;
  int method = 0, flags = 0;
  std::uint64_t claimed_packed = 0;
  std::optional<std::uint32_t> offset;
  std::string extra;
};
ZipPart stored(std::string name, std::string content);
ZipPart packed(std::string name, std::string_view content);

/// The archive's end record, where something is set, says that instead of the truth.
struct ZipEnd {
  std::optional<std::uint64_t> entries = {}, size = {}, offset = {};
};
std::string zip_of(const std::vector<ZipPart>& parts, const ZipEnd& end = {});

}  // namespace diffit::hostile
