#include "io/archives/gzip_stream.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"

namespace diffit::io {

namespace {

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
}

}  // namespace

struct GzipStream::Inflate {
  explicit Inflate(const std::string& path) {
    if (inflateInit2(&state, 15 + 16) != Z_OK)
      fail("{}: cannot initialize zlib; possibly out of memory", path);
  }
  ~Inflate() { inflateEnd(&state); }
  Inflate(const Inflate&) = delete;
  Inflate& operator=(const Inflate&) = delete;

  z_stream state{};
};

GzipStream::GzipStream(const MappedFile& file) : path_(file.path().string()), rest_(file.bytes()) {
  if (is_gzip(rest_)) inflate_ = std::make_unique<Inflate>(path_);
}

GzipStream::~GzipStream() = default;

/// Continues after the end of a member.
bool GzipStream::next_member() {
  if (!is_gzip(rest_)) return false;
  inflateReset(&inflate_->state);
  ended_ = false;
  return true;
}

std::size_t GzipStream::read(std::span<std::byte> out) {
  std::size_t done = 0;
  if (!gzip()) {
    done = std::min(out.size(), rest_.size());
    if (done > 0) std::memcpy(out.data(), rest_.data(), done);
    rest_ = rest_.subspan(done);
    return done;
  }
  constexpr std::size_t kPiece = std::size_t{1} << 30;  // zlib counts in 32 bits
  z_stream& state = inflate_->state;
  while (done < out.size() && (!ended_ || next_member())) {
    const std::size_t in = std::min(rest_.size(), kPiece), room = std::min(out.size() - done, kPiece);
    state.next_in = reinterpret_cast<z_const Bytef*>(const_cast<std::byte*>(rest_.data()));
    state.avail_in = static_cast<uInt>(in);
    state.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    state.avail_out = static_cast<uInt>(room);
    const int code = inflate(&state, Z_NO_FLUSH);
    rest_ = rest_.subspan(in - state.avail_in);
    done += room - state.avail_out;
    ended_ = code == Z_STREAM_END;
    if (code == Z_BUF_ERROR) break;  // nothing left to read
    DIFFIT_CHECK(code == Z_OK || ended_, "{}: wanted gzip data, got damaged data ({})", path_,
                 state.msg ? state.msg : zError(code));
  }
  return done;
}

bool GzipStream::at_end() {
  std::array<std::byte, 1> extra{};
  if (read(extra) != 0) return false;
  if (!gzip()) return true;
  DIFFIT_CHECK(ended_, "{}: wanted a complete gzip stream, got a truncated one", path_);
  return rest_.empty();
}

}  // namespace diffit::io
