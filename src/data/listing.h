// What a folder or zip holds, and which of it is the data set: images, labels, and what is passed over.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/sources.h"

namespace diffit::data::detail {

/// Names relative to the folder or zip, with '/' between their parts.
struct Listing {
  std::vector<std::string> files;
  std::vector<std::string> folders;     // also those without a file
  std::vector<Skipped> skipped;         // what could not be listed at all
  std::vector<std::string> unreadable;  // names of skipped files and folders that may have held images
};

struct Layout {
  std::vector<std::size_t> images;  // places in Listing::files, in order of name
  Labels labels;
  SourceFacts facts;  // all but the format
  bool has_json = false;
};

/// `read_json(place, limit)` reads the file at that place of Listing::files, a dataset.json. Error(invalid)
/// that begins with `where` where there is no image.
Layout arrange(const Listing& listing, const SourceOptions& options, const std::string& where,
               const std::function<std::string(std::size_t, std::uint64_t)>& read_json);

/// Everything below `folder`. Links are followed; every folder is read once, real ones before links to them,
/// so that links in circles end.
Listing list_folder(const fs::path& folder);

}  // namespace diffit::data::detail
