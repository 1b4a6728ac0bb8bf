#include "runtime/memory.h"

#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "runtime/pch.h"

namespace diffit::runtime {
namespace {

TEST(TensorMemory, IsUsedAgain) {
  reuse_tensor_memory();
  const void* first = at::empty({1 << 22}).const_data_ptr();
  const std::size_t held = memory_held();
  EXPECT_GE(held, std::size_t{4} << 22);
  const at::Tensor again = at::empty({1 << 22});
  EXPECT_EQ(again.const_data_ptr(), first);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(again.const_data_ptr()) % (2 << 20), 0U);
  EXPECT_LT(memory_held(), held);
}

TEST(TensorMemory, EveryByteOfEverySizeIsUsable) {
  reuse_tensor_memory();
  for (const std::int64_t size :
       {0, 1, 65535, 65536, 65537, 1000003, (2 << 20) - 1, 2 << 20, (5 << 20) + 3}) {
    at::Tensor a = at::full({size}, 1, at::kByte), b = at::full({size}, 2, at::kByte);
    EXPECT_TRUE(a.eq(1).all().item<bool>()) << size;
    EXPECT_TRUE(b.eq(2).all().item<bool>()) << size;
  }
}

TEST(TensorMemory, AcceptsRawBlocks) {
  reuse_tensor_memory();
  c10::Allocator* allocator = c10::GetCPUAllocator();
  for (const std::size_t size : {std::size_t{100}, std::size_t{3} << 20}) {
    void* raw = allocator->raw_allocate(size);
    std::memset(raw, 1, size);
    allocator->raw_deallocate(raw);
  }
}

TEST(TensorMemory, ReturnsMemoryBeyondWhatIsInUse) {
  reuse_tensor_memory();
  { const at::Tensor large = at::empty({std::int64_t{1} << 27}); }
  const std::size_t held = memory_held();
  EXPECT_GE(held, std::size_t{4} << 27);
  const at::Tensor other = at::empty({3 << 23});
  EXPECT_LT(memory_held(), held / 2);
}

TEST(TensorMemory, CanBeFreedByAnotherThread) {
  reuse_tensor_memory();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (std::int64_t i = 1; i < 40; ++i) {
        at::Tensor x = at::full({i * 10000}, t);
        std::thread([moved = std::move(x), t] { EXPECT_EQ(moved[-1].item<int>(), t); }).join();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace diffit::runtime
