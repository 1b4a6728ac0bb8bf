// Templates of the page: files in templates/, embedded in the program and expanded by ctemplate. Each
// template begins with its content type (AUTOESCAPE), so that inserted text is escaped for its context.
#pragma once

#include <cstring>  // used by ctemplate, which does not include it

#include <ctemplate/template_dictionary.h>

#include <string>

#include "base/layers.h"

namespace diffit::plot {

/// Expands the template with that file name, including its values, sections and included templates (by file
/// name). The result is UTF-8 without control characters, for any inserted text.
std::string expand(const std::string& name, const ctemplate::TemplateDictionary& values);

}  // namespace diffit::plot
