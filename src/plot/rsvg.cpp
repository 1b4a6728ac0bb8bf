#include "plot/rsvg.h"

#include <dlfcn.h>

#include "base/error.h"

namespace diffit::plot {

namespace {

template <class F>
void find(void* library, const char* name, F& function) {
  // The libraries that librsvg needs are searched too.
  function = reinterpret_cast<F>(::dlsym(library, name));
  if (function == nullptr) fail("plots cannot be drawn as PNG: librsvg lacks {}; write SVG instead", name);
}

}  // namespace

Rsvg::Rsvg(const char* library) {
  void* const opened = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);  // never closed: GLib does not support it
  if (opened == nullptr) {
    const char* reason = ::dlerror();
    fail(
        "plots cannot be drawn as PNG without librsvg (Debian package librsvg2-2); install it, or write SVG: "
        "{}",
        reason == nullptr ? "it cannot be opened" : reason);
  }
  find(opened, "rsvg_handle_new_from_data", handle_new_from_data);
  find(opened, "rsvg_handle_get_intrinsic_size_in_pixels", handle_get_intrinsic_size_in_pixels);
  find(opened, "rsvg_handle_render_document", handle_render_document);
  find(opened, "g_object_unref", object_unref);
  find(opened, "g_error_free", error_free);
  find(opened, "cairo_image_surface_create", image_surface_create);
  find(opened, "cairo_image_surface_get_data", image_surface_get_data);
  find(opened, "cairo_image_surface_get_stride", image_surface_get_stride);
  find(opened, "cairo_surface_flush", surface_flush);
  find(opened, "cairo_surface_destroy", surface_destroy);
  find(opened, "cairo_create", create);
  find(opened, "cairo_set_source_rgb", set_source_rgb);
  find(opened, "cairo_paint", paint);
  find(opened, "cairo_status", status);
  find(opened, "cairo_status_to_string", status_to_string);
  find(opened, "cairo_destroy", destroy);
}

const Rsvg& rsvg() {
  static const Rsvg library;
  return library;
}

}  // namespace diffit::plot
