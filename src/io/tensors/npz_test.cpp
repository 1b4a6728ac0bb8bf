#include "io/tensors/npz.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <cstring>

#include "base/test_folder.h"

namespace diffit::io {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

constexpr std::uint64_t kAny = 1 << 24;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// The start of an .npy with that dictionary.
std::string npy(std::string_view dictionary, int version = 1, std::optional<std::size_t> claim = {}) {
  const std::size_t length = claim.value_or(dictionary.size());
  std::string file("\x93NUMPY", 6);
  file += static_cast<char>(version);
  file += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) file += static_cast<char>(length >> (8 * i));
  return file.append(dictionary);
}

std::string dictionary(std::string_view dtype, std::string_view shape, std::string_view fortran = "False") {
  return fmt::format("{{'descr': {}, 'fortran_order': {}, 'shape': {}, }}\n", dtype, fortran, shape);
}

NpyHeader parse(const std::string& file) {
  return parse_npy_header(bytes_of(file), "x.npz: array 'a'");
}

void expect_header_refused(const std::string& file, const std::string& part) {
  expect_rejected([&] { parse(file); }, {"x.npz: array 'a'", part});
}

TEST(Npy, ReadsEveryNumpyElementType) {
  const std::pair<const char*, Dtype> types[] = {
      {"<f8", Dtype::f64}, {"<f4", Dtype::f32}, {"<f2", Dtype::f16}, {"<i8", Dtype::i64},
      {"<i4", Dtype::i32}, {"<i2", Dtype::i16}, {"|i1", Dtype::i8},  {"<u8", Dtype::u64},
      {"<u4", Dtype::u32}, {"<u2", Dtype::u16}, {"|u1", Dtype::u8},  {"|b1", Dtype::boolean}};
  for (const auto& [name, dtype] : types) {
    const NpyHeader header = parse(npy(dictionary(fmt::format("'{}'", name), "(2, 3)")));
    EXPECT_EQ(header.dtype, dtype);
    EXPECT_EQ(header.shape, (std::vector<std::int64_t>{2, 3}));
    EXPECT_EQ(header.bytes(), 6 * element_size(dtype));
  }
}

TEST(Npy, ReadsWhatPythonWouldWrite) {
  for (const int version : {1, 2, 3}) {
    const std::string file = npy(dictionary("'<f4'", "(5,)"), version);
    EXPECT_EQ(parse(file).data_offset, file.size());
  }
  EXPECT_TRUE(parse(npy(dictionary("'<f4'", "()"))).shape.empty());
  EXPECT_EQ(parse(npy("{\"shape\":(1,2),\"descr\":\"<f4\",\"fortran_order\":False}  \n")).shape,
            (std::vector<std::int64_t>{1, 2}));
}

TEST(Npy, RejectsUnsupportedArrays) {
  expect_header_refused(npy(dictionary("'|O'", "(1,)")), "objects");
  expect_header_refused(npy(dictionary("'O'", "(1,)")), "'O'");
  expect_header_refused(npy(dictionary("'>f4'", "(1,)")), "big-endian");
  expect_header_refused(npy(dictionary("'<U4'", "(1,)")), "<U4");
  expect_header_refused(npy(dictionary("'|S4'", "(1,)")), "|S4");
  expect_header_refused(npy(dictionary("'<c8'", "(1,)")), "<c8");
  expect_header_refused(npy(dictionary("'<M8[ns]'", "(1,)")), "<M8[ns]");
  expect_header_refused(npy(dictionary("'|V2'", "(1,)")), "|V2");
  expect_header_refused(npy(dictionary("'<f16'", "(1,)")), "<f16");
  expect_header_refused(npy(dictionary("''", "(1,)")), "''");
  expect_header_refused(npy(dictionary("'\n'", "(1,)")), "\\x0a");
  expect_header_refused(npy(dictionary("[('a', '<f4')]", "(1,)")), "structure");
  expect_header_refused(npy(dictionary("'<f4'", "(1, 2)", "True")), "Fortran");
}

