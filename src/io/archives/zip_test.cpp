#include "io/archives/zip.h"

#include <zlib.h>

#include <cstring>
#include <thread>

#include "base/test_folder.h"

namespace diffit::io {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

constexpr std::uint64_t kAny = 1 << 24;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// One entry with every field of its headers open to lies.
struct RawEntry {
  std::string name, content;
  std::uint64_t size = content.size(), packed = content.size();
  int method = 0, flags = 0;
  std::uint32_t crc =
      static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
};

std::string little(std::uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i, value >>= 8) bytes += static_cast<char>(value);
  return bytes;
}

/// An archive by the book, apart from what the entries claim; sizes of 2^32 - 1 and more go into zip64
/// fields.
std::string archive_of(const std::vector<RawEntry>& entries) {
  std::string local, central;
  for (const RawEntry& e : entries) {
    const bool wide = e.size >= 0xffffffff || e.packed >= 0xffffffff;
    const std::string extra =
        wide ? little(1, 2) + little(16, 2) + little(e.size, 8) + little(e.packed, 8) : "";
    const std::string common = little(45, 2) + little(static_cast<unsigned>(e.flags), 2) +
                               little(static_cast<unsigned>(e.method), 2) + little(0, 2) + little(0x21, 2) +
                               little(e.crc, 4) + little(wide ? 0xffffffff : e.packed, 4) +
                               little(wide ? 0xffffffff : e.size, 4) + little(e.name.size(), 2) +
                               little(extra.size(), 2);
    central += "PK\1\2" + little(45, 2) + common + little(0, 2 + 2 + 2 + 4) + little(local.size(), 4) +
               e.name + extra;
    local += "PK\3\4" + common + e.name + extra + e.content;
  }
  return local + central + "PK\5\6" + little(0, 4) + little(entries.size(), 2) + little(entries.size(), 2) +
         little(central.size(), 4) + little(local.size(), 4) + little(0, 2);
}

/// Deflate without zlib's or gzip's frame, as zip has it.
std::string deflated(std::string_view content) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&stream, content.size()), '\0');
  std::string input(content);
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

RawEntry packed_entry(std::string name, std::string_view content) {
  const std::string packed = deflated(content);
  RawEntry entry{std::move(name), packed};
  entry.size = content.size();
  entry.method = 8;
  entry.crc =
      static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
  return entry;
}

void read_everything(const fs::path& path) {
  const ZipReader zip(path);
  for (std::size_t i = 0; i < zip.entries().size(); ++i) zip.read(i, kAny);
}

void expect_refused(const std::string& archive, std::initializer_list<std::string> parts) {
  const TemporaryFolder folder;
  const fs::path path = folder.write("bad.zip", archive);
  std::vector<std::string> all{path.string()};
  all.insert(all.end(), parts);
  for (const std::string& part : all) expect_rejected([&] { read_everything(path); }, {part});
}

TEST(ZipReader, AnEntrysOwnHeaderAgreesWithTheDirectory) {
  const std::string good = archive_of({{"one", "first"}, {"two", "second"}});
  const std::size_t second = good.find("PK\3\4", 4), directory = good.find("PK\1\2");
  const auto changed = [&](std::size_t at, char byte) {
    std::string archive = good;
    archive[at] = byte;
    return archive;
  };
  const char* differ = "state different names or compression methods";
  expect_refused(changed(second + 30, 'T'), {"two", differ});
  expect_refused(changed(second + 8, 8), {"two", differ});
  expect_refused(changed(second + 26, 2), {"two", differ});
  expect_refused(changed(second + 27, 127), {"two", differ});  // longer than the archive
  std::string twice = good;  // the second entry is said to lie where the first does
  const std::size_t offset = good.find("PK\1\2", directory + 4) + 42;
  twice.replace(offset, 4, little(0, 4));
  expect_refused(twice, {"two", differ});
}

TEST(ZipReader, ReadsStoredAndDeflatedEntriesWithoutFolders) {
  const TemporaryFolder folder;
  const std::string long_text(100000, 'x');
  const ZipReader zip(folder.write(
      "a.zip", archive_of({{"d/", ""}, {"d/one", "first"}, packed_entry("two", long_text), {"none", ""}})));
  ASSERT_EQ(zip.entries().size(), 3u);
  EXPECT_EQ(zip.entries()[0].name, "d/one");
  EXPECT_EQ(zip.find("two"), 1);
  EXPECT_EQ(zip.find("d/"), -1);
  EXPECT_EQ(text_of(zip.read(0, kAny)), "first");
  EXPECT_EQ(text_of(zip.read(1, kAny)), long_text);
  EXPECT_TRUE(zip.read(2, 0).empty());
  EXPECT_EQ(text_of(zip.read_start(1, 7)), "xxxxxxx");
  EXPECT_EQ(text_of(zip.read_start(0, 700)), "first");
  std::string streamed;
  zip.stream(1, [&](std::span<const std::byte> piece) { streamed += text_of(piece); });
  EXPECT_EQ(streamed, long_text);
}

