// The plan of a user study: what is shown to whom, fixed before the first answer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "config/fields.h"
#include "io/images/image.h"
#include "server/names.h"

namespace diffit::server {

/// What `diffit study new` is asked for.
struct StudySpec {
  std::string folder;             // is created
  std::vector<std::string> sets;  // NAME=PATH: sets of images of one size, at least two
  std::string question = "Which of the two images looks more real?";
  std::int64_t raters = 10;
  std::int64_t trials = 60;   // of each rater: pairs of images of two sets
  std::int64_t repeats = 6;   // of each rater: trials that are shown again with sides exchanged
  std::int64_t catches = 6;   // of each rater: an image against the same image with its pixels shuffled
  double catch_needed = 0.8;  // share of catch trials that a rater must answer right to be counted
  std::int64_t images = 200;  // of each set, chosen at random
  std::uint64_t seed = 0;
};

enum class TrialKind { pair, repeat, shuffled };

/// One question: two images. A side is a set and one of its images.
struct Trial {
  TrialKind kind = TrialKind::pair;
  std::int64_t set[2] = {0, 0};    // left, right
  std::int64_t image[2] = {0, 0};  // of that set
  std::int64_t shuffled = -1;      // side that is shuffled, of a catch trial
  std::int64_t repeats = -1;       // number of the trial that it shows again
};

/// A study in a folder: study.json, images/SET/NUMBER.png and answers.sqlite.
struct StudyPlan {
  fs::path folder;
  std::string question;
  std::vector<std::string> sets;     // names
  std::vector<std::string> sources;  // where their images are from
  std::vector<std::string> links;    // one secret for each rater
  std::int64_t trials = 0, repeats = 0, catches = 0;
  std::int64_t images = 0;  // of each set
  double catch_needed = 0;
  std::uint64_t seed = 0;
  std::string text;  // of study.json; answers belong to one text

  std::int64_t raters() const { return static_cast<std::int64_t>(links.size()); }
  std::int64_t trials_of_rater() const { return trials + repeats + catches; }
  /// The rule by which the study ends, in words.
  std::string stopping_rule() const;
  /// All trials of a rater in the order in which they are shown: a function of seed and rater alone. Sides
  /// are random; all pairs of sets are shown equally often (up to one).
  std::vector<Trial> trials_for(std::int64_t rater) const;
  /// PNG of a side of a trial, without anything that tells where it is from.
  std::vector<std::byte> png_of(const Trial& trial, int side) const;
};

/// Makes the folder and copies the images. Throws Error: invalid for a wrong field or sets that do not go
/// together, failed if it cannot be written.
StudyPlan make_study(const StudySpec& spec);
/// Throws Error(invalid) for a folder that holds no study.
StudyPlan read_study(const fs::path& folder);

}  // namespace diffit::server
