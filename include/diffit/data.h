// Data sets: conversion to EDM's layout, description, preview.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffit/monitor.h"

namespace diffit {

struct ConvertDataSpec {
  std::string data;           // zip, IDX(.gz) images file, CIFAR (files, folder, tarball) or folder of images
  std::string dest;           // the .zip file to write: uncompressed PNGs and dataset.json
  std::int64_t size = 0;      // side of the written images; smaller ones are padded with zeros; 0: unchanged
  std::string crop = "none";  // "center": the central square, then Lanczos; "adm": box and bicubic, then crop
  /// Source of labels. "auto": dataset.json, else the top-level folders unless they look like splits or
  /// numbered shards; "folders": the top-level folders; "none".
  std::string labels = "auto";
  bool skip_broken = false;  // skip images that cannot be read or whose size differs from that of most
  bool strict = false;       // treat warnings about the data as errors
  int threads = 0;           // 0: one per processor
};

/// An image that was skipped, and why.
struct SkippedImage {
  std::int64_t index = 0;
  std::string name, reason;
};

struct ConvertDataResult {
  std::int64_t images = 0, resolution = 0, channels = 0;
  std::int64_t classes = 0;           // 0: no labels
  std::vector<SkippedImage> skipped;  // in order; only with skip_broken
  std::string source;                 // in words, with one line per fact: what was converted
  std::string source_json;            // the same as JSON
  std::vector<std::string> warnings;  // about the source
};

/// Progress is reported in images. Throws Error: invalid for a wrong field or file, failed, or cancelled;
/// then no file is written.
ConvertDataResult convert_data(const ConvertDataSpec& spec);
ConvertDataResult convert_data(const ConvertDataSpec& spec, Monitor& monitor);

struct DescribeDataSpec {
  std::string data;             // as ConvertDataSpec::data, or a folder of latents
  std::string labels = "auto";  // as ConvertDataSpec::labels
  bool check = false;           // decode every image completely, not only its header
  bool strict = false;          // treat warnings about the data as a reason to refuse it
  int threads = 0;              // 0: one per processor
};

struct DescribeDataResult {
  std::int64_t images = 0;
  std::int64_t width = 0, height = 0, channels = 0;  // of most images; channels: 3 if any is RGB. Of a latent
  std::int64_t classes = 0;                          // 0: no labels
  std::vector<std::string> class_names;              // by label; empty: they have none
  std::vector<std::int64_t> class_counts;            // images by label
  std::vector<std::string> warnings;
  /// Why the data is refused: images that cannot be used, with `check`; warnings, with `strict`. Empty: it is
  /// not.
  std::string refusal;
  std::string json;  // everything that `diffit data info --json` prints
  std::string text;  // the same in words
};

/// Progress is reported in images. Throws Error: invalid for a wrong field or a data set of which nothing can
/// be read, failed, or cancelled.
DescribeDataResult describe_data(const DescribeDataSpec& spec);
DescribeDataResult describe_data(const DescribeDataSpec& spec, Monitor& monitor);

/// A grid of randomly chosen images.
struct PreviewDataSpec {
  std::string data;          // as ConvertDataSpec::data
  std::string out;           // the PNG file to write
  std::int64_t count = 64;   // images
  std::int64_t columns = 0;  // images per row; 0: a nearly square grid
  std::int64_t scale = 1;    // integer factor by which images are enlarged
  std::int64_t size = 0;     // side to which images are cropped and resized; 0: that of the first
  std::int64_t seed = 0;     // of the choice
  bool by_class = false;     // one row per class
};

struct PreviewDataResult {
  std::int64_t images = 0;  // places of the grid
  std::string source;       // the data set, in words
};

/// Throws Error: invalid for a wrong field or file, failed, or cancelled; then no file is written.
PreviewDataResult preview_data(const PreviewDataSpec& spec);
PreviewDataResult preview_data(const PreviewDataSpec& spec, Monitor& monitor);

}  // namespace diffit
