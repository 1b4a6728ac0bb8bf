// PNG through libspng.
#include <spng.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "io/codecs.h"
#include "io/sizes.h"

namespace diffit {
namespace {

constexpr std::size_t kLargestChunk = std::size_t{64} << 20;
constexpr std::uint64_t kLargestFile = 1ull << 30;

struct FreeContext {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};
using Context = std::unique_ptr<spng_ctx, FreeContext>;

void check(int code, const std::string& where) {
  if (code == SPNG_EMEM) fail("{}: not enough memory for the PNG", where);
  DIFFIT_CHECK(code == 0, "{}: wanted a well-formed PNG, got a bad one: {}", where, spng_strerror(code));
}

Context open(std::span<const std::byte> bytes, const std::string& where) {
  Context context(spng_ctx_new(0));
  if (!context) fail("{}: libspng could not start; is memory short?", where);
  check(spng_set_image_limits(context.get(), kLargestSide, kLargestSide), where);
  check(spng_set_chunk_limits(context.get(), kLargestChunk, kLargestChunk), where);
  check(spng_set_crc_action(context.get(), SPNG_CRC_ERROR, SPNG_CRC_ERROR), where);
  check(spng_set_png_buffer(context.get(), bytes.data(), bytes.size()), where);
  return context;
}

/// Chunks must follow one another up to a whole IEND; an APNG announces itself by one of them.
void check_chunks(std::span<const std::byte> bytes, const std::string& where) {
  std::size_t at = 8;
  while (bytes.size() - at >= 12) {
    std::uint32_t length = 0;
    for (std::size_t i = 0; i < 4; ++i) length = length << 8 | std::to_integer<std::uint32_t>(bytes[at + i]);
    const std::string_view type(reinterpret_cast<const char*>(&bytes[at + 4]), 4);
    DIFFIT_CHECK(type != "acTL", "{}: wanted one picture, got an animated PNG", where);
    if (type == "IEND" && length == 0) return;
    if (bytes.size() - at - 12 < length) break;
    at += 12 + length;
  }
  reject("{}: wanted a PNG that ends with an IEND chunk, got a truncated one", where);
}

/// `full` is the value of full coverage and of white; rounds to nearest.
std::uint8_t over_white(std::uint64_t value, std::uint64_t alpha, std::uint64_t full) {
  // value and white mixed, in units of full^2, brought to 255.
  const std::uint64_t mixed = value * alpha + full * (full - alpha);
  return static_cast<std::uint8_t>((mixed * 255 * 2 + full * full) / (2 * full * full));
}

template <class Sample>
Picture flattened(const std::vector<std::uint8_t>& rgba, const spng_ihdr& header, bool grey) {
  constexpr std::uint64_t kFull = static_cast<Sample>(~Sample{0});
  Picture picture{header.width, header.height, grey ? 1 : 3, {}};
  picture.pixels.resize(std::size_t{header.width} * header.height * (grey ? 1 : 3));
  std::uint8_t* to = picture.pixels.data();
  for (std::size_t at = 0; at < rgba.size(); at += 4 * sizeof(Sample)) {
    Sample pixel[4];
    std::memcpy(pixel, rgba.data() + at, sizeof(pixel));
    for (int c = 0; c < (grey ? 1 : 3); ++c) *to++ = over_white(pixel[c], pixel[3], kFull);
  }
  return picture;
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

/// Text as libspng wants it, which keeps pointers into it until the picture is encoded.
class TextChunks {
 public:
  TextChunks(const PngText& text, const std::string& where) {
    values_.reserve(text.size());
    for (const auto& [key, value] : text) {
      DIFFIT_CHECK(!key.empty() && key.size() < sizeof(spng_text::keyword),
                   "{}: a PNG keyword has 1 to 79 letters, got {}", where, key.size());
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

Picture detail::decode_png(std::span<const std::byte> bytes, const std::string& where) {
  const Context context = open(bytes, where);
  spng_ihdr header{};
  check(spng_get_ihdr(context.get(), &header), where);
  check_sides(header.width, header.height, bytes.size(), where);
  check_chunks(bytes, where);

  constexpr int kSamples[] = {1, 0, 3, 1, 2, 0, 4};  // a pixel, by colour type
  const std::uint64_t bits =
      std::uint64_t{header.bit_depth} * static_cast<std::uint64_t>(kSamples[header.color_type]);
  const std::uint64_t packed_rows = header.height * (1 + (header.width * bits + 7) / 8);
  DIFFIT_CHECK(packed_rows <= largest_inflated(bytes.size()),
               "{}: claims {}x{} pixels in a file of {} bytes; is it truncated?", where, header.width,
               header.height, bytes.size());

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
  const bool wide = header.bit_depth == 16;

  Picture picture{header.width, header.height, grey ? 1 : 3, {}};
  if (opaque && !wide) {
    picture.pixels.resize(std::size_t{header.width} * header.height * (grey ? 1 : 3));
    check(spng_decode_image(context.get(), picture.pixels.data(), picture.pixels.size(),
                            grey ? SPNG_FMT_G8 : SPNG_FMT_RGB8, 0),
          where);
  } else {
    std::vector<std::uint8_t> rgba(std::size_t{header.width} * header.height * (wide ? 8 : 4));
    check(spng_decode_image(context.get(), rgba.data(), rgba.size(), wide ? SPNG_FMT_RGBA16 : SPNG_FMT_RGBA8,
                            SPNG_DECODE_TRNS),
          where);
    picture =
        wide ? flattened<std::uint16_t>(rgba, header, grey) : flattened<std::uint8_t>(rgba, header, grey);
  }
  check(spng_decode_chunks(context.get()), where);
  return picture;
}

std::vector<std::byte> encode_png(const Picture& picture, int level, const PngText& text) {
  const std::string where = "PNG";
  DIFFIT_CHECK(picture.width >= 1 && picture.height >= 1 && picture.width <= kLargestSide &&
                   picture.height <= kLargestSide && (picture.channels == 1 || picture.channels == 3) &&
                   static_cast<std::int64_t>(picture.pixels.size()) ==
                       picture.width * picture.height * picture.channels,
               "PNG: wanted a grey or RGB picture with sides of 1 to {}, got {}x{}x{} in {} bytes",
               kLargestSide, picture.height, picture.width, picture.channels, picture.pixels.size());
  const Context context(spng_ctx_new(SPNG_CTX_ENCODER));
  if (!context) fail("libspng could not start; is memory short?");
  spng_ihdr header{};
  header.width = static_cast<std::uint32_t>(picture.width);
  header.height = static_cast<std::uint32_t>(picture.height);
  header.bit_depth = 8;
  header.color_type = picture.channels == 1 ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR;
  check(spng_set_option(context.get(), SPNG_ENCODE_TO_BUFFER, 1), where);
  check(spng_set_option(context.get(), SPNG_IMG_COMPRESSION_LEVEL, level), where);
  if (level == 0) check(spng_set_option(context.get(), SPNG_FILTER_CHOICE, SPNG_DISABLE_FILTERING), where);
  check(spng_set_ihdr(context.get(), &header), where);
  TextChunks chunks(text, where);
  chunks.add_to(context.get(), where);
  check(spng_encode_image(context.get(), picture.pixels.data(), picture.pixels.size(), SPNG_FMT_PNG,
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

}  // namespace diffit
