// Files in the shape of torch.save's that were made to run something, to take memory, or to read elsewhere.
#include "io/tensors/torch_file.h"

#include "io/tensors/weights_file.h"
#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

// Pickle's opcodes by hand (Lib/pickletools.py of Python).
std::string text(std::string_view content) {
  return "X" + little(content.size(), 4) + std::string(content);
}
std::string integer(std::int64_t value) {
  return "\x8a\x08" + little(static_cast<std::uint64_t>(value), 8);
}
std::string name(const std::string& module, const std::string& word) {
  return "c" + module + "\n" + word + "\n";
}
std::string tuple(const std::vector<std::string>& items) {
  std::string out = "(";
  for (const std::string& item : items) out += item;
  return out + "t";
}
std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string out = "}(";
  for (const auto& [key, value] : items) out += text(key) + value;
  return out + "u";
}
std::string numbers(const std::vector<std::int64_t>& values) {
  std::vector<std::string> items;
  for (const std::int64_t value : values) items.push_back(integer(value));
  return tuple(items);
}
std::string storage(const std::string& key = "0", std::int64_t elements = 6,
                    const std::string& type = "FloatStorage") {
  return tuple({text("storage"), name("torch", type), text(key), text("cpu"), integer(elements)}) + "Q";
}
std::string tensor(std::int64_t offset, const std::vector<std::int64_t>& size,
                   const std::vector<std::int64_t>& stride, const std::string& from = storage()) {
  return name("torch._utils", "_rebuild_tensor_v2") +
         tuple({from, integer(offset), numbers(size), numbers(stride), "\x89", "N"}) + "R";
}
std::string pickle(const std::string& value) {
  return std::string("\x80\x02", 2) + value + ".";
}
std::string archive(const std::string& pickled, std::vector<ZipPart> more = {stored("x/data/0", zeros(24))}) {
  more.insert(more.begin(), stored("x/data.pkl", pickled));
  return zip_of(more);
}
/// An archive with a state dict of one tensor.
std::string one(const std::string& value) {
  return archive(pickle(dict({{"w", value}})));
}

/// Every byte that the file gives lies where it may be read.
void read(const fs::path& path) {
  const WeightsFile file(path);
  unsigned sum = 0;
  for (const TensorView& view : file.tensors()) {
    for (const std::byte b : view.bytes) sum += std::to_integer<unsigned>(b);
  }
  EXPECT_LT(sum, 1u << 31);
}

const std::string kGood = tensor(0, {2, 3}, {3, 1});

