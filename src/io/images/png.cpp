// PNG through libspng.
#include <spng.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "io/images/codecs.h"
#include "io/images/exif.h"
#include "io/tensors/sizes.h"

namespace diffit::io {
namespace {

using detail::exif_orientation;
using detail::oriented;

constexpr std::size_t kLargestChunk = std::size_t{64} << 20;
constexpr std::uint64_t kLargestFile = 1ull << 30;

struct FreeContext {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, FreeContext>;

void check(int code, const std::string& where) {
  if (code == SPNG_EMEM) fail("{}: not enough memory to process the PNG", where);
  DIFFIT_CHECK(code == 0, "{}: wanted a well-formed PNG, got a bad one: {}", where, spng_strerror(code));
}

Context open(std::span<const std::byte> bytes, const std::string& where) {
  Context context(spng_ctx_new(0));
  if (!context) fail("{}: cannot initialize libspng; possibly out of memory", where);
  check(spng_set_image_limits(context.get(), kLargestSide, kLargestSide), where);
  check(spng_set_chunk_limits(context.get(), kLargestChunk, kLargestChunk), where);
  check(spng_set_crc_action(context.get(), SPNG_CRC_ERROR, SPNG_CRC_ERROR), where);
  check(spng_set_png_buffer(context.get(), bytes.data(), bytes.size()), where);
  return context;
}

/// A PNG cut down to what its pixels depend on, and what the other chunks say.
struct Essentials {
  std::span<const std::byte> bytes;  // of the file, or of `copy`
  std::vector<std::byte> copy;
  int orientation = 1;
};

std::uint32_t big_endian(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
  return value;
}

/// Whether the chunk at `at` has the checksum that it says.
bool is_whole(std::span<const std::byte> bytes, std::size_t at, std::uint32_t length) {
  const auto crc = crc32(0, reinterpret_cast<const Bytef*>(&bytes[at + 4]), static_cast<uInt>(length + 4));
  return static_cast<std::uint32_t>(crc) == big_endian(bytes, at + 8 + length);
}

/// A tRNS chunk that does not fit the kind of PNG is ignored, as libpng does.
bool fits(std::uint32_t trns_length, const spng_ihdr& header, std::uint32_t palette_entries) {
  switch (header.color_type) {
    case SPNG_COLOR_TYPE_GRAYSCALE:
      return trns_length == 2;
    case SPNG_COLOR_TYPE_TRUECOLOR:
      return trns_length == 6;
    case SPNG_COLOR_TYPE_INDEXED:
      return trns_length >= 1 && trns_length <= palette_entries;
    default:
      return false;
  }
}

/// Chunks must follow one another up to a whole IEND; an APNG announces itself by one of them. Ancillary
/// chunks do not touch the pixels here, so those that are damaged cannot harm; bytes after IEND are ignored.
Essentials essentials_of(std::span<const std::byte> bytes, const spng_ihdr& header,
                         const std::string& where) {
  Essentials out;
  std::vector<std::pair<std::size_t, std::size_t>> kept;  // parts of the file
  std::uint32_t palette_entries = 0;
  bool transparency = false, data = false;
  std::size_t at = 8, end = 0;
  while (end == 0 && bytes.size() - at >= 12) {
    const std::uint32_t length = big_endian(bytes, at);
    const std::string_view type(reinterpret_cast<const char*>(&bytes[at + 4]), 4);
    DIFFIT_CHECK(type != "acTL", "{}: wanted one image, got an animated PNG", where);
    if (bytes.size() - at - 12 < length) break;
    const std::size_t size = 12 + std::size_t{length};
    bool keep = (std::to_integer<int>(bytes[at + 4]) & 0x20) == 0;  // critical
    // A palette of a true-colour PNG is a hint for displays of few colours.
    if (type == "PLTE") {
      palette_entries = length / 3;
      keep = header.color_type == SPNG_COLOR_TYPE_INDEXED;
    }
    if (type == "tRNS" && !transparency && !data) {
      keep = transparency = fits(length, header, palette_entries) && is_whole(bytes, at, length);
    }
    if (type == "eXIf" && is_whole(bytes, at, length)) {
      out.orientation = exif_orientation(bytes.subspan(at + 8, length));
    }
    data |= type == "IDAT";
    if (type == "IEND" && length == 0) end = at + size;
    if (keep) {
      if (!kept.empty() && kept.back().second == at) {
        kept.back().second = at + size;
      } else {
        kept.emplace_back(at, at + size);
      }
    }
    at += size;
  }
  DIFFIT_CHECK(end != 0, "{}: wanted a PNG that ends with an IEND chunk, got a truncated one", where);
  if (kept.size() == 1 && kept[0].first == 8) {
    out.bytes = bytes.first(end);
    return out;
  }
  out.copy.assign(bytes.begin(), bytes.begin() + 8);
  for (const auto& [first, last] : kept) {
    out.copy.insert(out.copy.end(), bytes.begin() + static_cast<std::ptrdiff_t>(first),
                    bytes.begin() + static_cast<std::ptrdiff_t>(last));
  }
  out.bytes = out.copy;
  return out;
}

/// `full` is the value of full coverage and of white; rounds to nearest.
std::uint8_t over_white(std::uint64_t value, std::uint64_t alpha, std::uint64_t full) {
  // value and white mixed, in units of full^2, brought to 255.
  const std::uint64_t mixed = value * alpha + full * (full - alpha);
  return static_cast<std::uint8_t>((mixed * 255 * 2 + full * full) / (2 * full * full));
}

template <class Sample>
void flatten(const std::uint8_t* rgba, std::uint8_t* to, std::int64_t channels) {
  constexpr std::uint64_t kFull = static_cast<Sample>(~Sample{0});
  Sample pixel[4];
  std::memcpy(pixel, rgba, sizeof(pixel));
  for (std::int64_t c = 0; c < channels; ++c) to[c] = over_white(pixel[c], pixel[3], kFull);
}

/// Decodes row by row, so that nothing beside the image and one row of RGBA takes memory. A row of an
/// interlaced PNG holds the pixels of one pass only.
void decode_flattened(spng_ctx* context, const spng_ihdr& header, Image& image, const std::string& where) {
  constexpr std::int64_t kFirst[] = {0, 4, 0, 2, 0, 1, 0},
                         kStep[] = {8, 8, 4, 4, 2, 2, 1};  // columns, by pass
  const bool wide = header.bit_depth == 16;
  const std::int64_t bytes = wide ? 8 : 4;
  check(spng_decode_image(context, nullptr, 0, wide ? SPNG_FMT_RGBA16 : SPNG_FMT_RGBA8,
                          SPNG_DECODE_TRNS | SPNG_DECODE_PROGRESSIVE),
        where);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(image.width * bytes));
  int code = 0;
  while (code == 0) {
    spng_row_info at{};
    code = spng_get_row_info(context, &at);
    if (code == SPNG_EOI) break;
    check(code, where);
    code = spng_decode_row(context, row.data(), row.size());
    if (code != SPNG_EOI) check(code, where);
    std::uint8_t* to = image.row(at.row_num);
    const std::int64_t first = header.interlace_method == 0 ? 0 : kFirst[at.pass],
                       step = header.interlace_method == 0 ? 1 : kStep[at.pass];
    for (std::int64_t x = first; x < image.width; x += step) {
      std::uint8_t* pixel = to + x * image.channels;
      wide ? flatten<std::uint16_t>(&row[static_cast<std::size_t>(x * bytes)], pixel, image.channels)
           : flatten<std::uint8_t>(&row[static_cast<std::size_t>(x * bytes)], pixel, image.channels);
    }
  }
}

/// Decodes row by row, with sides divided by `factor`.
Image decode_reduced_rows(spng_ctx* context, const spng_ihdr& header, bool opaque, std::int64_t channels,
                          std::int64_t factor, const std::string& where) {
  const bool wide = header.bit_depth == 16, plain = opaque && !wide;
  const std::int64_t bytes = plain ? channels : wide ? 8 : 4, width = header.width;
  const int format = plain  ? (channels == 1 ? SPNG_FMT_G8 : SPNG_FMT_RGB8)
                     : wide ? SPNG_FMT_RGBA16
                            : SPNG_FMT_RGBA8;
  check(spng_decode_image(context, nullptr, 0, format,
                          (plain ? 0 : SPNG_DECODE_TRNS) | SPNG_DECODE_PROGRESSIVE),
        where);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(width * bytes)),
      flat(static_cast<std::size_t>(width * channels));
  detail::RowReducer reducer(width, header.height, channels, factor);
  for (std::uint32_t y = 0; y < header.height; ++y) {
    const int code = spng_decode_row(context, row.data(), row.size());
    if (code != SPNG_EOI) check(code, where);
    for (std::int64_t x = 0; x < width && !plain; ++x) {
      wide ? flatten<std::uint16_t>(&row[static_cast<std::size_t>(x * bytes)],
                                    &flat[static_cast<std::size_t>(x * channels)], channels)
           : flatten<std::uint8_t>(&row[static_cast<std::size_t>(x * bytes)],
                                   &flat[static_cast<std::size_t>(x * channels)], channels);
    }
    reducer.add(plain ? row.data() : flat.data());
  }
  return reducer.take();
}

bool is_grey(const spng_plte& palette) {
  return std::all_of(palette.entries, palette.entries + palette.n_entries,
                     [](const spng_plte_entry& e) { return e.red == e.green && e.green == e.blue; });
}

std::string to_utf8(std::string_view latin1) {
  std::string out;
  for (const char c : latin1) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | byte >> 6);
      out += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return out;
}

