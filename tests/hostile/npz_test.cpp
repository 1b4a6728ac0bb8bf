#include "io/tensors/npz.h"

#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

constexpr std::uint64_t kLimit = 4 << 20;

void read_all(const fs::path& path) {
  const NpzReader npz(path);
  for (const std::string& name : npz.names()) {
    std::uint64_t bytes = 0;
    npz.stream_rows(name, [&](std::int64_t, std::span<const std::byte> rows) { bytes += rows.size(); });
    EXPECT_EQ(npz.read(name, kLimit).data.size(), bytes);
  }
}

std::string npy(std::string_view dictionary, std::size_t data, int version = 1,
                std::optional<std::uint64_t> length = {}) {
  return "\x93NUMPY" + little(static_cast<unsigned>(version), 1) + little(0, 1) +
         little(length.value_or(dictionary.size()), version == 1 ? 2 : 4) + std::string(dictionary) +
         zeros(data);
}

std::string dictionary(std::string_view shape, std::string_view descr = "'|u1'",
                       std::string_view fortran = "False") {
  return fmt::format("{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}", descr, fortran, shape);
}

class Npz : public ::testing::Test {
 protected:
  void refused(const std::string& label, const std::string& array, std::string_view reason) const {
    file_.expect_refused(label, zip_of({stored("a.npy", array)}), reason);
  }
  void is_read(const std::string& label, const std::string& array) const {
    file_.expect_read(label, zip_of({stored("a.npy", array)}));
  }
  const BadFile file_{"bad.npz", read_all};
};

TEST_F(Npz, ReadsWhatNumPyMayWrite) {
  is_read("plain", npy(dictionary("(2, 3)"), 6));
  is_read("without spaces or last comma", npy("{'shape':(2,),'descr':'|u1','fortran_order':False}", 2));
  is_read("double quotes", npy("{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":()}\n", 4));
  is_read("Python 2", npy(dictionary("(2L, 1L)"), 2));
  is_read("Fortran order of one axis", npy(dictionary("(2,)", "'|u1'", "True"), 2));
  is_read("no elements", npy(dictionary("(0, 7)"), 0));
  for (const int version : {1, 2, 3}) is_read("version", npy(dictionary("(2,)"), 2, version));
}

TEST_F(Npz, RejectsElementsOtherThanNumbers) {
  refused("objects", npy(dictionary("(1,)", "'|O'"), 8), "objects");
  refused("text", npy(dictionary("(1,)", "'<U4'"), 16), "<U4");
  refused("bytes", npy(dictionary("(1,)", "'|S4'"), 4), "|S4");
  refused("dates", npy(dictionary("(1,)", "'<M8[ns]'"), 8), "<M8");
  refused("complex", npy(dictionary("(1,)", "'<c8'"), 8), "<c8");
  refused("big-endian", npy(dictionary("(1,)", "'>f4'"), 4), "big-endian");
  refused("structured", npy(dictionary("(1,)", "[('a', '<f4')]"), 4), "structured");
  refused("Fortran order", npy(dictionary("(2, 2)", "'|u1'", "True"), 4), "Fortran");
  refused("16-byte floats", npy(dictionary("(1,)", "'<f16'"), 16), "<f16");
  refused("a type of control characters", npy(dictionary("(1,)", "'\n\x1b[2J'"), 4), "type");
  refused("a type of 60,000 letters", npy(dictionary("(1,)", "'" + std::string(60'000, 'x') + "'"), 4),
          "type");
}

TEST_F(Npz, RefusesShapesThatLie) {
  refused("larger than the data", npy(dictionary("(3,)"), 2), "got 2");
  refused("smaller than the data", npy(dictionary("(1,)"), 2), "got 2");
  refused("overflow", npy(dictionary("(4611686018427387904, 4611686018427387904)"), 2), "overflows");
  refused("wraps to nothing", npy(dictionary("(4294967296, 4294967296)"), 0), "overflows");
  refused("overflows before a zero", npy(dictionary("(4611686018427387904, 16, 0)"), 0), "overflows");
  refused("terabytes", npy(dictionary("(4398046511104,)"), 2), "got 2");
  refused("2^63", npy(dictionary("(9223372036854775808,)"), 2), "whole numbers");
  refused("negative", npy(dictionary("(-2,)"), 2), "whole numbers");
  refused("a fraction", npy(dictionary("(2.0,)"), 2), "damaged");
  refused("a number", npy(dictionary("2"), 2), "damaged");
  std::string axes = "(";
  for (int i = 0; i < 1000; ++i) axes += "1,";
  refused("a thousand axes", npy(dictionary(axes + ")"), 1), "too many dimensions");
}

TEST_F(Npz, RefusesHeadersThatAreNone) {
  refused("empty", "", "wanted an .npy");
  refused("text", "hello, this is text", "wanted an .npy");
  refused("magic alone", "\x93NUMPY", "wanted an .npy");
  refused("cut in its length", std::string("\x93NUMPY\2\0\0\0", 10), "truncated");
  refused("version 0", npy(dictionary("(2,)"), 2, 0), "version");
  refused("version 4", npy(dictionary("(2,)"), 2, 4), "version");
  refused("longer than the entry", npy(dictionary("(2,)"), 2, 1, 60'000), "states");
  refused("4 GiB", npy(dictionary("(2,)"), 2, 2, 0xffffffff), "states");
  refused("100,000 spaces", npy(dictionary("(2,)") + std::string(100'000, ' '), 2, 2), "states");
  refused("nothing", npy("", 2), "damaged");
  refused("no shape", npy("{'descr': '|u1', 'fortran_order': False}", 2), "is missing");
  refused("an unknown entry", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'x': 1}", 2),
          "unknown");
  refused("an entry twice", npy("{'shape': (2,), 'shape': (2,), 'descr': '|u1', 'fortran_order': False}", 2),
          "twice");
  refused("text behind it", npy(dictionary("(2,)") + "x", 2), "text after the dictionary");
  refused("open tuple", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2", 2), "damaged");
  refused("open quote", npy("{'descr", 2), "unterminated");
  refused("nested", npy("{'shape': " + std::string(60'000, '('), 2), "damaged");
  refused("a call", npy("{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (2,)}", 2),
          "damaged");
  refused("NUL", npy(std::string("{\0}", 3), 2), "damaged");
}

TEST_F(Npz, RejectsMisleadingArchives) {
  const std::string array = npy(dictionary("(2,)"), 2);
  file_.expect_refused("no array", zip_of({stored("a.txt", "hello")}), "an .npy array");
  file_.expect_refused("twice", zip_of({stored("a.npy", array), stored("a.npy", array)}), "twice");
  file_.expect_refused("points outside", zip_of({stored("../a.npy", array)}), "points outside");
  file_.expect_refused("a name of control characters", zip_of({stored("a\n\x1b[2J.npy", "hello")}),
                       "wanted an .npy");
  const ZipPart bomb = packed("a.npy", npy(dictionary("(67108864,)"), 64 << 20));
  file_.expect_refused("a bomb", zip_of({bomb}), "the limit is 4194304");
  const ZipPart row = packed("a.npy", npy(dictionary("(1, 67108864)"), 64 << 20));
  file_.expect_refused("a bomb of one row", zip_of({row}), "the limit is 4194304");
}

}  // namespace
}  // namespace diffit::hostile
