#include "io/archives/zip.h"

#include <zip.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "base/random_access.h"
#include "io/archives/zip_names.h"
#include "io/archives/zip_places.h"
#include "io/file_kind.h"
#include "io/tensors/sizes.h"

namespace diffit::io {

namespace {

constexpr std::size_t kPiece = 1 << 20;

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};
using Archive = std::unique_ptr<zip_t, CloseArchive>;
using OpenEntry = std::unique_ptr<zip_file_t, CloseEntry>;

Archive open_archive(const fs::path& path) {
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (archive != nullptr) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  // The file was opened before: it is not at fault.
  const bool system = code == ZIP_ER_MEMORY || code == ZIP_ER_OPEN || code == ZIP_ER_READ;
  if (system) fail("{}: cannot read the zip archive: {}", path.string(), reason);
  const std::string what = what_file_is_this(path);
  if (what.empty()) reject("{}: cannot read the zip archive: {}", path.string(), reason);
  // It begins as an archive, and its list of entries, which lies at the end, is missing.
  DIFFIT_CHECK(!what.ends_with("zip archive") && !what.starts_with("a torch.save file (") &&
                   !what.starts_with("an .npz archive"),
               "{}: truncated or damaged zip archive: {}; download or copy it again", path.string(), reason);
  reject("{}: wanted a zip archive, got {}", path.string(), what);
}

}  // namespace

struct ZipReader::State {
  fs::path path;
  std::uint64_t file_size = 0;
  std::vector<Entry> entries;
  std::vector<zip_uint64_t> places;  // of each entry in the archive
  std::vector<std::string> folders;
  std::unique_ptr<RandomAccessFile> file;
  std::vector<LocalHeader> headers;  // of the archive's entries; empty: not known
  std::unordered_map<std::string_view, std::size_t> by_name;
  std::mutex mutex;
  std::vector<Archive> idle;

