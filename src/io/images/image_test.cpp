#include "io/images/image.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <spng.h>
#include <turbojpeg.h>
#include <webp/encode.h>
#include <zlib.h>

#include <cstring>

#include "base/test_folder.h"
#include "io/images/testing_images.h"

namespace diffit::io {
namespace {

using testing::as_bytes;
using testing::big_endian;
using testing::chunk;
using testing::expect_rejected;
using Bytes = std::vector<std::byte>;

Image pattern(std::int64_t width, std::int64_t height, std::int64_t channels) {
  Image image{width, height, channels, {}};
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) {
        image.pixels.push_back(static_cast<std::uint8_t>(40 + 5 * x + 9 * y * (c + 1) + 60 * c));
      }
    }
  }
  return image;
}

void expect_same(const Image& a, const Image& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  EXPECT_EQ(a.channels, b.channels);
  EXPECT_EQ(a.pixels, b.pixels);
}

std::string header_chunk(std::uint32_t width, std::uint32_t height, int depth, int color) {
  return chunk("IHDR", big_endian(width) + big_endian(height) + static_cast<char>(depth) +
                           static_cast<char>(color) + std::string(3, '\0'));
}

const std::string kSignature = "\x89PNG\r\n\x1a\n";

/// A PNG by hand: `rows` with their filter bytes, `between` further chunks before the data.
Bytes png(std::uint32_t width, std::uint32_t height, int depth, int color, const std::string& rows,
          const std::string& between = "") {
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()),
           rows.size());
  packed.resize(size);
  const std::string text = kSignature + header_chunk(width, height, depth, color) + between +
                           chunk("IDAT", packed) + chunk("IEND", "");
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

Bytes jpeg(const std::vector<std::uint8_t>& pixels, int width, int height, int format, int subsampling) {
  tjhandle handle = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(tjCompress2(handle, pixels.data(), width, 0, height, format, &buffer, &size, subsampling, 100, 0),
            0);
  const auto* data = reinterpret_cast<const std::byte*>(buffer);
  Bytes bytes(data, data + size);
  tjFree(buffer);
  tjDestroy(handle);
  return bytes;
}

Bytes webp(const std::vector<std::uint8_t>& pixels, int width, int height, bool alpha) {
  std::uint8_t* buffer = nullptr;
  const std::size_t size = alpha ? WebPEncodeLosslessRGBA(pixels.data(), width, height, 4 * width, &buffer)
                                 : WebPEncodeLosslessRGB(pixels.data(), width, height, 3 * width, &buffer);
  const auto* data = reinterpret_cast<const std::byte*>(buffer);
  Bytes bytes(data, data + size);
  WebPFree(buffer);
  return bytes;
}

TEST(Png, ComesBackAsItWent) {
  EXPECT_TRUE(rc::check([] {
    const auto width = *rc::gen::inRange<std::int64_t>(1, 40),
               height = *rc::gen::inRange<std::int64_t>(1, 40);
    const std::int64_t channels = *rc::gen::element(1, 3);
    Image image{width, height, channels, {}};
    image.pixels = *rc::gen::container<std::vector<std::uint8_t>>(
        static_cast<std::size_t>(width * height * channels), rc::gen::arbitrary<std::uint8_t>());
    const Image back = decode_image(encode_png(image, *rc::gen::element(0, 1, 6)), "x.png");
    RC_ASSERT(back.width == width && back.height == height && back.channels == channels);
    RC_ASSERT(back.pixels == image.pixels);
  }));
}

TEST(Png, CarriesText) {
  const testing::TemporaryFolder folder;
  const PngText text{
      {"parameters", "steps 18, seed 3"}, {"Titel", "Gr\xc3\xbc\xc3\x9f"}, {"name", "\xe6\x9c\xa8\n2"}};
  write_png(folder / "x.png", pattern(5, 4, 3), text);
  EXPECT_EQ(read_png_text(folder / "x.png"), text);
  expect_same(read_image(folder / "x.png"), pattern(5, 4, 3));
  write_png(folder / "plain.png", pattern(5, 4, 1));
  EXPECT_TRUE(read_png_text(folder / "plain.png").empty());
  expect_rejected([] { encode_png(pattern(5, 4, 1), 6, {{std::string(80, 'k'), "v"}}); }, {"keyword"});
}

