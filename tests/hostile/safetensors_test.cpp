#include "io/tensors/safetensors.h"

#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

std::string file_of(std::string_view header, std::size_t data = 0, std::optional<std::uint64_t> length = {}) {
  return little(length.value_or(header.size()), 8) + std::string(header) + zeros(data);
}

std::string tensor(std::string_view shape, std::string_view offsets, std::string_view dtype = "\"F32\"") {
  return fmt::format(R"({{"dtype":{},"shape":{},"data_offsets":{}}})", dtype, shape, offsets);
}

std::string one(std::string_view shape, std::string_view offsets, std::size_t data = 8,
                std::string_view dtype = "\"F32\"") {
  return file_of(R"({"a":)" + tensor(shape, offsets, dtype) + "}", data);
}

std::string two(std::string_view first, std::string_view second, std::size_t data) {
  return file_of(R"({"a":)" + tensor("[2]", first) + R"(,"b":)" + tensor("[2]", second) + "}", data);
}

TEST(Safetensors, RejectsInvalidFiles) {
  const BadFile file("bad.safetensors", [](const fs::path& path) { SafetensorsFile{path}; });
  file.expect_read("good", one("[2]", "[0,8]"));
  file.expect_read("no tensors", file_of("{}"));
  file.expect_read("spaces behind the header", file_of("{}      "));

  file.expect_refused("empty", "", "got 0 bytes");
  file.expect_refused("header of 2^63 bytes", file_of("{}", 0, 1ull << 63), "states");
  file.expect_refused("header of 2^64-1 bytes", file_of("{}", 0, ~0ull), "states");
  file.expect_refused("header of 2^64-8 bytes", file_of("{}", 0, ~0ull - 7), "states");
  file.expect_refused("header one longer than the file", file_of("{}", 0, 3), "states");
  file.expect_refused("header of nothing", file_of("", 0), "begin with");
  file.expect_refused("header begins with a space", file_of(" {}"), "begin with");
  file.expect_refused("a list", file_of("[]"), "begin with");
  file.expect_refused("two objects", file_of("{}{}"), "JSON");
  file.expect_refused("not UTF-8", file_of("{\"\xff\xfe\":1}"), "JSON");
  file.expect_refused("NUL in the header", file_of(std::string("{}\0", 3)), "JSON");
  file.expect_refused("a comment", file_of("{/**/}"), "JSON");
  file.expect_refused("NaN", one("[NaN]", "[0,8]"), "JSON");
  file.expect_refused("nested in lists", file_of(R"({"a":)" + std::string(100'000, '[')), "nested");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  file.expect_refused("nested in objects", file_of(objects), "nested");

  file.expect_refused("overlap", two("[0,8]", "[4,12]", 12), "overlaps");
  file.expect_refused("the same bytes", two("[0,8]", "[0,8]", 8), "overlaps");
  file.expect_refused("gap", two("[0,8]", "[12,20]", 20), "belong to no tensor");
  file.expect_refused("gap at the front", one("[2]", "[4,12]", 12), "belong to no tensor");
  file.expect_refused("bytes behind the end", one("[2]", "[0,8]", 9), "belong to no tensor");
  file.expect_refused("data without tensors", file_of("{}", 1), "belong to no tensor");
  file.expect_refused("backwards", one("[2]", "[8,0]"), "data_offsets");
  file.expect_refused("beyond the end", one("[4]", "[0,16]"), "data_offsets");
  file.expect_refused("end at 2^64-1", one("[2]", "[0,18446744073709551615]"), "data_offsets");
  file.expect_refused("end at 2^64", one("[2]", "[0,18446744073709551616]"), "whole number");
  file.expect_refused("begin at 2^64-8, end at 0", one("[2]", "[18446744073709551608,0]"), "data_offsets");
  file.expect_refused("negative", one("[2]", "[-8,0]"), "whole number");
  file.expect_refused("fractions", one("[2]", "[0,8.0]"), "whole number");
  file.expect_refused("text", one("[2]", R"(["0","8"])"), "whole number");
  file.expect_refused("three offsets", one("[2]", "[0,8,8]"), "wrong type");
  file.expect_refused("no offsets", one("[2]", "null"), "wrong type");

  file.expect_refused("shape larger", one("[3]", "[0,8]"), "needs 12 bytes");
  file.expect_refused("shape smaller", one("[]", "[0,8]"), "needs 4 bytes");
  file.expect_refused("shape negative", one("[-2]", "[0,8]"), "whole number");
  file.expect_refused("shape overflows", one("[4611686018427387904,4611686018427387904]", "[0,8]"),
                      "overflows");
  file.expect_refused("shape wraps to nothing", one("[4294967296,4294967296]", "[0,0]", 0), "overflows");
  file.expect_refused("shape overflows before a zero", one("[4611686018427387904,16,0]", "[0,0]", 0),
                      "overflows");
  file.expect_refused("axis of 2^63", one("[9223372036854775808,0]", "[0,0]", 0), "overflows");
  std::string axes = "[1";
  for (int i = 0; i < 10'000; ++i) axes += ",1";
  file.expect_refused("10,001 axes", one(axes + "]", "[0,4]", 4), "list of more than");
  file.expect_refused("dtype unknown", one("[2]", "[0,8]", 8, "\"F31\""), "unknown dtype");
  file.expect_refused("dtype a number", one("[2]", "[0,8]", 8, "7"), "wrong type");
  file.expect_refused("no shape", file_of(R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", 8),
                      "wanted dtype");
  file.expect_refused("a fourth key",
                      file_of(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"x":1}})", 1),
                      "wanted dtype");
  file.expect_refused("a tensor that is a number", file_of(R"({"a":1})"), "wanted dtype");

  const std::string again = tensor("[2]", "[0,8]");
  file.expect_refused("name twice", file_of(R"({"a":)" + again + R"(,"a":)" + again + "}", 8), "twice");
  file.expect_refused("key twice",
                      file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
                      "twice");
  file.expect_refused("metadata twice", file_of(R"({"__metadata__":{},"__metadata__":{}})"), "twice");
  file.expect_refused("metadata of numbers", file_of(R"({"__metadata__":{"a":3}})"), "wanted a string");
  file.expect_refused("metadata of nothing", file_of(R"({"__metadata__":{"a":null}})"), "wanted a string");
  file.expect_refused("metadata a list", file_of(R"({"__metadata__":["a"]})"), "wanted an object");
}

TEST(Safetensors, NamesAreEscaped) {
  const BadFile file("bad.safetensors", [](const fs::path& path) { SafetensorsFile(path).at("absent"); });
  const std::string name = R"(\n\u001b[2J\u0007)";
  file.expect_refused("in a list of tensors", file_of("{\"" + name + "\":" + tensor("[2]", "[0,8]") + "}", 8),
                      "absent");
  file.expect_refused("of a tensor", file_of("{\"" + name + "\":{}}"), "wanted dtype");
  file.expect_refused("twice", file_of("{\"" + name + "\":1,\"" + name + "\":1}"), "twice");
  file.expect_refused("of a dtype", one("[2]", "[0,8]", 8, "\"" + name + "\""), "unknown dtype");
  file.expect_refused("of metadata", file_of("{\"__metadata__\":{\"" + name + "\":1}}"), "wanted a string");
  file.expect_refused("a name of a megabyte", file_of("{\"" + std::string(1 << 20, 'x') + "\":{}}"),
                      "wanted dtype");
  file.expect_refused("an offset of a megabyte", one("[2]", "[0,\"" + std::string(1 << 20, 'x') + "\"]"),
                      "whole number");
}

}  // namespace
}  // namespace diffit::hostile
