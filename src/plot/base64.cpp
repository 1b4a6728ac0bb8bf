#include "plot/base64.h"

#include <glib.h>

#include <memory>

namespace diffit::plot {

std::string base64(std::span<const std::byte> bytes) {
  const std::unique_ptr<gchar, void (*)(gpointer)> text(
      g_base64_encode(reinterpret_cast<const guchar*>(bytes.data()), bytes.size()), g_free);
  return text.get();
}

}  // namespace diffit::plot
