// Descriptions of data sets (diffit/data.h).
#include "base/error.h"
#include "base/printable.h"
#include "config/json_text.h"
#include "data/description.h"
#include "data/latents.h"
#include "diffit/data.h"
#include "jobs/advance.h"
#include "jobs/encode_data_job.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "jobs/result_json.h"
#include "jobs/unfinished.h"

namespace diffit::jobs {

Json latents_json(const std::string& folder, const LatentData& latents) {
  Json object = {{"data", folder}, {"kind", "latents"}};
  object.update(selected(json_of(latents), {{"source", "source"},
                                            {"pictures", "images"},
                                            {"width", "width"},
                                            {"height", "height"},
                                            {"channels", "channels"},
                                            {"classes", "classes"},
                                            {"shards", "shards"},
                                            {"vae_identity", "vae_identity"},
                                            {"scale", "scale"},
                                            {"mean", "mean"},
                                            {"deviation", "standard_deviation"}}));
  return object;
}

std::string latents_text(const std::string& folder, const LatentData& latents) {
  return fmt::format("{}: latents of {}\n  {} images and their mirror images, {} x {} x {}, {}\n", folder,
                     latents.source, latents.images, latents.channels, latents.height, latents.width,
                     latents.classes > 0 ? fmt::format("{} classes", latents.classes) : "no labels") +
         fmt::format("  encoded by the VAE {}, scale {:.6g}: mean {:.4f}, standard deviation {:.4f}\n",
                     latents.vae_identity, latents.scale, latents.mean, latents.deviation);
}

namespace {

DescribeDataResult result_of(const LatentDataset& dataset, const std::string& folder) {
  const LatentInfo& info = dataset.info();
  const LatentData latents = latent_data(info);
  DescribeDataResult result;
  result.images = info.images;
  result.width = info.width;
  result.height = info.height;
  result.channels = info.channels;
  result.classes = info.classes;
  result.class_names = info.class_names;
  result.class_counts = dataset.class_counts();
  result.json = json_text(latents_json(folder, latents));
  result.text = latents_text(folder, latents);
  return result;
}

/// The warnings as refuse_warnings() states them, or "".
std::string refused_warnings(const DataDescription& description) {
  try {
    refuse_warnings(description);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

DescribeDataResult run_describe_data(const DescribeDataSpec& spec, Monitor& monitor) {
  if (holds_latents(spec.data)) return result_of(LatentDataset(spec.data), spec.data);
  const auto source = open_source(spec.data, {.labels = parse_label_mode(spec.labels)});
  const ImageScan scan = scan_images(
      *source,
      {spec.check, spec.threads, [&](std::int64_t done, std::int64_t all) {
         advance(monitor, {done, all, "images"}, fmt::format("interrupted after {} of {} images", done, all));
       }});
  DIFFIT_CHECK(!scan.sizes.empty(), "{}: no image can be read, the first: {}", source->describe(),
               scan.broken.front().reason);
  if (!spec.check) check_decodes(*source);
  DataDescription description = describe_data(*source, scan);
  if (const std::string found = unfinished_in(spec.data); !found.empty()) {
    description.warnings.push_back(fmt::format(
        "the set is incomplete, because the run that writes it was interrupted ({}); run the same command "
        "again to finish it",
        printable(found)));
  }
  DescribeDataResult result;
  result.images = description.images;
  result.width = description.width;
  result.height = description.height;
  result.channels = description.channels;
  result.classes = static_cast<std::int64_t>(description.classes.size());
  for (const DataClass& c : description.classes) {
    if (!c.name.empty()) result.class_names.push_back(c.name);
    result.class_counts.push_back(c.images);
  }
  if (result.class_names.size() != result.class_counts.size()) result.class_names.clear();
  result.warnings = description.warnings;
  const std::int64_t bad = scan.broken_count + scan.odd_count();
  if (spec.check && bad > 0) {
    result.refusal =
        fmt::format("{}: `check`: {} of {} images cannot be used: {} cannot be read, {} are not {}x{}{}",
                    source->describe(), bad, description.images, scan.broken_count, scan.odd_count(),
                    description.width, description.height, scan.odd.empty() ? "" : ": " + list_odd(scan.odd));
  } else if (spec.strict) {
    result.refusal = refused_warnings(description);
  }
  Json object = description_json(description);
  object["data"] = spec.data;
  result.json = json_text(object);
  result.text = description.kind + "\n" + description_text(description);
  return result;
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

DescribeDataResult describe_data(const DescribeDataSpec& spec, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::run_describe_data(spec, monitor); });
}

DescribeDataResult describe_data(const DescribeDataSpec& spec) {
  return describe_data(spec, jobs::no_monitor());
}

}  // namespace diffit
