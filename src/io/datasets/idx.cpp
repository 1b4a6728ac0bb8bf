#include "io/datasets/idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/error.h"
#include "io/tensors/sizes.h"

namespace diffit::io {
namespace {

constexpr std::size_t kLargestRank = 8;

/// The plain bytes of the file in order, whether they lie packed or not.
class IdxStream {
 public:
  explicit IdxStream(const MappedFile& file) : path_(file.path().string()), rest_(file.bytes()) {
    gzip_ = rest_.size() >= 2 && rest_[0] == std::byte{0x1f} && rest_[1] == std::byte{0x8b};
    if (gzip_ && inflateInit2(&inflate_, 15 + 16) != Z_OK) {
      fail("{}: zlib could not start; is memory short?", path_);
    }
  }
  ~IdxStream() {
    if (gzip_) inflateEnd(&inflate_);
  }
  IdxStream(const IdxStream&) = delete;
  IdxStream& operator=(const IdxStream&) = delete;

  /// The most that may still come.
  std::uint64_t at_most() const { return gzip_ ? largest_inflated(rest_.size()) : rest_.size(); }

  /// Copies up to out.size() bytes and returns how many there were.
  std::size_t read(std::span<std::uint8_t> out) {
    if (gzip_) return inflate_into(out);
    const std::size_t count = std::min(out.size(), rest_.size());
    if (count > 0) std::memcpy(out.data(), rest_.data(), count);
    rest_ = rest_.subspan(count);
    return count;
  }

  /// Nothing but the checksum may be left.
  void expect_end() {
    std::array<std::uint8_t, 1> extra{};
    DIFFIT_CHECK(read(extra) == 0 && rest_.empty(),
                 "{}: wanted the file to end after the bytes that its IDX header announces, got more", path_);
    DIFFIT_CHECK(!gzip_ || ended_, "{}: wanted a whole gzip stream, got a truncated one", path_);
  }

 private:
  std::size_t inflate_into(std::span<std::uint8_t> out) {
    constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts in 32 bits
    std::size_t done = 0;
    while (done < out.size() && !ended_) {
      const std::size_t in = std::min(rest_.size(), kPiece), room = std::min(out.size() - done, kPiece);
      inflate_.next_in = reinterpret_cast<z_const Bytef*>(const_cast<std::byte*>(rest_.data()));
      inflate_.avail_in = static_cast<uInt>(in);
      inflate_.next_out = out.data() + done;
      inflate_.avail_out = static_cast<uInt>(room);
      const int code = inflate(&inflate_, Z_NO_FLUSH);
      rest_ = rest_.subspan(in - inflate_.avail_in);
      done += room - inflate_.avail_out;
      ended_ = code == Z_STREAM_END;
      if (code == Z_BUF_ERROR) break;  // nothing left to read
      DIFFIT_CHECK(code == Z_OK || ended_, "{}: wanted gzip data, got damaged data ({})", path_,
                   inflate_.msg ? inflate_.msg : zError(code));
    }
    return done;
  }

  std::string path_;
  std::span<const std::byte> rest_;
  bool gzip_ = false, ended_ = false;
  z_stream inflate_{};
};

}  // namespace

IdxArray read_idx(const fs::path& path) {
  const MappedFile file(path);
  const std::string name = path.string();
  IdxStream stream(file);

  std::array<std::uint8_t, 4> word{};
  DIFFIT_CHECK(stream.read(word) == 4 && word[0] == 0 && word[1] == 0,
               "{}: wanted an IDX file (first bytes 00 00), got something else", name);
  DIFFIT_CHECK(word[2] == 0x08, "{}: wanted IDX of unsigned bytes (type 0x08), got type {:#04x}", name,
               word[2]);
  const std::size_t rank = word[3];
  DIFFIT_CHECK(rank >= 1 && rank <= kLargestRank, "{}: wanted 1 to {} dimensions, got {}", name, kLargestRank,
               rank);
  IdxArray array;
  std::uint64_t total = 1;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    DIFFIT_CHECK(stream.read(word) == 4, "{}: wanted an IDX header of {} bytes, got a truncated one", name,
                 4 + 4 * rank);
    const std::uint32_t size = static_cast<std::uint32_t>(word[0]) << 24 |
                               static_cast<std::uint32_t>(word[1]) << 16 |
                               static_cast<std::uint32_t>(word[2]) << 8 | word[3];
    DIFFIT_CHECK(!__builtin_mul_overflow(total, std::uint64_t{size}, &total),
                 "{}: the dimensions of the IDX header overflow", name);
    array.dims.push_back(size);
  }
  DIFFIT_CHECK(total <= stream.at_most(),
               "{}: the IDX header announces {} bytes, the file can hold at most {}; is it truncated?", name,
               total, stream.at_most());
  array.data.resize(total);
  const std::size_t got = stream.read(array.data);
  DIFFIT_CHECK(got == total, "{}: the IDX header announces {} bytes, got {}; is the file truncated?", name,
               total, got);
  stream.expect_end();
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