TEST(Torch, NothingIsImportedOrRun) {
  const BadFile file("bad.pt", read);
  file.expect_read("good", one(kGood));
  const std::string command = tuple({text("touch /tmp/hacked")});
  for (const auto& [module, word] : {std::pair{"os", "system"},
                                     {"posix", "system"},
                                     {"builtins", "eval"},
                                     {"builtins", "exec"},
                                     {"subprocess", "Popen"}}) {
    const std::string full = std::string(module) + "." + word;
    file.expect_refused(full, archive(pickle(name(module, word) + command + "R")), full);
    file.expect_refused(full + " beside good weights",
                        archive(pickle(dict({{"w", kGood}, {"x", name(module, word)}}))), full);
    file.expect_refused(
        full + " by the stack",
        archive(std::string("\x80\x04", 2) + text(module) + text(word) + "\x93" + command + "R."), full);
  }
  // Objects of classes that do nothing are no tensors: they are skipped, and never made.
  for (const auto& [module, word] : {std::pair{"torch.nn.modules.linear", "Linear"},
                                     {"argparse", "Namespace"},
                                     {"collections", "defaultdict"},

                                     {"torch", "FloatTensor"},
                                     {"numpy.core.multiarray", "scalar"}}) {
    const std::string full = std::string(module) + "." + word;
    file.expect_refused(full, archive(pickle(name(module, word) + command + "R")), "wanted a dict");
    file.expect_read(full + " beside good weights",
                     archive(pickle(dict({{"w", kGood}, {"x", name(module, word)}}))));
    file.expect_refused(
        full + " by the stack",
        archive(std::string("\x80\x04", 2) + text(module) + text(word) + "\x93" + command + "R."),
        "wanted a dict");
  }
  file.expect_refused("an old instance", archive(pickle("(ios\nsystem\n")), "opcode 0x69");
  file.expect_refused("an old object", archive(pickle("(" + name("torch", "FloatStorage") + "o")),
                      "opcode 0x6f");
  file.expect_refused("a new object", archive(pickle(name("torch", "FloatStorage") + ")\x81")),
                      "FloatStorage");
  file.expect_refused("an extension", archive(pickle("\x82\x01")), "opcode 0x82");
  file.expect_refused("an old persistent id", archive(pickle("P1\n")), "opcode 0x50");
  file.expect_refused("a name that calls data", archive(pickle(text("os.system") + command + "R")), "calls");
  file.expect_refused("a storage type called", archive(pickle(name("torch", "FloatStorage") + ")R")),
                      "FloatStorage");
  file.expect_refused("attributes of a list", archive(pickle("]}b")), "attributes");
  file.expect_refused("escapes in a name", archive(pickle(name("\x1b[2J", "x"))), "\\x1b[2J.x");
  file.expect_refused("a name of a megabyte", archive(pickle(name(std::string(1 << 20, 'x'), "y"))),
                      "1000 bytes");
}

TEST(Torch, PicklesCannotExhaustMemoryOrStack) {
  const BadFile file("bad.pt", read);
  constexpr std::size_t kDeep = 2'000'000;
  file.expect_refused("tuples in tuples", archive(pickle("N" + std::string(kDeep, '\x85'))), "values");
  file.expect_refused("half a million tuples in tuples",
                      archive(pickle("N" + std::string(kDeep / 4, '\x85'))), "wanted a dict");
  file.expect_refused("marks in marks", archive(pickle(std::string(kDeep, '('))),
                      "wanted one value at the end");
  std::string laughs = "]q" + little(0, 1);
  for (int i = 1; i < 200; ++i)
    laughs += "](h" + little(i - 1u, 1) + "h" + little(i - 1u, 1) + "eq" + little(i, 1);
  file.expect_refused("a billion laughs", archive(pickle(laughs)), "wanted one value at the end");
  std::string itself = "}q" + little(0, 1) + text("w") + "h" + little(0, 1) + "s";
  file.expect_refused("a dict that holds itself", archive(pickle(itself)), "its keys are w");
  file.expect_refused("a text of 4 GiB", archive(pickle("X" + little(0xffffffff, 4))), "truncated");
  file.expect_refused("a text of 2^64-1", archive(pickle("\x8d" + little(~0ull, 8))), "truncated");
  file.expect_refused("a frame of 2^63", archive(pickle("\x95" + little(1ull << 63, 8))), "frame");
  file.expect_refused("a memo that is not there", archive(pickle("j" + little(0xffffffff, 4))), "memo");
  file.expect_refused("pickle of 32 MiB", archive(pickle(std::string(32 << 20, 'N'))),
                      "the limit is 16777216");
  file.expect_refused("a packed pickle of 64 MiB", zip_of({packed("x/data.pkl", zeros(64 << 20))}),
                      "the limit is 16777216");
  std::string twice = "](";
  for (int i = 0; i < 1000; ++i) twice += "N";
  file.expect_refused("values twice and twice again",
                      archive(pickle(twice + "e" + std::string(1 << 20, '2'))),
                      "wanted one value at the end");
}

