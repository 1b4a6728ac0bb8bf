#include "jobs/guard.h"

#include "runtime/exception_text.h"

namespace diffit::jobs {

void rethrow_as_error(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error&) {
    throw;
  } catch (...) {
    fail("{}", text_of(exception, "`batch` or train.microbatch"));
  }
}

}  // namespace diffit::jobs
