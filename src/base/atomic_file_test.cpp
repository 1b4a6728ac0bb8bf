#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/temporary.h"
#include "base/testing.h"

namespace diffit::base {
namespace {

class AtomicFiles : public InFolder {
 protected:
  static struct stat info(const fs::path& path) {
    struct stat found {};
    EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
    return found;
  }
  static mode_t mode(const fs::path& path) { return info(path).st_mode & 07777; }
  fs::path left_over() const {
    const fs::path path = folder_ / temporary_name();
    std::ofstream(path) << "half";
    return path;
  }
};

TEST_F(AtomicFiles, NewFilesRespectUmask) {
  const mode_t before = ::umask(0027);
  write_file(folder_ / "a", "x");
  ::umask(0077);
  write_file(folder_ / "b", "x");
  ::umask(0002);
  write_file(folder_ / "c", "x");
  ::umask(before);
  EXPECT_EQ(mode(folder_ / "a"), 0640u);
  EXPECT_EQ(mode(folder_ / "b"), 0600u);
  EXPECT_EQ(mode(folder_ / "c"), 0664u);
}

TEST_F(AtomicFiles, KeepModeOfExistingFile) {
  write_file(folder_ / "a", "old");
  ::chmod((folder_ / "a").c_str(), 0604);
  const ino_t before = info(folder_ / "a").st_ino;
  write_file(folder_ / "a", "new");
  EXPECT_EQ(mode(folder_ / "a"), 0604u);
  EXPECT_NE(info(folder_ / "a").st_ino, before) << "it is another file, which appeared whole";
}

TEST_F(AtomicFiles, FollowAndKeepLinks) {
  fs::create_directories(folder_ / "far");
  write_file(folder_ / "far/a", "old");
  fs::create_symlink("far/a", folder_ / "link");
  fs::create_symlink("link", folder_ / "second");
  write_file(folder_ / "second", "new");
  EXPECT_TRUE(fs::is_symlink(folder_ / "second"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_text(folder_ / "far/a", 9), "new");

  fs::create_symlink("far/none", folder_ / "dangling");
  write_file(folder_ / "dangling", "made");
  EXPECT_TRUE(fs::is_symlink(folder_ / "dangling"));
  EXPECT_EQ(read_text(folder_ / "far/none", 9), "made");

  fs::create_symlink("circle", folder_ / "circle");
  EXPECT_THROW(write_file(folder_ / "circle", "x"), Error);
  fs::create_symlink("nowhere/x", folder_ / "lost");
  EXPECT_THROW(write_file(folder_ / "lost", "x"), Error);
  EXPECT_TRUE(fs::is_symlink(folder_ / "lost"));
}

TEST_F(AtomicFiles, PreserveHardLinks) {
  write_file(folder_ / "a", "something old");
  fs::create_hard_link(folder_ / "a", folder_ / "b");
  {
    AtomicFile file(folder_ / "a");
    file.write("ne");
    file.overwrite(1, "o");
    EXPECT_EQ(read_text(folder_ / "b", 99), "something old") << "before commit";
    file.commit();
  }
  EXPECT_EQ(read_text(folder_ / "b", 99), "no");
  EXPECT_EQ(info(folder_ / "a").st_ino, info(folder_ / "b").st_ino);
  EXPECT_EQ(count(), 2u);
}

TEST_F(AtomicFiles, GoIntoAPipe) {
  const fs::path path = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::string got;
  std::thread reader([&] {
    std::ifstream in(path);
    got.assign(std::istreambuf_iterator<char>(in), {});
  });
  {
    AtomicFile file(path);
    file.write("hallo");
    file.overwrite(1, "e");
    file.commit();
  }
  reader.join();
  EXPECT_EQ(got, "hello");
  EXPECT_TRUE(S_ISFIFO(info(path).st_mode));
}

TEST_F(AtomicFiles, WriteToDevicesInPlace) {
  write_file("/dev/null", "gone");
  EXPECT_TRUE(S_ISCHR(info("/dev/null").st_mode));
  EXPECT_THROW(write_file("/dev/full", "x"), Error);
}

TEST_F(AtomicFiles, WriteToOpenDescriptor) {
  const fs::path path = folder_ / "log";
  write_file(path, "before\n");
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  write_file(fmt::format("/proc/self/fd/{}", fd), "one\n");
  write_file(fmt::format("/dev/fd/{}", fd), "two\n");
  ::close(fd);
  EXPECT_EQ(read_text(path, 99), "before\none\ntwo\n");
}

TEST_F(AtomicFiles, WaitForADescriptorThatDoesNotBlock) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ::fcntl(ends[1], F_SETPIPE_SZ, 4096);
  ASSERT_EQ(::fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
  const std::string sent(200'000, 'x');
  std::string got;
  std::thread reader([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::array<char, 3000> piece{};
    for (ssize_t n = 0; (n = ::read(ends[0], piece.data(), piece.size())) > 0;)
      got.append(piece.data(), static_cast<std::size_t>(n));
  });
  write_file(fmt::format("/proc/self/fd/{}", ends[1]), sent);
  ::close(ends[1]);
  reader.join();
  ::close(ends[0]);
  EXPECT_EQ(got, sent);
}

TEST_F(AtomicFiles, SmallPiecesAndLargeOnesKeepTheirOrder) {
  std::string want;
  AtomicFile file(folder_ / "a");
  for (int i = 0; i < 40; ++i) {
    const std::string piece(i % 7 == 0 ? 300'000 : 9'000, static_cast<char>('a' + i % 26));
    file.write(piece);
    want += piece;
    EXPECT_EQ(file.size(), want.size());
    if (i % 5 != 0) continue;
    file.overwrite(want.size() - 3, "XYZ");  // what was written last
    want.replace(want.size() - 3, 3, "XYZ");
    file.overwrite(100, "early");
    want.replace(100, 5, "early");
  }
  file.commit();
  EXPECT_EQ(read_text(folder_ / "a", 1 << 24), want);
}

TEST_F(AtomicFiles, SupportLongestNames) {
  const fs::path path = folder_ / std::string(255, 'x');
  write_file(path, "x");
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(read_text(path, 9), "x");
}

TEST_F(AtomicFiles, RemoveOnlyLeftoversOfKilledWriters) {
  for (const char* name :
       {"a.png.k3Xz9Q.tmp", "mine.tmp", ".diffit-abcdef.tmp", ".diffit-0123abcd-aaaaaaaa0000.tmp"}) {
    write_file(folder_ / name, "x");
  }
  const fs::path dead = left_over(), living = left_over();
  const int fd = ::open(living.c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  remove_temporaries(folder_);
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(living)) << "its writer lives";
  EXPECT_EQ(count(), 5u);
  ::close(fd);
}

TEST_F(AtomicFiles, KeepFilesThatAreBeingWritten) {
  AtomicFile file(folder_ / "a");
  file.write("x");
  remove_temporaries(folder_);
  file.commit();
  EXPECT_EQ(read_text(folder_ / "a", 9), "x");
}

TEST_F(AtomicFiles, RemoveLeftoversOfKilledProcess) {
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder_ / "a");
    file.write("half");
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(count(), 1u);
  write_file(folder_ / "a", "whole");
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(read_text(folder_ / "a", 9), "whole");
}

TEST_F(AtomicFiles, SignalHandlerRemovesOpenFiles) {
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(folder_ / "a");
    file.write("half");
    remove_open_temporaries();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(count(), 0u);
}

TEST_F(AtomicFiles, FileSizeLimitIsAnError) {
  write_file(folder_ / "a", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file(folder_ / "a", std::string(2000, 'x'));
    } catch (const Error& error) {
      ::_exit(error.kind() == ErrorKind::failed ? 7 : 8);
    }
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(read_text(folder_ / "a", 9), "old");
  EXPECT_EQ(count(), 1u);
}

TEST(TemporaryNames, AreOursAlone) {
  const std::string name = temporary_name();
  EXPECT_TRUE(is_temporary_name(name)) << name;
  EXPECT_TRUE(made_since_boot(name));
  EXPECT_NE(name, temporary_name());
  for (std::size_t i = 0; i < name.size(); ++i) {
    std::string other = name;
    other[i] = other[i] == '7' ? '8' : '7';
    EXPECT_FALSE(is_temporary_name(other)) << other;
  }
}

}  // namespace
}  // namespace diffit::base
