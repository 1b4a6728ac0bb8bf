#include "io/datasets/cifar_python.h"

#include "base/error.h"
#include "io/tensors/pickle.h"

namespace diffit::io::detail {
namespace {

using Value = Pickle::Value;
using Kind = Pickle::Kind;

constexpr std::int64_t kPlanes = 3 * 32 * 32;
constexpr std::size_t kLargestBatch = std::size_t{512} << 20;  // CIFAR-100's training batch has 148 MiB

/// Python 2 wrote str as bytes; Python 3 may have written either.
bool is_text(const Value& value) {
  return value.kind == Kind::text || value.kind == Kind::bytes;
}

/// The value under a key that is text or bytes; nullptr if there is none.
const Value* find(const Pickle& pickle, std::string_view key) {
  const Value& dict = pickle.root();
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const Value& name = pickle[dict.items[i]];
    if (is_text(name) && name.text == key) return &pickle[dict.items[i + 1]];
  }
  return nullptr;
}

/// An item of a tuple, or nullptr.
const Value* item(const Pickle& pickle, const Value* tuple, std::size_t i, Kind kind) {
  if (tuple == nullptr || tuple->kind != Kind::tuple || i >= tuple->items.size()) return nullptr;
  const Value& value = pickle[tuple->items[i]];
  return value.kind == kind ? &value : nullptr;
}

/// The bytes of an array of uint8 [N, 3072] in C order; N is set.
const std::string& bytes_of(const Pickle& pickle, const Value* array, const std::string& where,
                            std::int64_t& count) {
  const auto refuse = [&](const std::string& got) {
    reject("{}: wanted 'data' as an array of uint8 [N, {}], got {}", where, kPlanes, got);
  };
  if (array == nullptr) refuse("none");
  if (array->kind != Kind::object || array->items.size() != 2 ||
      pickle.describe(*array).find("multiarray._reconstruct") == std::string::npos)
    refuse(pickle.describe(*array));
  // numpy.ndarray.__setstate__: version, shape, dtype, Fortran order, bytes
  const Value* state = &pickle[array->items[1]];
  const Value* shape = item(pickle, state, 1, Kind::tuple);
  const Value* dtype = item(pickle, state, 2, Kind::object);
  const Value* fortran = item(pickle, state, 3, Kind::boolean);
  if (state->items.size() != 5 || shape == nullptr || shape->items.size() != 2 || dtype == nullptr ||
      dtype->items.empty() || fortran == nullptr || fortran->integer != 0 ||
      !is_text(pickle[state->items[4]]))
    refuse("another array");
  const Value& arguments = pickle[dtype->items[0]];  // numpy.dtype('u1', False, True)
  if (arguments.kind != Kind::tuple || arguments.items.empty() || !is_text(pickle[arguments.items[0]]) ||
      pickle[arguments.items[0]].text != "u1")
    refuse("elements of another type");
  const Value *rows = item(pickle, shape, 0, Kind::integer), *columns = item(pickle, shape, 1, Kind::integer);
  const std::string& content = pickle[state->items[4]].text;
  if (rows == nullptr || columns == nullptr || rows->integer < 1 || columns->integer != kPlanes ||
      static_cast<std::int64_t>(content.size() / kPlanes) != rows->integer || content.size() % kPlanes != 0)
    refuse("another shape, or fewer bytes than it needs");
  count = rows->integer;
  return content;
}

}  // namespace

bool is_pickle(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x80} && bytes[1] >= std::byte{2} &&
         bytes[1] <= std::byte{5};
}

CifarBatch read_cifar_pickle(std::span<const std::byte> bytes, const std::string& where) {
  const Pickle pickle(bytes, where, kLargestBatch);
  DIFFIT_CHECK(pickle.root().kind == Kind::dict, "{}: wanted a dict with the batch of CIFAR, got {}", where,
               pickle.describe(pickle.root()));
  CifarBatch batch;
  const Value* labels = find(pickle, "labels");
  batch.classes = labels != nullptr ? 10 : 100;
  if (labels == nullptr) labels = find(pickle, "fine_labels");
  std::int64_t count = 0;
  const std::string& content = bytes_of(pickle, find(pickle, "data"), where, count);
  DIFFIT_CHECK(
      labels != nullptr && labels->kind == Kind::list &&
          static_cast<std::int64_t>(labels->items.size()) == count,
      "{}: wanted 'labels' or 'fine_labels' as a list of {}, got {}", where, count,
      labels == nullptr ? "none" : fmt::format("{} of {}", pickle.describe(*labels), labels->items.size()));
  for (const Pickle::Index at : labels->items) {
    const Value& label = pickle[at];
    DIFFIT_CHECK(label.kind == Kind::integer && label.integer >= 0 && label.integer < batch.classes,
                 "{}: wanted labels of 0 to {}, got {}", where, batch.classes - 1,
                 label.kind == Kind::integer ? std::to_string(label.integer) : pickle.describe(label));
    batch.labels.push_back(static_cast<std::uint8_t>(label.integer));
  }
  batch.planes.assign(content.begin(), content.end());
  return batch;
}

std::vector<std::string> read_cifar_meta(std::span<const std::byte> bytes, const std::string& where) {
  const Pickle pickle(bytes, where);
  std::vector<std::string> names;
  if (pickle.root().kind != Kind::dict) return names;
  const Value* list = find(pickle, "label_names");
  if (list == nullptr) list = find(pickle, "fine_label_names");
  if (list == nullptr || list->kind != Kind::list) return names;
  for (const Pickle::Index at : list->items) {
    if (!is_text(pickle[at])) return {};
    names.push_back(pickle[at].text);
  }
  return names;
}

}  // namespace diffit::io::detail
