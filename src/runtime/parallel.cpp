#include "runtime/parallel.h"

#include <ATen/Parallel.h>

namespace diffit::runtime {

std::int64_t threads() {
  return at::get_num_threads();
}

namespace internal {

void run(std::int64_t count, std::int64_t grain, RangeFunction function, const void* body) {
  at::parallel_for(0, count, grain,
                   [&](std::int64_t begin, std::int64_t end) { function(body, begin, end); });
}

}  // namespace internal
}  // namespace diffit::runtime
