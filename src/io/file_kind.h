// What a file is by its first bytes, for messages about a file that is not what was wanted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/file.h"

namespace diffit::io {

/// How many bytes of the start are worth giving to what_file_is_this().
inline constexpr std::size_t kBytesThatTell = 8192;

/// A phrase for the end of a message, with what to do where that is known: "a git-lfs pointer: the file
/// itself was not fetched; run git lfs pull", "a web page ('Sign in')", "an empty file". Text from the file
/// is made printable. "" where nothing is recognised. `start` holds the first bytes of a file of `size`
/// bytes.
std::string what_file_is_this(std::span<const std::byte> start, std::uint64_t size);

/// The same where the bytes are certainly not what anybody wanted under any name: a pointer to a file that
/// was not downloaded, a web page, a server's error response. "" for everything else.
std::string what_stands_in(std::span<const std::byte> start);

/// what_file_is_this() of a path: also "a folder", "a named pipe", "a device", "a socket". "" where it cannot
/// be read.
std::string what_file_is_this(const fs::path& path);

/// ", got X" where the file is recognised, else `otherwise`: the end of a message that begins with "wanted
/// ...".
std::string got_instead(const fs::path& path, const std::string& otherwise = {});

}  // namespace diffit::io
