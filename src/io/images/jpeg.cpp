// JPEG through libjpeg-turbo.
#include <cstdio>
// jpeglib.h wants FILE to be declared.
#include <jpeglib.h>
// After it, for the version of the library.
#include <jerror.h>

#include <csetjmp>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "io/images/codecs.h"
#include "io/images/exif.h"

namespace diffit::io::detail {
namespace {

constexpr int kMostScans = 500;  // a hostile progressive file repeats one scan over and over

/// The decoder with what it complained of. libjpeg's error handlers must not return: they jump.
struct Decoder {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = {};
  bool ended_early = false;  // no end-of-image marker
  bool damaged = false;      // some pixels are not those that were written

  Decoder() {
    jpeg.err = jpeg_std_error(&errors);
    errors.error_exit = [](j_common_ptr common) {
      auto* self = static_cast<Decoder*>(common->client_data);
      common->err->format_message(common, self->message);
      std::longjmp(self->jump, 1);
    };
    errors.emit_message = [](j_common_ptr common, int level) {
      if (level < 0) static_cast<Decoder*>(common->client_data)->warned();
    };
    errors.output_message = [](j_common_ptr) {};
    progress.progress_monitor = [](j_common_ptr common) {
      const auto* decompress = reinterpret_cast<j_decompress_ptr>(common);
      if (decompress->input_scan_number <= kMostScans) return;
      auto* self = static_cast<Decoder*>(common->client_data);
      std::snprintf(self->message, sizeof(self->message), "more than %d scans", kMostScans);
      std::longjmp(self->jump, 1);
    };
    jpeg.client_data = this;
  }
  ~Decoder() { jpeg_destroy_decompress(&jpeg); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// Warnings that leave every pixel as it was written are passed over, as other decoders do: unknown JFIF
  /// or Adobe numbers, bytes between segments, phones' odd parameters of a sequential scan, ICC profiles.
  void warned() {
    switch (errors.msg_code) {
      case JWRN_ADOBE_XFORM:
      case JWRN_BOGUS_PROGRESSION:
      case JWRN_EXTRANEOUS_DATA:
      case JWRN_JFIF_MAJOR:
      case JWRN_NOT_SEQUENTIAL:
      case JWRN_TOO_MUCH_DATA:
      case JWRN_BOGUS_ICC:
        return;
      case JWRN_JPEG_EOF:  // harmless where all pixels came before the end
        ended_early = true;
        return;
      default:
        if (!damaged) errors.format_message(reinterpret_cast<j_common_ptr>(&jpeg), message);
        damaged = true;
    }
  }
};

/// Reads the header. False with a message in `decoder` where it is refused.
bool read_header(Decoder& decoder, std::span<const std::byte> bytes) {
  if (setjmp(decoder.jump) != 0) return false;
  jpeg_create_decompress(&decoder.jpeg);
  decoder.jpeg.client_data = &decoder;
  decoder.jpeg.progress = &decoder.progress;
  jpeg_save_markers(&decoder.jpeg, JPEG_APP0 + 1, 0xffff);
  jpeg_mem_src(&decoder.jpeg, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&decoder.jpeg, TRUE);
  return true;
}

/// Decodes into `pixels`, rows of `stride` bytes.
bool read_pixels(Decoder& decoder, std::uint8_t* pixels, std::size_t stride) {
  if (setjmp(decoder.jump) != 0) return false;
  jpeg_start_decompress(&decoder.jpeg);
  while (decoder.jpeg.output_scanline < decoder.jpeg.output_height) {
    JSAMPROW row = pixels + stride * decoder.jpeg.output_scanline;
    jpeg_read_scanlines(&decoder.jpeg, &row, 1);
  }
  // Of a progressive image without an end, later scans may be missing altogether.
  if (decoder.ended_early && decoder.jpeg.progressive_mode) {
    for (int c = 0; c < decoder.jpeg.num_components; ++c) {
      for (int k = 0; k < DCTSIZE2; ++k) decoder.damaged |= decoder.jpeg.coef_bits[c][k] != 0;
    }
    if (decoder.damaged) std::snprintf(decoder.message, sizeof(decoder.message), "scans are missing");
  }
  return true;
}

int orientation_of(const jpeg_decompress_struct& jpeg) {
  for (auto* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const auto data = std::as_bytes(std::span(marker->data, marker->data_length));
    if (marker->marker != JPEG_APP0 + 1 || data.size() < 6) continue;
    if (std::memcmp(data.data(), "Exif\0", 5) == 0) return exif_orientation(data);
  }
  return 1;
}

/// a * b / 255 to the nearest.
std::uint8_t product(int a, int b) {
  const int t = a * b + 128;
  return static_cast<std::uint8_t>(((t >> 8) + t) >> 8);
}

/// A row of ink to RGB in place. Adobe's programs store 255 minus the ink.
void ink_to_rgb(const std::uint8_t* ink, std::size_t pixels, bool inverted, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < pixels; ++i) {
    std::uint8_t left[4];
    for (std::size_t c = 0; c < 4; ++c) {
      left[c] = inverted ? ink[4 * i + c] : static_cast<std::uint8_t>(255 - ink[4 * i + c]);
    }
    for (std::size_t c = 0; c < 3; ++c) rgb[3 * i + c] = product(left[c], left[3]);
  }
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& where, const DecodeLimits& limits) {
  Decoder decoder;
  const auto refuse = [&] {
    if (decoder.errors.msg_code == JERR_OUT_OF_MEMORY)
      fail("{}: not enough memory to decode the JPEG", where);
    reject("{}: wanted a well-formed JPEG, got a bad one: {}", where, decoder.message);
  };
  jpeg_decompress_struct& jpeg = decoder.jpeg;
  if (!read_header(decoder, bytes)) refuse();
  DIFFIT_CHECK(jpeg.image_width > 0 && jpeg.image_height > 0,
               "{}: wanted a JPEG with sides of 1 or more, got {}x{}", where, jpeg.image_width,
               jpeg.image_height);
  const bool grey = jpeg.jpeg_color_space == JCS_GRAYSCALE;
  const bool ink = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  DIFFIT_CHECK(grey || ink || jpeg.jpeg_color_space == JCS_YCbCr || jpeg.jpeg_color_space == JCS_RGB,
               "{}: wanted a greyscale, colour or CMYK JPEG, got one with {} components of an unknown kind",
               where, jpeg.num_components);
  check_sides(jpeg.image_width, jpeg.image_height, bytes.size(), where);
  // The coefficients of several scans are kept until the last one, in 16 bits.
  const auto kept = static_cast<unsigned>(jpeg_has_multiple_scans(&jpeg) ? 2 * jpeg.num_components : 0);
  const unsigned decoded = grey ? 1 : ink ? 4 : 3;
  const std::int64_t reduction = reduction_of(jpeg.image_width, jpeg.image_height, decoded, kept, limits);
  if (reduction == 1) check_memory(jpeg.image_width, jpeg.image_height, decoded + kept, where, limits.bytes);
  const bool inverted = jpeg.saw_Adobe_marker != 0;
  const int orientation = orientation_of(jpeg);

  jpeg.out_color_space = grey ? JCS_GRAYSCALE : ink ? JCS_CMYK : JCS_RGB;
  jpeg.dct_method = JDCT_ISLOW;
  jpeg.scale_denom = static_cast<unsigned>(reduction) * jpeg.scale_num;
  jpeg_calc_output_dimensions(&jpeg);
  const std::size_t width = jpeg.output_width, height = jpeg.output_height;
  Image image{static_cast<std::int64_t>(width), static_cast<std::int64_t>(height), grey ? 1 : 3, {}};
  const std::size_t stride = width * (grey ? 1 : ink ? 4 : 3);
  image.pixels.resize(stride * height);
  if (!read_pixels(decoder, image.pixels.data(), stride) || decoder.damaged) refuse();
  if (ink) {
    ink_to_rgb(image.pixels.data(), width * height, inverted, image.pixels.data());
    image.pixels.resize(3 * width * height);
  }
  return oriented(std::move(image), orientation);
}

}  // namespace diffit::io::detail
