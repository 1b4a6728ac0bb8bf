#include "io/tensors/safetensors.h"

#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>

#include <cstring>
#include <optional>
#include <set>

#include "base/test_folder.h"

namespace diffit::io {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

/// A file of that header and data; `claim` overrides the length that it states.
std::string file_of(std::string_view header, std::string_view data, std::optional<std::uint64_t> claim = {}) {
  const std::uint64_t length = claim.value_or(header.size());
  std::string file(reinterpret_cast<const char*>(&length), 8);
  return (file += header) += data;
}

std::string tensor(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return fmt::format(R"({{"dtype":"{}","shape":[{}],"data_offsets":[{}]}})", dtype, shape, offsets);
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

struct Case {
  const char* what;
  std::string file;
  std::string message;
};

class SafetensorsRefuse : public ::testing::TestWithParam<Case> {};

TEST_P(SafetensorsRefuse, ErrorsNameTheFileInOneLine) {
  const TemporaryFolder folder;
  const fs::path path = folder.write("bad.safetensors", GetParam().file);
  expect_rejected([&] { const SafetensorsFile file(path); }, {path.string(), GetParam().message});
}

const std::string kPair = tensor("F32", "2", "0,8");
const std::string kEight(8, '\0');

INSTANTIATE_TEST_SUITE_P(
    Files, SafetensorsRefuse,
    ::testing::Values(
        Case{"empty", "", "got 0 bytes"}, Case{"seven_bytes", "1234567", "got 7 bytes"},
        Case{"header_longer_than_file", file_of("{}", "", 3), "header"},
        Case{"header_of_2_63", file_of("{}", "", 1ull << 63), "header"},
        Case{"header_of_2_64_less_1", file_of("{}", "", ~0ull), "header"},
        Case{"header_of_2_64_less_8", file_of("{}", "", ~7ull), "header"},
        Case{"no_header", file_of("", ""), "header"}, Case{"blank_first", file_of(" {}", ""), "'{'"},
        Case{"list", file_of("[]", ""), "'{'"}, Case{"open", file_of("{", ""), "JSON"},
        Case{"two_values", file_of("{}{}", ""), "JSON"},
        Case{"not_utf8", file_of("{\"\xff\":1}", ""), "JSON"},
        Case{"nul", file_of(std::string_view("{}\0", 3), ""), "JSON"},
        Case{"deep", file_of("{\"a\":" + std::string(100000, '['), ""), "deep"},
        Case{"lists_in_a_list", file_of(R"({"a":{"shape":[[1]]}})", ""), "deep"},
        Case{"objects_in_a_tensor", file_of(R"({"a":{"shape":{}}})", ""), "deep"},
        Case{"long_list", file_of("{\"a\":{\"shape\":[1" + repeated(",1", 1000), ""), "list of more than"},
        Case{"name_twice", file_of(fmt::format(R"({{"a":{},"a":{}}})", kPair, kPair), kEight),
             "'a' appears twice"},
        Case{"key_twice",
             file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", kEight),
             "twice"},
        Case{"metadata_twice", file_of(R"({"__metadata__":{},"__metadata__":{}})", ""), "twice"},
        Case{"metadata_number", file_of(R"({"__metadata__":{"a":3}})", ""), "wanted a string"},
        Case{"metadata_list", file_of(R"({"__metadata__":[]})", ""), "wanted an object"},
        Case{"tensor_is_a_number", file_of(R"({"a":1})", ""), "tensor 'a'"},
        Case{"no_dtype", file_of(R"({"a":{"shape":[],"data_offsets":[0,0]}})", ""), "tensor 'a'"},
        Case{"one_key_more", file_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"b":1}})", ""),
             "'a'"},
        Case{"unknown_dtype", file_of(fmt::format(R"({{"a":{}}})", tensor("F33", "2", "0,8")), kEight),
             "F33"},
        Case{"dtype_number", file_of(R"({"a":{"dtype":1,"shape":[0],"data_offsets":[0,0]}})", ""), "'a'"},
        Case{"shape_text", file_of(R"({"a":{"dtype":"U8","shape":"1","data_offsets":[0,0]}})", ""), "'a'"},
        Case{"one_offset", file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "2", "0")), kEight), "'a'"},
        Case{"three_offsets", file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "2", "0,8,8")), kEight),
             "'a'"},
        Case{"negative_side", file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "-2", "0,8")), kEight),
             "-2"},
        Case{"side_of_a_half", file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "0.5", "0,2")), "12"),
             "0.5"},
        Case{"side_not_finite", file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "NaN", "0,8")), kEight),
             "JSON"},
        Case{"side_of_1e400", file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "1e400", "0,8")), kEight),
             "JSON"},
        Case{"side_of_2_64",
             file_of(fmt::format(R"({{"a":{}}})", tensor("U8", "18446744073709551616", "0,8")), kEight),
             "'a'"},
        Case{"sides_overflow",
             file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "4611686018427387904,4", "0,0")), ""),
             "overflows"},
        Case{"sides_overflow_then_0",
             file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "4611686018427387904,4,0", "0,0")), ""),
             "overflows"},
        Case{"offset_beyond", file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "2", "0,8")), "1234567"),
             "[0, 8]"},
        Case{"offset_of_2_64",
             file_of(fmt::format(R"({{"a":{}}})", tensor("U8", "1", "18446744073709551615,0")), "1"),
             "data_offsets"},
        Case{"offsets_backwards", file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "2", "8,0")), kEight),
             "[8, 0]"},
        Case{"size_other_than_shape",
             file_of(fmt::format(R"({{"a":{}}})", tensor("F32", "1", "0,8")), kEight), "needs 4 bytes"},
        Case{"overlap",
             file_of(fmt::format(R"({{"a":{},"b":{}}})", kPair, tensor("F32", "2", "4,12")), kEight + "1234"),
             "'b'"},
        Case{"same_place", file_of(fmt::format(R"({{"a":{},"b":{}}})", kPair, kPair), kEight), "overlaps"},
        Case{
            "gap",
            file_of(fmt::format(R"({{"a":{},"b":{}}})", kPair, tensor("F32", "1", "12,16")), kEight + kEight),
            "4 bytes before tensor 'b'"},
        Case{"gap_at_the_start", file_of(fmt::format(R"({{"a":{}}})", tensor("U8", "4", "4,8")), kEight),
             "'a'"},
        Case{"bytes_after", file_of(fmt::format(R"({{"a":{}}})", kPair), kEight + "1"), "last 1 bytes"},
        Case{"line_break_in_a_name", file_of("{\"a\\nb\":1}", ""), "a\\x0ab"},
        Case{"line_break_twice", file_of("{\"a\\n\":1,\"a\\n\":1}", ""), "twice"},
        Case{"line_break_in_metadata", file_of("{\"__metadata__\":{\"\\n\":1}}", ""), "wanted a string"}),
    [](const auto& one) { return std::string(one.param.what); });

