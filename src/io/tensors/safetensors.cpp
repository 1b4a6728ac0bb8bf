#include "io/tensors/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "config/json_text.h"
#include "io/file_kind.h"

static_assert(std::endian::native == std::endian::little, "files are little-endian and mapped as they are");

namespace diffit::io {

namespace {

constexpr std::uint64_t kLargestHeader = 100'000'000;  // the format's own limit
constexpr std::size_t kLongestList = 64;

constexpr std::array kNames{
    std::pair{Dtype::f64, "F64"},     std::pair{Dtype::f32, "F32"}, std::pair{Dtype::f16, "F16"},
    std::pair{Dtype::bf16, "BF16"},   std::pair{Dtype::i64, "I64"}, std::pair{Dtype::i32, "I32"},
    std::pair{Dtype::i16, "I16"},     std::pair{Dtype::i8, "I8"},   std::pair{Dtype::u64, "U64"},
    std::pair{Dtype::u32, "U32"},     std::pair{Dtype::u16, "U16"}, std::pair{Dtype::u8, "U8"},
    std::pair{Dtype::boolean, "BOOL"}};

using Header = nlohmann::json;

/// The header, with duplicate keys, deep nesting and long lists refused as they are met: nlohmann alone keeps
/// the last of two names, and spends many bytes on each of the file's.
Header parse_header(std::string_view text, const std::string& where) {
  using Event = Header::parse_event_t;
  std::vector<std::set<std::string>> open_objects;
  std::size_t values = 0;  // since the last key: what a list holds
  const auto watch = [&](int depth, Event event, Header& value) {
    const int deepest = event == Event::object_start ? 1 : event == Event::array_start ? 2 : 3;
    DIFFIT_CHECK(depth <= deepest, "{}: header: nested too deeply", where);
    if (event == Event::object_start) open_objects.emplace_back();
    if (event == Event::object_end) open_objects.pop_back();
    if (event == Event::value) {
      DIFFIT_CHECK(++values <= kLongestList, "{}: header: a list of more than {} values", where,
                   kLongestList);
    }
    if (event == Event::key) {
      values = 0;
      const bool fresh = open_objects.back().insert(value.get<std::string>()).second;
      DIFFIT_CHECK(fresh, "{}: header: the name '{}' appears twice", where,
                   printable(value.get<std::string>()));
    }
    return true;
  };
  // The JSON library takes a NUL for the end, and would let pass whatever follows it.
  DIFFIT_CHECK(text.find('\0') == std::string_view::npos, "{}: header: not valid JSON, contains a NUL byte",
               where);
  try {
    Header header = Header::parse(text, watch);
    DIFFIT_CHECK(header.is_object(), "{}: header: wanted a JSON object, got {}", where, header.type_name());
    return header;
  } catch (const nlohmann::json::exception&) {
    reject("{}: header: not valid JSON; is this a safetensors file?", where);
  }
}

Metadata read_metadata(const Header& value, const std::string& where) {
  DIFFIT_CHECK(value.is_object(), "{}: __metadata__: wanted an object of strings, got {}", where,
               value.type_name());
  Metadata metadata;
  for (const auto& [key, text] : value.items()) {
    DIFFIT_CHECK(text.is_string(), "{}: __metadata__.{}: wanted a string, got {}", where, printable(key),
                 text.type_name());
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

std::uint64_t read_size(const Header& value, const std::string& what) {
  DIFFIT_CHECK(value.is_number_unsigned(), "{}: wanted a whole number of at least 0, got {}", what,
               printable(json_text(value)));
  return value.get<std::uint64_t>();
}

TensorView read_tensor(const std::string& name, const Header& value, std::span<const std::byte> data,
                       const std::string& where) {
  const std::string place = fmt::format("{}: tensor '{}'", where, printable(name));
  DIFFIT_CHECK(value.is_object() && value.size() == 3 && value.contains("dtype") && value.contains("shape") &&
                   value.contains("data_offsets"),
               "{}: wanted dtype, shape and data_offsets", place);
  const Header &dtype = value["dtype"], &shape = value["shape"], &offsets = value["data_offsets"];
  DIFFIT_CHECK(dtype.is_string() && shape.is_array() && offsets.is_array() && offsets.size() == 2,
               "{}: dtype, shape or data_offsets has the wrong type", place);

  TensorView view;
  view.name = name;
  const auto known =
      std::find_if(kNames.begin(), kNames.end(), [&](const auto& n) { return dtype == n.second; });
  DIFFIT_CHECK(known != kNames.end(), "{}: unknown dtype '{}'", place, printable(dtype.get<std::string>()));
  view.dtype = known->first;
  DIFFIT_CHECK(shape.size() <= 32, "{}: {} dimensions, the limit is 32", place, shape.size());
  std::uint64_t bytes = element_size(view.dtype);
  for (const Header& axis : shape) {
    const std::uint64_t side = read_size(axis, place + ": shape");
    DIFFIT_CHECK(side <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) &&
                     !__builtin_mul_overflow(bytes, side, &bytes),
                 "{}: shape {} overflows", place, printable(json_text(shape)));
    view.shape.push_back(static_cast<std::int64_t>(side));
  }
  const std::uint64_t begin = read_size(offsets[0], place + ": data_offsets");
  const std::uint64_t end = read_size(offsets[1], place + ": data_offsets");
  DIFFIT_CHECK(begin <= end && end <= data.size(),
               "{}: data_offsets [{}, {}] are outside the {} bytes of data{}", place, begin, end, data.size(),
               begin <= end ? ": the file is truncated; download or copy it again" : "");
  DIFFIT_CHECK(end - begin == bytes, "{}: shape {} of {} needs {} bytes, but data_offsets span {}", place,
               printable(json_text(shape)), known->second, bytes, end - begin);
  view.bytes = data.subspan(begin, bytes);
  return view;
}

/// Every byte belongs to exactly one tensor.
void check_tiling(const std::vector<TensorView>& tensors, std::span<const std::byte> data,
                  const std::string& where) {
  const std::byte* next = data.data();
  for (const TensorView& view : tensors) {
    DIFFIT_CHECK(view.bytes.data() >= next, "{}: tensor '{}' overlaps the one before it", where,
                 printable(view.name));
    DIFFIT_CHECK(view.bytes.data() == next, "{}: {} bytes before tensor '{}' belong to no tensor", where,
                 view.bytes.data() - next, printable(view.name));
    next += view.bytes.size();
  }
  DIFFIT_CHECK(next == data.data() + data.size(), "{}: the last {} bytes belong to no tensor", where,
               data.data() + data.size() - next);
}

/// Names the cause where the bytes are those of another kind of file.
void refuse_other_kinds(std::span<const std::byte> all, const std::string& where) {
  std::uint64_t length = 0;
  if (all.size() >= 8) std::memcpy(&length, all.data(), 8);
  const bool plausible = all.size() > 8 && length <= kLargestHeader && all[8] == std::byte{'{'};
  if (plausible) return;
  const std::string what = what_file_is_this(all.first(std::min(all.size(), kBytesThatTell)), all.size());
  DIFFIT_CHECK(all.size() >= 8, "{}: wanted a safetensors file, got {} bytes{}", where, all.size(),
               what.empty() ? "" : ": " + what);
  DIFFIT_CHECK(what.empty(), "{}: wanted a safetensors file, got {}", where, what);
}

}  // namespace

std::string_view safetensors_name(Dtype dtype) {
  const auto found =
      std::find_if(kNames.begin(), kNames.end(), [&](const auto& n) { return n.first == dtype; });
  return found == kNames.end() ? std::string_view() : found->second;
}

SafetensorsFile::SafetensorsFile(const fs::path& path) : file_(path) {
  const std::string where = path.string();
  const std::span<const std::byte> all = file_.bytes();
  refuse_other_kinds(all, where);
  std::uint64_t length = 0;
  std::memcpy(&length, all.data(), 8);
  DIFFIT_CHECK(length <= kLargestHeader && length <= all.size() - 8,
               "{}: wanted a safetensors file, but the header states {} bytes and the file has {}{}", where,
               length, all.size(),
               length <= kLargestHeader ? ": it is truncated; download or copy it again" : "");
  const std::string_view text(reinterpret_cast<const char*>(all.data()) + 8, length);
  DIFFIT_CHECK(text.starts_with('{'),
               "{}: wanted a safetensors file, but the header does not begin with '{{'", where);
  const Header header = parse_header(text, where);
  const std::span<const std::byte> data = all.subspan(8 + length);
  std::vector<TensorView> tensors;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      metadata_ = read_metadata(value, where);
    } else {
      tensors.push_back(read_tensor(name, value, data, where));
    }
  }
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  check_tiling(tensors, data, where);
  table_ = TensorTable(std::move(tensors), where);
}

