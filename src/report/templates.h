// The page's templates: files under templates/, part of the program, filled by ctemplate. Every template
// begins with the kind of text it is (AUTOESCAPE), so that what is filled in is escaped for its place.
#pragma once

#include <ctemplate/template_dictionary.h>

#include <string>

namespace diffit {

/// The template of that file name with its values, sections and included templates (by file name) filled in.
/// The result is UTF-8 without control characters, whatever was filled in.
std::string expand(const std::string& name, const ctemplate::TemplateDictionary& values);

}  // namespace diffit
