#include "io/tensors/torch_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/error.h"
#include "base/printable.h"
#include "io/archives/zip_places.h"
#include "io/file_kind.h"
#include "io/tensors/pickle.h"

namespace diffit::io {

namespace {

using Value = Pickle::Value;
using Kind = Pickle::Kind;

constexpr std::uint64_t kLargestPickle = 16 << 20;
constexpr std::uint64_t kLargestNote = 4096;  // version, byteorder
constexpr std::size_t kMostAxes = 32;

constexpr std::array<std::string_view, 5> kAverages{"ema", "model_ema", "ema_model", "state_dict_ema",
                                                    "ema_state_dict"};
constexpr std::array<std::string_view, 6> kTrained{"model", "state_dict", "model_state_dict",
                                                   "net",   "weights",    "module"};

// Protocol 2, and the long integer 0x1950a86a20f9469cfc6c, by which torch told its files before 1.6.
constexpr std::string_view kOldMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14);

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// The keys of a dict, for a person.
std::string keys_of(const Pickle& pickle, const Value& dict) {
  constexpr std::size_t kShown = 12;
  std::string text;
  for (std::size_t i = 0; i + 1 < dict.items.size() && i < 2 * kShown; i += 2) {
    const Value& key = pickle[dict.items[i]];
    text += (i == 0 ? "" : ", ") +
            (key.kind == Kind::text ? printable(key.text) : std::string(name_of(key.kind)));
  }
  return dict.items.empty() ? "none" : text + (dict.items.size() > 2 * kShown ? ", ..." : "");
}

bool holds_tensors(const Pickle& pickle, const Value* value) {
  if (value == nullptr || value->kind != Kind::dict || value->items.empty()) return false;
  for (std::size_t i = 1; i < value->items.size(); i += 2) {
    if (pickle[value->items[i]].kind == Kind::tensor) return true;
  }
  return false;
}

bool holds_only_tensors(const Pickle& pickle, const Value& dict) {
  for (std::size_t i = 1; i < dict.items.size(); i += 2) {
    if (pickle[dict.items[i]].kind != Kind::tensor) return false;
  }
  return !dict.items.empty();
}

/// The dict of tensors under one of these keys, or within what is there: {"ema": {"module": {...}}}.
const Value* first_of(const Pickle& pickle, const Value& root, std::span<const std::string_view> keys,
                      int depth = 0) {
  constexpr int kDeepest = 3;
  for (const std::string_view key : keys) {
    const Value* found = pickle.find(root, key);
    if (found == nullptr || found->kind != Kind::dict) continue;
    if (holds_tensors(pickle, found)) return found;
    if (depth == kDeepest) continue;
    if (const Value* inner = first_of(pickle, *found, kTrained, depth + 1)) return inner;
  }
  return nullptr;
}

/// The one dict of tensors among the values; nullptr where there are none or several.
const Value* only_dict_of_tensors(const Pickle& pickle, const Value& root) {
  const Value* only = nullptr;
  for (std::size_t i = 1; i < root.items.size(); i += 2) {
    const Value& value = pickle[root.items[i]];
    if (!holds_tensors(pickle, &value)) continue;
    if (only != nullptr && only != &value) return nullptr;
    only = &value;
  }
  return only;
}

/// "; 'model' is an object of CLASS": what a model saved whole leaves under a key that was looked for.
std::string objects_of(const Pickle& pickle, const Value& root) {
  for (const auto& keys :
       {std::span<const std::string_view>(kTrained), std::span<const std::string_view>(kAverages)}) {
    for (const std::string_view key : keys) {
      const Value* found = pickle.find(root, key);
      if (found == nullptr || found->kind != Kind::object) continue;
      return fmt::format("; '{}' is {} saved as an object: save its state_dict()", key,
                         pickle.describe(*found));
    }
  }
  return "";
}

const Value& choose_state_dict(const Pickle& pickle, Average average, const std::string& where) {
  const Value& root = pickle.root();
  if (root.kind == Kind::tensor) reject("{}: wanted a state dict, got a single tensor", where);
  DIFFIT_CHECK(root.kind != Kind::object,
               "{}: wanted a dict of tensors, got {}, and Python classes are not imported or executed; save "
               "only the state dict: torch.save(model.state_dict(), PATH)",
               where, pickle.describe(root));
  DIFFIT_CHECK(root.kind == Kind::dict, "{}: wanted a dict of tensors, got {}", where, pickle.describe(root));
  const Value* ema = first_of(pickle, root, kAverages);
  const Value* trained = holds_only_tensors(pickle, root) ? &root : first_of(pickle, root, kTrained);
  if (ema == nullptr && trained == nullptr) {
    trained = holds_tensors(pickle, &root) ? &root : only_dict_of_tensors(pickle, root);
  }
  DIFFIT_CHECK(ema != nullptr || trained != nullptr,
               "{}: wanted a dict of tensors, or one under a key such as {} or, for EMA weights, {}; its "
               "keys are {}{}",
               where, fmt::join(kTrained, ", "), fmt::join(kAverages, ", "), keys_of(pickle, root),
               objects_of(pickle, root));
  DIFFIT_CHECK(average != Average::wanted || ema != nullptr,
               "{}: wanted EMA weights (one of the keys {}), its keys are {}; try without `ema`", where,
               fmt::join(kAverages, ", "), keys_of(pickle, root));
  DIFFIT_CHECK(average != Average::refused || trained != nullptr,
               "{}: wanted the trained weights (one of the keys {}), its keys are {}; try without `no_ema`",
               where, fmt::join(kTrained, ", "), keys_of(pickle, root));
  if (average == Average::refused) return *trained;
  return ema != nullptr ? *ema : *trained;
}

/// The contents of the archive's storages.
class Storages {
 public:
  Storages(const ZipReader& zip, std::span<const std::byte> file, std::string folder)
      : zip_(zip), contents_(stored_contents(zip, file)), folder_(std::move(folder)) {}

