#include "io/file_kind.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/printable.h"

namespace diffit::io {

namespace {

using namespace std::string_view_literals;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Signature {
  std::size_t offset;
  std::string_view bytes, what;
};

constexpr std::string_view kHdf5 = "an HDF5 file (Keras or h5py)";
constexpr std::string_view kGgml =
    "a GGUF file, quantized for llama.cpp; use the .safetensors file of the same model";

// A signature that is the beginning of another one stands behind it.
constexpr std::array kSignatures{
    Signature{0, "\x1f\x8b"sv, "a gzip file; unpack it first (gunzip, or tar -xzf)"},
    Signature{0, "BZh"sv, "a bzip2 file; unpack it first (bunzip2, or tar -xjf)"},
    Signature{0,
              "\xfd"
              "7zXZ\0"sv,
              "an xz file; unpack it first (unxz, or tar -xJf)"},
    Signature{0, "\x28\xb5\x2f\xfd"sv, "a Zstandard file; unpack it first (unzstd, or tar --zstd -xf)"},
    Signature{0, "\x04\x22\x4d\x18"sv, "an LZ4 file; unpack it first (unlz4)"},
    Signature{0, "7z\xbc\xaf\x27\x1c"sv, "a 7z archive; unpack it first (7z x)"},
    Signature{0, "Rar!\x1a\x07"sv, "a RAR archive; unpack it first (unrar x)"},
    Signature{257, "ustar"sv, "a tar archive; unpack it first (tar -xf)"},
    Signature{0, "\x93NUMPY"sv, "a single NumPy .npy array; numpy.savez writes an .npz archive"},
    Signature{0, "GGUF"sv, kGgml},
    Signature{0, "lmgg"sv, kGgml},
    Signature{0, "tjgg"sv, kGgml},
    Signature{0, "fmgg"sv, kGgml},
    Signature{0, "\x89HDF\r\n\x1a\n"sv, kHdf5},
    Signature{512, "\x89HDF\r\n\x1a\n"sv, kHdf5},
    Signature{1024, "\x89HDF\r\n\x1a\n"sv, kHdf5},
    Signature{2048, "\x89HDF\r\n\x1a\n"sv, kHdf5},
    Signature{4, "TFL3"sv, "a TensorFlow Lite model"},
    Signature{0, "MATLAB 5.0 MAT-file"sv, "a MATLAB .mat file"},
    Signature{0, "PAR1"sv, "a Parquet file"},
    Signature{0, "ARROW1"sv, "an Arrow file"},
    Signature{16, "\xde\xc0\xef\xbe"sv, "an LMDB database"},
    Signature{0, "SQLite format 3\0"sv, "an SQLite database"},
    Signature{0, "\x89PNG\r\n\x1a\n"sv, "a PNG image"},
    Signature{0, "\xff\xd8\xff"sv, "a JPEG image"},
    Signature{0, "GIF8"sv, "a GIF image"},
    Signature{8, "WEBPVP8"sv, "a WebP image"},
    Signature{0, "II*\0"sv, "a TIFF image"},
    Signature{0, "MM\0*"sv, "a TIFF image"},
    Signature{4, "ftypavif"sv, "an AVIF image"},
    Signature{4, "ftyphei"sv, "a HEIC image"},
    Signature{4, "ftypmif1"sv, "a HEIC image"},
    Signature{4, "ftyp"sv, "an MP4 video"},
    Signature{0, "\0\0\0\x0cJXL "sv, "a JPEG XL image"},
    Signature{0, "\xff\x0a"sv, "a JPEG XL image"},
    Signature{0, "\0\0\0\x0cjP  "sv, "a JPEG 2000 image"},
    Signature{0, "\xff\x4f\xff\x51"sv, "a JPEG 2000 image"},
    Signature{0, "8BPS"sv, "a Photoshop image"},
    Signature{0, "%PDF-"sv, "a PDF document"},
    Signature{0,
              "\x7f"
              "ELF"sv,
              "a program or library (ELF)"},
    Signature{0, "\0\x05\x16\x07"sv,
              "a macOS companion file (._NAME); use the file whose name does not begin with ._"},
    Signature{0, "L\0\0\0\x01\x14\x02\0"sv, "a Windows shortcut; use the file that it points to"},
    Signature{0, "book\0\0\0\0mark"sv, "a macOS alias; use the file that it points to"},
    Signature{0, "\0\0\x08\x01"sv, "an IDX file of labels (MNIST's format)"},
    Signature{0, "\0\0\x08\x03"sv, "an IDX file of images (MNIST's format)"},
};

bool begins_without_case(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(), [](char wanted, char got) {
           return wanted == static_cast<char>(std::tolower(static_cast<unsigned char>(got)));
         });
}

std::string_view without_space(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  return text;
}

/// " ('TEXT')", cut to a length that a message bears; "" where there is no text.
std::string quoted(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  text = without_space(text);
  const bool cut = text.size() > kLongest;
  if (cut) {
    text = text.substr(0, kLongest);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xc0) == 0x80) text.remove_suffix(1);
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xc0) text.remove_suffix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text.empty() ? "" : fmt::format(" ('{}{}')", printable(text), cut ? "..." : "");
}

