#include <span>

#include "fuzz/input.h"
#include "io/tensors/npz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit::io;
  return refuse_or_read([&] {
    const NpyHeader header = parse_npy_header(std::as_bytes(std::span(data, size)), "input");
    // A header that was parsed must survive formatting and parsing.
    const std::string again = format_npy_header(header.dtype, header.shape);
    const NpyHeader second = parse_npy_header(std::as_bytes(std::span(again)), "again");
    if (second.shape != header.shape || second.dtype != header.dtype) std::abort();
  });
}