  std::span<const std::byte> at(const Value& storage, const std::string& place) const {
    const std::int64_t index = zip_.find(folder_ + "data/" + storage.text);
    DIFFIT_CHECK(index >= 0, "{}: its storage data/{} is not in the archive", place, printable(storage.text));
    const auto i = static_cast<std::size_t>(index);
    std::uint64_t bytes = 0;
    DIFFIT_CHECK(storage.integer >= 0 &&
                     !__builtin_mul_overflow(static_cast<std::uint64_t>(storage.integer),
                                             element_size(storage.dtype), &bytes) &&
                     bytes == zip_.entries()[i].size,
                 "{}: its storage data/{} states {} elements of {} bytes, but has {} bytes", place,
                 printable(storage.text), storage.integer, element_size(storage.dtype),
                 zip_.entries()[i].size);
    DIFFIT_CHECK(
        bytes == 0 || !contents_[i].empty(),
        "{}: its storage data/{} is compressed; save the file again with torch.save, which does not compress",
        place, printable(storage.text));
    return contents_[i];
  }

 private:
  const ZipReader& zip_;
  std::vector<std::span<const std::byte>> contents_;
  std::string folder_;
};

/// Sizes or strides: numbers of at least 0.
std::vector<std::int64_t> read_sides(const Pickle& pickle, const Value& tuple, const std::string& place,
                                     std::string_view what) {
  DIFFIT_CHECK(tuple.items.size() <= kMostAxes, "{}: {} dimensions, the limit is {}", place,
               tuple.items.size(), kMostAxes);
  std::vector<std::int64_t> sides;
  for (const Pickle::Index item : tuple.items) {
    const Value& side = pickle[item];
    DIFFIT_CHECK(side.kind == Kind::integer && side.integer >= 0,
                 "{}: {}: wanted whole numbers of at least 0, got {}", place, what,
                 side.kind == Kind::integer ? std::to_string(side.integer) : std::string(name_of(side.kind)));
    sides.push_back(side.integer);
  }
  return sides;
}

/// Where a tensor lies in its storage, in elements; all of it proven to lie inside.
struct Layout {
  std::vector<std::int64_t> size, stride;
  std::int64_t offset = 0, count = 1;
  bool row_major = true;
};

Layout read_layout(const Pickle& pickle, const Value& tensor, std::int64_t held, const std::string& place) {
  Layout layout{.size = read_sides(pickle, pickle[tensor.items[1]], place, "size"),
                .stride = read_sides(pickle, pickle[tensor.items[2]], place, "stride"),
                .offset = tensor.integer};
  DIFFIT_CHECK(layout.size.size() == layout.stride.size(), "{}: {} sizes and {} strides", place,
               layout.size.size(), layout.stride.size());
  DIFFIT_CHECK(layout.offset >= 0, "{}: begins at element {} of its storage", place, layout.offset);
  bool overflows = false;
  std::int64_t last = layout.offset;  // the element furthest from the storage's start
  for (std::size_t axis = layout.size.size(); axis-- > 0;) {
    const std::int64_t size = layout.size[axis], stride = layout.stride[axis];
    if (size > 1 && stride != layout.count) layout.row_major = false;
    std::int64_t reach = 0;
    overflows |= __builtin_mul_overflow(std::max<std::int64_t>(size - 1, 0), stride, &reach) ||
                 __builtin_add_overflow(last, reach, &last) ||
                 __builtin_mul_overflow(layout.count, size, &layout.count);
  }
  DIFFIT_CHECK(!overflows, "{}: size [{}] and stride [{}] overflow", place, fmt::join(layout.size, ", "),
               fmt::join(layout.stride, ", "));
  if (layout.count == 0) {
    DIFFIT_CHECK(layout.offset <= held, "{}: begins at element {} of {}", place, layout.offset, held);
    layout.row_major = true;
  } else {
    DIFFIT_CHECK(last < held, "{}: reaches element {} of a storage of {}", place, last, held);
  }
  return layout;
}

/// The elements in row-major order.
std::vector<std::byte> gather(const Layout& layout, std::span<const std::byte> storage, std::size_t width) {
  std::vector<std::byte> out(static_cast<std::size_t>(layout.count) * width);
  std::vector<std::int64_t> at(layout.size.size(), 0);
  std::int64_t element = layout.offset;
  for (std::byte* to = out.data(); to != out.data() + out.size(); to += width) {
    std::memcpy(to, storage.data() + static_cast<std::size_t>(element) * width, width);
    for (std::size_t axis = at.size(); axis-- > 0;) {
      element += layout.stride[axis];
      if (++at[axis] < layout.size[axis]) break;
      element -= layout.size[axis] * layout.stride[axis];
      at[axis] = 0;
    }
  }
  return out;
}

/// The folder that torch puts everything in: what stands before data.pkl. ".../" or "".
std::pair<std::size_t, std::string> find_pickle(const ZipReader& zip) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < zip.entries().size(); ++i) {
    const std::string& name = zip.entries()[i].name;
    if (name != "data.pkl" && !name.ends_with("/data.pkl")) continue;
    DIFFIT_CHECK(!found, "{}: two entries are named data.pkl", zip.path().string());
    found = i;
  }
  DIFFIT_CHECK(found, "{}: wanted a torch.save file, got {} (it has no data.pkl)", zip.path().string(),
               what_file_is_this(zip.path()));
  const std::string& name = zip.entries()[*found].name;
  DIFFIT_CHECK(zip.find(name.substr(0, name.size() - 8) + "constants.pkl") < 0,
               "{}: a TorchScript archive, which contains code; save the state dict instead: "
               "torch.save(model.state_dict(), PATH)",
               zip.path().string());
  return {*found, name.substr(0, name.size() - 8)};
}

