// Images as they are found: with orientations, odd but harmless parts, and parts that are really missing.
#include <gtest/gtest.h>
#include <turbojpeg.h>
#include <webp/encode.h>
#include <zlib.h>

#include "base/test_folder.h"
#include "io/images/exif.h"
#include "io/images/image_info.h"
#include "io/images/testing_images.h"

namespace diffit::io {
namespace {

using testing::as_bytes;
using testing::as_text;
using testing::big_endian;
using testing::chunk;
using testing::expect_rejected;
using Bytes = std::vector<std::byte>;

/// An Exif block that says nothing but the orientation.
std::string exif(int orientation, bool little = true) {
  if (little) {
    return std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18) + static_cast<char>(orientation) +
           std::string(7, '\0');
  }
  return std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) + static_cast<char>(orientation) +
         std::string(6, '\0');
}

/// 2 x 3: grey values 1 2 / 3 4 / 5 6.
const Image kSix{2, 3, 1, {1, 2, 3, 4, 5, 6}};

std::string png_with(const std::string& before, const std::string& behind = "",
                     const std::string& after = "") {
  std::string text = as_text(encode_png(kSix, 6));
  text.insert(text.size() - 12, behind);
  text.insert(33, before);
  return text + after;
}

std::vector<std::uint8_t> pixels_of(const std::string& text) {
  return decode_image(as_bytes(text), "x").pixels;
}

TEST(Exif, TurnsAsViewersDo) {
  const std::vector<std::vector<std::uint8_t>> wanted{
      {1, 2, 3, 4, 5, 6}, {2, 1, 4, 3, 6, 5}, {6, 5, 4, 3, 2, 1}, {5, 6, 3, 4, 1, 2},
      {1, 3, 5, 2, 4, 6}, {5, 3, 1, 6, 4, 2}, {6, 4, 2, 5, 3, 1}, {2, 4, 6, 1, 3, 5}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image turned = detail::oriented(kSix, orientation);
    EXPECT_EQ(turned.pixels, wanted[static_cast<std::size_t>(orientation - 1)]) << orientation;
    EXPECT_EQ(turned.width, orientation >= 5 ? 3 : 2);
    for (const bool little : {true, false}) {
      EXPECT_EQ(detail::exif_orientation(as_bytes(exif(orientation, little))), orientation);
    }
  }
}

TEST(Exif, DamageIsNoOrientation) {
  const std::string whole = exif(6);
  for (std::size_t size = 0; size + 6 < whole.size(); ++size) {
    EXPECT_EQ(detail::exif_orientation(as_bytes(whole.substr(0, size))), 1) << size;
  }
  EXPECT_EQ(detail::exif_orientation(as_bytes(exif(9))), 1);
  EXPECT_EQ(detail::exif_orientation(as_bytes("hello, this is no exif")), 1);
}

TEST(Png, AppliesExifOrientationAtAnyPosition) {
  const std::vector<std::uint8_t> wanted{5, 3, 1, 6, 4, 2};
  EXPECT_EQ(pixels_of(png_with(chunk("eXIf", exif(6)))), wanted);
  EXPECT_EQ(pixels_of(png_with("", chunk("eXIf", exif(6)))), wanted);
}

TEST(Png, IgnoresDamageOutsidePixelData) {
  std::string bad = chunk("gAMA", "1234");
  bad.back() ^= 1;
  for (const std::string& text :
       {png_with(bad), png_with(chunk("iCCP", "no profile")), png_with(chunk("tRNS", "12345")),
        png_with(chunk("pHYs", "")), png_with("", chunk("tIME", "x")), png_with("", "", "trailing bytes")}) {
    EXPECT_EQ(pixels_of(text), kSix.pixels);
  }
  std::string data = png_with("");
  data[data.size() - 14] = static_cast<char>(data[data.size() - 14] ^ 1);  // the checksum of IDAT
  expect_rejected([&] { pixels_of(data); }, {"x:"});
}

TEST(Png, DecodesInterlacedAlphaRowByRow) {
  const auto pixel = [](char grey) { return std::string{grey, static_cast<char>(0xff)}; };
  const std::string rows = std::string(1, '\0') + pixel(1) + std::string(1, '\0') + pixel(2) +
                           std::string(1, '\0') + pixel(3) + pixel(4);
  uLongf size = compressBound(rows.size());
  std::string packed(size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(rows.data()),
           rows.size());
  packed.resize(size);
  const std::string text = "\x89PNG\r\n\x1a\n" +
                           chunk("IHDR", big_endian(2) + big_endian(2) + std::string("\x08\x04\0\0\x01", 5)) +
                           chunk("IDAT", packed) + chunk("IEND", "");
  EXPECT_EQ(pixels_of(text), (std::vector<std::uint8_t>{1, 2, 3, 4}));
}

