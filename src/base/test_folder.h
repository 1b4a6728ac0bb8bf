// What tests of files share.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <span>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace diffit::testing {

using namespace base;

/// A fresh folder that goes with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "diffit-test-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }
  fs::path operator/(const std::string& name) const { return path_ / name; }

  /// Writes a file (and its folders) and returns its path.
  fs::path write(const std::string& name, std::string_view bytes) const {
    const fs::path path = path_ / name;
    fs::create_directories(path.parent_path());
    // A file that is cut to nothing and written again is flushed to disk by ext4 when closed.
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  fs::path write(const std::string& name, std::span<const std::byte> bytes) const {
    return write(name, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }

 private:
  fs::path path_;
};

/// Expects one line of Error(invalid) that contains each of `parts`.
template <class F>
void expect_rejected(F&& action, std::initializer_list<std::string> parts) {
  try {
    action();
    ADD_FAILURE() << "accepted; wanted an error with: " << *parts.begin();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), ErrorKind::invalid) << message;
    for (const std::string& part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

}  // namespace diffit::testing