SafetensorsWriter::SafetensorsWriter(const fs::path& path, std::span<const TensorView> tensors,
                                     const Metadata& metadata)
    : file_(path), where_(path.string()), order_(tensors.size()) {
  std::iota(order_.begin(), order_.end(), std::size_t{0});
  std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
    return element_size(tensors[a].dtype) > element_size(tensors[b].dtype);
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::set<std::string_view> names;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const std::size_t i : order_) {
    const TensorView& view = tensors[i];
    if (!names.insert(view.name).second) fail("{}: two tensors are named '{}'", where_, view.name);
    std::uint64_t bytes = element_size(view.dtype);
    for (const std::int64_t side : view.shape) bytes *= static_cast<std::uint64_t>(side);
    header[view.name] = {{"dtype", safetensors_name(view.dtype)},
                         {"shape", view.shape},
                         {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = json_text(header);
  text.resize((text.size() + 8 + 63) / 64 * 64 - 8, ' ');
  const std::uint64_t length = text.size();
  file_.write(std::as_bytes(std::span(&length, 1)));
  file_.write(text);
  end_ = file_.size() + offset;
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  file_.write(bytes);
}

void SafetensorsWriter::finish() {
  if (file_.size() != end_)
    fail("{}: not written: got {} bytes of data, wanted {}", where_, file_.size(), end_);
  file_.commit();
}

void write_safetensors(const fs::path& path, std::span<const TensorView> tensors, const Metadata& metadata) {
  SafetensorsWriter writer(path, tensors, metadata);
  for (const std::size_t i : writer.order()) writer.write(tensors[i].bytes);
  writer.finish();
}

}  // namespace diffit::io
