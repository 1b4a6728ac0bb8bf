#include "io/tensors/npz.h"

#include <algorithm>

#include "base/error.h"
#include "base/printable.h"

namespace diffit::io {

namespace {

constexpr std::string_view kSuffix = ".npy";
constexpr std::size_t kLargestHeader = (1 << 16) + 12;
constexpr std::uint64_t kPiece = 1 << 20;
constexpr std::uint64_t kLargestRow = 1 << 30;

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

NpzReader::NpzReader(const fs::path& path) : zip_(path) {
  for (const ZipReader::Entry& entry : zip_.entries()) {
    if (!entry.name.ends_with(kSuffix)) continue;
    names_.push_back(entry.name.substr(0, entry.name.size() - kSuffix.size()));
  }
  DIFFIT_CHECK(!names_.empty() || zip_.entries().empty(),
               "{}: wanted an .npz file, but none of its {} entries is an .npy array", path.string(),
               zip_.entries().size());
}

bool NpzReader::has(const std::string& name) const {
  return zip_.find(name + std::string(kSuffix)) >= 0;
}

std::size_t NpzReader::entry(const std::string& name) const {
  const std::int64_t found = zip_.find(name + std::string(kSuffix));
  if (found >= 0) return static_cast<std::size_t>(found);
  std::string known;
  for (std::size_t i = 0; i < std::min<std::size_t>(names_.size(), 12); ++i) {
    known += (known.empty() ? "" : ", ") + printable(names_[i]);
  }
  reject("{}: wanted an array '{}', found {}{}", zip_.path().string(), name, known.empty() ? "none" : known,
         names_.size() > 12 ? ", ..." : "");
}

std::string NpzReader::where(const std::string& name) const {
  return fmt::format("{}: array '{}'", path().string(), printable(name));
}

NpyHeader NpzReader::header(const std::string& name) const {
  const std::size_t index = entry(name);
  const NpyHeader header = parse_npy_header(zip_.read_start(index, kLargestHeader), where(name));
  const std::uint64_t size = zip_.entries()[index].size;
  DIFFIT_CHECK(size - header.data_offset == header.bytes(), "{}: shape ({}) needs {} bytes, got {}",
               where(name), fmt::join(header.shape, ", "), header.bytes(), size - header.data_offset);
  return header;
}

NpyArray NpzReader::read(const std::string& name, std::uint64_t limit) const {
  const NpyHeader head = header(name);
  DIFFIT_CHECK(head.bytes() <= limit, "{}: {} bytes, the limit is {}", where(name), head.bytes(), limit);
  NpyArray array{head.dtype, head.shape, zip_.read(entry(name), head.data_offset + head.bytes())};
  array.data.erase(array.data.begin(), array.data.begin() + static_cast<std::ptrdiff_t>(head.data_offset));
  return array;
}

void NpzReader::stream_rows(const std::string& name,
                            const std::function<void(std::int64_t, std::span<const std::byte>)>& sink) const {
  const NpyHeader head = header(name);
  if (head.bytes() == 0) return;
  const std::uint64_t row =
      head.shape.empty() ? head.bytes() : head.bytes() / static_cast<std::uint64_t>(head.shape[0]);
  DIFFIT_CHECK(row <= kLargestRow, "{}: rows have {} bytes, the limit is {}", where(name), row, kLargestRow);
  const std::uint64_t piece = std::max<std::uint64_t>(kPiece / row, 1) * row;
  std::vector<std::byte> rows;
  std::uint64_t skip = head.data_offset;
  std::int64_t first = 0;
  const auto send = [&] {
    sink(first, rows);
    first += static_cast<std::int64_t>(rows.size() / row);
    rows.clear();
  };
  zip_.stream(entry(name), [&](std::span<const std::byte> bytes) {
    const std::uint64_t skipped = std::min<std::uint64_t>(skip, bytes.size());
    skip -= skipped;
    bytes = bytes.subspan(skipped);
    while (!bytes.empty()) {
      const std::uint64_t taken = std::min<std::uint64_t>(piece - rows.size(), bytes.size());
      rows.insert(rows.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
      bytes = bytes.subspan(taken);
      if (rows.size() == piece) send();
    }
  });
  if (!rows.empty()) send();
}

void NpzWriter::add(const std::string& name, Dtype dtype, std::span<const std::int64_t> shape,
                    std::span<const std::byte> data) {
  begin(name, dtype, shape);
  write(data);
  end();
}

void NpzWriter::begin(const std::string& name, Dtype dtype, std::span<const std::int64_t> shape) {
  zip_.begin(name + std::string(kSuffix));
  zip_.write(as_bytes(format_npy_header(dtype, shape)));
  name_ = name;
  left_ = element_size(dtype);
  for (const std::int64_t side : shape) left_ *= static_cast<std::uint64_t>(side);
}

void NpzWriter::write(std::span<const std::byte> rows) {
  if (rows.size() > left_) fail("array '{}': {} bytes more than its shape needs", name_, rows.size() - left_);
  left_ -= rows.size();
  zip_.write(rows);
}

void NpzWriter::end() {
  if (left_ > 0) fail("array '{}': {} bytes fewer than its shape needs", name_, left_);
  zip_.end();
}

}  // namespace diffit::io