TEST(Torch, RejectsMalformedPickles) {
  const BadFile file("bad.pt", read);
  file.expect_refused("empty", archive(""), "truncated");
  file.expect_refused("protocol 0", archive("(dp0\n."), "protocol");
  file.expect_refused("protocol 5", archive("\x80\x05}."), "its keys are none");
  file.expect_refused("no end", archive(std::string("\x80\x02}", 3)), "truncated");
  file.expect_refused("bytes behind the end", archive(pickle("}") + "x"), "after its end");
  file.expect_refused("nothing", archive(pickle("")), "at the end, got 0");
  file.expect_refused("a mark", archive(pickle("(")), "wanted one value at the end");
  file.expect_refused("pops nothing", archive(pickle("0")), "takes a value");
  file.expect_refused("pops a mark as a value", archive(pickle("(\x85")), "takes a value");
  file.expect_refused("no mark", archive(pickle("t")), "mark");
  file.expect_refused("a key without a value", archive(pickle("}(Nu")), "without a value");
  file.expect_refused("items of a tuple", archive(pickle(")NNs")), "adds items");
  file.expect_refused("a list", archive(pickle("]")), "wanted a dict");
  file.expect_refused("one tensor", archive(pickle(kGood)), "single tensor");
  file.expect_refused("an empty dict", archive(pickle("}")), "its keys are none");
  file.expect_refused("keys that are numbers", archive(pickle("}" + integer(3) + kGood + "s")),
                      "wanted a str");
  file.expect_read("other keys", archive(pickle(dict({{"weird\n", dict({{"w", kGood}})}}))));
  file.expect_read("a number among tensors",
                   archive(pickle(dict({{"model", dict({{"w", kGood}, {"n", "K\x01"}})}}))));
  file.expect_refused("a name twice", archive(pickle(dict({{"w", kGood}, {"w", kGood}}))), "twice");
}

TEST(Torch, RejectsTensorsOutsideTheirStorage) {
  const BadFile file("bad.pt", read);
  constexpr std::int64_t kHuge = std::int64_t{1} << 62, kMost = std::numeric_limits<std::int64_t>::max();
  file.expect_read("transposed", one(tensor(0, {3, 2}, {1, 3})));
  file.expect_read("the last element", one(tensor(5, {}, {})));
  file.expect_read("nothing, at the end", one(tensor(6, {0, 4}, {4, 1})));
  file.expect_refused("one too many", one(tensor(0, {7}, {1})), "reaches element 6");
  file.expect_refused("one too far", one(tensor(1, {2, 3}, {3, 1})), "reaches element 6");
  file.expect_refused("nothing, beyond the end", one(tensor(7, {0}, {1})), "element 7 of 6");
  file.expect_refused("negative offset", one(tensor(-1, {2}, {1})), "element -1");
  file.expect_refused("offset of 2^63-1", one(tensor(kMost, {2}, {1})), "overflow");
  file.expect_refused("negative size", one(tensor(0, {-2}, {1})), "at least 0");
  file.expect_refused("negative stride", one(tensor(5, {2}, {-1})), "at least 0");
  file.expect_refused("size overflows", one(tensor(0, {kHuge, kHuge}, {1, 1})), "overflow");
  file.expect_refused("size wraps to nothing", one(tensor(0, {1ll << 32, 1ll << 32}, {0, 0})), "overflow");
  file.expect_refused("stride overflows", one(tensor(0, {3, 3}, {kHuge, 1})), "overflow");
  file.expect_refused("huge stride", one(tensor(0, {2}, {1ll << 40})), "reaches element");
  file.expect_refused("one element a terabyte of times", one(tensor(0, {1ll << 38}, {0})),
                      "repeats elements");
  file.expect_refused("33 axes",
                      one(tensor(0, std::vector<std::int64_t>(33, 1), std::vector<std::int64_t>(33, 1))),
                      "33 dimensions");
  file.expect_refused("fewer strides", one(tensor(0, {2, 3}, {1})), "strides");
  file.expect_refused(
      "a size that is text",
      one(name("torch._utils", "_rebuild_tensor_v2") +
          tuple({storage(), integer(0), tuple({text("2")}), numbers({1}), "\x89", "N"}) + "R"),
      "at least 0");
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 2000; ++i)
    many.emplace_back("w" + std::to_string(i), tensor(0, {500, 2}, {1, 500}, storage("0", 1000)));
  file.expect_refused("2000 copies of one storage",
                      archive(pickle(dict(many)), {stored("x/data/0", zeros(4000))}), "repeats elements");
}

