// Good files of each format, then damaged without a plan: cut, flipped, overwritten, lengthened, spliced.
#include <numeric>

#include "base/random.h"
#include "data/source.h"
#include "io/archives/zip.h"
#include "io/datasets/cifar.h"
#include "io/datasets/idx.h"
#include "io/images/image.h"
#include "io/tensors/npz.h"
#include "io/tensors/safetensors.h"
#include "tests/hostile/hostile.h"

namespace diffit::hostile {
namespace {

constexpr std::uint64_t kLimit = 16 << 20;

struct Format {
  std::string name;  // of the test
  std::string file;
  std::function<std::string()> good;
  Reader read;
  bool strict = false;          // every cut is seen
  bool nothing_behind = false;  // bytes after its end are seen
};

void PrintTo(const Format& format, std::ostream* out) {
  *out << format.name;
}

void read_safetensors(const fs::path& path) {
  const SafetensorsFile file(path);
  unsigned sum = 0;
  for (const TensorView& view : file.tensors()) {
    for (const std::byte b : view.bytes) sum += std::to_integer<unsigned>(b);
  }
  EXPECT_LE(sum, 255 * fs::file_size(path));
}

void read_zip(const fs::path& path) {
  const ZipReader zip(path);
  for (std::size_t i = 0; i < zip.entries().size(); ++i)
    EXPECT_EQ(zip.read(i, kLimit).size(), zip.entries()[i].size);
}

void read_npz(const fs::path& path) {
  const NpzReader npz(path);
  for (const std::string& name : npz.names()) {
    std::uint64_t bytes = 0;
    npz.stream_rows(name, [&](std::int64_t, std::span<const std::byte> rows) { bytes += rows.size(); });
    EXPECT_EQ(npz.read(name, kLimit).data.size(), bytes);
  }
}

void read_source(const fs::path& path) {
  const auto source = open_source(path);
  for (std::int64_t i = 0; i < std::min<std::int64_t>(source->size(), 8); ++i) {
    const Image image = source->read(i);
    EXPECT_EQ(image.pixels.size(), static_cast<std::size_t>(image.width * image.height * image.channels));
    if (source->classes() > 0) {
      EXPECT_LT(source->label(i), source->classes());
    }
  }
}

std::string good_safetensors() {
  const testing::TemporaryFolder folder;
  const std::vector<float> values(6, 0.5f);
  const std::int64_t count = 3;
  const std::vector<TensorView> tensors{{"a.weight", Dtype::f32, {2, 3}, std::as_bytes(std::span(values))},
                                        {"b", Dtype::i64, {}, std::as_bytes(std::span(&count, 1))},
                                        {"empty", Dtype::f16, {0, 4}, {}}};
  write_safetensors(folder / "good", tensors, {{"key", "a value"}});
  return content_of(folder / "good");
}

std::string good_npz() {
  const testing::TemporaryFolder folder;
  const std::vector<std::uint8_t> values(24, 7);
  NpzWriter npz(folder / "good");
  npz.add("arr_0", Dtype::u8, std::vector<std::int64_t>{2, 3, 4}, std::as_bytes(std::span(values)));
  npz.add("arr_1", Dtype::i64, std::vector<std::int64_t>{3}, std::as_bytes(std::span(values)));
  npz.finish();
  return content_of(folder / "good");
}

std::string good_image() {
  const auto png = encode_png(Image{3, 2, 3, std::vector<std::uint8_t>(18, 90)}, 6, {{"parameters", "text"}});
  return {reinterpret_cast<const char*>(png.data()), png.size()};
}

std::string good_edm() {
  return zip_of({stored("00000/img00000000.png", good_image()), packed("00000/img00000001.png", good_image()),
                 packed("dataset.json",
                        R"({"labels": [["00000/img00000000.png", 0], ["00000/img00000001.png", 1]]})")});
}

std::string good_idx() {
  std::string pixels(24, '\0');
  std::iota(pixels.begin(), pixels.end(), '\1');
  return std::string("\0\0\x08\3", 4) + big(2, 4) + big(3, 4) + big(4, 4) + pixels;
}

std::string good_cifar() {
  std::string record(3073, '\x40');
  record[0] = 9;
  return record + record;  // with one byte more, a single one would be one of CIFAR-100
}

std::string from_corpus(const std::string& name) {
  return content_of(fs::path(DIFFIT_SOURCE_DIR) / "fuzz/corpus/image" / name);
}

std::vector<Format> formats() {
  const auto idx = [](const fs::path& path) { read_idx(path); };
  const auto cifar = [](const fs::path& path) { read_cifar(path); };
  const auto image = [](const fs::path& path) { read_image(path); };
  const auto corpus = [](const char* name) { return [name] { return from_corpus(name); }; };
  return {
      {"Safetensors", "bad.safetensors", good_safetensors, read_safetensors, true, true},
      {"Zip", "bad.zip",
       [] {
         return zip_of({stored("a", "hello"), packed("b/c", std::string(300, 'x'))});
       },
       read_zip, true, false},
      {"Npz", "bad.npz", good_npz, read_npz, true, false},
      {"Idx", "bad-idx3-ubyte", good_idx, idx, true, true},
      {"IdxGzip", "bad-idx3-ubyte.gz", [] { return deflated(good_idx(), 31); }, idx, true, true},
      {"Cifar", "data_batch_1.bin", good_cifar, cifar, false, true},
      {"Png", "bad.png", good_image, image, false, false},
      {"PngPalette", "bad.png", corpus("png_P"), image, false, false},
      {"Png16", "bad.png", corpus("png_16"), image, false, false},
      {"Jpeg", "bad.jpg", corpus("jpeg_RGB"), image, false, false},
      {"JpegProgressive", "bad.jpg", corpus("jpeg_progressive"), image, false, false},
      {"JpegCmyk", "bad.jpg", corpus("jpeg_CMYK"), image, false, false},
      {"WebpLossless", "bad.webp", corpus("webp_lossless"), image, false, false},
      {"WebpLossy", "bad.webp", corpus("webp_lossy"), image, false, false},
      {"EdmZip", "bad.zip", good_edm, read_source, true, false},
  };
}

class Damage : public ::testing::TestWithParam<Format> {
 protected:
  const Format& format() const { return GetParam(); }
  const std::string good_ = GetParam().good();
  const BadFile file_{GetParam().file, GetParam().read};
  Random random_{2026, stream_of(Purpose::test)};

