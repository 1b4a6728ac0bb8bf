#include "config/fields.h"
#include "fuzz/input.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace diffit::io;
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  return refuse_or_read([&] {
    switch (data[0] % 3) {
      case 0:
        parse_json(text, "input");
        break;
      case 1:
        parse_toml(text, "input");
        break;
      default: {
        Json value = Json::object();
        set_by_path(value, text);
      }
    }
  });
}