TEST(Safetensors, ReadsAllValidFiles) {
  const TemporaryFolder folder;
  const std::string header = fmt::format(
      R"({{"__metadata__":{{"k":"v"}},"b":{},"a":{},"none":{},"scalar":{}}}   )", tensor("I64", "", "8,16"),
      kPair, tensor("BF16", "3,0,2", "8,8"), tensor("U8", "1,1", "16,17"));
  const SafetensorsFile file(folder.write("good.safetensors", file_of(header, "abcdefghijklmnopq")));
  EXPECT_EQ(file.metadata(), (Metadata{{"k", "v"}}));
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.tensors()[0].name, "a");
  EXPECT_EQ(file.at("b").dtype, Dtype::i64);
  EXPECT_TRUE(file.at("b").shape.empty());
  EXPECT_EQ(file.at("b").count(), 1);
  EXPECT_EQ(std::memcmp(file.at("b").bytes.data(), "ijklmnop", 8), 0);
  EXPECT_EQ(file.at("none").count(), 0);
  EXPECT_EQ(file.find("absent"), nullptr);
  expect_rejected([&] { file.at("absent"); }, {"good.safetensors", "'absent'", "a, none, b, scalar"});
}

TEST(Safetensors, EachDtypeHasItsName) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Dtype::boolean); ++i)
    names.insert(safetensors_name(static_cast<Dtype>(i)));
  EXPECT_EQ(names.size(), 13u);
  EXPECT_FALSE(names.contains(""));
}

