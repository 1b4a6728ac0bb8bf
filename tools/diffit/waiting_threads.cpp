// Lets OpenMP's waiting threads sleep after about 0.1 ms instead of 3 ms of spinning: on a shared machine
// they burn what the working threads need. docs/performance.md has the figures.
//
// libgomp reads its settings from the environment in its constructor, before main. Functions of
// .preinit_array run before the constructors of shared libraries, but setenv() does not work there: libc
// takes the environment from the stack afterwards. So one entry of the array on the stack is exchanged for
// the setting, and given back once libgomp has read it: no other code, and no child process, sees a changed
// environment.
#include <cstddef>
#include <cstring>

#if defined(__linux__) && defined(__ELF__)

namespace {

// A setting of the user's, whichever, is left alone.
constexpr const char* kUsers[] = {"OMP_WAIT_POLICY=", "GOMP_SPINCOUNT=", "KMP_BLOCKTIME=", "KMP_LIBRARY="};
// Entries that the constructor of no library reads.
constexpr const char* kUnread[] = {
    "_=", "OLDPWD=", "SHLVL=", "PWD=", "LOGNAME=", "USER=", "HOSTNAME=", "PATH=", "HOME="};

char setting[] = "GOMP_SPINCOUNT=10000";
char** place = nullptr;
char* taken_out = nullptr;

bool begins(const char* entry, const char* name) {
  return std::strncmp(entry, name, std::strlen(name)) == 0;
}

void exchange(int /*argc*/, char** /*argv*/, char** environment) {
  for (char** entry = environment; *entry != nullptr; ++entry) {
    for (const char* name : kUsers) {
      if (begins(*entry, name)) return;
    }
  }
  for (const char* name : kUnread) {
    for (char** entry = environment; *entry != nullptr; ++entry) {
      if (!begins(*entry, name)) continue;
      place = entry;
      taken_out = *entry;
      *entry = setting;
      return;
    }
  }
}

[[gnu::section(".preinit_array"), gnu::used]] void (*const before_constructors)(int, char**,
                                                                                char**) = exchange;

[[gnu::constructor(101)]] void give_back() {
  if (place != nullptr) *place = taken_out;
}

}  // namespace

#endif