void check_byte_order(const ZipReader& zip, const std::string& folder) {
  const std::int64_t index = zip.find(folder + "byteorder");
  if (index < 0) return;  // before torch 2.1: written on the machines of its time, little-endian
  const std::vector<std::byte> order = zip.read(static_cast<std::size_t>(index), kLargestNote);
  DIFFIT_CHECK(as_text(order) == "little", "{}: wanted little-endian byte order, got '{}'",
               zip.path().string(), printable(as_text(order)));
}

/// Whether an object was made by a function of torch's that makes tensors.
bool rebuilds_tensor(const Pickle& pickle, const Value& value) {
  return value.kind == Kind::object && pickle.describe(value).find("._rebuild_") != std::string::npos;
}

}  // namespace

bool begins_as_torch_file(std::span<const std::byte> start) {
  const std::string_view text = as_text(start);
  // A safetensors file whose header has 67,324,752 bytes begins so too, and goes on with four zeros and '{'.
  const bool safetensors = text.size() > 8 && text[8] == '{';
  return (text.starts_with("PK\3\4") && !safetensors) ||
         (text.size() > 2 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5);
}

TorchFile::TorchFile(const fs::path& path, Average average) : file_(path) {
  const std::string where = path.string();
  DIFFIT_CHECK(!as_text(file_.bytes()).starts_with(kOldMagic),
               "{}: the format of PyTorch before 1.6; save it again with a newer PyTorch: "
               "torch.save(torch.load(OLD), NEW)",
               where);
  DIFFIT_CHECK(!as_text(file_.bytes()).starts_with("\x80"),
               "{}: a plain pickle; save it with torch.save(state_dict, PATH)", where);
  const ZipReader zip(path);
  const auto [index, folder] = find_pickle(zip);
  check_byte_order(zip, folder);
  const Pickle pickle(zip.read(index, kLargestPickle), where + ": data.pkl");
  const Value& state_dict = choose_state_dict(pickle, average, where);
  const Storages storages(zip, file_.bytes(), folder);
  std::uint64_t may_copy = file_.bytes().size();
  for (std::size_t i = 0; i + 1 < state_dict.items.size(); i += 2) {
    const Value &key = pickle[state_dict.items[i]], &tensor = pickle[state_dict.items[i + 1]];
    const bool understood = tensor.kind == Kind::tensor, rebuilt = rebuilds_tensor(pickle, tensor);
    if (!understood && !rebuilt) continue;  // a counter, say, or extra state of a module
    DIFFIT_CHECK(key.kind == Kind::text, "{}: a key of the state dict is {}, wanted a str", where,
                 name_of(key.kind));
    const std::string place = fmt::format("{}: '{}'", where, printable(key.text));
    DIFFIT_CHECK(understood,
                 "{}: {}, a kind of tensor (quantized, sparse or of a rare type) that is not supported",
                 place, pickle.describe(tensor));
    const Value& storage = pickle[tensor.items[0]];
    const std::span<const std::byte> held = storages.at(storage, place);
    const std::size_t width = element_size(storage.dtype);
    const Layout layout = read_layout(pickle, tensor, storage.integer, place);
    const std::uint64_t bytes = static_cast<std::uint64_t>(layout.count) * width;
    TensorView view{key.text, storage.dtype, layout.size, {}};
    if (layout.row_major) {
      view.bytes = held.subspan(static_cast<std::size_t>(layout.offset) * width, bytes);
    } else {
      DIFFIT_CHECK(layout.count <= storage.integer && bytes <= may_copy,
                   "{}: size [{}] with stride [{}] repeats elements; save the result of .contiguous()", place,
                   fmt::join(layout.size, ", "), fmt::join(layout.stride, ", "));
      may_copy -= bytes;
      view.bytes = copies_.emplace_back(gather(layout, held, width));
    }
    tensors_.push_back(std::move(view));
  }
}

}  // namespace diffit::io
