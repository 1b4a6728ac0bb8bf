#include "report/templates.h"

#include <ctemplate/template.h>
#include <glib.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "report/embedded.h"

namespace diffit {

namespace {

constexpr ctemplate::Strip kStrip = ctemplate::STRIP_BLANK_LINES;

ctemplate::TemplateCache& cache() {
  static ctemplate::TemplateCache* const all = [] {
    auto* made = new ctemplate::TemplateCache;
    for (const auto& [name, text] : embedded_templates()) {
      if (!made->StringToTemplateCache(std::string(name), text.data(), text.size(), kStrip)) {
        fail("templates/{}: ctemplate does not understand it", name);
      }
    }
    made->Freeze();
    return made;
  }();
  return *all;
}

/// Bytes that are no UTF-8 as U+FFFD, control characters that no page may hold as spaces.
std::string well_formed(const std::string& text) {
  const std::unique_ptr<gchar, void (*)(gpointer)> valid(
      g_utf8_make_valid(text.data(), static_cast<gssize>(text.size())), g_free);
  std::string clean = valid.get();
  const auto forbidden = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t' && c != '\r') || byte == 0x7f;
  };
  std::replace_if(clean.begin(), clean.end(), forbidden, ' ');
  return clean;
}

}  // namespace

std::string expand(const std::string& name, const ctemplate::TemplateDictionary& values) {
  std::string text;
  if (!cache().ExpandNoLoad(name, kStrip, &values, nullptr, &text)) {
    fail("templates/{}: cannot be filled, a template that it includes is missing", name);
  }
  return well_formed(text);
}

}  // namespace diffit
