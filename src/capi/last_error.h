// Exceptions as status codes, with the error of each thread.
#pragma once

#include <string>
#include <utility>

#include "capi/names.h"
#include "diffit/c.h"
#include "diffit/error.h"

namespace diffit::capi {

/// Keeps an error for diffit_last_error() of this thread; returns its kind.
diffit_status keep_error(const Error& error) noexcept;
/// The same of the exception that is being handled.
diffit_status keep_current_exception() noexcept;

/// The name in the first pair of backticks of a message, if it is that of a field ("steps"), else "".
std::string field_of(const std::string& message);

/// Throws Error(failed) in a process that was forked after the first call of this function.
void check_process();

/// Calls `work` in a process that may do so. Its exception becomes the error of this thread.
template <class F>
diffit_status status_of(F&& work) noexcept {
  try {
    check_process();
    std::forward<F>(work)();
    return DIFFIT_OK;
  } catch (...) {
    return keep_current_exception();
  }
}

}  // namespace diffit::capi