TEST(Safetensors, WritesWideTypesFirstAlignedAndDeterministically) {
  const TemporaryFolder folder;
  const std::vector<std::byte> bytes(24);
  const std::vector<TensorView> tensors{{"byte", Dtype::u8, {3}, std::span(bytes).first(3)},
                                        {"wide", Dtype::f64, {2}, std::span(bytes).first(16)},
                                        {"half", Dtype::f16, {1}, std::span(bytes).first(2)},
                                        {"single", Dtype::f32, {}, std::span(bytes).first(4)}};
  write_safetensors(folder / "a", tensors, {{"z", "1"}, {"a", "2"}});
  write_safetensors(folder / "b", tensors, {{"z", "1"}, {"a", "2"}});
  EXPECT_EQ(read_text(folder / "a", 1 << 20), read_text(folder / "b", 1 << 20));
  const SafetensorsFile file(folder / "a");
  const std::string content = read_text(folder / "a", 1 << 20);
  std::vector<std::string> order;
  for (const TensorView& view : file.tensors()) {
    order.push_back(view.name);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view.bytes.data()) % element_size(view.dtype), 0u)
        << view.name;
  }
  EXPECT_EQ(order, (std::vector<std::string>{"wide", "single", "half", "byte"}));
  EXPECT_EQ((content.size() - 25) % 64, 0u);
}

TEST(Safetensors, RejectsDuplicateTensorNames) {
  const TemporaryFolder folder;
  const std::vector<TensorView> tensors{{"a", Dtype::u8, {0}, {}}, {"a", Dtype::u8, {0}, {}}};
  EXPECT_THROW(write_safetensors(folder / "a", tensors, {}), Error);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

RC_GTEST_PROP(SafetensorsProperty, WhatIsWrittenIsRead, ()) {
  const TemporaryFolder folder;
  const auto names = *rc::gen::container<std::set<std::string>>(rc::gen::string<std::string>());
  std::vector<TensorView> tensors;
  std::vector<std::vector<std::byte>> contents;
  contents.reserve(names.size());
  for (const std::string& raw : names) {
    // JSON text is UTF-8: any bytes as pairs of hexadecimal digits.
    std::string name;
    for (const char c : raw) name += fmt::format("{:02x}", static_cast<unsigned char>(c));
    const auto dtype = static_cast<Dtype>(*rc::gen::inRange(0, static_cast<int>(Dtype::boolean) + 1));
    const auto shape = *rc::gen::resize(
        4, rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(0, 4)));
    std::size_t size = element_size(dtype);
    for (const std::int64_t side : shape) size *= static_cast<std::size_t>(side);
    RC_PRE(size < 100000);
    contents.emplace_back(size);
    for (std::byte& b : contents.back()) b = static_cast<std::byte>(*rc::gen::inRange(0, 256));
    tensors.push_back({name, dtype, shape, contents.back()});
  }
  const auto metadata = *rc::gen::resize(
      5, rc::gen::container<Metadata>(rc::gen::string<std::string>(), rc::gen::string<std::string>()));
  Metadata printable;
  for (const auto& [key, value] : metadata) {
    std::string ascii;
    for (const char c : value) ascii += static_cast<char>(c & 0x7f);
    printable[fmt::format("{}", key.size()) + ascii] = ascii;
  }
  write_safetensors(folder / "x", tensors, printable);
  const SafetensorsFile file(folder / "x");
  RC_ASSERT(file.metadata() == printable);
  RC_ASSERT(file.tensors().size() == tensors.size());
  for (const TensorView& wanted : tensors) {
    const TensorView& got = file.at(wanted.name);
    RC_ASSERT(got.dtype == wanted.dtype);
    RC_ASSERT(got.shape == wanted.shape);
    RC_ASSERT(std::equal(got.bytes.begin(), got.bytes.end(), wanted.bytes.begin(), wanted.bytes.end()));
  }
}

}  // namespace
}  // namespace diffit::io
