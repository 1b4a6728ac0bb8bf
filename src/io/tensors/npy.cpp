// The header of an .npy: a Python dictionary of three entries, read by a parser for just that.
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/printable.h"
#include "io/tensors/npz.h"

namespace diffit::io {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kLargestText = 1 << 16;
constexpr std::size_t kMostAxes = 64;  // NumPy's own limit

constexpr std::array kNames{
    std::pair{Dtype::f64, "<f8"}, std::pair{Dtype::f32, "<f4"}, std::pair{Dtype::f16, "<f2"},
    std::pair{Dtype::i64, "<i8"}, std::pair{Dtype::i32, "<i4"}, std::pair{Dtype::i16, "<i2"},
    std::pair{Dtype::i8, "|i1"},  std::pair{Dtype::u64, "<u8"}, std::pair{Dtype::u32, "<u4"},
    std::pair{Dtype::u16, "<u2"}, std::pair{Dtype::u8, "|u1"},  std::pair{Dtype::boolean, "|b1"}};

class Parser {
 public:
  Parser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  NpyHeader parse() {
    std::optional<Dtype> dtype;
    std::optional<bool> fortran;
    std::optional<std::vector<std::int64_t>> shape;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      const bool fresh = key == "descr"           ? set(dtype, [&] { return descr(); })
                         : key == "fortran_order" ? set(fortran, [&] { return truth(); })
                         : key == "shape"         ? set(shape, [&] { return tuple(); })
                                                  : wrong("an unknown entry '" + printable(key) + "'");
      if (!fresh) wrong("'" + key + "' twice");
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip();
    if (!text_.empty()) wrong("text after the dictionary");
    if (!dtype || !fortran || !shape) wrong("descr, fortran_order or shape is missing");
    DIFFIT_CHECK(
        !*fortran || shape->size() < 2,
        "{}: wanted an array in C order, got Fortran order; save it again with numpy.ascontiguousarray",
        where_);
    NpyHeader header;
    header.dtype = *dtype;
    header.shape = *shape;
    std::uint64_t bytes = element_size(header.dtype);
    for (const std::int64_t side : header.shape) {
      DIFFIT_CHECK(!__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(side), &bytes) &&
                       bytes <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()),
                   "{}: shape ({}) overflows", where_, fmt::join(header.shape, ", "));
    }
    return header;
  }

 private:
  [[noreturn]] bool wrong(const std::string& got) const {
    reject("{}: damaged .npy header: {}", where_, got);
  }
  template <class T, class Read>
  bool set(std::optional<T>& out, Read&& read) {
    const bool fresh = !out;
    out = read();
    return fresh;
  }
  void skip() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t'))
      text_.remove_prefix(1);
  }
  bool accept(char c) {
    skip();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (accept(c)) return;
    wrong(fmt::format("wanted '{}' before \"{}\"", c, printable(text_.substr(0, 8))));
  }
  std::string quoted() {
    skip();
    const char quote = !text_.empty() && text_[0] == '"' ? '"' : '\'';
    expect(quote);
    const std::size_t end = text_.find(quote);
    if (end == std::string_view::npos) wrong("an unterminated string");
    const std::string content(text_.substr(0, end));
    text_.remove_prefix(end + 1);
    return content;
  }
  bool truth() {
    skip();
    for (const bool value : {true, false}) {
      const std::string_view name = value ? "True" : "False";
      if (!text_.starts_with(name)) continue;
      text_.remove_prefix(name.size());
      return value;
    }
    wrong("fortran_order is neither True nor False");
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> shape;
    expect('(');
    while (!accept(')')) {
      skip();
      std::int64_t side = 0;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), side);
      if (error != std::errc() || side < 0)
        wrong("shape contains something other than whole numbers of at least 0");
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      if (text_.starts_with('L')) text_.remove_prefix(1);  // written by Python 2
      shape.push_back(side);
      if (shape.size() > kMostAxes) wrong("too many dimensions");
      if (accept(',')) continue;
      if (shape.size() == 1) wrong("shape is a number, wanted a tuple");
      expect(')');
      break;
    }
    return shape;
  }
  Dtype descr() {
    skip();
    DIFFIT_CHECK(!text_.starts_with('['), "{}: wanted an array of numbers, got a structured array", where_);
    const std::string name = quoted();
    DIFFIT_CHECK(name != "|O", "{}: wanted an array of numbers, got Python objects", where_);
    DIFFIT_CHECK(!name.starts_with('>'), "{}: wanted little-endian elements, got big-endian ('{}')", where_,
                 printable(name));
    for (const auto& [dtype, known] : kNames) {
      const bool same = name == known || (element_size(dtype) == 1 && name == fmt::format("<{}", known + 1));
      if (same) return dtype;
    }
    reject("{}: wanted numbers of 1 to 8 bytes, got elements of type '{}'", where_, printable(name));
  }

  std::string_view text_;
  const std::string& where_;
};

}  // namespace

std::uint64_t NpyHeader::bytes() const {
  std::uint64_t bytes = element_size(dtype);
  for (const std::int64_t side : shape) bytes *= static_cast<std::uint64_t>(side);
  return bytes;
}

NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& where) {
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  DIFFIT_CHECK(all.size() >= 10 && all.starts_with(kMagic),
               "{}: wanted an .npy file, but its first bytes are different", where);
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(std::to_integer<unsigned>(bytes[i]));
  };
  const std::size_t version = byte(6), start = version == 1 ? 10 : 12;
  DIFFIT_CHECK(version >= 1 && version <= 3, "{}: wanted version 1 to 3 of the .npy format, got {}", where,
               version);
  std::size_t length = byte(8) | byte(9) << 8;
  if (version > 1) {
    DIFFIT_CHECK(all.size() >= start, "{}: damaged .npy header: truncated", where);
    length |= byte(10) << 16 | byte(11) << 24;
  }
  DIFFIT_CHECK(length <= kLargestText && length <= all.size() - start,
               "{}: damaged .npy header: it states a length of {} bytes", where, length);
  NpyHeader header = Parser(all.substr(start, length), where).parse();
  header.data_offset = start + length;
  return header;
}

std::string format_npy_header(Dtype dtype, std::span<const std::int64_t> shape) {
  const char* descr = nullptr;
  for (const auto& [known, name] : kNames) {
    if (known == dtype) descr = name;
  }
  if (descr == nullptr) fail("NumPy does not have this element type; convert to float32 first");
  const std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", descr,
                                       fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  std::string header(kMagic);
  header += {'\1', '\0', '\0', '\0'};
  header += text;
  header.resize((header.size() + 1 + 63) / 64 * 64 - 1, ' ');
  header += '\n';
  const std::size_t length = header.size() - 10;
  if (length > 0xffff) fail("an array with {} dimensions cannot be written as .npy", shape.size());
  header[8] = static_cast<char>(length & 0xff);
  header[9] = static_cast<char>(length >> 8);
  return header;
}

}  // namespace diffit::io
