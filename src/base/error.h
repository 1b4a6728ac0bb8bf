// The one exception type, and how it is thrown.
//
// A message is one line: what was wanted, what was got, where (file, tensor, line), what to try.
// Libraries throw and never print; only tools/ prints and exits, with the kind as the exit code.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace diffit {

enum class ErrorKind {
  failed = 1,   // it could not be done: I/O, memory, non-finite numbers, interrupted
  invalid = 2,  // the request is wrong: unknown option, bad value, bad file
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

/// Throws Error(failed): the request is right, the world is not.
template <class... A>
[[noreturn]] void fail(fmt::format_string<A...> format, A&&... args) {
  throw Error(ErrorKind::failed, fmt::format(format, std::forward<A>(args)...));
}

/// Throws Error(invalid): what was asked for, or a file that was given, is wrong.
template <class... A>
[[noreturn]] void reject(fmt::format_string<A...> format, A&&... args) {
  throw Error(ErrorKind::invalid, fmt::format(format, std::forward<A>(args)...));
}

}  // namespace diffit

/// Rejects (exit code 2) unless `condition` holds; the arguments are a fmt format and its values.
#define DIFFIT_CHECK(condition, ...) \
  do {                               \
    if (!(condition)) [[unlikely]] { \
      ::diffit::reject(__VA_ARGS__); \
    }                                \
  } while (false)
