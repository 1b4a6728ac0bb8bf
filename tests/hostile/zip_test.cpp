#include "io/archives/zip.h"

#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

constexpr std::uint64_t kLimit = 4 << 20;

void read_all(const fs::path& path) {
  const ZipReader zip(path);
  for (std::size_t i = 0; i < zip.entries().size(); ++i) {
    std::uint64_t streamed = 0;
    zip.stream(i, [&](std::span<const std::byte> bytes) { streamed += bytes.size(); });
    EXPECT_EQ(zip.read(i, kLimit).size(), streamed);
    EXPECT_EQ(zip.read_start(i, 3).size(), std::min<std::uint64_t>(streamed, 3));
  }
}

void read_limited(const fs::path& path) {
  const ZipReader zip(path);
  for (std::size_t i = 0; i < zip.entries().size(); ++i) zip.read(i, kLimit);
}

template <class Change>
std::string changed(ZipPart part, Change&& change) {
  change(part);
  return zip_of({part});
}

TEST(Zip, RejectsOtherFiles) {
  const BadFile file("bad.zip", read_all);
  file.expect_read("good", zip_of({stored("a", "hello"), packed("b", "hello")}));
  file.expect_read("no entries", zip_of({}));
  file.expect_refused("empty", "", "empty");
  file.expect_refused("text", "hello", "zip");
  file.expect_refused("the first two bytes", "PK", "zip");
  file.expect_refused("a local header alone", "PK\3\4" + zeros(26), "zip");
  file.expect_refused("a megabyte of nothing", zeros(1 << 20), "zip");
}