  Archive take() {
    {
      const std::lock_guard lock(mutex);
      if (!idle.empty()) {
        Archive archive = std::move(idle.back());
        idle.pop_back();
        return archive;
      }
    }
    return open_archive(path);
  }
  void give_back(Archive archive) {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(archive));
  }

  std::string place(std::size_t index) const {
    return fmt::format("{}: {}", path.string(), printable(entries[index].name));
  }

  /// Opens the entry after checking that its claims are possible.
  OpenEntry open(zip_t* archive, std::size_t index) const {
    zip_stat_t stat;
    zip_stat_init(&stat);
    DIFFIT_CHECK(zip_stat_index(archive, places[index], 0, &stat) == 0 && stat.size == entries[index].size &&
                     stat.comp_size == entries[index].packed,
                 "{}: changed while it was being read", place(index));
    DIFFIT_CHECK((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) == 0 || stat.encryption_method == ZIP_EM_NONE,
                 "{}: encrypted; repack it without a password", place(index));
    const bool stored = stat.comp_method == ZIP_CM_STORE;
    DIFFIT_CHECK(stored || stat.comp_method == ZIP_CM_DEFLATE,
                 "{}: compression method {} is not supported; wanted stored or deflated", place(index),
                 stat.comp_method);
    DIFFIT_CHECK(stat.comp_size <= file_size, "{}: states {} bytes, but the whole archive has {}",
                 place(index), stat.comp_size, file_size);
    DIFFIT_CHECK(stored ? stat.size == stat.comp_size : stat.size <= largest_inflated(stat.comp_size),
                 "{}: {} compressed bytes cannot expand to the stated {}", place(index), stat.comp_size,
                 stat.size);
    check_header(index);
    OpenEntry entry(zip_fopen_index(archive, places[index], 0));
    DIFFIT_CHECK(entry != nullptr, "{}: {}", place(index), zip_strerror(archive));
    return entry;
  }

  /// libzip does not look at an entry's own header.
  void check_header(std::size_t index) const {
    if (!headers.empty()) check_local_header(*file, file_size, headers[places[index]], place(index));
  }

  /// The entry is damaged, or it could not be read at this time.
  [[noreturn]] void refuse(zip_file_t* entry, std::size_t index) const {
    const int code = zip_error_code_zip(zip_file_get_error(entry));
    const std::string reason = zip_file_strerror(entry);
    if (code == ZIP_ER_READ || code == ZIP_ER_MEMORY) fail("{}: cannot read: {}", place(index), reason);
    reject("{}: damaged: {}", place(index), reason);
  }

  /// Reads until `out` is full or the entry ends.
  std::size_t fill(zip_file_t* entry, std::span<std::byte> out, std::size_t index) const {
    std::size_t done = 0;
    while (done < out.size()) {
      const zip_int64_t n = zip_fread(entry, out.data() + done, out.size() - done);
      if (n < 0) refuse(entry, index);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  /// The CRC is compared when the end is met, so the end has to be met.
  void check_end(zip_file_t* entry, std::uint64_t got, std::size_t index) const {
    std::byte more;
    const bool ended = fill(entry, std::span(&more, 1), index) == 0;
    DIFFIT_CHECK(ended && got == entries[index].size, "{}: damaged: wanted {} bytes, got {}", place(index),
                 entries[index].size, ended ? std::to_string(got) : "more");
  }
};

ZipReader::ZipReader(const fs::path& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->file = std::make_unique<RandomAccessFile>(path);
  {
    const MappedFile mapped(path);
    state_->file_size = mapped.bytes().size();
    state_->headers = local_headers(mapped.bytes(), path.string());
  }
  DIFFIT_CHECK(state_->file_size > 0, "{}: wanted a zip archive, got an empty file", path.string());
  Archive archive = open_archive(path);
  const auto count =
      static_cast<zip_uint64_t>(std::max<zip_int64_t>(zip_get_num_entries(archive.get(), 0), 0));
  state_->entries.reserve(count);
  if (state_->headers.size() != count) state_->headers.clear();
  for (zip_uint64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    constexpr zip_uint64_t kWanted =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    DIFFIT_CHECK(zip_stat_index(archive.get(), i, 0, &stat) == 0 && (stat.valid & kWanted) == kWanted,
                 "{}: entry {} of {}: damaged", path.string(), i, count);
    const std::string_view name = stat.name;
    detail::check_zip_name(name, path.string());
    // libzip reads no data where there is none, and so compares no CRC.
    DIFFIT_CHECK(stat.size > 0 || (stat.valid & ZIP_STAT_CRC) == 0 || stat.crc == 0,
                 "{}: {}: damaged: an empty entry has CRC 0, got {:08x}", path.string(), printable(name),
                 stat.crc);
    if (name.ends_with('/')) {
      state_->folders.emplace_back(name.substr(0, name.find_last_not_of('/') + 1));
      continue;
    }
    state_->entries.push_back({std::string(name), stat.size, stat.comp_size});
    state_->places.push_back(i);
  }
  for (std::size_t i = 0; i < state_->entries.size(); ++i) {
    const bool fresh = state_->by_name.emplace(state_->entries[i].name, i).second;
    DIFFIT_CHECK(fresh, "{}: appears twice", state_->place(i));
  }
  state_->give_back(std::move(archive));
}

ZipReader::~ZipReader() = default;
ZipReader::ZipReader(ZipReader&&) noexcept = default;

const fs::path& ZipReader::path() const {
  return state_->path;
}
const std::vector<ZipReader::Entry>& ZipReader::entries() const {
  return state_->entries;
}

const std::vector<std::string>& ZipReader::folders() const {
  return state_->folders;
}

std::int64_t ZipReader::find(std::string_view name) const {
  const auto found = state_->by_name.find(name);
  return found == state_->by_name.end() ? -1 : static_cast<std::int64_t>(found->second);
}

std::vector<std::byte> ZipReader::read(std::size_t index, std::uint64_t limit) const {
  const Entry& claimed = state_->entries.at(index);
  DIFFIT_CHECK(claimed.size <= limit, "{}: {} bytes, the limit is {}", state_->place(index), claimed.size,
               limit);
  Archive archive = state_->take();
  std::vector<std::byte> content;
  {
    const OpenEntry entry = state_->open(archive.get(), index);
    content.resize(claimed.size);
    const std::size_t got = state_->fill(entry.get(), content, index);
    state_->check_end(entry.get(), got, index);
  }
  state_->give_back(std::move(archive));
  return content;
}

std::vector<std::byte> ZipReader::read_start(std::size_t index, std::uint64_t count) const {
  Archive archive = state_->take();
  std::vector<std::byte> content(
      static_cast<std::size_t>(std::min<std::uint64_t>(count, entries().at(index).size)));
  {
    const OpenEntry entry = state_->open(archive.get(), index);
    content.resize(state_->fill(entry.get(), content, index));
  }
  state_->give_back(std::move(archive));
  return content;
}

void ZipReader::stream(std::size_t index, const std::function<void(std::span<const std::byte>)>& sink) const {
  const Entry& claimed = state_->entries.at(index);
  Archive archive = state_->take();
  {
    const OpenEntry entry = state_->open(archive.get(), index);
    std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, claimed.size)));
    std::uint64_t got = 0;
    while (got < claimed.size) {
      const std::size_t wanted =
          static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), claimed.size - got));
      const std::size_t n = state_->fill(entry.get(), std::span(piece).first(wanted), index);
      if (n == 0) break;
      got += n;
      sink(std::span<const std::byte>(piece).first(n));
    }
    state_->check_end(entry.get(), got, index);
  }
  state_->give_back(std::move(archive));
}

}  // namespace diffit::io
