#include "runtime/exception_text.h"

#include <c10/util/Exception.h>

#include <new>

namespace diffit::runtime {

namespace {

bool tells_of_memory(const std::string& text) {
  for (const char* part : {"not enough memory", "an't allocate memory", "out of memory"}) {
    if (text.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

std::string text_of(const std::exception_ptr& exception, const std::string& advice) {
  const std::string memory = "out of memory: try a smaller " + advice;
  try {
    std::rethrow_exception(exception);
  } catch (const std::bad_alloc&) {
    return memory;
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    return (tells_of_memory(text) ? memory + ": " : "LibTorch: ") + text;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of an unknown type";
  }
}

}  // namespace diffit::runtime