/// What stands between the tags <NAME ...> and </NAME>, in lower or upper case.
std::string_view inside_tag(std::string_view text, std::string_view name) {
  for (std::size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    if (!begins_without_case(text.substr(at + 1), name)) continue;
    const std::size_t begin = text.find('>', at);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin + 1, std::min(text.find('<', begin), text.size()) - begin - 1);
  }
  return {};
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, std::min(text.find_first_of("\r\n"), text.size()));
}

/// Without a NUL and with few control characters: text in UTF-8 or one of its predecessors.
bool is_text(std::string_view start) {
  std::size_t odd = 0;
  for (const char c : start) {
    if (c == '\0') return false;
    const auto byte = static_cast<unsigned char>(c);
    odd += (byte < 32 && std::isspace(byte) == 0 && byte != 27) ? 1 : 0;
  }
  const auto high = static_cast<std::size_t>(
      std::count_if(start.begin(), start.end(), [](char c) { return static_cast<unsigned char>(c) >= 128; }));
  return odd == 0 && 2 * high <= start.size();
}

/// What a text stands for that is not the file that was wanted: a pointer to it, or a page about it. "" where
/// it is neither.
std::string placeholder(std::string_view start) {
  const std::string_view text = without_space(start);
  if (text.starts_with("version https://git-lfs.github.com/") || text.starts_with("version https://hawser")) {
    return "a git-lfs pointer: the actual file was not downloaded; run git lfs pull in its repository";
  }
  if (text.starts_with("/annex/objects/") || text.find("/annex/objects/") < 64) {
    return "a git-annex pointer: the actual file was not downloaded; run git annex get";
  }
  if (text.starts_with("# xet version")) {
    return "a git-xet pointer: the actual file was not downloaded; run git xet checkout, or download it";
  }
  if (text.starts_with("outs:\n- ") || (text.starts_with("md5:") && text.find("outs:") < text.size())) {
    return "a DVC pointer: the actual file was not downloaded; run dvc pull";
  }
  for (const std::string_view tag : {"<!doctype html"sv, "<html"sv, "<head"sv, "<body"sv, "<script"sv}) {
    if (!begins_without_case(text, tag)) continue;
    return fmt::format("a web page{}; download the actual file", quoted(inside_tag(text, "title")));
  }
  if (text.starts_with("<!--") && inside_tag(text, "html").data() != nullptr) {
    return fmt::format("a web page{}; download the actual file", quoted(inside_tag(text, "title")));
  }
  const bool svg = inside_tag(text, "svg").data() != nullptr;
  if (text.starts_with("<Error>") || (text.starts_with("<?xml") && !svg)) {
    const std::string_view code = inside_tag(text, "code"), message = inside_tag(text, "message");
    if (!code.empty() || !message.empty()) {
      return fmt::format("an XML error response from a server{}; download the actual file",
                         quoted(code.empty() ? message : code));
    }
  }
  for (const std::string_view reply : {"entry not found"sv, "repository not found"sv, "404: not found"sv,
                                       "invalid username or password."sv, "access denied"sv}) {
    if (begins_without_case(text, reply) && without_space(text.substr(reply.size())).empty())
      return fmt::format("an error response from a server{}; download the actual file", quoted(text));
  }
  constexpr std::size_t kShortReply = 1024;
  if ((text.starts_with('{') || text.starts_with('[')) && start.size() < kShortReply &&
      (text.find("\"error\"") != std::string_view::npos ||
       text.find("\"message\"") != std::string_view::npos ||
       text.find("\"detail\"") != std::string_view::npos)) {
    return fmt::format("a JSON error response from a server{}; download the actual file",
                       quoted(first_line(text)));
  }
  return "";
}

