#include "io/tensors/safetensors.h"
#include "io/tensors/weights_file.h"
#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

/// An index beside good.safetensors, which holds `w`, as files do that it must not reach.
class Index {
 public:
  Index() {
    const float one = 1;
    const TensorView view{"w", Dtype::f32, {}, std::as_bytes(std::span(&one, 1))};
    for (const char* place : {"set/sub/good.safetensors", "set/good.safetensors", "outside.safetensors"}) {
      fs::create_directories((folder_ / place).parent_path());
      write_safetensors(folder_ / place, std::span(&view, 1), {});
    }
  }

  void expect_refused(const std::string& label, std::string_view content, std::string_view reason) const {
    const auto message = refuse(label, content);
    ASSERT_TRUE(message) << label << ": was read";
    EXPECT_NE(message->find(reason), std::string::npos) << label << ": " << *message;
  }
  std::optional<std::string> refuse(const std::string& label, std::string_view content) const {
    const fs::path path = folder_.write("set/model.safetensors.index.json", content);
    return refusal(label, "index.json", [&] { WeightsFile{path}; });
  }

 private:
  testing::TemporaryFolder folder_;
};

std::string map_to(const std::string& file) {
  return R"({"metadata":{"total_size":4},"weight_map":{"w":")" + file + "\"}}";
}

TEST(Sharded, RejectsFilesOutsideTheFolder) {
  const Index index;
  EXPECT_FALSE(index.refuse("good", map_to("good.safetensors")));
  for (const char* name :
       {"../outside.safetensors", "/etc/passwd", "./good.safetensors", "sub/good.safetensors", "..", ".", "",
        R"(..\\good.safetensors)", R"(good.safetensors\u0000)"}) {
    index.expect_refused(name, map_to(name), name[0] == 'g' ? "" : "without a folder");
  }
  index.expect_refused("itself", map_to("model.safetensors.index.json"), "wanted .safetensors");
  index.expect_refused("a pickle", map_to("good.bin"), "wanted .safetensors");
  index.expect_refused("not there", map_to("other.safetensors"), "is not in the same folder");
  index.expect_refused("escapes", map_to(R"(\u001b[2J/x)"), "without a folder");
  index.expect_refused("a name of a megabyte", map_to(std::string(1 << 20, 'x') + ".safetensors"),
                       "not in the same folder");
}

TEST(Sharded, RefusesWhatIsNoIndex) {
  const Index index;
  index.expect_refused("empty", "", "JSON");
  index.expect_refused("cut", R"({"weight_map":{)", "JSON");
  index.expect_refused("a list", "[]", "weight_map");
  index.expect_refused("no map", "{}", "weight_map");
  index.expect_refused("a map of lists", R"({"weight_map":{"w":["good.safetensors"]}})", "name of a file");
  index.expect_refused("an empty map", R"({"weight_map":{}})", "no tensor");
  index.expect_refused("another key", R"({"weight_map":{"w":"good.safetensors"},"x":1})", "'x'");
  index.expect_refused("a tensor twice", R"({"weight_map":{"w":"good.safetensors","w":"good.safetensors"}})",
                       "twice");
  index.expect_refused("metadata of text", R"({"metadata":"x","weight_map":{"w":"good.safetensors"}})",
                       "metadata");
  index.expect_refused("nested 100,000 deep", R"({"weight_map":)" + std::string(100'000, '['), "");
  std::string many = R"({"weight_map":{)";
  for (int i = 0; i < 5000; ++i) many += fmt::format(R"({}"w{}":"f{}.safetensors")", i == 0 ? "" : ",", i, i);
  index.expect_refused("5000 files", many + "}}", "5000 files");
}

}  // namespace
}  // namespace diffit::hostile
