#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace diffit::base {

namespace {

struct Range {
  char32_t first, last;
};

bool lies_in(char32_t code, const Range* begin, const Range* end) {
  return std::any_of(begin, end, [&](Range r) { return code >= r.first && code <= r.last; });
}

constexpr Range kNoWidth[] = {{0x300, 0x36f},    {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},
                              {0x64b, 0x65f},    {0x6d6, 0x6dc},   {0x93a, 0x93c},   {0x941, 0x948},
                              {0xe31, 0xe31},    {0xe34, 0xe3a},   {0xe47, 0xe4e},   {0x1ab0, 0x1aff},
                              {0x1dc0, 0x1dff},  {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0x302a, 0x302d},
                              {0x3099, 0x309a},  {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff},
                              {0xe0100, 0xe01ef}};
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},
                           {0x25fd, 0x25fe},   {0x2614, 0x2615},   {0x2648, 0x2653},   {0x2705, 0x2705},
                           {0x2728, 0x2728},   {0x274c, 0x274c},   {0x2753, 0x2757},   {0x2795, 0x2797},
                           {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
                           {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                           {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
                           {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}};

std::size_t width_of(char32_t code) {
  if (lies_in(code, std::begin(kNoWidth), std::end(kNoWidth))) return 0;
  return lies_in(code, std::begin(kWide), std::end(kWide)) ? 2 : 1;
}

std::string escaped(std::string_view text, std::string_view kept) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = first_char(text);
    if (!c.valid) {
      for (const char byte : text.substr(0, c.length)) {
        out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(byte));
      }
    } else if (is_unsafe(c.code) && (c.length > 1 || kept.find(text[0]) == std::string_view::npos)) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c.code));
    } else {
      out += text.substr(0, c.length);
    }
    text.remove_prefix(c.length);
  }
  return out;
}

}  // namespace

Utf8Char first_char(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const std::size_t length = first >= 0xf0 && first <= 0xf4   ? 4
                             : first >= 0xe0 && first <= 0xef ? 3
                             : first >= 0xc2 && first <= 0xdf ? 2
                                                              : 0;
  if (length == 0) return {};
  char32_t code = first & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    // The second byte's range leaves out long forms, surrogates and what is beyond U+10FFFF.
    const std::uint8_t low = i > 1 ? 0x80 : first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const std::uint8_t high = i > 1 ? 0xbf : first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (i >= text.size() || byte(i) < low || byte(i) > high) return {0xfffd, i, false};
    code = code << 6 | (byte(i) & 0x3fu);
  }
  return {code, length, true};
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Utf8Char c = first_char(text);
    out += c.valid ? text.substr(0, c.length) : std::string_view("\xef\xbf\xbd");
    text.remove_prefix(c.length);
  }
  return out;
}

bool is_unsafe(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || code == 0x200e || code == 0x200f ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

std::string escaped(std::string_view text) {
  return escaped(text, "");
}

std::string escaped_lines(std::string_view text) {
  return escaped(text, "\n\t");
}

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Utf8Char c = first_char(text);
    columns += width_of(c.code);
    text.remove_prefix(c.length);
  }
  return columns;
}

std::string_view cut_to_width(std::string_view text, std::size_t columns) {
  std::size_t taken = 0;
  while (taken < text.size()) {
    const Utf8Char c = first_char(text.substr(taken));
    const std::size_t width = width_of(c.code);
    if (width > columns) break;
    columns -= width;
    taken += c.length;
  }
  return text.substr(0, taken);
}

}  // namespace diffit::base