/// False where a character lies beyond Latin-1 (or is not UTF-8).
bool to_latin1(std::string_view utf8, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    if (byte < 0x80) {
      out += utf8[i];
    } else if ((byte == 0xc2 || byte == 0xc3) && i + 1 < utf8.size()) {
      const auto next = static_cast<unsigned char>(utf8[++i]);
      if ((next & 0xc0) != 0x80) return false;
      out += static_cast<char>((byte & 0x03) << 6 | (next & 0x3f));
    } else {
      return false;
    }
  }
  return true;
}

/// Text as libspng wants it, which keeps pointers into it until the image is encoded.
class TextChunks {
 public:
  TextChunks(const PngText& text, const std::string& where) {
    values_.reserve(text.size());
    for (const auto& [key, value] : text) {
      DIFFIT_CHECK(!key.empty() && key.size() < sizeof(spng_text::keyword),
                   "{}: a PNG keyword has 1 to 79 characters, got {}", where, key.size());
      spng_text& chunk = chunks_.emplace_back();
      std::memcpy(chunk.keyword, key.data(), key.size());
      chunk.type = SPNG_TEXT;
      std::string& stored = values_.emplace_back();
      if (!to_latin1(value, stored)) {
        chunk.type = SPNG_ITXT;
        stored = value;
      }
      chunk.text = stored.data();
      chunk.length = stored.size();
      chunk.language_tag = chunk.translated_keyword = empty_.data();
    }
  }
  TextChunks(const TextChunks&) = delete;
  TextChunks& operator=(const TextChunks&) = delete;