std::string jpeg(int width, int height, bool progressive = false) {
  std::vector<std::uint8_t> pixels;
  for (int i = 0; i < width * height; ++i)
    pixels.push_back(static_cast<std::uint8_t>(i % width < width / 2 ? 20 : 220));
  tjhandle handle = tjInitCompress();
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  EXPECT_EQ(tjCompress2(handle, pixels.data(), width, 0, height, TJPF_GRAY, &buffer, &size, TJSAMP_GRAY, 95,
                        progressive ? TJFLAG_PROGRESSIVE : 0),
            0);
  std::string text(reinterpret_cast<char*>(buffer), size);
  tjFree(buffer);
  tjDestroy(handle);
  return text;
}

TEST(Jpeg, AppliesTheOrientation) {
  const std::string block = std::string("Exif\0\0", 6) + exif(8);
  std::string text = jpeg(32, 16);
  text.insert(2, std::string("\xff\xe1\0", 3) + static_cast<char>(block.size() + 2) + block);
  const Image image = decode_image(as_bytes(text), "x");
  EXPECT_EQ(image.width, 16);
  EXPECT_EQ(image.height, 32);
  EXPECT_GT(image.pixels.front(), 200);  // the right half, which was bright, is now above
  EXPECT_LT(image.pixels.back(), 40);
  EXPECT_EQ(image_info(as_bytes(text), true, "x"), info_of(image));
}

TEST(Jpeg, AcceptsDamageOutsidePixelData) {
  for (const bool progressive : {false, true}) {
    const std::string whole = jpeg(64, 48, progressive);
    const auto wanted = pixels_of(whole);
    EXPECT_EQ(pixels_of(whole + "a phone's trailing bytes"), wanted);
    EXPECT_EQ(pixels_of(whole.substr(0, whole.size() - 2)), wanted);  // no end-of-image marker
    std::string filled = whole;
    filled.insert(2, "junk");
    EXPECT_EQ(
        pixels_of(whole.substr(0, 2) + "\xff\xe5" + std::string("\0\x04hi", 4) + "junk" + whole.substr(2)),
        wanted);
    for (const std::size_t part : {2, 3}) {
      expect_rejected([&] { pixels_of(whole.substr(0, whole.size() * part / 4)); }, {"x:"});
    }
  }
  // Parameters of a scan that only progressive files use, as some phones write them.
  std::string phone = jpeg(64, 48);
  const std::size_t scan = phone.find("\xff\xda");
  ASSERT_NE(scan, std::string::npos);
  const std::size_t last = scan + 2 + static_cast<std::size_t>(phone[scan + 3]) - 2;  // Se
  ASSERT_EQ(phone[last], '\x3f');
  phone[last] = '\0';
  EXPECT_EQ(pixels_of(phone), pixels_of(jpeg(64, 48)));
}

TEST(Jpeg, RejectsProgressiveFilesWithMissingScans) {
  const std::string whole = jpeg(64, 48, true);
  std::size_t last = whole.rfind("\xff\xda");
  ASSERT_NE(last, std::string::npos);
  const std::size_t table = whole.rfind("\xff\xc4", last);
  expect_rejected([&] { pixels_of(whole.substr(0, std::min(table, last))); }, {"x:"});
}

TEST(ImageInfo, MatchesDecodedImage) {
  const std::vector<std::uint8_t> rgb(3 * 20 * 10, 90);
  std::uint8_t* buffer = nullptr;
  const std::size_t size = WebPEncodeLosslessRGB(rgb.data(), 20, 10, 60, &buffer);
  const std::string webp(reinterpret_cast<char*>(buffer), size);
  WebPFree(buffer);
  for (const std::string& text :
       {png_with(""), png_with(chunk("eXIf", exif(5))), png_with("", chunk("eXIf", exif(5))), jpeg(40, 24),
        jpeg(40, 24, true), webp, as_text(encode_png({20, 10, 3, rgb}, 6))}) {
    const auto info = image_info(as_bytes(text), true, "x");
    ASSERT_TRUE(info);
    EXPECT_EQ(*info, info_of(decode_image(as_bytes(text), "x")));
    // Fewer bytes give the same, or ask for more.
    for (std::size_t count = 0; count < text.size(); ++count) {
      const auto less = image_info(as_bytes(text.substr(0, count)), false, "x");
      if (less) {
        EXPECT_EQ(*less, *info) << count;
      }
    }
  }
}

TEST(ImageInfo, RejectsOtherFilesAndTooLargeImages) {
  expect_rejected([] { image_info(as_bytes("<!DOCTYPE html><html>"), true, "a.png"); },
                  {"a.png", "web page"});
  const std::string large =
      "\x89PNG\r\n\x1a\n" +
      chunk("IHDR", big_endian(32000) + big_endian(32000) + std::string("\x08\x02\0\0\0", 5)) +
      chunk("IDAT", "");
  const auto info = image_info(as_bytes(large), false, "a.png");
  ASSERT_TRUE(info);
  EXPECT_EQ(*info, (ImageInfo{32000, 32000, 3}));
  expect_rejected([&] { check_memory(*info, "a.png"); }, {"a.png", "32000x32000", "MiB"});
}

}  // namespace
}  // namespace diffit::io
