// Exceptions of other libraries, as Error.
#pragma once

#include <exception>
#include <functional>
#include <utility>

#include "base/error.h"

namespace diffit::jobs {

/// Rethrows the exception as Error(failed) of one line: LibTorch's errors, out of memory (with advice), and
/// those of the standard library. An Error is rethrown as it is.
[[noreturn]] void rethrow_as_error(std::exception_ptr exception);

/// Calls `work`; only Error leaves it.
template <class F>
auto guarded(F&& work) -> decltype(work()) {
  try {
    return std::forward<F>(work)();
  } catch (...) {
    rethrow_as_error(std::current_exception());
  }
}

}  // namespace diffit::jobs
