// The files of the pages, which are compiled into the program.
#pragma once

#include <string_view>

#include "server/http.h"

namespace diffit::server {

/// Returns an embedded file of server/web with the type that its name says. Throws HttpError 404 if there is
/// none.
Reply web_file(std::string_view name);

}  // namespace diffit::server
