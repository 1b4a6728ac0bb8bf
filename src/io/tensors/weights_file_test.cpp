#include "io/tensors/weights_file.h"

#include <nlohmann/json.hpp>

#include "base/test_folder.h"
#include "io/tensors/safetensors.h"

namespace diffit::io {
namespace {

using testing::expect_rejected;
using testing::TemporaryFolder;

/// Writes tensors of one float each: their number in the list.
void write(const fs::path& path, const std::vector<std::string>& names, const Metadata& metadata = {}) {
  std::vector<float> values(names.size());
  std::vector<TensorView> views;
  for (std::size_t i = 0; i < names.size(); ++i) {
    values[i] = static_cast<float>(i);
    views.push_back({names[i], Dtype::f32, {1}, std::as_bytes(std::span(values).subspan(i, 1))});
  }
  write_safetensors(path, views, metadata);
}

fs::path write_index(const TemporaryFolder& folder, const nlohmann::json& map) {
  return folder.write("model.safetensors.index.json",
                      nlohmann::json{{"metadata", {{"total_size", 8}}}, {"weight_map", map}}.dump());
}

TEST(WeightsFile, ReadsSingleFile) {
  const TemporaryFolder folder;
  write(folder / "a.safetensors", {"x", "y"}, {{"k", "v"}});
  const WeightsFile file(folder / "a.safetensors");
  EXPECT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.metadata().at("k"), "v");
  EXPECT_EQ(file.find("z"), nullptr);
  expect_rejected([&] { file.at("z"); }, {"a.safetensors", "'z'", "x, y"});
}

TEST(WeightsFile, ReadsShardedSet) {
  const TemporaryFolder folder;
  write(folder / "1.safetensors", {"x"}, {{"format", "pt"}, {"k", "v"}});
  write(folder / "2.safetensors", {"y", "z"}, {{"format", "pt"}});
  WeightsFile opened(
      write_index(folder, {{"x", "1.safetensors"}, {"y", "2.safetensors"}, {"z", "2.safetensors"}}));
  const WeightsFile file(std::move(opened));
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.metadata(), (Metadata{{"format", "pt"}, {"k", "v"}}));
  float z = 0;
  std::memcpy(&z, file.at("z").bytes.data(), 4);
  EXPECT_EQ(z, 1);
}

TEST(WeightsFile, RejectsSetThatDoesNotMatchItsIndex) {
  const TemporaryFolder folder;
  write(folder / "1.safetensors", {"x", "y"});
  write(folder / "2.safetensors", {"z"});
  const auto refuse = [&](const nlohmann::json& map, const std::string& why) {
    expect_rejected([&] { WeightsFile{write_index(folder, map)}; }, {"index.json", why});
  };
  refuse({{"x", "1.safetensors"}}, "'y', which is listed nowhere");
  refuse({{"x", "1.safetensors"}, {"y", "2.safetensors"}}, "listed in '2.safetensors'");
  refuse({{"x", "1.safetensors"}, {"y", "1.safetensors"}, {"w", "1.safetensors"}}, "does not contain it");
  refuse({{"x", "3.safetensors"}}, "is not in the same folder");
}

TEST(WeightsFile, ErrorsNameOtherFileTypes) {
  const TemporaryFolder folder;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:44\nsize 9\n";
  for (const char* name : {"a.safetensors", "a.pt", "model.safetensors.index.json"}) {
    expect_rejected([&] { WeightsFile{folder.write(name, pointer)}; }, {name, "git lfs pull"});
    expect_rejected([&] { WeightsFile{folder.write(name, "<!doctype html><title>No</title>")}; },
                    {"a web page ('No')"});
  }
  expect_rejected([&] { WeightsFile{folder.write("a.pt", "\x93NUMPY\1 and more")}; },
                  {"a single NumPy .npy array"});
  expect_rejected([&] { WeightsFile{folder.write("a.bin", "")}; }, {"0 bytes", "an empty file"});
  expect_rejected([&] { WeightsFile{folder.write("a.bin", "{\"a\": 1}")}; }, {"weight_map"});
  expect_rejected([&] { WeightsFile{folder.path()}; },
                  {"got a folder", "give one of its files: a.bin, a.pt"});
}

TEST(WeightsFile, RemovesCommonPrefix) {
  const TemporaryFolder folder;
  write(folder / "a.safetensors", {"module.x", "module.y"});
  const WeightsFile file(folder / "a.safetensors");
  EXPECT_EQ(file.wrapper(), "module.");
  EXPECT_NE(file.find("x"), nullptr);
  write(folder / "b.safetensors", {"model.x", "ema.x"});
  float x = 0;
  std::memcpy(&x, WeightsFile(folder / "b.safetensors", Average::wanted).at("x").bytes.data(), 4);
  EXPECT_EQ(x, 1);
  std::memcpy(&x, WeightsFile(folder / "b.safetensors", Average::refused).at("x").bytes.data(), 4);
  EXPECT_EQ(x, 0);
  write(folder / "c.safetensors", {"ema.x"});
  expect_rejected([&] { WeightsFile(folder / "c.safetensors", Average::refused); }, {"'ema.'", "`no_ema`"});
  expect_rejected([&] { WeightsFile(folder / "a.safetensors", Average::wanted); }, {"without `ema`"});
}

}  // namespace
}  // namespace diffit::io
