#include "io/datasets/idx.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "io/archives/gzip_stream.h"
#include "io/file_kind.h"
#include "io/tensors/sizes.h"

namespace diffit::io {
namespace {

constexpr std::size_t kLargestRank = 8;

}  // namespace

IdxArray read_idx(const fs::path& path) {
  const MappedFile file(path);
  const std::string name = path.string();
  GzipStream stream(file);
  const auto read = [&](std::span<std::uint8_t> out) { return stream.read(std::as_writable_bytes(out)); };

  std::array<std::uint8_t, 4> word{};
  DIFFIT_CHECK(read(word) == 4 && word[0] == 0 && word[1] == 0,
               "{}: wanted an IDX file (first bytes 00 00){}", name,
               got_instead(path, ", got something else"));
  DIFFIT_CHECK(word[2] == 0x08, "{}: wanted IDX of unsigned bytes (type 0x08), got type {:#04x}", name,
               word[2]);
  const std::size_t rank = word[3];
  DIFFIT_CHECK(rank >= 1 && rank <= kLargestRank, "{}: wanted 1 to {} dimensions, got {}", name, kLargestRank,
               rank);
  IdxArray array;
  std::uint64_t total = 1;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    DIFFIT_CHECK(read(word) == 4, "{}: wanted an IDX header of {} bytes, got a truncated one", name,
                 4 + 4 * rank);
    const std::uint32_t size = static_cast<std::uint32_t>(word[0]) << 24 |
                               static_cast<std::uint32_t>(word[1]) << 16 |
                               static_cast<std::uint32_t>(word[2]) << 8 | word[3];
    DIFFIT_CHECK(!__builtin_mul_overflow(total, std::uint64_t{size}, &total),
                 "{}: the dimensions of the IDX header overflow", name);
    array.dims.push_back(size);
  }
  const std::uint64_t most = stream.gzip() ? largest_inflated(stream.left()) : stream.left();
  DIFFIT_CHECK(total <= most,
               "{}: the IDX header states {} bytes, but the file can contain at most {}; is it truncated?",
               name, total, most);
  array.data.resize(total);
  const std::size_t got = read(array.data);
  DIFFIT_CHECK(got == total, "{}: the IDX header states {} bytes, got {}; is the file truncated?", name,
               total, got);
  DIFFIT_CHECK(stream.at_end(), "{}: wanted the number of bytes that the IDX header states, got more", name);
  return array;
}

std::optional<fs::path> labels_beside(const fs::path& images) {
  std::string name = images.filename().string();
  for (const auto& [from, to] : {std::pair("images", "labels"), std::pair("idx3", "idx1")}) {
    const std::size_t at = name.rfind(from);
    if (at == std::string::npos) return std::nullopt;
    name.replace(at, std::strlen(from), to);
  }
  const bool packed = name.ends_with(".gz");
  const std::string other = packed ? name.substr(0, name.size() - 3) : name + ".gz";
  for (const std::string& candidate : {name, other}) {
    const fs::path labels = images.parent_path() / candidate;
    std::error_code ignored;
    if (fs::is_regular_file(labels, ignored)) return labels;
  }
  return std::nullopt;
}

}  // namespace diffit::io