  std::size_t below(std::size_t bound) { return random_.below(static_cast<std::uint32_t>(bound)); }
};

TEST_P(Damage, NoneIsRead) {
  file_.expect_read("undamaged", good_);
}

TEST_P(Damage, CutAtEveryLength) {
  for (std::size_t length = 0; length < good_.size(); ++length) {
    const std::string label = "cut at " + std::to_string(length);
    const auto message = file_.refusal(label, std::string_view(good_).substr(0, length));
    EXPECT_TRUE(message || !format().strict) << label << ": was read";
  }
}

TEST_P(Damage, BitsFlipped) {
  for (std::size_t at = 0; at < good_.size(); ++at) {
    // All bits near both ends, where the headers are; one bit elsewhere.
    const bool header = at < 192 || at + 192 > good_.size();
    for (int bit = header ? 0 : static_cast<int>(at % 8); bit < 8; bit += header ? 1 : 8) {
      std::string bad = good_;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      file_.refusal("bit " + std::to_string(bit) + " of byte " + std::to_string(at), bad);
    }
  }
}

TEST_P(Damage, NumbersMadeExtreme) {
  for (const std::size_t width : {1u, 2u, 4u, 8u}) {
    for (std::size_t at = 0; at + width <= good_.size(); at += at < 256 || at + 256 > good_.size() ? 1 : 61) {
      for (const std::string& value :
           {std::string(width, '\xff'), std::string(width, '\0'), std::string(width - 1, '\xff') + "\x7f",
            std::string(width - 1, '\0') + "\x80"}) {
        std::string bad = good_;
        bad.replace(at, width, value);
        file_.refusal(std::to_string(width) + " bytes at " + std::to_string(at), bad);
      }
    }
  }
}

TEST_P(Damage, BytesBehindTheEnd) {
  for (const std::string& tail : {zeros(1), std::string("x"), zeros(4096), good_}) {
    const std::string label = std::to_string(tail.size()) + " bytes after its end";
    const auto message = file_.refusal(label, good_ + tail);
    EXPECT_TRUE(message || !format().nothing_behind || tail.size() == good_.size()) << label << ": was read";
  }
}

TEST_P(Damage, PiecesMovedAndRepeated) {
  for (int i = 0; i < 300; ++i) {
    std::string bad = good_;
    const std::size_t from = below(good_.size()), to = below(good_.size());
    const std::string piece = good_.substr(from, 1 + below(64));
    if (i % 3 == 0) {
      bad.insert(to, piece);
    } else if (i % 3 == 1) {
      bad.replace(to, piece.size(), piece);
    } else {
      bad.erase(to, piece.size());
    }
    file_.refusal("splice " + std::to_string(i), bad);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, Damage, ::testing::ValuesIn(formats()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace diffit::hostile