TEST(Png, ReadsFewBitsAndPalettes) {
  // One row of four grey pixels of 2 bits: 0, 1, 2, 3.
  EXPECT_EQ(decode_image(png(4, 1, 2, 0, {'\0', '\x1b'}), "x").pixels,
            (std::vector<std::uint8_t>{0, 85, 170, 255}));
  const std::string colors = chunk("PLTE", std::string("\x0a\x14\x1e\xff\xff\xff", 6));
  const Image rgb = decode_image(png(2, 1, 8, 3, std::string("\0\1\0", 3), colors), "x");
  EXPECT_EQ(rgb.channels, 3);
  EXPECT_EQ(rgb.pixels, (std::vector<std::uint8_t>{255, 255, 255, 10, 20, 30}));
  const Image grey = decode_image(
      png(2, 1, 8, 3, std::string("\0\1\0", 3), chunk("PLTE", std::string("\x0a\x0a\x0a\x50\x50\x50", 6))),
      "x");
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(grey.pixels, (std::vector<std::uint8_t>{80, 10}));
  // The second entry is half transparent: 255 * (1 - 128/255) + 80 * 128/255 = 167.2.
  const Image clear =
      decode_image(png(2, 1, 8, 3, std::string("\0\1\0", 3),
                       chunk("PLTE", std::string("\x0a\x0a\x0a\x50\x50\x50", 6)) + chunk("tRNS", "\xff\x80")),
                   "x");
  EXPECT_EQ(clear.pixels, (std::vector<std::uint8_t>{167, 10}));
}

TEST(Png, PutsAlphaOverWhite) {
  const Image rgba = decode_image(png(2, 1, 8, 6, std::string("\0\x64\x00\xc8\x80\x01\x02\x03\x00", 9)), "x");
  EXPECT_EQ(rgba.channels, 3);
  EXPECT_EQ(rgba.pixels, (std::vector<std::uint8_t>{177, 127, 227, 255, 255, 255}));
  const Image grey = decode_image(png(2, 1, 8, 4, std::string("\0\x64\xff\x64\x00", 5)), "x");
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(grey.pixels, (std::vector<std::uint8_t>{100, 255}));
  // A transparent colour: grey 7 is clear.
  const Image keyed =
      decode_image(png(2, 1, 8, 0, std::string("\0\7\6", 3), chunk("tRNS", {'\0', '\7'})), "x");
  EXPECT_EQ(keyed.pixels, (std::vector<std::uint8_t>{255, 6}));
}

TEST(Png, RoundsSixteenBits) {
  // 128 = 0x0080 rounds to 0 (0.498), 129 to 1, 0xff7e to 254 (254.498), 0xff80 to 255.
  const Image grey =
      decode_image(png(4, 1, 16, 0, std::string("\0\x00\x80\x00\x81\xff\x7e\xff\x80", 9)), "x");
  EXPECT_EQ(grey.channels, 1);
  EXPECT_EQ(grey.pixels, (std::vector<std::uint8_t>{0, 1, 254, 255}));
  const Image rgb = decode_image(png(1, 1, 16, 2, std::string("\0\x12\x34\x56\x78\x9a\xbc", 7)), "x");
  EXPECT_EQ(rgb.pixels, (std::vector<std::uint8_t>{18, 86, 154}));
}

TEST(Png, RejectsLargeSizesBeforeAllocation) {
  expect_rejected([] { decode_image(png(32768, 32768, 8, 2, "few"), "x.png"); }, {"x.png", "32768x32768"});
  expect_rejected([] { decode_image(png(4000, 4000, 8, 2, "few"), "x.png"); }, {"x.png", "4000x4000"});
  expect_rejected([] { decode_image(png(0xffffffff, 1, 8, 2, "few"), "x.png"); }, {"x.png"});
  expect_rejected([] { decode_image(png(0, 4, 8, 2, "few"), "x.png"); }, {"x.png"});
  expect_rejected([] { decode_image(png(4, 4, 8, 5, "few"), "x.png"); }, {"x.png"});
  expect_rejected(
      [] { decode_image(png(1, 1, 8, 0, std::string("\0a", 2), chunk("acTL", std::string(8, '\1'))), "x"); },
      {"animated"});
}

TEST(Png, RefusesEachTruncation) {
  const Bytes whole = encode_png(pattern(9, 7, 3), 6);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    expect_rejected([&] { decode_image(std::span(whole).first(size), "cut.png"); }, {"cut.png"});
  }
}

/// Any damage is an Error(invalid) or gives an image of plausible size; the address sanitizer sees the rest.
void survives_damage(const Bytes& whole) {
  EXPECT_TRUE(rc::check([&] {
    Bytes bytes = whole;
    const auto flips = *rc::gen::inRange(1, 4);
    for (int i = 0; i < flips; ++i) {
      const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
      bytes[at] ^= static_cast<std::byte>(1 << *rc::gen::inRange(0, 8));
    }
    try {
      const Image image = decode_image(bytes, "damaged");
      RC_ASSERT(static_cast<std::int64_t>(image.pixels.size()) ==
                image.width * image.height * image.channels);
    } catch (const Error& error) {
      RC_ASSERT(error.kind() == ErrorKind::invalid);
      RC_ASSERT(std::string(error.what()).find('\n') == std::string::npos);
    }
  }));
}

