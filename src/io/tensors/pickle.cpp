#include "io/tensors/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>

#include "base/error.h"
#include "base/printable.h"
#include "io/tensors/pickle_names.h"

namespace diffit::io {

namespace {

using Index = Pickle::Index;
using Kind = Pickle::Kind;
using Value = Pickle::Value;

constexpr std::size_t kMostValues = 1'000'000;
constexpr Index kMark = ~Index{0};

constexpr std::size_t kLongestName = 500;  // module and name, each

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr std::string_view kDefaultDict = "collections.defaultdict";
constexpr std::string_view kRebuildTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildOldTensor = "torch._utils._rebuild_tensor";
constexpr std::string_view kRebuildParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kRebuildParameterWithState = "torch._utils._rebuild_parameter_with_state";
constexpr std::string_view kRebuildFromType = "torch._tensor._rebuild_from_type_v2";

enum Opcode : std::uint8_t {
  kMarkOp = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersid = 'Q',
  kReduce = 'R',
  kBinUnicode = 'X',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinString = 'T',
  kShortBinString = 'U',
  kProto = 0x80,
  kNewObject = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjectEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

}  // namespace

std::string_view name_of(Kind kind) {
  constexpr std::array<std::string_view, 14> kNames{
      "None",    "a bool", "an int", "an int", "a float",        "a str",    "bytes",
      "a tuple", "a list", "a dict", "a name", "a bare storage", "a tensor", "an object"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// The stack machine. Every operation takes time and memory in proportion to the bytes that ask for it and
/// to what it takes off the stack, so the limit on bytes bounds both.
class Pickle::Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& where, std::vector<Value>& values,
         std::size_t most_bytes)
      : bytes_(bytes), where_(where), values_(values), most_bytes_(most_bytes) {}

  Index read() {
    check(bytes_.size() <= most_bytes_, "{} bytes, the limit is {}", bytes_.size(), most_bytes_);
    check(number(1) == kProto, "wanted pickle protocol 2 to 5; save it again with torch.save");
    const std::uint64_t protocol = number(1);
    check(protocol >= 2 && protocol <= 5, "wanted pickle protocol 2 to 5, got {}", protocol);
    while (true) {
      start_ = at_;
      const auto opcode = static_cast<std::uint8_t>(number(1));
      if (opcode == kStop) break;
      step(opcode);
    }
    check(stack_.size() == 1 && stack_[0] != kMark, "wanted one value at the end, got {}", stack_.size());
    check(at_ == bytes_.size(), "{} bytes after its end", bytes_.size() - at_);
    return stack_[0];
  }

 private:
  template <class... A>
  [[noreturn]] void refuse(fmt::format_string<A...> format, A&&... args) const {
    reject("{}: byte {}: {}", where_, start_, fmt::format(format, std::forward<A>(args)...));
  }
  template <class... A>
  void check(bool holds, fmt::format_string<A...> format, A&&... args) const {
    if (!holds) [[unlikely]]
      refuse(format, std::forward<A>(args)...);
  }

  std::span<const std::byte> take(std::uint64_t count) {
    check(count <= bytes_.size() - at_, "truncated: wanted {} bytes, {} left", count, bytes_.size() - at_);
    const auto piece = bytes_.subspan(at_, count);
    at_ += count;
    return piece;
  }
  /// Little-endian, of 1 to 8 bytes.
  std::uint64_t number(int bytes) {
    std::uint64_t value = 0;
    int shift = 0;
    for (const std::byte b : take(static_cast<std::uint64_t>(bytes))) {
      value |= static_cast<std::uint64_t>(b) << shift;
      shift += 8;
    }
    return value;
  }
  std::string text(std::uint64_t count) {
    const auto piece = take(count);
    return {reinterpret_cast<const char*>(piece.data()), piece.size()};
  }
  std::string line() {
    std::string out;
    while (true) {
      const char c = static_cast<char>(number(1));
      if (c == '\n') return out;
      check(out.size() < 1000, "a name of more than 1000 bytes");
      out += c;
    }
  }

  Index add(Value value) {
    check(values_.size() < kMostValues, "more than {} values", kMostValues);
    values_.push_back(std::move(value));
    return static_cast<Index>(values_.size() - 1);
  }
  void push(Value value) { stack_.push_back(add(std::move(value))); }
  void push_text(Kind kind, std::string content) { push({.kind = kind, .text = std::move(content)}); }
  void push_integer(std::int64_t value) { push({.kind = Kind::integer, .integer = value}); }

  Index pop() {
    check(!stack_.empty() && stack_.back() != kMark, "takes a value from an empty stack");
    const Index top = stack_.back();
    stack_.pop_back();
    return top;
  }
  Index top() const {
    check(!stack_.empty() && stack_.back() != kMark, "takes a value from an empty stack");
    return stack_.back();
  }
  /// What lies above the last mark, which goes too.
  std::vector<Index> pop_to_mark() {
    const auto mark = std::find(stack_.rbegin(), stack_.rend(), kMark);
    check(mark != stack_.rend(), "refers to a mark that does not exist");
    std::vector<Index> items(mark.base(), stack_.end());
    stack_.erase(mark.base() - 1, stack_.end());
    return items;
  }
  void push_tuple(std::size_t count) {
    std::vector<Index> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    push({.kind = Kind::tuple, .items = std::move(items)});
  }
  void extend(Kind kind, const std::vector<Index>& items) {
    Value& target = values_[top()];
    if (target.kind == Kind::object) return;
    check(target.kind == kind, "adds items to {} instead of {}", name_of(target.kind), name_of(kind));
    check(kind != Kind::dict || items.size() % 2 == 0, "a key without a value");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }

  void step(std::uint8_t opcode) {
    switch (opcode) {
      case kFrame:
        check(number(8) <= bytes_.size() - at_, "a frame that is longer than the pickle");
        return;
      case kMarkOp:
        return stack_.push_back(kMark);
      case kPop:
        check(!stack_.empty(), "takes a value from an empty stack");
        return stack_.pop_back();
      case kPopMark:
        pop_to_mark();
        return;
      case kDup:
        return stack_.push_back(top());
      case kNone:
        return push({});
      case kNewTrue:
      case kNewFalse:
        return push({.kind = Kind::boolean, .integer = opcode == kNewTrue ? 1 : 0});
      case kBinInt:
        return push_integer(static_cast<std::int32_t>(number(4)));
      case kBinInt1:
        return push_integer(static_cast<std::int64_t>(number(1)));
      case kBinInt2:
        return push_integer(static_cast<std::int64_t>(number(2)));
      case kLong1:
        return push_long(number(1));
      case kLong4:
        return push_long(number(4));
      case kBinFloat: {
        std::uint64_t big_endian = number(8);
        return push({.kind = Kind::real, .real = std::bit_cast<double>(__builtin_bswap64(big_endian))});
      }
      case kShortBinUnicode:
        return push_text(Kind::text, text(number(1)));
      case kBinUnicode:
        return push_text(Kind::text, text(number(4)));
      case kBinUnicode8:
        return push_text(Kind::text, text(number(8)));
      case kShortBinString:  // Python 2's str
        return push_text(Kind::text, text(number(1)));
      case kBinString:
        return push_text(Kind::text, text(number(4)));
      case kBinBytes8:
      case kByteArray8:
        return push_text(Kind::bytes, text(number(8)));
      case kShortBinBytes:
        return push_text(Kind::bytes, text(number(1)));
      case kBinBytes:
        return push_text(Kind::bytes, text(number(4)));
      case kEmptyTuple:
        return push_tuple(0);
      case kTuple1:
      case kTuple2:
      case kTuple3:
        return push_tuple(opcode - kTuple1 + std::size_t{1});
      case kTuple: {
        return push({.kind = Kind::tuple, .items = pop_to_mark()});
      }
      case kEmptyList:
        return push({.kind = Kind::list});
      case kList:
        return push({.kind = Kind::list, .items = pop_to_mark()});
      case kAppend: {
        const Index item = pop();
        return extend(Kind::list, {item});
      }
      case kAppends:
        return extend(Kind::list, pop_to_mark());
      case kEmptyDict:
        return push({.kind = Kind::dict});
      case kDict: {
        std::vector<Index> items = pop_to_mark();
        push({.kind = Kind::dict});
        return extend(Kind::dict, items);
      }
      case kSetItem: {
        const Index value = pop(), key = pop();
        return extend(Kind::dict, {key, value});
      }
      case kSetItems:
        return extend(Kind::dict, pop_to_mark());
      case kBinPut:
        memo_[number(1)] = top();
        return;
      case kLongBinPut:
        memo_[number(4)] = top();
        return;
      case kMemoize: {
        const std::uint64_t next = memo_.size();
        memo_[next] = top();
        return;
      }
      case kBinGet:
        return recall(number(1));
      case kLongBinGet:
        return recall(number(4));
      case kGlobal: {
        const std::string module = line();
        return push_name(module, line());
      }
      case kStackGlobal: {
        const Index name = pop(), module = pop();
        check(values_[name].kind == Kind::text && values_[module].kind == Kind::text,
              "a name that is not a string");
        return push_name(values_[module].text, values_[name].text);
      }
      case kBinPersid:
        return push_storage();
      case kReduce:
        return call();
      case kNewObject:
      case kNewObjectEx: {
        if (opcode == kNewObjectEx) pop();  // keyword arguments
        const Index arguments = pop(), made_of = pop();
        check(values_[arguments].kind == Kind::tuple, "creates an object with {} instead of a tuple",
              name_of(values_[arguments].kind));
        return make(made_of, {});
      }
      case kEmptySet:
        return push_object(name_at("builtins", "set"));
      case kAddItems:
        pop_to_mark();
        check(values_[top()].kind == Kind::object, "adds items to {} instead of a set",
              name_of(values_[top()].kind));
        return;
      case kFrozenSet:
        pop_to_mark();
        return push_object(name_at("builtins", "frozenset"));
      case kBuild: {
        const Index state = pop();
        const Kind kind = values_[top()].kind;
        if (kind == Kind::object) values_[top()].items.push_back(state);
        check(kind == Kind::dict || kind == Kind::object || kind == Kind::tensor, "sets attributes of {}",
              name_of(kind));
        return;
      }
      default:
        refuse(
            "opcode 0x{:02x}, which torch.save does not write; save only the state dict: "
            "torch.save(model.state_dict(), PATH)",
            opcode);
    }
  }

  void push_long(std::uint64_t bytes) {
    if (bytes > 8) {
      take(bytes);
      return push({.kind = Kind::large_integer});
    }
    std::uint64_t value = bytes == 0 ? 0 : number(static_cast<int>(bytes));
    if (bytes > 0 && bytes < 8 && (value >> (8 * bytes - 1)) != 0) value |= ~std::uint64_t{0} << (8 * bytes);
    push_integer(static_cast<std::int64_t>(value));
  }

  void recall(std::uint64_t place) {
    const auto found = memo_.find(place);
    check(found != memo_.end(), "memo entry {} does not exist", place);
    stack_.push_back(found->second);
  }

  /// The place of the name, which is kept once however often the pickle says it.
  Index name_at(const std::string& module, const std::string& name) {
    check(module.size() <= kLongestName && name.size() <= kLongestName, "a name of more than {} bytes",
          kLongestName);
    const std::string whole = module + "." + name;
    check(!runs_programs(module, name),
          "refers to {}, which lets a pickle execute code: do not trust this file (no code was executed)",
          printable(whole));
    const auto [place, fresh] = names_.emplace(whole, 0);
    if (fresh) place->second = add({.kind = Kind::name, .text = whole});
    return place->second;
  }
  void push_name(const std::string& module, const std::string& name) {
    stack_.push_back(name_at(module, name));
  }
  void push_object(Index name) { push({.kind = Kind::object, .integer = name}); }

  /// What a class or function of that name gives: a dict, or an opaque object.
  void make(Index made_of, const std::vector<Index>& pairs) {
    const Value& name = values_[made_of];
    if (name.kind == Kind::object) return push_object(static_cast<Index>(name.integer));
    check(name.kind == Kind::name, "creates an object of class {}", name_of(name.kind));
    if (name.text == kOrderedDict || name.text == kDefaultDict) {
      return push({.kind = Kind::dict, .items = pairs});
    }
    push_object(made_of);
  }

  const Value& item(const Value& tuple, std::size_t i, Kind kind, std::string_view what) const {
    check(i < tuple.items.size() && values_[tuple.items[i]].kind == kind, "{}: item {} is {}, wanted {}",
          what, i, i < tuple.items.size() ? name_of(values_[tuple.items[i]].kind) : "missing", name_of(kind));
    return values_[tuple.items[i]];
  }

  /// ('storage', torch.FloatStorage, key, device, elements)
  void push_storage() {
    constexpr std::string_view kWhat = "a persistent id";
    const Index id = pop();
    const Value& tuple = values_[id];
    check(tuple.kind == Kind::tuple && tuple.items.size() == 5, "{}: wanted a storage's tuple of five",
          kWhat);
    check(item(tuple, 0, Kind::text, kWhat).text == "storage", "{}: wanted a storage", kWhat);
    const std::string& type = item(tuple, 1, Kind::name, kWhat).text;
    const Dtype* dtype = storage_dtype(type);
    if (dtype == nullptr) return push_object(tuple.items[1]);
    push({.kind = Kind::storage,
          .dtype = *dtype,
          .integer = item(tuple, 4, Kind::integer, kWhat).integer,
          .text = item(tuple, 2, Kind::text, kWhat).text});
  }

  /// The key-value pairs of OrderedDict([[key, value], ...]), as Python 2 pickled it.
  std::vector<Index> pairs_of(const Value& arguments) {
    std::vector<Index> pairs;
    if (arguments.items.size() != 1) return pairs;
    const Value& list = values_[arguments.items[0]];
    if (list.kind == Kind::dict) {
      check((pairs_ += list.items.size()) <= kMostValues, "more than {} values", kMostValues);
      return list.items;
    }
    if (list.kind != Kind::list) return pairs;
    for (const Index at : list.items) {
      const Value& pair = values_[at];
      if ((pair.kind != Kind::list && pair.kind != Kind::tuple) || pair.items.size() != 2) return {};
      check(++pairs_ <= kMostValues, "more than {} values", kMostValues);
      pairs.insert(pairs.end(), pair.items.begin(), pair.items.end());
    }
    return pairs;
  }

  void call() {
    const Index arguments_at = pop(), function_at = pop();
    call(function_at, arguments_at, /*nested=*/false);
  }

  void call(Index function_at, Index arguments_at, bool nested) {
    const Value &function = values_[function_at], &arguments = values_[arguments_at];
    check((function.kind == Kind::name || function.kind == Kind::object) && arguments.kind == Kind::tuple,
          "calls {} with {}", name_of(function.kind), name_of(arguments.kind));
    const std::string what = function.kind == Kind::name ? function.text : std::string();
    if (what == kRebuildTensor || what == kRebuildOldTensor) {
      // storage, offset, size, stride; then requires_grad, backward_hooks, and metadata at times
      const bool old = what == kRebuildOldTensor;
      check(old ? arguments.items.size() == 4 : arguments.items.size() == 6 || arguments.items.size() == 7,
            "{}: wanted {} arguments", what, old ? "4" : "6 or 7");
      if (values_[arguments.items[0]].kind == Kind::object) return push_object(function_at);
      item(arguments, 0, Kind::storage, what);
      item(arguments, 2, Kind::tuple, what);
      item(arguments, 3, Kind::tuple, what);
      push({.kind = Kind::tensor,
            .integer = item(arguments, 1, Kind::integer, what).integer,
            .items = {arguments.items[0], arguments.items[2], arguments.items[3]}});
    } else if (what == kRebuildParameter || what == kRebuildParameterWithState) {
      const std::size_t wanted = what == kRebuildParameter ? 3 : 4;
      check(arguments.items.size() == wanted, "{}: wanted {} arguments", what, wanted);
      if (values_[arguments.items[0]].kind == Kind::object) return push_object(function_at);
      item(arguments, 0, Kind::tensor, what);
      stack_.push_back(arguments.items[0]);
    } else if (what == kRebuildFromType && !nested && arguments.items.size() == 4) {
      // function, type, its arguments, state
      call(arguments.items[0], arguments.items[2], /*nested=*/true);
    } else {
      make(function_at, what == kOrderedDict ? pairs_of(arguments) : std::vector<Index>{});
      if (Value& made = values_[stack_.back()]; made.kind == Kind::object) made.items = {arguments_at};
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& where_;
  std::vector<Value>& values_;
  const std::size_t most_bytes_;
  std::size_t at_ = 0, start_ = 0;
  std::vector<Index> stack_;
  std::unordered_map<std::uint64_t, Index> memo_;
  std::unordered_map<std::string, Index> names_;
  std::size_t pairs_ = 0;
};

Pickle::Pickle(std::span<const std::byte> bytes, const std::string& where, std::size_t most_bytes)
    : root_(Reader(bytes, where, values_, most_bytes).read()) {}

std::string Pickle::describe(const Value& value) const {
  if (value.kind == Kind::name) return "the name " + printable(value.text);
  if (value.kind != Kind::object) return std::string(name_of(value.kind));
  return "an object of " + printable(values_[static_cast<std::size_t>(value.integer)].text);
}

const Pickle::Value* Pickle::find(const Value& dict, std::string_view key) const {
  for (std::size_t i = dict.items.size() - dict.items.size() % 2; i >= 2; i -= 2) {
    const Value& candidate = values_[dict.items[i - 2]];
    if (candidate.kind == Kind::text && candidate.text == key) return &values_[dict.items[i - 1]];
  }
  return nullptr;
}

}  // namespace diffit::io
