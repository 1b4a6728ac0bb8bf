#include "capi/last_error.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "jobs/guard.h"

namespace diffit::capi {

namespace {

struct Kept {
  diffit_status kind = DIFFIT_OK;
  std::string message, field;
};

Kept& kept() {
  thread_local Kept error;
  return error;
}

}  // namespace

std::string field_of(const std::string& message) {
  const std::size_t begin = message.find('`');
  const std::size_t end = begin == std::string::npos ? begin : message.find('`', begin + 1);
  if (end == std::string::npos || end == begin + 1) return "";
  const std::string name = message.substr(begin + 1, end - begin - 1);
  const bool is_name = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  });
  return is_name ? name : "";
}

diffit_status keep_error(const Error& error) noexcept {
  try {
    kept() = {static_cast<diffit_status>(error.kind()), error.what(), field_of(error.what())};
  } catch (...) {  // no memory for the text
    kept().kind = DIFFIT_FAILED;
  }
  return kept().kind;
}

diffit_status keep_current_exception() noexcept {
  try {
    rethrow_as_error(std::current_exception());
  } catch (const Error& error) {
    return keep_error(error);
  } catch (...) {
    kept().kind = DIFFIT_FAILED;
    return DIFFIT_FAILED;
  }
}

void check_process() {
  static const pid_t first = ::getpid();
  if (first != ::getpid()) {
    fail(
        "this process was forked from one that had used diffit, and has none of its threads; start it anew "
        "instead (in Python: multiprocessing.get_context(\"spawn\"))");
  }
}

}  // namespace diffit::capi

diffit_error diffit_last_error(void) {
  const auto& error = diffit::capi::kept();
  return {error.kind, error.message.c_str(), error.field.c_str()};
}
