// Small work on text: lists, counts, durations, the nearest known name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/layers.h"

namespace diffit::base {

/// The entry of `known` nearest to `word` by edit distance, or "" where none is near (more than a third
/// of the letters, and at least two, differ).
std::string nearest(std::string_view word, std::span<const std::string> known);

/// "; did you mean 'x'?" or "" where nothing is near: the tail of an error message about an unknown name.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

/// "561.3 M", "12.4 k", "7": a count with a decimal prefix.
std::string human_count(double count);
/// "1.2 GiB", "512 B".
std::string human_bytes(double bytes);
/// "2h 05m", "3m 20s", "4.1s".
std::string human_seconds(double seconds);

std::vector<std::string> split(std::string_view text, char separator);
/// Text without white space at both ends.
std::string_view trim(std::string_view text);

/// Strict numbers: the whole text must be one number in range; otherwise Error(invalid) that names `what`.
std::int64_t parse_int(std::string_view text, std::string_view what);
double parse_double(std::string_view text, std::string_view what);

}  // namespace diffit::base
