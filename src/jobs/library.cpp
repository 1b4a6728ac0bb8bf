#include "base/bundled.h"
#include "diffit/runtime.h"

namespace diffit {

void set_resource_folder(const std::string& path) {
  base::set_home(path);
}

const char* version() {
  return DIFFIT_VERSION;
}

}  // namespace diffit
