#include "runtime/memory.h"

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace diffit::runtime {
namespace {

constexpr std::size_t smallest = std::size_t{64} << 10;  // below, malloc does well
constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t slack = std::size_t{256} << 20;  // held whatever is in use

/// Up to the next thirty-second of a power of two: few sizes, and little wasted on huge pages, which count
/// whole.
std::size_t size_class(std::size_t bytes) {
  const std::size_t step = std::max<std::size_t>(std::bit_floor(bytes) / 32, 4096);
  return (bytes + step - 1) / step * step;
}

struct Mapping {
  void* start;
  std::size_t bytes;
  std::size_t size_class;
};

class ReusingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    if (bytes < smallest) return c10::GetDefaultCPUAllocator()->allocate(bytes);
    void* data = take(size_class(bytes));
    return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back_any; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }
  std::size_t held() {
    const std::lock_guard lock(mutex_);
    return held_;
  }
  static ReusingAllocator& instance() {
    static auto* allocator = new ReusingAllocator;  // tensors outlive static destruction
    return *allocator;
  }

 private:
  void* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    std::vector<void*>& blocks = free_[size];
    void* data = nullptr;
    if (!blocks.empty()) {
      data = blocks.back();
      blocks.pop_back();
      held_ -= size;
    } else {
      if (held_ + size > in_use_ + slack) release();
      data = map(size);
      if (data == nullptr) {
        release();
        data = map(size);
      }
      TORCH_CHECK_WITH(OutOfMemoryError, data != nullptr, "not enough memory: wanted ", size, " bytes");
    }
    in_use_ += size;
    return data;
  }

  /// A new block, null where there is no memory; from 2 MiB on it starts at a huge page's border.
  void* map(std::size_t size) {
    const std::size_t bytes = size + (size >= huge_page ? huge_page : 0);
    void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) return nullptr;
    void* data = start;
    if (size >= huge_page) {
      std::size_t room = bytes;
      data = std::align(huge_page, size, data, room);
      madvise(data, size, MADV_HUGEPAGE);
    }
    mappings_[data] = {start, bytes, size};
    return data;
  }

  static void give_back(void* data) {
    ReusingAllocator& self = instance();
    const std::lock_guard lock(self.mutex_);
    self.keep(data, self.mappings_.at(data).size_class);
  }

  /// For blocks of either kind, as oneDNN returns them.
  static void give_back_any(void* data) {
    ReusingAllocator& self = instance();
    {
      const std::lock_guard lock(self.mutex_);
      const auto found = self.mappings_.find(data);
      if (found != self.mappings_.end()) return self.keep(data, found->second.size_class);
    }
    c10::GetDefaultCPUAllocator()->raw_deallocate(data);
  }

  void keep(void* data, std::size_t size) {
    free_[size].push_back(data);
    held_ += size;
    in_use_ -= size;
  }

  void release() {
    for (auto& [size, blocks] : free_) {
      for (void* data : blocks) {
        const auto mapping = mappings_.find(data);
        munmap(mapping->second.start, mapping->second.bytes);
        mappings_.erase(mapping);
      }
      blocks.clear();
    }
    held_ = 0;
  }

  std::mutex mutex_;
  std::unordered_map<void*, Mapping> mappings_;
  std::map<std::size_t, std::vector<void*>> free_;
  std::size_t held_ = 0, in_use_ = 0;
};

}  // namespace

void reuse_tensor_memory() {
  c10::SetCPUAllocator(&ReusingAllocator::instance(), /*priority=*/1);
}

std::size_t memory_held() {
  return ReusingAllocator::instance().held();
}

}  // namespace diffit::runtime
