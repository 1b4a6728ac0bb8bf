// The whole program runs in little memory: a file that talks a reader into more ends in std::bad_alloc, which
// no test takes for a refusal.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>

namespace {

constexpr unsigned long kMost = 400ul << 20;

#if defined(__SANITIZE_ADDRESS__)
// The address sanitizer reserves terabytes, so that it bounds single allocations instead.
extern "C" const char* __asan_default_options() {
  return "max_allocation_size_mb=400:allocator_may_return_null=1:detect_leaks=1";
}
constexpr bool kLimited = false;
#else
constexpr bool kLimited = true;
#endif

class Limits : public testing::Environment {
 public:
  void SetUp() override {
    if (!kLimited) return;
    unsigned long pages = 0;
    ASSERT_TRUE(std::ifstream("/proc/self/statm") >> pages);
    const rlim_t most = pages * 4096 + kMost;
    const rlimit limit{most, most};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  }
};

const auto* const kLimits = testing::AddGlobalTestEnvironment(new Limits);

}  // namespace