TEST(Npy, RejectsTruncatedHeaders) {
  const std::string good = npy(dictionary("'<f4'", "(2, 3)"));
  for (std::size_t length = 0; length < good.size(); ++length)
    expect_header_refused(good.substr(0, length), "");
  expect_header_refused("\x93NUMPX\1", ".npy");
  expect_header_refused(npy(dictionary("'<f4'", "(2,)"), 0), "0");
  expect_header_refused(npy(dictionary("'<f4'", "(2,)"), 4), "4");
  expect_header_refused(npy(dictionary("'<f4'", "(2,)"), 1, 0xffff), "a length of 65535");
  expect_header_refused(npy(dictionary("'<f4'", "(2,)"), 2, 0xffffffff), "a length of 4294967295");
}

TEST(Npy, RejectsMalformedDictionaries) {
  for (const char* text : {"",
                           "{",
                           "{}",
                           "{}{}",
                           "{'descr': '<f4'}",
                           "{'descr': '<f4', 'fortran_order': False}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
                           "{'descr': '<f4' 'fortran_order': False}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
                           "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
                           "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': [1]}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (,)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (3)}",
                           "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
                           "{'descr': <f4, 'fortran_order': False, 'shape': (1,)}",
                           "__import__('os').system('true')"}) {
    SCOPED_TRACE(text);
    expect_header_refused(npy(text), "header");
  }
  std::string axes = "(";
  for (int i = 0; i < 100; ++i) axes += "1, ";
  expect_header_refused(npy(dictionary("'<f4'", axes + ")")), "too many dimensions");
}

TEST(Npy, RefusesShapesThatOverflow) {
  expect_header_refused(npy(dictionary("'<f4'", "(4611686018427387904, 4)")), "overflow");
  expect_header_refused(npy(dictionary("'<f8'", "(1152921504606846976,)")), "overflow");
  expect_header_refused(npy(dictionary("'|u1'", "(9223372036854775807, 2, 0)")), "overflow");
}

TEST(Npy, WritesAlignedHeaders) {
  for (const auto& shape :
       std::vector<std::vector<std::int64_t>>{{}, {1}, {2, 3}, std::vector<std::int64_t>(32, 1)}) {
    const std::string header = format_npy_header(Dtype::f32, shape);
    EXPECT_EQ(header.size() % 64, 0u);
    EXPECT_EQ(header.back(), '\n');
    EXPECT_EQ(parse(header).shape, shape);
    EXPECT_EQ(parse(header).data_offset, header.size());
  }
  EXPECT_THROW(format_npy_header(Dtype::bf16, {}), Error);
}

fs::path write_one(const TemporaryFolder& folder, const std::string& name, const std::string& content) {
  ZipWriter zip(folder / "x.npz");
  zip.add(name, bytes_of(content));
  zip.finish();
  return folder / "x.npz";
}

TEST(Npz, RejectsDataThatDoesNotMatchShape) {
  for (const char* data : {"", "1234567", "123456789"}) {
    const TemporaryFolder folder;
    const NpzReader file(write_one(folder, "a.npy", npy(dictionary("'<f4'", "(2,)")) + data));
    expect_rejected([&] { file.header("a"); }, {"x.npz", "'a'", "8 bytes"});
    expect_rejected([&] { file.read("a", kAny); }, {"x.npz", "'a'", "8 bytes"});
    expect_rejected([&] { file.stream_rows("a", [](auto, auto) {}); }, {"x.npz", "'a'", "8 bytes"});
  }
}

TEST(Npz, RejectsMissingAndOtherEntries) {
  const TemporaryFolder folder;
  const NpzReader file(write_one(folder, "a.npy", "hello"));
  expect_rejected([&] { file.read("a", kAny); }, {"x.npz", "'a'", ".npy"});
  expect_rejected([&] { file.read("b", kAny); }, {"x.npz", "'b'", "found a"});
}