TEST(ZipReader, ListsFoldersAndRejectsEntriesWithoutSignature) {
  const TemporaryFolder folder;
  const std::string good = archive_of({{"empty/", ""}, {"one", "first"}, {"two", "second"}});
  const ZipReader zip(folder.write("a.zip", good));
  EXPECT_EQ(zip.folders(), std::vector<std::string>{"empty"});
  for (const std::string comment : {"", "a comment"}) {
    std::string bad = good + comment;
    bad[good.size() - 2] = static_cast<char>(comment.size());
    bad[bad.find("PK\3\4", bad.find("first"))] = 'X';
    const ZipReader damaged(folder.write("b.zip", bad));
    EXPECT_EQ(text_of(damaged.read(0, kAny)), "first");
    expect_rejected([&] { damaged.read(1, kAny); }, {"b.zip", "two", "no entry at"});
  }
}

TEST(ZipReader, RespectsSizeLimit) {
  const TemporaryFolder folder;
  const ZipReader zip(folder.write("a.zip", archive_of({{"one", "first"}})));
  EXPECT_EQ(zip.read(0, 5).size(), 5u);
  expect_rejected([&] { zip.read(0, 4); }, {"a.zip", "one", "5", "4"});
}

TEST(ZipReader, SupportsConcurrentReads) {
  const TemporaryFolder folder;
  std::vector<RawEntry> entries;
  for (int i = 0; i < 50; ++i)
    entries.push_back(packed_entry(std::to_string(i), std::string(5000, static_cast<char>(i))));
  const ZipReader zip(folder.write("a.zip", archive_of(entries)));
  std::vector<int> wrong(4);
  std::vector<std::jthread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < 200; ++i) {
        const std::size_t index = (i * 7 + t * 13) % 50;
        if (zip.read(index, kAny) != std::vector<std::byte>(5000, static_cast<std::byte>(index))) ++wrong[t];
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

TEST(ZipReader, IsUsableAfterDamagedEntry) {
  const TemporaryFolder folder;
  RawEntry bad{"bad", "content"};
  bad.crc ^= 1;
  const ZipReader zip(folder.write("a.zip", archive_of({bad, {"good", "content"}})));
  expect_rejected([&] { zip.read(0, kAny); }, {"a.zip", "bad"});
  EXPECT_EQ(text_of(zip.read(1, kAny)), "content");
}

TEST(ZipReader, RejectsOtherFiles) {
  expect_refused("", {"empty"});
  expect_refused("PK\5\6", {"zip"});
  expect_refused(std::string(1000, '\0'), {"zip"});
  const std::string good = archive_of({{"one", "first"}, {"two", "second"}});
  for (std::size_t length = 1; length < good.size(); ++length)
    expect_refused(good.substr(0, length), {"zip"});
}

TEST(ZipReader, RejectsChecksumErrors) {
  RawEntry wrong{"one", "first"};
  wrong.crc ^= 0x80;
  expect_refused(archive_of({wrong}), {"one"});
  RawEntry packed = packed_entry("one", std::string(1000, 'a') + "b");
  packed.crc ^= 1;
  expect_refused(archive_of({packed}), {"one"});
  packed.crc ^= 1;
  packed.content[packed.content.size() / 2] ^= 0x10;
  expect_refused(archive_of({packed}), {"one"});
}

TEST(ZipReader, RejectsImpossibleSizes) {
  for (const std::uint64_t claim : {std::uint64_t{4}, std::uint64_t{6}, std::uint64_t{0xfffffffe},
                                    std::uint64_t{5} << 40, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    RawEntry stored{"one", "first"};
    stored.size = claim;
    expect_refused(archive_of({stored}), {"zip"});
    RawEntry both{"one", "first"};
    both.size = both.packed = claim;
    expect_refused(archive_of({both}), {"zip"});
    RawEntry packed = packed_entry("one", "first");
    packed.size = claim;
    expect_refused(archive_of({packed}), {"zip"});
  }
}

TEST(ZipReader, ZipBombsAreLimited) {
  const TemporaryFolder folder;
  const fs::path path =
      folder.write("bomb.zip", archive_of({packed_entry("a", std::string(24 << 20, '\0'))}));
  const ZipReader zip(path);
  expect_rejected([&] { zip.read(0, kAny); }, {"bomb.zip", "a"});
  // A smaller claim is no way around.
  RawEntry liar = packed_entry("a", std::string(24 << 20, '\0'));
  liar.size = 10;
  expect_refused(archive_of({liar}), {"a"});
}

TEST(ZipReader, RejectsEncryptionAndOtherCompression) {
  RawEntry secret{"one", "first"};
  secret.flags = 1;
  expect_refused(archive_of({secret}), {"one", "ncrypted"});
  for (const int method : {1, 6, 9, 12, 14, 93, 95}) {
    RawEntry other{"one", "first"};
    other.method = method;
    expect_refused(archive_of({other}), {"one", std::to_string(method)});
  }
}

TEST(ZipReader, RefusesNamesTwice) {
  expect_refused(archive_of({{"one", "1"}, {"two", "2"}, {"one", "1"}}), {"one", "twice"});
}

class ZipNames : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(ZipNames, PathsOutsideArchiveAreRejected) {
  const auto& [name, shown] = GetParam();
  expect_refused(archive_of({{name, "1"}}), {shown});
  const TemporaryFolder folder;
  ZipWriter zip(folder / "a.zip");
  expect_rejected([&, n = name] { zip.add(n, {}); }, {"a.zip", shown});
}

INSTANTIATE_TEST_SUITE_P(All, ZipNames,
                         ::testing::Values(std::pair{"/etc/passwd", "/etc/passwd"}, std::pair{"../x", "../x"},
                                           std::pair{"a/../../x", "a/../../x"}, std::pair{"a/..", "a/.."},
                                           std::pair{"a\\..\\x", "a\\..\\x"}, std::pair{"\\x", "\\x"},
                                           std::pair{"C:x", "C:x"}, std::pair{"", "empty"},
                                           std::pair{"../a\nb", "a\\x0ab"}));

TEST(ZipReader, HarmlessDotsInNamesAreAccepted) {
  const TemporaryFolder folder;
  const ZipReader zip(folder.write("a.zip", archive_of({{"..a/b..", "1"}, {"...", "2"}, {"a/./b", "3"}})));
  EXPECT_EQ(zip.entries().size(), 3u);
}

TEST(ZipWriter, WhatIsWrittenIsRead) {
  const TemporaryFolder folder;
  const std::string large(3 << 20, 'y');
  {
    ZipWriter zip(folder / "a.zip");
    zip.add("d/one", bytes_of("first"));
    zip.begin("pieces");
    zip.write(bytes_of("sec"));
    zip.write(bytes_of(""));
    zip.write(bytes_of("ond"));
    zip.end();
    zip.add("none", {});
    zip.begin("nothing");
    zip.end();
    zip.begin("large");
    zip.write(bytes_of(large));
    zip.end();
    zip.add("\xc3\xa4", bytes_of("umlaut"));
    zip.finish();
  }
  const ZipReader zip(folder / "a.zip");
  const std::vector<std::string> names{"d/one", "pieces", "none", "nothing", "large", "\xc3\xa4"};
  const std::vector<std::string> contents{"first", "second", "", "", large, "umlaut"};
  ASSERT_EQ(zip.entries().size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(zip.entries()[i].name, names[i]);
    EXPECT_EQ(zip.entries()[i].packed, zip.entries()[i].size);
    EXPECT_EQ(text_of(zip.read(i, kAny)), contents[i]);
  }
}

TEST(ZipWriter, SupportsMoreThan65535Entries) {
  const TemporaryFolder folder;
  {
    ZipWriter zip(folder / "a.zip");
    for (int i = 0; i < 70000; ++i) zip.add(std::to_string(i), {});
    zip.finish();
  }
  const ZipReader zip(folder / "a.zip");
  EXPECT_EQ(zip.entries().size(), 70000u);
  EXPECT_EQ(zip.find("69999"), 69999);
}

TEST(ZipWriter, OutputIsDeterministic) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) {
    ZipWriter zip(folder / name);
    zip.add("one", bytes_of("first"));
    zip.begin("two");
    zip.write(bytes_of("second"));
    zip.end();
    zip.finish();
  }
  EXPECT_EQ(read_text(folder / "a", kAny), read_text(folder / "b", kAny));
}

TEST(ZipWriter, LeavesNoFileWithoutFinish) {
  const TemporaryFolder folder;
  {
    ZipWriter zip(folder / "a.zip");
    zip.add("one", bytes_of("first"));
    zip.begin("two");
    zip.write(bytes_of("second"));
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(ZipWriter, RejectsDuplicateNames) {
  const TemporaryFolder folder;
  ZipWriter zip(folder / "a.zip");
  zip.add("one", {});
  EXPECT_THROW(zip.add("one", {}), Error);
}

}  // namespace
}  // namespace diffit::io
