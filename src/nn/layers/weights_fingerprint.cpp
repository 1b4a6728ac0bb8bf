#include "nn/layers/weights_fingerprint.h"
#include "runtime/parallel.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "runtime/pch.h"

namespace diffit::nn {
namespace {

/// FNV-1a over 64-bit words, with the high bits mixed into the low bits after each product, followed by the
/// finalizer of SplitMix64 (Steele, Lea and Flood 2014).
class Hash {
 public:
  void add(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x100000001b3;
    state_ ^= state_ >> 32;
  }
  void add(const void* bytes, std::size_t size) {
    const auto* at = static_cast<const char*>(bytes);
    for (std::size_t done = 0; done < size; done += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, at + done, std::min(size - done, sizeof(word)));
      add(word);
    }
    add(size);
  }
  std::uint64_t value() const {
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

std::uint64_t hash_of(const Parameter& p) {
  const at::Tensor values = p.tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  Hash hash;
  hash.add(p.name.data(), p.name.size());
  for (const std::int64_t side : values.sizes()) hash.add(static_cast<std::uint64_t>(side));
  hash.add(values.const_data_ptr(), values.nbytes());
  return hash.value();
}

}  // namespace

std::string identity_of(std::string_view bytes) {
  Hash hash;
  hash.add(bytes.data(), bytes.size());
  return fmt::format("{:016x}", hash.value());
}

std::string identity_of(const ParameterList& parameters) {
  std::vector<const Parameter*> order;
  for (const Parameter& p : parameters) {
    if (p.initializer != Initializer::buffer) order.push_back(&p);
  }
  std::sort(order.begin(), order.end(),
            [](const Parameter* a, const Parameter* b) { return a->name < b->name; });
  std::vector<std::uint64_t> hashes(order.size());
  runtime::parallel_for(
      static_cast<std::int64_t>(order.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
          hashes[i] = hash_of(*order[i]);
      });
  Hash all;
  for (const std::uint64_t hash : hashes) all.add(hash);
  return fmt::format("{:016x}", all.value());
}

}  // namespace diffit::nn
