#include "report/templates.h"

#include <ctemplate/template.h>

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

}  // namespace

std::string expand(const std::string& name, const ctemplate::TemplateDictionary& values) {
  std::string text;
  if (!cache().ExpandNoLoad(name, kStrip, &values, nullptr, &text)) {
    fail("templates/{}: cannot be filled, a template that it includes is missing", name);
  }
  return text;
}

}  // namespace diffit
