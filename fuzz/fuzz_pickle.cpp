#include "fuzz/input.h"
#include "io/tensors/pickle.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit::io;
  return refuse_or_read([&] {
    const Pickle pickle({reinterpret_cast<const std::byte*>(data), size}, "input");
    const Pickle::Value& root = pickle.root();
    for (const Pickle::Index item : root.items) {
      if (name_of(pickle[item].kind).empty()) std::abort();
    }
    if (root.kind == Pickle::Kind::dict) pickle.find(root, "model");
  });
}
