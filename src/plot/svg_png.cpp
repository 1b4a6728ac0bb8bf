#include <cstdint>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "io/images/image.h"
#include "plot/plot_svg.h"
#include "plot/rsvg.h"

namespace diffit::plot {

namespace {

struct Free {
  void operator()(RsvgHandle* handle) const { rsvg().object_unref(handle); }
  void operator()(GError* error) const { rsvg().error_free(error); }
  void operator()(cairo_surface_t* surface) const { rsvg().surface_destroy(surface); }
  void operator()(cairo_t* context) const { rsvg().destroy(context); }
};

template <class T>
using Owned = std::unique_ptr<T, Free>;

[[noreturn]] void refuse(GError* error) {
  const Owned<GError> owned(error);
  fail("the plot cannot be drawn as PNG: {}",
       error != nullptr ? error->message : "librsvg reports no reason");
}

/// Converts cairo's opaque pixels, which are native-endian xRGB words.
Image image_of(cairo_surface_t* surface, int width, int height) {
  Image image{width, height, 3, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * height * 3)};
  const unsigned char* data = rsvg().image_surface_get_data(surface);
  const int stride = rsvg().image_surface_get_stride(surface);
  std::uint8_t* out = image.pixels.data();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      std::uint32_t word;
      std::memcpy(&word, data + static_cast<std::ptrdiff_t>(y) * stride + 4 * x, 4);
      *out++ = static_cast<std::uint8_t>(word >> 16);
      *out++ = static_cast<std::uint8_t>(word >> 8);
      *out++ = static_cast<std::uint8_t>(word);
    }
  }
  return image;
}

}  // namespace

std::vector<std::byte> svg_to_png(const std::string& svg, double scale) {
  const Rsvg& lib = rsvg();
  GError* error = nullptr;
  const Owned<RsvgHandle> handle(
      lib.handle_new_from_data(reinterpret_cast<const guint8*>(svg.data()), svg.size(), &error));
  if (!handle) refuse(error);
  double natural_width = 0, natural_height = 0;
  if (!lib.handle_get_intrinsic_size_in_pixels(handle.get(), &natural_width, &natural_height))
    fail("the plot cannot be drawn as PNG: it has no size");
  const int width = static_cast<int>(natural_width * scale + 0.5);
  const int height = static_cast<int>(natural_height * scale + 0.5);
  const Owned<cairo_surface_t> surface(lib.image_surface_create(CAIRO_FORMAT_RGB24, width, height));
  const Owned<cairo_t> context(lib.create(surface.get()));
  lib.set_source_rgb(context.get(), 1, 1, 1);
  lib.paint(context.get());
  const RsvgRectangle all{0, 0, static_cast<double>(width), static_cast<double>(height)};
  if (!lib.handle_render_document(handle.get(), context.get(), &all, &error)) refuse(error);
  if (lib.status(context.get()) != CAIRO_STATUS_SUCCESS)
    fail("the plot cannot be drawn as PNG: {}", lib.status_to_string(lib.status(context.get())));
  lib.surface_flush(surface.get());
  return encode_png(image_of(surface.get(), width, height), 9);
}

std::string png_obstacle() {
  try {
    rsvg();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace diffit::plot