  void add_to(spng_ctx* context, const std::string& where) {
    if (chunks_.empty()) return;
    check(spng_set_text(context, chunks_.data(), static_cast<std::uint32_t>(chunks_.size())), where);
  }

 private:
  std::vector<spng_text> chunks_;
  std::vector<std::string> values_;
  std::string empty_;
};

}  // namespace

Image detail::decode_png(std::span<const std::byte> bytes, const std::string& where,
                         const DecodeLimits& limits) {
  spng_ihdr header{};
  {
    const Context context = open(bytes, where);
    check(spng_get_ihdr(context.get(), &header), where);
  }
  check_sides(header.width, header.height, bytes.size(), where);
  const Essentials essentials = essentials_of(bytes, header, where);

  constexpr int kSamples[] = {1, 0, 3, 1, 2, 0, 4};  // a pixel, by colour type
  const std::uint64_t bits =
      std::uint64_t{header.bit_depth} * static_cast<std::uint64_t>(kSamples[header.color_type]);
  const std::uint64_t packed_rows = header.height * (1 + (header.width * bits + 7) / 8);
  DIFFIT_CHECK(packed_rows <= largest_inflated(bytes.size()),
               "{}: the header states {}x{} pixels, but the file has only {} bytes; is it truncated?", where,
               header.width, header.height, bytes.size());

  const Context context = open(essentials.bytes, where);
  bool grey = (header.color_type & 2) == 0;
  spng_plte palette{};
  if (header.color_type == SPNG_COLOR_TYPE_INDEXED) {
    check(spng_get_plte(context.get(), &palette), where);
    grey = is_grey(palette);
  }
  spng_trns transparent{};
  const int trns = spng_get_trns(context.get(), &transparent);
  if (trns != SPNG_ECHUNKAVAIL) check(trns, where);
  const bool opaque = header.color_type <= SPNG_COLOR_TYPE_TRUECOLOR && trns != 0;
  const std::int64_t reduction =
      header.interlace_method == 0 ? reduction_of(header.width, header.height, grey ? 1 : 3, 0, limits) : 1;
  if (reduction > 1) {
    Image smaller = decode_reduced_rows(context.get(), header, opaque, grey ? 1 : 3, reduction, where);
    check(spng_decode_chunks(context.get()), where);
    return oriented(std::move(smaller), essentials.orientation);
  }
  check_memory(header.width, header.height, grey ? 1 : 3, where, limits.bytes);

  Image image{header.width, header.height, grey ? 1 : 3, {}};
  image.pixels.resize(std::size_t{header.width} * header.height * (grey ? 1 : 3));
  if (opaque && header.bit_depth != 16) {
    check(spng_decode_image(context.get(), image.pixels.data(), image.pixels.size(),
                            grey ? SPNG_FMT_G8 : SPNG_FMT_RGB8, 0),
          where);
  } else {
    decode_flattened(context.get(), header, image, where);
  }
  check(spng_decode_chunks(context.get()), where);
  return oriented(std::move(image), essentials.orientation);
}