TEST(Npz, RespectsSizeLimit) {
  const TemporaryFolder folder;
  const NpzReader file(write_one(folder, "a.npy", npy(dictionary("'<f4'", "(2,)")) + "12345678"));
  EXPECT_EQ(file.read("a", 8).data.size(), 8u);
  expect_rejected([&] { file.read("a", 7); }, {"x.npz", "'a'", "7"});
}

TEST(Npz, StreamsWholeRows) {
  const TemporaryFolder folder;
  constexpr std::int64_t kRows = 1000, kRow = 3001;
  std::vector<std::byte> data(kRows * kRow);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 2654435761u >> 24);
  const std::int64_t shape[] = {kRows, kRow};
  {
    NpzWriter file(folder / "x.npz");
    file.begin("a", Dtype::u8, shape);
    for (std::size_t at = 0; at < data.size(); at += 100001) {
      file.write(std::span(data).subspan(at, std::min<std::size_t>(100001, data.size() - at)));
    }
    file.end();
    const std::int64_t none[] = {0, 3}, empty_rows[] = {4, 0};
    file.add("none", Dtype::f32, none, {});
    file.add("empty_rows", Dtype::f32, empty_rows, {});
    file.add("scalar", Dtype::u8, {}, std::span(data).first(1));
    file.finish();
  }
  const NpzReader file(folder / "x.npz");
  std::vector<std::byte> got;
  int pieces = 0;
  file.stream_rows("a", [&](std::int64_t first, std::span<const std::byte> rows) {
    EXPECT_EQ(static_cast<std::size_t>(first * kRow), got.size());
    EXPECT_EQ(rows.size() % kRow, 0u);
    got.insert(got.end(), rows.begin(), rows.end());
    ++pieces;
  });
  EXPECT_TRUE(got == data);
  EXPECT_EQ(pieces, 3);
  file.stream_rows("none", [](auto, auto) { ADD_FAILURE() << "no rows, and yet a row"; });
  file.stream_rows("empty_rows", [](auto, auto) { ADD_FAILURE() << "no bytes, and yet a row"; });
  file.stream_rows("scalar", [&](std::int64_t first, std::span<const std::byte> rows) {
    EXPECT_EQ(first, 0);
    EXPECT_EQ(rows.size(), 1u);
  });
}

TEST(Npz, RejectsWritingWrongSize) {
  const TemporaryFolder folder;
  const std::int64_t shape[] = {2};
  const std::vector<std::byte> nine(9);
  EXPECT_THROW(NpzWriter(folder / "x.npz").add("a", Dtype::f32, shape, nine), Error);
  EXPECT_THROW(NpzWriter(folder / "x.npz").add("a", Dtype::f32, shape, std::span(nine).first(7)), Error);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

RC_GTEST_PROP(NpzProperty, WhatIsWrittenIsRead, ()) {
  const TemporaryFolder folder;
  std::vector<NpyArray> arrays;
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) {
    NpyArray array;
    do {
      array.dtype = static_cast<Dtype>(*rc::gen::inRange(0, static_cast<int>(Dtype::boolean) + 1));
    } while (array.dtype == Dtype::bf16);
    array.shape = *rc::gen::resize(
        5, rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, 5)));
    std::size_t size = element_size(array.dtype);
    for (const std::int64_t side : array.shape) size *= static_cast<std::size_t>(side);
    array.data.resize(size);
    for (std::byte& b : array.data) b = static_cast<std::byte>(*rc::gen::inRange(0, 256));
    arrays.push_back(std::move(array));
  }
  {
    NpzWriter file(folder / "x.npz");
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      file.add(fmt::format("arr_{}", i), arrays[i].dtype, arrays[i].shape, arrays[i].data);
    }
    file.finish();
  }
  const NpzReader file(folder / "x.npz");
  RC_ASSERT(file.names().size() == arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const NpyArray got = file.read(fmt::format("arr_{}", i), kAny);
    RC_ASSERT(got.dtype == arrays[i].dtype);
    RC_ASSERT(got.shape == arrays[i].shape);
    RC_ASSERT(got.data == arrays[i].data);
  }
}

}  // namespace
}  // namespace diffit::io
