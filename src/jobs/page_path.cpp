#include "jobs/page_path.h"

#include "base/error.h"
#include "base/output_check.h"

namespace diffit::jobs {

void check_page_path(const std::string& path) {
  if (path.empty()) return;
  const fs::path out = path;
  const std::string extension = out.extension().string();
  DIFFIT_CHECK(extension == ".html" || extension == ".htm", "`out` {}: wanted a file x.html", path);
  check_output_file(out, "`out`");
}

}  // namespace diffit::jobs
