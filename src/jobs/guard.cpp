#include "jobs/guard.h"

#include <c10/util/Exception.h>

#include <new>

namespace diffit::jobs {

namespace {

constexpr const char* kOutOfMemory = "out of memory: try a smaller `batch` or train.microbatch";

bool tells_of_memory(const std::string& text) {
  for (const char* part : {"not enough memory", "can't allocate memory", "CUDA out of memory"}) {
    if (text.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

void rethrow_as_error(std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error&) {
    throw;
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    if (tells_of_memory(text)) fail("{}: {}", kOutOfMemory, text);
    fail("LibTorch: {}", text);
  } catch (const std::bad_alloc&) {
    fail("{}", kOutOfMemory);
  } catch (const std::exception& error) {
    fail("{}", error.what());
  }
}

}  // namespace diffit::jobs