std::string what_text_is_this(std::string_view start) {
  if (std::string what = placeholder(start); !what.empty()) return what;
  const std::string_view text = without_space(start);
  if (begins_without_case(text, "<svg") ||
      (text.starts_with("<?xml") && inside_tag(text, "svg").data() != nullptr)) {
    return "an SVG image";
  }
  if (text.starts_with("<?xml")) return "an XML file";
  if (text.starts_with('{') || text.starts_with('[')) return "a JSON file";
  return fmt::format("a text file{}", quoted(first_line(text)));
}

/// Names of the entries whose headers lie in these bytes, one after the other.
std::vector<std::string_view> first_names(std::string_view start) {
  std::vector<std::string_view> names;
  const auto number = [&](std::size_t at, std::size_t bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, start.data() + at, bytes);
    return value;
  };
  for (std::size_t at = 0; at + 30 <= start.size() && start.substr(at).starts_with("PK\3\4");) {
    const std::uint64_t packed = number(at + 18, 4), name = number(at + 26, 2), extra = number(at + 28, 2);
    if (name > start.size() - at - 30) break;
    names.push_back(start.substr(at + 30, name));
    const std::uint64_t next = at + 30 + name + extra + packed;
    if (next <= at || next > start.size()) break;
    at = next;
  }
  return names;
}

std::string what_zip_is_this(std::string_view start) {
  for (const std::string_view name : first_names(start)) {
    if (name == "data.pkl" || name.ends_with("/data.pkl")) return "a torch.save file (.pt)";
    if (name.ends_with(".npy")) return "an .npz archive of NumPy arrays";
    if (name == "[Content_Types].xml") return "an Office document";
    if (name == "model.weights.h5") return "a Keras model (.keras)";
  }
  return "a zip archive";
}

/// ModelProto: field 1, a version; then a text or a graph.
bool is_onnx(std::string_view start) {
  if (start.size() < 16 || start[0] != 8 || start[1] < 1 || start[1] > 20) return false;
  const std::string_view producers[] = {"pytorch", "onnx", "skl2onnx", "tf2onnx", "keras", "paddle"};
  const std::string_view beginning = start.substr(0, 64);
  return start[2] == 0x12 && std::any_of(std::begin(producers), std::end(producers), [&](std::string_view p) {
           return beginning.find(p) != std::string_view::npos;
         });
}

/// GraphDef: nodes, each with a name and an operation.
bool is_tensorflow_graph(std::string_view start) {
  constexpr char kText = '\x0a', kSecondText = '\x12';
  std::size_t at = 1;
  if (start.empty() || start[0] != kText) return false;
  while (at < start.size() && static_cast<unsigned char>(start[at]) >= 128) ++at;  // the length of the node
  if (at + 3 > start.size() || start[at + 1] != kText) return false;
  const std::size_t name = static_cast<unsigned char>(start[at + 2]), operation = at + 3 + name;
  if (name == 0 || name >= 128 || operation + 3 > start.size() || start[operation] != kSecondText)
    return false;
  const std::size_t length = static_cast<unsigned char>(start[operation + 1]);
  const std::string_view word = start.substr(operation + 2, length);
  return length > 0 && word.size() == length && std::all_of(word.begin(), word.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
         });
}