TEST(Images, SurviveDamage) {
  survives_damage(encode_png(pattern(9, 7, 3), 6, {{"k", "v"}}));
  survives_damage(png(2, 1, 8, 6, std::string("\0\x64\x00\xc8\x80\x01\x02\x03\x00", 9)));
  survives_damage(jpeg(pattern(24, 18, 3).pixels, 24, 18, TJPF_RGB, TJSAMP_420));
  survives_damage(webp(pattern(9, 7, 3).pixels, 9, 7, false));
}

TEST(Jpeg, ReadsGreyColourAndInk) {
  const Image grey = decode_image(jpeg(pattern(16, 16, 1).pixels, 16, 16, TJPF_GRAY, TJSAMP_GRAY), "x");
  EXPECT_EQ(grey.channels, 1);
  const Image color = decode_image(jpeg(pattern(16, 16, 3).pixels, 16, 16, TJPF_RGB, TJSAMP_444), "x");
  EXPECT_EQ(color.channels, 3);
  // Quality 100 quantises by 1: a rounding of a level or two in each of the two transforms.
  for (const auto& [read, written] :
       {std::pair(grey, pattern(16, 16, 1)), std::pair(color, pattern(16, 16, 3))}) {
    ASSERT_EQ(read.pixels.size(), written.pixels.size());
    for (std::size_t i = 0; i < read.pixels.size(); ++i)
      ASSERT_NEAR(read.pixels[i], written.pixels[i], 3) << i;
  }

  // libjpeg writes the Adobe marker: samples are 255 minus ink. Full ink of one kind, no black.
  for (const auto& [cmyk, rgb] :
       {std::pair(std::array<int, 4>{0, 255, 255, 255}, std::array<int, 3>{0, 255, 255}),
        std::pair(std::array<int, 4>{255, 100, 0, 128}, std::array<int, 3>{128, 50, 0})}) {
    std::vector<std::uint8_t> ink;
    for (int i = 0; i < 64 * 4; ++i)
      ink.push_back(static_cast<std::uint8_t>(cmyk[static_cast<std::size_t>(i % 4)]));
    const Bytes bytes = jpeg(ink, 8, 8, TJPF_CMYK, TJSAMP_444);
    const Image image = decode_image(bytes, "x");
    EXPECT_EQ(image.channels, 3);
    for (std::size_t c = 0; c < 3; ++c) EXPECT_NEAR(image.pixels[c], rgb[c], 3) << c;
  }
}

TEST(Jpeg, RejectsTruncationAndLargeSizes) {
  const Bytes whole = jpeg(pattern(64, 64, 3).pixels, 64, 64, TJPF_RGB, TJSAMP_420);
  for (std::size_t size : {std::size_t{2}, std::size_t{20}, whole.size() / 2, whole.size() - 40}) {
    expect_rejected([&] { decode_image(std::span(whole).first(size), "cut.jpg"); }, {"cut.jpg"});
  }
  Bytes huge = whole;
  for (std::size_t i = 0; i + 9 < huge.size(); ++i) {
    if (huge[i] == std::byte{0xff} && huge[i + 1] == std::byte{0xc0}) {
      for (std::size_t k = 5; k < 9; ++k) huge[i + k] = std::byte{0x7f};  // 32639 x 32639
      break;
    }
  }
  expect_rejected([&] { decode_image(huge, "huge.jpg"); }, {"huge.jpg", "32639x32639"});
}

/// The means of squares of `factor` by `factor` pixels.
Image means(const Image& image, std::int64_t factor) {
  Image out{(image.width + factor - 1) / factor, (image.height + factor - 1) / factor, image.channels, {}};
  for (std::int64_t y = 0; y < out.height; ++y) {
    for (std::int64_t x = 0; x < out.width; ++x) {
      for (std::int64_t c = 0; c < out.channels; ++c) {
        int sum = 0, count = 0;
        for (std::int64_t v = y * factor; v < std::min((y + 1) * factor, image.height); ++v) {
          for (std::int64_t u = x * factor; u < std::min((x + 1) * factor, image.width); ++u, ++count)
            sum += image.row(v)[u * image.channels + c];
        }
        out.pixels.push_back(static_cast<std::uint8_t>((2 * sum + count) / (2 * count)));
      }
    }
  }
  return out;
}

