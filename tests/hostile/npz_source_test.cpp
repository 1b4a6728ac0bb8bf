#include "data/source.h"
#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

void read_all(const fs::path& path) {
  const auto source = open_source(path);
  for (std::int64_t i = 0; i < source->size(); ++i) {
    source->read(i);
    if (source->classes() > 0) source->label(i);
  }
}

std::string npy(std::string_view descr, std::string_view shape, std::string_view data) {
  const std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}\n", descr, shape);
  return "\x93NUMPY" + little(1, 1) + little(0, 1) + little(header.size(), 2) + header + std::string(data);
}

std::string images() {
  return npy("|u1", "(2, 2, 2, 3)", std::string(24, '\x7f'));
}

class NpzImages : public ::testing::Test {
 protected:
  void refused(const std::string& label, std::vector<ZipPart> parts, std::string_view reason) const {
    file_.expect_refused(label, zip_of(parts), reason);
  }
  const BadFile file_{"bad.npz", read_all};
};

TEST_F(NpzImages, AreReadStoredAndDeflated) {
  for (const auto& part : {stored("arr_0.npy", images()), packed("arr_0.npy", images())}) {
    file_.expect_read("alone", zip_of({part}));
    file_.expect_read("labelled", zip_of({part, stored("arr_1.npy", npy("<i8", "(2,)", zeros(16)))}));
    file_.expect_read("beside others", zip_of({stored("mu.npy", npy("<f8", "(1,)", zeros(8))), part}));
  }
}

TEST_F(NpzImages, RejectMalformedArrays) {
  refused("objects", {stored("arr_0.npy", npy("|O", "(2,)", zeros(16)))}, "objects");
  refused("objects as labels",
          {stored("arr_0.npy", images()), stored("arr_1.npy", npy("|O", "(2,)", zeros(16)))}, "objects");
  refused("floats", {stored("arr_0.npy", npy("<f4", "(2, 2, 2, 3)", zeros(96)))}, "float32");
  refused("four channels", {stored("arr_0.npy", npy("|u1", "(2, 2, 2, 4)", zeros(32)))},
          "uint8 [N, H, W, 3]");
  refused("no axes", {stored("arr_0.npy", npy("|u1", "()", zeros(1)))}, "uint8 [N, H, W, 3]");
  refused("no pictures", {stored("arr_0.npy", npy("|u1", "(0, 2, 2, 3)", ""))}, "no image");
  refused("no pixels", {stored("arr_0.npy", npy("|u1", "(2, 0, 2, 3)", ""))}, "no image");
  refused("no arr_0", {stored("mu.npy", npy("<f8", "(1,)", zeros(8)))}, "arr_0");
  refused("text", {stored("arr_0.npy", "hello")}, "wanted an .npy");
}

TEST_F(NpzImages, RejectTruncatedArrays) {
  refused("cut", {stored("arr_0.npy", images().substr(0, images().size() - 1))}, "got 23");
  refused("cut when packed", {packed("arr_0.npy", images().substr(0, images().size() - 1))}, "got 23");
  refused("terabytes", {stored("arr_0.npy", npy("|u1", "(4398046511104, 2, 2, 3)", zeros(24)))}, "got 24");
  refused("overflow", {stored("arr_0.npy", npy("|u1", "(4611686018427387904, 2048, 2048, 3)", zeros(24)))},
          "overflows");
  refused("a row of sides", {stored("arr_0.npy", npy("|u1", "(1, 1, 100000, 1)", zeros(100000)))}, "sides");
}

TEST_F(NpzImages, RejectDamagedContent) {
  for (ZipPart part : {stored("arr_0.npy", images()), packed("arr_0.npy", images())}) {
    part.crc ^= 1;
    refused("CRC", {part}, "arr_0");
  }
  ZipPart flipped = packed("arr_0.npy", images());
  flipped.packed[flipped.packed.size() / 2] ^= 0x10;
  refused("a flipped bit", {flipped}, "arr_0");
}

TEST_F(NpzImages, RejectMismatchedLabels) {
  const auto with = [&](const std::string& label, std::string_view descr, std::string_view shape,
                        std::string_view data, std::string_view reason) {
    refused(label, {stored("arr_0.npy", images()), stored("arr_1.npy", npy(descr, shape, data))}, reason);
  };
  with("one label", "<i8", "(1,)", zeros(8), "[2]");
  with("one-hot", "<i8", "(2, 10)", zeros(160), "[2]");
  with("floats", "<f4", "(2,)", zeros(8), "float32");
  with("negative", "<i8", "(2,)", zeros(8) + little(0xffffffffffffffff, 8), "arr_1[1]");
  with("2^63", "<u8", "(2,)", zeros(8) + little(0x8000000000000000, 8), "arr_1[1]");
  with("a billion classes", "<i8", "(2,)", zeros(8) + little(1'000'000'000, 8), "arr_1[1]");
}

}  // namespace
}  // namespace diffit::hostile
