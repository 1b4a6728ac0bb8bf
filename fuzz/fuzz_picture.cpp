#include <span>

#include "fuzz/input.h"
#include "io/picture.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit;
  return refuse_or_read([&] {
    const Picture picture = decode_picture(std::as_bytes(std::span(data, size)), "input");
    if (picture.width < 1 || picture.height < 1 || (picture.channels != 1 && picture.channels != 3))
      std::abort();
    if (picture.pixels.size() !=
        static_cast<std::size_t>(picture.width * picture.height * picture.channels)) {
      std::abort();
    }
  });
}
