#include "io/file_kind.h"

#include <sys/stat.h>

#include "base/test_folder.h"
#include "io/tensors/npz.h"
#include "io/tensors/safetensors.h"

namespace diffit::io {
namespace {

using namespace std::string_literals;
using testing::TemporaryFolder;

std::string what(const std::string& content) {
  return what_file_is_this(std::as_bytes(std::span(content)), content.size());
}

struct Case {
  std::string content, wanted;
};

TEST(FileKind, RecognizesCommonFileTypes) {
  const std::string tar = "folder/" + std::string(250, '\0') + "ustar\0"s + std::string(255, '\0');
  const std::vector<Case> cases{
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4444\nsize 12\n", "git lfs pull"},
      {"/annex/objects/SHA256E-s3--44.png\n", "git annex get"},
      {"outs:\n- md5: 0123\n  path: x.zip\n", "dvc pull"},
      {"\n <!DOCTYPE HTML>\n<HTML><head><TITLE>Sign in</TITLE>", "a web page ('Sign in')"},
      {"<html class=\"\"><body>x", "a web page; download"},
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>",
       "XML error response from a server ('AccessDenied')"},
      {"<?xml version=\"1.0\"?><svg xmlns=\"x\"/>", "an SVG image"},
      {"{\"error\":\"Repository not found\"}",
       "JSON error response from a server ('{\"error\":\"Repository not found\"}')"},
      {"{\"a\": 1}", "a JSON file"},
      {"Entry not found", "an error response from a server ('Entry not found')"},
      {"404: Not Found\n", "an error response from a server ('404: Not Found')"},
      {"Entry not found in the list, see below", "a text file"},
      {"\x0a\x1d\x0a\x13"
       "DecodeJpeg/contents\x12\x05"
       "Const*\0"s,
       "a TensorFlow graph (.pb)"},
      {"\x0a\x1d\x0a\x13"
       "DecodeJpeg"s,
       ""},
      {tar, "a tar archive"},
      {"\x1f\x8b\x08\0"s, "a gzip file"},
      {"7z\xbc\xaf\x27\x1c\0\4"s, "a 7z archive"},
      {"\x28\xb5\x2f\xfd\4"s, "a Zstandard file"},
      {"GGUF\3\0\0\0"s, "a GGUF file"},
      {"\x08\x07\x12\x07pytorch\x1a\x03"
       "2.1:"s,
       "an ONNX model"},
      {"\x89HDF\r\n\x1a\n\0"s, "an HDF5 file"},
      {std::string(512, '\1') + "\x89HDF\r\n\x1a\n", "an HDF5 file"},
      {"\x93NUMPY\1\0v\0"s, "a single NumPy .npy array"},
      {"\x89PNG\r\n\x1a\n\0\0"s, "a PNG image"},
      {"\xff\xd8\xff\xe0\0"s, "a JPEG image"},
      {"\0\0\0\x0cjP  \r\n\x87\n"s, "a JPEG 2000 image"},
      {"8BPS\0\1"s, "a Photoshop image"},
      {"RIFF\4\0\0\0WEBPVP8 "s, "a WebP image"},
      {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "before PyTorch 1.6"},
      {"\x80\4\x95\1\0\0\0\0\0\0\0N."s, "a Python pickle"},
      {"", "an empty file"},
      {std::string(4096, '\0'), "begins with 4096 zero bytes"},
      {std::string(100, '\0') + "x", ""},
      {"\x01\x02\x03\x04\x05", ""},
      {"\x02\0\0\0\0\0\0\0{}"s, "a safetensors file"},
  };
  for (const Case& one : cases) {
    if (one.wanted.empty()) {
      EXPECT_EQ(what(one.content), "");
    } else {
      EXPECT_NE(what(one.content).find(one.wanted), std::string::npos)
          << what(one.content) << " / " << one.wanted;
    }
  }
}

TEST(FileKind, StandInsAreNeverWanted) {
  const auto stands_in = [](const std::string& content) {
    return what_stands_in(std::as_bytes(std::span(content)));
  };
  EXPECT_NE(stands_in("version https://git-lfs.github.com/spec/v1\noid").find("git lfs pull"),
            std::string::npos);
  EXPECT_NE(stands_in("<!doctype html><title>Quota exceeded</title>").find("'Quota exceeded'"),
            std::string::npos);
  EXPECT_NE(stands_in(R"({"error": "gated"})").find("error response"), std::string::npos);
  for (const std::string& content :
       {"{\"labels\": null}"s, "plain text"s, "PK\3\4"s,
        "<?xml version=\"1.0\"?><svg><message>a</message></svg>"s, ""s, std::string(100, '\0')})
    EXPECT_EQ(stands_in(content), "") << content;
}

TEST(FileKind, EscapesTextOfFiles) {
  const std::string text = what("hello \x1b[31mred\nsecond line");
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
  EXPECT_EQ(text.find("second"), std::string::npos) << text;
  EXPECT_LT(what(std::string(5000, 'a')).size(), 120u);
}

TEST(FileKind, DistinguishesZipArchives) {
  const TemporaryFolder folder;
  NpzWriter npz(folder / "x.npz");
  const std::int64_t shape[] = {1};
  const std::byte number[8]{};
  npz.add("mu", Dtype::f64, shape, number);
  npz.finish();
  EXPECT_EQ(what_file_is_this(folder / "x.npz"), "an .npz archive of NumPy arrays");
  EXPECT_EQ(what_file_is_this(fs::path(DIFFIT_SOURCE_DIR) / "tests/golden/torch/module.pt"),
            "a torch.save file (.pt)");
}

TEST(FileKind, KnowsWhatIsNoFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(what_file_is_this(folder.path()), "a folder");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(what_file_is_this(folder / "pipe"), "a named pipe");
  EXPECT_EQ(what_file_is_this("/dev/null"), "a device");
  EXPECT_EQ(what_file_is_this(folder / "absent"), "");
  EXPECT_EQ(got_instead(folder / "absent", "; no"), "; no");
  EXPECT_EQ(got_instead(folder.path()), ", got a folder");
}

}  // namespace
}  // namespace diffit::io
