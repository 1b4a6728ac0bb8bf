#include "io/images/image.h"

#include "io/datasets/cifar.h"
#include "io/datasets/idx.h"
#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

std::string chunk(const std::string& kind, const std::string& body) {
  return big(body.size(), 4) + kind + body + big(crc_of(kind + body), 4);
}

std::string header(std::uint64_t width, std::uint64_t height, int depth = 8, int colour = 2,
                   int interlace = 0) {
  return chunk("IHDR", big(width, 4) + big(height, 4) + static_cast<char>(depth) + static_cast<char>(colour) +
                           zeros(2) + static_cast<char>(interlace));
}

const std::string kSignature = "\x89PNG\r\n\x1a\n";

std::string png(const std::string& head, const std::string& rows, const std::string& before = "") {
  return kSignature + head + before + chunk("IDAT", deflated(rows, 15)) + chunk("IEND", "");
}

class Images : public ::testing::Test {
 protected:
  const BadFile file_{"bad.png", [](const fs::path& path) {
                        const Image image = read_image(path);
                        EXPECT_EQ(image.pixels.size(),
                                  static_cast<std::size_t>(image.width * image.height * image.channels));
                        read_png_text(path);
                      }};
};

TEST_F(Images, ImpossibleSizesAreRejectedBeforeAllocation) {
  file_.expect_read("good", png(header(2, 2), zeros(14)));
  for (const std::uint64_t side : {0ull, 1ull << 31, 0xffffffffull, 0x7fffffffull, 32769ull}) {
    file_.expect_refused("width " + std::to_string(side), png(header(side, 1), zeros(14)), "");
    file_.expect_refused("height " + std::to_string(side), png(header(1, side), zeros(14)), "");
  }
  file_.expect_refused("3 GiB out of nothing", png(header(32768, 32768), ""), "");
  file_.expect_refused("8 GiB out of little", png(header(32768, 32768, 16, 6), zeros(1000)), "");
  file_.expect_refused("interlaced", png(header(32768, 32768, 8, 2, 1), zeros(1000)), "");
  // Grey in one bit: 128 MiB of rows pack into 130 kB.
  file_.refusal("a true bomb", png(header(32768, 4096, 1, 0), zeros((32768 / 8 + 1) * 4096)));
  file_.expect_refused("a JPEG of 65535 x 65535",
                       content_of(fs::path(DIFFIT_SOURCE_DIR) / "fuzz/corpus/image/jpeg_65535"), "");
}

TEST_F(Images, MalformedFilesAreRejected) {
  file_.expect_refused("empty", "", "");
  file_.expect_refused("text", "hello", "");
  file_.expect_refused("signature alone", kSignature, "");
  file_.expect_refused("no header", kSignature + chunk("IEND", ""), "");
  file_.expect_refused("no pixels", kSignature + header(2, 2) + chunk("IEND", ""), "");
  file_.expect_refused("pixels cut", png(header(2, 2), zeros(7)), "");
  file_.expect_refused("palette missing", png(header(2, 2, 8, 3), zeros(6)), "");
  // As in libpng, colours that the palette lacks are black.
  file_.expect_read("palette too small",
                    png(header(2, 2, 8, 3), std::string("\0\1\1\0\1\1", 6), chunk("PLTE", "abc")));
  file_.expect_refused("palette of 257", png(header(2, 2, 8, 3), zeros(6), chunk("PLTE", zeros(257 * 3))),
                       "");
  file_.expect_refused("depth 3", png(header(2, 2, 3), zeros(14)), "");
  file_.expect_refused("colour 5", png(header(2, 2, 8, 5), zeros(14)), "");
  file_.expect_refused("filter 9", png(header(2, 2), "\x09" + zeros(13)), "");
  file_.expect_refused("chunk of 2 GiB", kSignature + header(2, 2) + big(0x7fffffff, 4) + "IDAT" + zeros(64),
                       "");
  file_.expect_refused("chunk of 4 GiB", kSignature + header(2, 2) + big(0xffffffff, 4) + "tEXt" + zeros(64),
                       "");
  file_.refusal("transparency behind the pixels", png(header(2, 2), zeros(14)) + chunk("tRNS", zeros(6)));
  file_.refusal(
      "text of 64 MiB",
      png(header(2, 2), zeros(14), chunk("zTXt", std::string("a\0\0", 3) + deflated(zeros(64 << 20), 15))));
  file_.refusal(
      "profile of 64 MiB",
      png(header(2, 2), zeros(14), chunk("iCCP", std::string("a\0\0", 3) + deflated(zeros(64 << 20), 15))));
  std::string chunks;
  for (int i = 0; i < 20'000; ++i) chunks += chunk("tEXt", std::string("k\0v", 3));
  file_.refusal("20,000 texts", png(header(2, 2), zeros(14), chunks));
}

TEST(Idx, RejectsSizesThatContradictTheHeader) {
  const auto plain = [](int type, std::initializer_list<std::uint64_t> dims, std::size_t data) {
    std::string out = zeros(2) + static_cast<char>(type) + static_cast<char>(dims.size());
    for (const std::uint64_t side : dims) out += big(side, 4);
    return out + zeros(data);
  };
  const BadFile file("bad-idx3-ubyte", [](const fs::path& path) { read_idx(path); });
  file.expect_read("good", plain(8, {2, 3}, 6));
  file.expect_read("good, gzipped", deflated(plain(8, {2, 3}, 6), 31));
  const std::vector<std::pair<std::string, std::string>> cases{
      {"empty", ""},
      {"no dims", plain(8, {}, 1)},
      {"floats", plain(13, {1}, 4)},
      {"one byte less", plain(8, {2, 3}, 5)},
      {"one byte more", plain(8, {2, 3}, 7)},
      {"4 GiB", plain(8, {0xffffffff}, 6)},
      {"overflow", plain(8, {0xffffffff, 0xffffffff, 0xffffffff}, 6)},
      {"wraps to 0", plain(8, {1u << 31, 1u << 31, 4}, 0)},
      {"255 dims", zeros(2) + "\x08\xff" + zeros(1024)},
      {"another magic", "\1" + plain(8, {2, 3}, 6).substr(1)}};
  for (const auto& [label, content] : cases) {
    file.expect_refused(label, content, "");
    file.expect_refused(label + ", gzipped", deflated(content, 31), "");
  }
  file.expect_refused("a bomb of 64 MiB that claims 4", deflated(plain(8, {4}, 64 << 20), 31), "");
  file.expect_refused("gzip cut", deflated(plain(8, {2, 3}, 6), 31).substr(0, 20), "");
  file.expect_refused("gzip with bytes behind", deflated(plain(8, {2, 3}, 6), 31) + "x", "");
  std::string crc = deflated(plain(8, {2, 3}, 6), 31);
  crc[crc.size() - 8] = static_cast<char>(crc[crc.size() - 8] ^ 1);
  file.expect_refused("gzip with a bad CRC", crc, "");
  file.expect_refused("gzip header alone", "\x1f\x8b", "");
}

TEST(Cifar, RefusesWhatIsNoRecords) {
  const BadFile file("data_batch_1.bin", [](const fs::path& path) { read_cifar(path); });
  file.expect_read("good", zeros(3073));
  file.expect_refused("empty", "", "");
  file.expect_refused("one byte", zeros(1), "");
  file.expect_refused("one byte less", zeros(3072), "");
  file.expect_refused("one byte more", zeros(3075), "");
  file.expect_refused("label 255", "\xff" + zeros(3072), "");
  file.expect_refused("fine label 100", zeros(1) + "\x64" + zeros(3072), "");
}

}  // namespace
}  // namespace diffit::hostile
