// What the tests of files share.
#pragma once

#include <gtest/gtest.h>

#include <fmt/format.h>
#include <unistd.h>

#include "base/file.h"

namespace diffit::base {

/// A folder for one test, removed after it.
class InFolder : public testing::Test {
 protected:
  void SetUp() override {
    static int number = 0;
    folder_ = fs::temp_directory_path() / fmt::format("diffit-base-test-{}-{}", ::getpid(), ++number);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

/// As long as it lives, a test that runs as root has the rights of another user.
class AsAnotherUser {
 public:
  AsAnotherUser() { changed_ = ::seteuid(kNobody) == 0; }
  ~AsAnotherUser() {
    if (changed_) changed_ = ::seteuid(0) != 0;
  }
  AsAnotherUser(const AsAnotherUser&) = delete;
  AsAnotherUser& operator=(const AsAnotherUser&) = delete;
  bool changed() const { return changed_; }

 private:
  static constexpr uid_t kNobody = 65534;
  bool changed_ = false;
};

}  // namespace diffit::base