TEST(Torch, RejectsStoragesOfWrongSize) {
  const BadFile file("bad.pt", read);
  const auto claims = [](const std::string& from) { return one(tensor(0, {2, 3}, {3, 1}, from)); };
  file.expect_refused("not there", claims(storage("1")), "data/1 is not in the archive");
  file.expect_refused("elsewhere in the archive", claims(storage("../data.pkl")), "not in the archive");
  file.expect_refused("fewer elements", claims(storage("0", 5)), "states 5");
  file.expect_refused("more elements", claims(storage("0", 7)), "states 7");
  file.expect_refused("negative", claims(storage("0", -6)), "states -6");
  file.expect_refused("2^62 elements", claims(storage("0", std::int64_t{1} << 62)), "states");
  file.expect_refused("wider elements", claims(storage("0", 6, "DoubleStorage")), "of 8 bytes");
  file.expect_refused("complex", claims(storage("0", 3, "ComplexFloatStorage")), "wanted a dict");
  file.expect_refused("no tuple", one(text("0") + "Q"), "persistent id");
  file.expect_refused("not a storage", one(tuple({text("module"), "N", "N", "N", "N"}) + "Q"),
                      "wanted a storage");
  file.expect_refused("a function for a type",
                      one(tuple({text("storage"), name("torch._utils", "_rebuild_tensor_v2"), text("0"),
                                 text("cpu"), integer(6)}) +
                          "Q"),
                      "wanted a dict");
  file.expect_refused("packed", archive(pickle(dict({{"w", kGood}})), {packed("x/data/0", zeros(24))}),
                      "compressed");
}

TEST(Torch, RejectsAmbiguousArchives) {
  const BadFile file("bad.pt", read);
  const std::string pickled = pickle(dict({{"w", kGood}}));
  file.expect_refused("no pickle", zip_of({stored("x/data/0", zeros(24))}), "data.pkl");
  file.expect_refused("two pickles", zip_of({stored("x/data.pkl", pickled), stored("y/data.pkl", pickled)}),
                      "two entries");
  file.expect_refused("TorchScript",
                      archive(pickled, {stored("x/data/0", zeros(24)), stored("x/constants.pkl", "")}),
                      "TorchScript");
  file.expect_refused("big-endian",
                      archive(pickled, {stored("x/data/0", zeros(24)), stored("x/byteorder", "big")}),
                      "byte order");
  file.expect_refused("a plain pickle", pickled, "plain pickle");
  file.expect_refused("torch's old format", "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
                      "before 1.6");
  file.expect_refused("bytes behind the end", archive(pickled) + "x", "");
  ZipPart elsewhere = stored("x/data/0", zeros(24));
  elsewhere.offset = 0;
  file.expect_refused("a storage that points at the pickle", archive(pickled, {elsewhere}), "contradict");
  elsewhere.offset = 0xfffffff0;
  file.expect_refused("a storage beyond the end", archive(pickled, {elsewhere}), "");
  std::string lies = archive(pickled);
  lies.replace(lies.find("x/data/0"), 8, "x/data/1");  // in the entry alone, not in the directory
  file.expect_refused("another name in the entry", lies, "");
  std::string extra = archive(pickled);
  extra[extra.find("x/data/0") - 2] = '\xff';  // the entry's extra field reaches into what follows
  extra[extra.find("x/data/0") - 1] = '\x00';
  file.expect_refused("content that reaches into the directory", extra, "");
}

}  // namespace
}  // namespace diffit::hostile
