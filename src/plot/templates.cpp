#include "plot/templates.h"

#include <ctemplate/template.h>

#include <memory>

#include "base/error.h"
#include "base/utf8.h"
#include "plot/embedded.h"

namespace diffit::plot {

namespace {

constexpr ctemplate::Strip kStrip = ctemplate::STRIP_BLANK_LINES;

ctemplate::TemplateCache& cache() {
  static ctemplate::TemplateCache* const all = [] {
    auto* made = new ctemplate::TemplateCache;
    for (const auto& [name, text] : embedded_templates()) {
      if (!made->StringToTemplateCache(std::string(name), text.data(), text.size(), kStrip)) {
        fail("templates/{}: ctemplate cannot parse it", name);
      }
    }
    made->Freeze();
    return made;
  }();
  return *all;
}

/// Replaces bytes that are not valid UTF-8 by U+FFFD and control characters that are not allowed in a page by
/// spaces, and escapes bidirectional formatting characters as \u202e.
std::string well_formed(const std::string& text) {
  const std::string valid = valid_utf8(text);
  std::string clean;
  clean.reserve(valid.size());
  for (std::string_view rest = valid; !rest.empty();) {
    const Utf8Char c = first_char(rest);
    const bool blank = c.code == '\n' || c.code == '\t' || c.code == '\r';
    if (!is_unsafe(c.code) || blank) {
      clean += rest.substr(0, c.length);
    } else if (c.length == 1) {
      clean += ' ';
    } else {
      clean += escaped(rest.substr(0, c.length));
    }
    rest.remove_prefix(c.length);
  }
  return clean;
}

}  // namespace

std::string expand(const std::string& name, const ctemplate::TemplateDictionary& values) {
  std::string text;
  if (!cache().ExpandNoLoad(name, kStrip, &values, nullptr, &text)) {
    fail("templates/{}: cannot be expanded: a template that it includes is missing", name);
  }
  return well_formed(text);
}

}  // namespace diffit::plot