std::vector<std::byte> encode_png(const Image& image, int level, const PngText& text) {
  const std::string where = "PNG";
  DIFFIT_CHECK(
      image.width >= 1 && image.height >= 1 && image.width <= kLargestSide && image.height <= kLargestSide &&
          (image.channels == 1 || image.channels == 3) &&
          static_cast<std::int64_t>(image.pixels.size()) == image.width * image.height * image.channels,
      "PNG: wanted a greyscale or RGB image with sides of 1 to {}, got {}x{}x{} in {} bytes", kLargestSide,
      image.height, image.width, image.channels, image.pixels.size());
  const Context context(spng_ctx_new(SPNG_CTX_ENCODER));
  if (!context) fail("cannot initialize libspng; possibly out of memory");
  spng_ihdr header{};
  header.width = static_cast<std::uint32_t>(image.width);
  header.height = static_cast<std::uint32_t>(image.height);
  header.bit_depth = 8;
  header.color_type = image.channels == 1 ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR;
  check(spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1), where);
  check(spng_set_option(context.get(), SPNG_IMG_COMPRESSION_LEVEL, level), where);
  if (level == 0) check(spng_set_option(context.get(), SPNG_FILTER_CHOICE, SPNG_DISABLE_FILTERING), where);
  check(spng_set_ihdr(context.get(), &header), where);
  TextChunks chunks(text, where);
  chunks.add_to(context.get(), where);
  check(spng_encode_image(context.get(), image.pixels.data(), image.pixels.size(), SPNG_FMT_PNG,
                          SPNG_ENCODE_FINALIZE),
        where);
  std::size_t size = 0;
  int code = 0;
  const std::unique_ptr<void, decltype(&free)> buffer(spng_get_png_buffer(context.get(), &size, &code),
                                                      &free);
  check(code, where);
  const auto* data = static_cast<const std::byte*>(buffer.get());
  return {data, data + size};
}

PngText read_png_text(const fs::path& path) {
  const std::vector<std::byte> bytes = read_file(path, kLargestFile);
  const std::string where = path.string();
  const Context context = open(bytes, where);
  check(spng_decode_chunks(context.get()), where);
  std::uint32_t count = 0;
  const int code = spng_get_text(context.get(), nullptr, &count);
  if (code == SPNG_ECHUNKAVAIL) return {};
  check(code, where);
  std::vector<spng_text> chunks(count);
  check(spng_get_text(context.get(), chunks.data(), &count), where);
  PngText text;
  for (const spng_text& chunk : chunks) {
    const std::string_view value(chunk.text, chunk.length);
    text[chunk.keyword] = chunk.type == SPNG_ITXT ? std::string(value) : to_utf8(value);
  }
  return text;
}

}  // namespace diffit::io