bool is_safetensors(std::string_view start, std::uint64_t size) {
  constexpr std::uint64_t kLargestHeader = 100'000'000;
  std::uint64_t length = 0;
  if (start.size() < 10) return false;
  std::memcpy(&length, start.data(), 8);
  return length >= 2 && length <= kLargestHeader && length <= size - 8 && start[8] == '{';
}

}  // namespace

std::string what_file_is_this(std::span<const std::byte> bytes, std::uint64_t size) {
  if (size == 0) return "an empty file";
  const std::string_view start = as_text(bytes.first(std::min(bytes.size(), kBytesThatTell)));
  constexpr std::size_t kFewZeros = 64;
  if (start.size() >= kFewZeros && start.find_first_not_of('\0') == std::string_view::npos) {
    return fmt::format("a file that begins with {} zero bytes: an incomplete download or copy", start.size());
  }
  if (is_safetensors(start, size)) return "a safetensors file";
  if (start.starts_with("PK\3\4") || start.starts_with("PK\7\x08")) return what_zip_is_this(start);
  if (start.starts_with("PK\5\6")) return "an empty zip archive";
  for (const Signature& signature : kSignatures) {
    if (start.size() > signature.offset && start.substr(signature.offset).starts_with(signature.bytes))
      return std::string(signature.what);
  }
  if (start.starts_with("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv)) {
    return "a torch.save file from before PyTorch 1.6; save it again with a newer PyTorch: "
           "torch.save(torch.load(OLD), NEW)";
  }
  if (start.size() > 2 && start[0] == '\x80' && start[1] >= 2 && start[1] <= 5) return "a Python pickle";
  if (is_tensorflow_graph(start)) {
    return "a TensorFlow graph (.pb); use the same weights in PyTorch's format (docs/metrics.md)";
  }
  if (is_onnx(start)) return "an ONNX model; use the weights that it was exported from";
  if (start.starts_with("\xff\xfe") || start.starts_with("\xfe\xff")) return "a text file in UTF-16";
  if (start.starts_with("BM") && size > 26 && start.size() > 26 && start[14] == 40) return "a BMP image";
  return is_text(start) ? what_text_is_this(start) : "";
}

std::string what_stands_in(std::span<const std::byte> start) {
  const std::string_view text = as_text(start.first(std::min(start.size(), kBytesThatTell)));
  return is_text(text) ? placeholder(text) : "";
}

std::string what_file_is_this(const fs::path& path) {
  // Not blocked by a pipe without a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return "";
  struct stat status {};
  std::string what;
  if (::fstat(fd, &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      what = "a folder";
    } else if (S_ISFIFO(status.st_mode)) {
      what = "a named pipe";
    } else if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
      what = "a device";
    } else if (S_ISSOCK(status.st_mode)) {
      what = "a socket";
    } else if (S_ISREG(status.st_mode)) {
      std::vector<std::byte> start(kBytesThatTell);
      std::size_t got = 0;
      while (got < start.size()) {
        const ssize_t n = ::read(fd, start.data() + got, start.size() - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += static_cast<std::size_t>(n);
      }
      what = what_file_is_this(std::span(start).first(got), static_cast<std::uint64_t>(status.st_size));
    }
  }
  ::close(fd);
  return what;
}

std::string got_instead(const fs::path& path, const std::string& otherwise) {
  const std::string what = what_file_is_this(path);
  return what.empty() ? otherwise : ", got " + what;
}

}  // namespace diffit::io
