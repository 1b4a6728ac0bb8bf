// Functions that throw Error, the exception type of the library.
//
// A message is one line: what was wanted, what was got, where (file, tensor, line), what to try.
// Libraries throw and never print; only tools/ prints and exits.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/layers.h"
#include "diffit/error.h"

namespace diffit::base {

/// Throws Error(failed): a runtime failure, such as I/O or non-finite values.
template <class... A>
[[noreturn]] void fail(fmt::format_string<A...> format, A&&... args) {
  throw Error(ErrorKind::failed, fmt::format(format, std::forward<A>(args)...));
}

/// Throws Error(invalid): the request, or a file that it names, is wrong.
template <class... A>
[[noreturn]] void reject(fmt::format_string<A...> format, A&&... args) {
  throw Error(ErrorKind::invalid, fmt::format(format, std::forward<A>(args)...));
}

}  // namespace diffit::base

/// Rejects (exit code 2) unless `condition` holds; the arguments are a fmt format and its values.
#define DIFFIT_CHECK(condition, ...)       \
  do {                                     \
    if (!(condition)) [[unlikely]] {       \
      ::diffit::base::reject(__VA_ARGS__); \
    }                                      \
  } while (false)