TEST(Reduced, AveragesLargePngs) {
  for (const std::int64_t channels : {1, 3}) {
    const Image whole = pattern(21, 18, channels);
    const Bytes bytes = encode_png(whole, 6);
    const auto most = static_cast<std::uint64_t>(21 * 18 * channels);
    expect_same(decode_reduced(bytes, 4, "x", most), whole);
    expect_same(decode_reduced(bytes, 9, "x", most - 1), means(whole, 2));
    expect_same(decode_reduced(bytes, 4, "x", most / 5), means(whole, 4));
    // No reduction fits both limits.
    expect_rejected([&] { decode_reduced(bytes, 10, "big.png", most - 1); }, {"big.png", "21x18", "limit"});
    expect_rejected([&] { decode_reduced(bytes, 1, "big.png", 1); }, {"big.png"});
  }
  // Alpha is blended with white first.
  std::string rows;
  for (int y = 0; y < 2; ++y) {
    rows += '\0';
    for (int x = 0; x < 2; ++x) rows += std::string("\x64\x00\xc8", 3) + (x == y ? '\xff' : '\x00');
  }
  const Image one = decode_reduced(png(2, 2, 8, 6, rows), 1, "x", 6);
  EXPECT_EQ(one.pixels, (std::vector<std::uint8_t>{178, 128, 228}));  // (100 + 255 + 255 + 100) / 4, ...
}

TEST(Reduced, ScalesLargeJpegs) {
  const Image whole = pattern(64, 48, 3);
  const Bytes bytes = jpeg(whole.pixels, 64, 48, TJPF_RGB, TJSAMP_444);
  const Image half = decode_reduced(bytes, 20, "x", 64 * 48 * 3 - 1);
  const Image wanted = means(whole, 2);
  ASSERT_EQ(half.width, 32);
  ASSERT_EQ(half.height, 24);
  double sum = 0;
  for (std::size_t i = 0; i < half.pixels.size(); ++i) sum += std::abs(half.pixels[i] - wanted.pixels[i]);
  EXPECT_LT(sum / static_cast<double>(half.pixels.size()), 8);  // the pattern wraps around at 256
  expect_rejected([&] { decode_reduced(bytes, 25, "big.jpg", 64 * 48 * 3 - 1); }, {"big.jpg", "64x48"});
}

TEST(Webp, ReadsColourAndAlpha) {
  expect_same(decode_image(webp(pattern(9, 7, 3).pixels, 9, 7, false), "x"), pattern(9, 7, 3));
  const std::vector<std::uint8_t> rgba{100, 0, 200, 128, 10, 20, 30, 255};
  const Image image = decode_image(webp(rgba, 2, 1, true), "x");
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{177, 127, 227, 10, 20, 30}));
  const Bytes whole = webp(pattern(40, 40, 3).pixels, 40, 40, false);
  for (std::size_t size : {std::size_t{12}, whole.size() / 2, whole.size() - 3}) {
    expect_rejected([&] { decode_image(std::span(whole).first(size), "cut.webp"); }, {"cut.webp"});
  }
}

TEST(Images, OthersAreRefusedByName) {
  expect_rejected([] { decode_image(as_bytes("GIF89a..."), "a.png"); },
                  {"a.png", "PNG, JPEG or WebP", "GIF"});
  expect_rejected([] { decode_image({}, "a.png"); }, {"a.png", "empty"});
  EXPECT_TRUE(is_image_name("n01440764_1.JPEG"));
  EXPECT_TRUE(is_image_name("a/b.Png"));
  EXPECT_TRUE(is_image_name("phone.jfif"));
  EXPECT_FALSE(is_image_name("dataset.json"));
  EXPECT_FALSE(is_image_name(".png.txt"));
}

TEST(Grid, LaysImagesOutRowByRow) {
  const Image a{1, 1, 1, {10}}, b{1, 1, 3, {1, 2, 3}}, c{1, 1, 1, {30}};
  const Image all[] = {a, b, c};
  const Image two = grid(all, 2, 1, 255);
  EXPECT_EQ(two.width, 3);
  EXPECT_EQ(two.height, 3);
  EXPECT_EQ(two.pixels, (std::vector<std::uint8_t>{10,  10,  10,  255, 255, 255, 1,   2,   3,    //
                                                   255, 255, 255, 255, 255, 255, 255, 255, 255,  //
                                                   30,  30,  30,  255, 255, 255, 255, 255, 255}));
  EXPECT_EQ(grid(all, 0, 0).width, 2);
  EXPECT_EQ(grid(all, 9, 0).width, 3);
  const Image wide{20000, 1, 1, std::vector<std::uint8_t>(20000)};
  const Image twice[] = {wide, wide};
  expect_rejected([&] { grid(twice, 2); }, {"40002x1"});
  expect_rejected([&] { enlarged(wide, 2); }, {"40000x2"});
  const Image mixed[] = {a, Image{2, 1, 1, {1, 2}}};
  expect_rejected([&] { grid(mixed, 0); }, {"1x1", "2x1"});
}

TEST(Enlarged, RepeatsPixels) {
  const Image image = enlarged({2, 1, 1, {5, 6}}, 2);
  EXPECT_EQ(image.width, 4);
  EXPECT_EQ(image.pixels, (std::vector<std::uint8_t>{5, 5, 6, 6, 5, 5, 6, 6}));
}

}  // namespace
}  // namespace diffit::io