TEST(Zip, RefusesNamesThatMislead) {
  const BadFile file("bad.zip", read_all);
  file.expect_refused("twice", zip_of({stored("a", "1"), stored("a", "2")}), "twice");
  file.expect_refused("twice, packed", zip_of({packed("a", "1"), packed("a", "1")}), "twice");
  file.expect_refused("empty", zip_of({stored("", "1")}), "empty name");
  file.expect_refused("absolute", zip_of({stored("/etc/passwd", "1")}), "absolute");
  file.expect_refused("a drive", zip_of({stored("C:\\x", "1")}), "absolute");
  file.expect_refused("points outside", zip_of({stored("a/../../b", "1")}), "points outside");
  file.expect_refused("points outside backwards", zip_of({stored("a\\..\\..\\b", "1")}), "points outside");
  file.expect_read("dots that lead nowhere", zip_of({stored("a/..b/...", "1")}));
  for (const std::string& name :
       {std::string("a\nerror: b"), std::string("\x1b[2Ja"), std::string("\xff\xfe\x80"),
        std::string(60'000, 'x'), std::string("\xe2\x80\xae")}) {
    file.expect_refused("a bad CRC", changed(stored(name, "1"), [](ZipPart& p) { p.crc ^= 1; }), "damaged");
    file.expect_refused("twice", zip_of({stored(name, "1"), stored(name, "1")}), "twice");
  }
}

TEST(Zip, RefusesClaimsThatCannotBe) {
  const BadFile file("bad.zip", read_all);
  const ZipPart plain = stored("a", "hello"), small = packed("a", std::string(5000, 'x'));
  const auto terabytes = [](ZipPart& part) {
    part.extra = little(1, 2) + little(8, 2) + little(4ull << 40, 8);
    part.size = 0xffffffff;
  };
  file.expect_refused("4 TiB out of 5 bytes", changed(plain, terabytes), "cannot expand");
  file.expect_refused("4 TiB out of few packed", changed(small, terabytes), "cannot expand");
  file.expect_refused("both 4 TiB",
                      changed(plain,
                              [](ZipPart& part) {
                                part.extra = little(1, 2) + little(16, 2) + little(4ull << 40, 8) +
                                             little(4ull << 40, 8);
                                part.size = part.claimed_packed = 0xffffffff;
                              }),
                      "states");
  file.expect_refused("2^64-1",
                      changed(plain,
                              [](ZipPart& part) {
                                part.extra =
                                    little(1, 2) + little(16, 2) + little(~0ull, 8) + little(~0ull, 8);
                                part.size = part.claimed_packed = 0xffffffff;
                              }),
                      "");
  file.expect_refused("zip64 without its field",
                      changed(plain, [](ZipPart& part) { part.size = 0xffffffff; }), "");
  file.expect_refused("stored, one more", changed(plain, [](ZipPart& part) { ++part.size; }),
                      "cannot expand");
  file.expect_refused("packed, one more", changed(small, [](ZipPart& part) { ++part.size; }), "damaged");
  file.expect_refused("packed, one less", changed(small, [](ZipPart& part) { --part.size; }), "damaged");
  file.expect_refused("packed into nothing",
                      changed(small,
                              [](ZipPart& part) {
                                part.claimed_packed = 0;
                                part.packed.clear();
                              }),
                      "");
  file.expect_refused("more packed than there is",
                      changed(small, [](ZipPart& part) { part.claimed_packed += 1000; }), "");
}

TEST(Zip, RefusesDamage) {
  const BadFile file("bad.zip", read_all);
  const ZipPart plain = stored("a", "hello"), small = packed("a", std::string(5000, 'x'));
  file.expect_refused("CRC, stored", changed(plain, [](ZipPart& part) { part.crc ^= 1; }), "damaged");
  file.expect_refused("CRC, packed", changed(small, [](ZipPart& part) { part.crc ^= 1; }), "damaged");
  file.expect_refused("CRC of nothing", changed(stored("a", ""), [](ZipPart& part) { part.crc = 1; }),
                      "damaged");
  file.expect_refused("no deflate",
                      changed(small, [](ZipPart& part) { part.packed.assign(part.packed.size(), '\xff'); }),
                      "damaged");
  file.expect_refused("encrypted", changed(plain, [](ZipPart& part) { part.flags = 1; }), "encrypted");
  file.expect_refused("strongly encrypted", changed(plain, [](ZipPart& part) { part.flags = 0x41; }),
                      "encrypted");
  for (const int method : {1, 6, 9, 12, 14, 93, 95, 98, 0xffff}) {
    file.expect_refused("method " + std::to_string(method),
                        changed(small, [&](ZipPart& part) { part.method = method; }), "method");
  }
  file.expect_refused("AES",
                      changed(plain,
                              [](ZipPart& part) {
                                part.method = 99;
                                part.flags = 1;
                                part.extra = little(0x9901, 2) + little(7, 2) + little(2, 2) + "AE" +
                                             little(3, 1) + little(0, 2);
                              }),
                      "encrypted");
  file.expect_refused("offset beyond the end", changed(plain, [](ZipPart& part) { part.offset = 1u << 30; }),
                      "");
  file.expect_refused("offset into the middle", changed(plain, [](ZipPart& part) { part.offset = 7; }), "");
  file.refusal("extra fields that overrun",
               changed(plain, [](ZipPart& part) { part.extra = little(1, 2) + little(0xffff, 2); }));
}

TEST(Zip, RefusesAnEndThatLies) {
  const BadFile file("bad.zip", read_all);
  const std::vector<ZipPart> parts{stored("a", "hello")};
  file.expect_refused("more entries", zip_of(parts, {2}), "");
  file.expect_refused("65,534 entries", zip_of(parts, {0xfffe}), "");
  file.expect_refused("65,535 entries", zip_of(parts, {0xffff}), "");
  file.refusal("no entries", zip_of(parts, {0}));
  file.expect_refused("a directory of 4 GiB", zip_of(parts, {{}, 0xfffffffe}), "");
  file.refusal("a directory of nothing", zip_of(parts, {{}, 0}));
  file.expect_refused("directory beyond the end", zip_of(parts, {{}, {}, 1u << 30}), "");
  file.refusal("directory at the start", zip_of(parts, {{}, {}, 0}));
  const auto zip64 = [](std::uint64_t entries, std::uint64_t size, std::uint64_t offset) {
    const std::string end64 = "PK\6\6" + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 8) +
                              little(entries, 8) + little(entries, 8) + little(size, 8) + little(offset, 8);
    return zeros(64) + end64 + "PK\6\7" + little(0, 4) + little(64, 8) + little(1, 4) + "PK\5\6" +
           little(0, 4) + little(0xffff, 2) + little(0xffff, 2) + little(0xffffffff, 4) +
           little(0xffffffff, 4) + little(0, 2);
  };
  for (const std::uint64_t huge : {1ull << 28, 1ull << 40, 1ull << 60, ~0ull}) {
    file.expect_refused("zip64 entries", zip64(huge, 46, 0), "");
    file.expect_refused("zip64 size", zip64(1, huge, 0), "");
    file.expect_refused("zip64 offset", zip64(1, 46, huge), "");
    file.expect_refused("zip64 all", zip64(huge, huge, huge), "");
  }
}

TEST(Zip, BombsAreNotUnpacked) {
  const BadFile file("bomb.zip", read_limited);
  const std::string much(64 << 20, '\0');
  const ZipPart bomb = packed("a", much);
  EXPECT_LT(bomb.packed.size(), 70'000u);
  file.expect_refused("64 MiB in 65 kB", zip_of({bomb}), "the limit is 4194304");
  file.expect_refused("that says 1 MiB", changed(bomb, [](ZipPart& part) { part.size = 1 << 20; }),
                      "damaged");
  file.expect_refused("that says nothing", changed(bomb, [](ZipPart& part) { part.size = 0; }), "damaged");
  // Fifield 2019: many entries over the same bytes.
  std::vector<ZipPart> overlapping;
  for (int i = 0; i < 1000; ++i) {
    overlapping.push_back(bomb);
    overlapping.back().name = std::to_string(i);
    if (i > 0) {
      overlapping.back().packed.clear();
      overlapping.back().offset = 0;
    }
  }
  file.expect_refused("a thousand times the same", zip_of(overlapping), "the limit is 4194304");
}

}  // namespace
}  // namespace diffit::hostile
