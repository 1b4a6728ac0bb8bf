// librsvg and cairo, opened at run time: they and what they need are large, and only PNGs of plots use them.
#pragma once

#include <librsvg/rsvg.h>

#include "base/layers.h"

namespace diffit::plot {

/// The functions that svg_to_png() uses, under their names in the libraries.
struct Rsvg {
  /// Throws Error(failed), which says what to install, if `library` or a function is missing.
  explicit Rsvg(const char* library = "librsvg-2.so.2");

  decltype(&::rsvg_handle_new_from_data) handle_new_from_data = nullptr;
  decltype(&::rsvg_handle_get_intrinsic_size_in_pixels) handle_get_intrinsic_size_in_pixels = nullptr;
  decltype(&::rsvg_handle_render_document) handle_render_document = nullptr;
  decltype(&::g_object_unref) object_unref = nullptr;
  decltype(&::g_error_free) error_free = nullptr;
  decltype(&::cairo_image_surface_create) image_surface_create = nullptr;
  decltype(&::cairo_image_surface_get_data) image_surface_get_data = nullptr;
  decltype(&::cairo_image_surface_get_stride) image_surface_get_stride = nullptr;
  decltype(&::cairo_surface_flush) surface_flush = nullptr;
  decltype(&::cairo_surface_destroy) surface_destroy = nullptr;
  decltype(&::cairo_create) create = nullptr;
  decltype(&::cairo_set_source_rgb) set_source_rgb = nullptr;
  decltype(&::cairo_paint) paint = nullptr;
  decltype(&::cairo_status) status = nullptr;
  decltype(&::cairo_status_to_string) status_to_string = nullptr;
  decltype(&::cairo_destroy) destroy = nullptr;
};

/// The installed libraries, opened once. Throws as the constructor does.
const Rsvg& rsvg();

}  // namespace diffit::plot
