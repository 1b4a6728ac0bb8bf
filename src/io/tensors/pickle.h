// What torch.save pickles, as plain data. Nothing is called, imported or run: a name of Python's is a word
// here.
//
// Protocols 2 to 5 (Python's Lib/pickletools.py documents the opcodes). Understood: None, bool, int, float,
// str, bytes, tuple, list, dict, the memo, and these names where torch.save puts them:
//   collections.OrderedDict and defaultdict (what BUILD adds to one is dropped)
//   torch._utils._rebuild_tensor, _rebuild_tensor_v2, _rebuild_parameter, _rebuild_parameter_with_state and
//   torch._tensor._rebuild_from_type_v2 around them
//   torch.FloatStorage and the other element types, in persistent ids of storages
// Every other object (a trainer's callbacks, options, an optimiser, an array of NumPy) becomes an opaque
// value with the name of its class, the arguments of its constructor and the states of BUILD; items added to
// it are dropped. A name that no honest checkpoint contains (os.system, builtins.eval, ...) is rejected.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tensors/dtype.h"

namespace diffit::io {

/// A value lies in a list and is named by its place there, so that neither reading nor dropping one recurses,
/// however deep or circular the data claims to be.
class Pickle {
 public:
  using Index = std::uint32_t;

  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    large_integer,  // beyond 64 bits: its value is dropped
    real,
    text,
    bytes,
    tuple,
    list,
    dict,     // items: key, value, key, value, ...
    name,     // of Python's: text is "module.name"
    storage,  // text: its key; integer: how many elements; dtype
    tensor,   // items: storage, size, stride; integer: offset in elements
    object,  // of a class that is not understood; integer: the place of its name among the values; items: the
             // tuple of arguments of its constructor, then the states of BUILD
  };

  struct Value {
    Kind kind = Kind::none;
    Dtype dtype = Dtype::f32;
    std::int64_t integer = 0;  // 0 or 1 for a boolean
    double real = 0;
    std::string text = {};
    std::vector<Index> items = {};
  };

  /// Reads one pickle that takes all of `bytes`. Error(invalid) begins with `where`, for anything malformed,
  /// outside the subset, or larger than the limits (`most_bytes`, 1,000,000 values).
  Pickle(std::span<const std::byte> bytes, const std::string& where, std::size_t most_bytes = 16 << 20);

  const Value& root() const { return values_[root_]; }
  const Value& operator[](Index index) const { return values_[index]; }
  /// The value under that key of a dict; nullptr where there is none. The last, where there are several.
  const Value* find(const Value& dict, std::string_view key) const;
  /// "a dict", "an object of class argparse.Namespace": for messages, printable.
  std::string describe(const Value& value) const;

 private:
  class Reader;
  std::vector<Value> values_;
  Index root_ = 0;
};

/// "a dict", "a tuple": for messages.
std::string_view name_of(Pickle::Kind kind);

}  // namespace diffit::io
