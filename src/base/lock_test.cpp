#include "base/lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <optional>

#include "base/append_file.h"
#include "base/error.h"
#include "base/testing.h"

namespace diffit::base {
namespace {

using Locks = InFolder;

TEST_F(Locks, AreExclusiveAndLeaveNoFiles) {
  const fs::path path = FileLock::path_in(folder_);
  {
    const FileLock first(path);
    EXPECT_TRUE(first.held());
    EXPECT_EQ(first.warning(), "");
    const FileLock second(path);
    EXPECT_TRUE(second.busy());
  }
  EXPECT_EQ(count(), 0u);
  const FileLock third(path);
  EXPECT_TRUE(third.held());
}

TEST_F(Locks, OfAKilledProcessAreFree) {
  const fs::path path = FileLock::path_in(folder_);
  const pid_t child = ::fork();
  if (child == 0) {
    const FileLock lock(path);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(count(), 1u);
  EXPECT_TRUE(FileLock(path).held());
  EXPECT_EQ(count(), 0u);
}

TEST_F(Locks, MissingLockSupportIsNotAConflict) {
  int reason = 0;
  EXPECT_EQ(try_lock(-1, &reason), LockState::unsupported);  // EBADF, as NFS answers
  EXPECT_EQ(reason, EBADF);
}

TEST_F(Locks, UncreatableLockFileIsAnError) {
  EXPECT_THROW(FileLock(folder_ / "none" / "lock"), Error);
}

TEST_F(Locks, RecordsGrowAndStayWhole) {
  {
    AppendFile file(folder_ / "log");
    EXPECT_EQ(file.append("one\n"), 0);
    EXPECT_EQ(file.sync(), 0);
  }
  AppendFile file(folder_ / "log");
  EXPECT_EQ(file.append("two\n"), 0);
  EXPECT_EQ(read_text(folder_ / "log", 99), "one\ntwo\n");
  EXPECT_FALSE(AppendFile(folder_ / "log", /*fresh=*/true).opened());
  EXPECT_EQ(AppendFile("/dev/full").append("x"), ENOSPC);
  EXPECT_THROW(AppendFile(folder_ / "none" / "log"), Error);
}

TEST_F(Locks, RecordsWaitForNoReaderOfAPipe) {
  const fs::path path = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THROW(AppendFile{path}, Error);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  AppendFile file(path);
  EXPECT_EQ(file.append("one\n"), 0);
  std::array<char, 16> got{};
  EXPECT_EQ(::read(reader, got.data(), got.size()), 4);
  ::close(reader);
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  EXPECT_EQ(file.append("two\n"), EPIPE);
  ::signal(SIGPIPE, before);
}

}  // namespace
}  // namespace diffit::base
