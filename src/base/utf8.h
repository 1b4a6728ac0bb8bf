// Text from outside (file names, tensor names, TOML), made fit for JSON, for a terminal and for a page.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/layers.h"

namespace diffit::base {

struct Utf8Char {
  char32_t code = 0xfffd;  // U+FFFD where the bytes are not UTF-8
  std::size_t length = 1;  // bytes taken
  bool valid = false;
};

/// The character at the start of `text`, which is not empty. Bytes that are not UTF-8 are taken in maximal
/// subparts, as the Unicode standard recommends.
Utf8Char first_char(std::string_view text);

/// `text` with U+FFFD for what is not UTF-8.
std::string valid_utf8(std::string_view text);

/// Whether a terminal or a page must not get this character as it is: controls (C0, DEL, C1), marks of
/// direction, separators of lines and paragraphs.
bool is_unsafe(char32_t code);

/// `text` on one line of a terminal: unsafe characters as \u202e, bytes that are not UTF-8 as \xff.
std::string escaped(std::string_view text);
/// The same for a text of several lines: line breaks and tabs stay.
std::string escaped_lines(std::string_view text);

/// Columns that `text` takes on a terminal.
std::size_t display_width(std::string_view text);
/// The longest beginning of `text` that takes at most `columns`.
std::string_view cut_to_width(std::string_view text, std::size_t columns);

}  // namespace diffit::base
