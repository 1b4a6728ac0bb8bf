#include "io/datasets/idx.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <rapidcheck.h>

#include <fstream>
#include <numeric>
#include <string>

#include "base/test_folder.h"
#include "io/images/testing_images.h"

namespace diffit::io {
namespace {

using testing::big_endian;

std::string idx(const std::vector<std::uint32_t>& dims, std::size_t bytes) {
  std::string text{'\0', '\0', '\x08', static_cast<char>(dims.size())};
  for (const std::uint32_t size : dims) text += big_endian(size);
  for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>(i * 7);
  return text;
}

std::string gzipped(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string in = text, out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class Idx : public ::testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& bytes) { return folder_.write(name, bytes); }
  void expect_rejected(const std::string& bytes, const std::string& part) {
    const fs::path path = write("bad", bytes);
    testing::expect_rejected([&] { read_idx(path); }, {part, path.string()});
  }
  testing::TemporaryFolder folder_;
};

TEST_F(Idx, ReadsPlainAndGzippedAlike) {
  const std::string bytes = idx({5, 3, 4}, 60);
  for (const fs::path& path : {write("a", bytes), write("a.gz", gzipped(bytes))}) {
    const IdxArray array = read_idx(path);
    EXPECT_EQ(array.dims, (std::vector<std::int64_t>{5, 3, 4}));
    ASSERT_EQ(array.data.size(), 60u);
    for (std::size_t i = 0; i < 60; ++i) EXPECT_EQ(array.data[i], static_cast<std::uint8_t>(i * 7));
  }
}

TEST_F(Idx, ReadsGzipMembers) {
  const std::string bytes = idx({5, 3, 4}, 60);
  const std::string two = gzipped(bytes.substr(0, 30)) + gzipped(bytes.substr(30));
  for (const std::string& file : {two, gzipped(bytes) + gzipped("")}) {
    const IdxArray array = read_idx(write("a.gz", file));
    ASSERT_EQ(array.data.size(), 60u);
    EXPECT_EQ(array.data[59], static_cast<std::uint8_t>(59 * 7));
  }
  expect_rejected(gzipped(bytes) + gzipped("x"), "got more");
  expect_rejected(gzipped(bytes) + "x", "got more");
  expect_rejected(two + std::string(512, '\0'), "got more");
  expect_rejected(two.substr(0, two.size() - 4), "truncated");
}

TEST_F(Idx, RefusesWhatIsNoIdx) {
  expect_rejected("", "wanted an IDX file");
  expect_rejected("PK\x03\x04 something", "wanted an IDX file");
  expect_rejected(std::string("\0\0\x0d\x01", 4) + big_endian(0), "type 0x0d");
  expect_rejected(std::string("\0\0\x08\x00", 4), "dimensions");
  expect_rejected(std::string("\0\0\x08\x03\0\0", 6), "truncated");
}

TEST_F(Idx, RejectsBadLengthsBeforeAllocation) {
  expect_rejected(idx({0xffffffff, 0xffffffff, 0xffffffff}, 10), "overflow");
  expect_rejected(idx({0xffffffff, 1, 1}, 10), "states 4294967295");
  expect_rejected(gzipped(idx({0xffffffff, 0xffff, 1}, 10)), "can contain at most");
  expect_rejected(idx({4}, 3), "states 4");
  expect_rejected(idx({4}, 5), "got more");
  expect_rejected(gzipped(idx({4}, 3)), "got 3");
  expect_rejected(gzipped(idx({4}, 5)), "got more");
}

TEST_F(Idx, RejectsEveryGzipTruncation) {
  const std::string whole = gzipped(idx({2, 5, 5}, 50));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW(read_idx(write("cut", whole.substr(0, size))), Error) << size << " of " << whole.size();
  }
  EXPECT_NO_THROW(read_idx(write("cut", whole)));
  EXPECT_THROW(read_idx(write("cut", whole + "x")), Error);
}

TEST_F(Idx, BitFlipsInGzipAreErrorsOrHarmless) {
  const std::string whole = gzipped(idx({2, 5, 5}, 50));
  const IdxArray expected = read_idx(write("whole", whole));
  EXPECT_TRUE(rc::check([&] {
    std::string bytes = whole;
    const auto at = *rc::gen::inRange<std::size_t>(0, bytes.size());
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << *rc::gen::inRange(0, 8)));
    try {
      RC_ASSERT(read_idx(write("flipped", bytes)).data == expected.data);  // in the unused header bytes
    } catch (const Error& error) {
      RC_ASSERT(error.kind() == ErrorKind::invalid);
    }
  }));
}

TEST_F(Idx, FindsLabelsFileInSameFolder) {
  const fs::path images = write("train-images-idx3-ubyte.gz", "");
  EXPECT_FALSE(labels_beside(images).has_value());
  const fs::path plain = write("train-labels-idx1-ubyte", "");
  EXPECT_EQ(labels_beside(images), plain);
  const fs::path packed = write("train-labels-idx1-ubyte.gz", "");
  EXPECT_EQ(labels_beside(images), packed);
  EXPECT_FALSE(labels_beside(folder_.path() / "pictures.gz").has_value());
}

}  // namespace
}  // namespace diffit::io
