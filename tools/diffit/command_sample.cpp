// diffit sample: images from a model.
#include "base/text.h"
#include "jobs/result_json.h"
#include "tools/diffit/option_names.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/sample_options.h"

namespace diffit::cli {

namespace {

void run_sample(const SampleSpec& spec, const CommonOptions& common) {
  DIFFIT_CHECK(!spec.out.empty(), "-o: wanted a path");
  TerminalMonitor monitor(common);
  watch_for_stop();
  const SampleResult r = sample(spec, common, monitor);
  const std::int64_t made = r.count - r.resumed_after;
  if (made > 0) {
    monitor.note(fmt::format("{} images in {} ({:.3g} a second)", made, human_seconds(r.seconds),
                             static_cast<double>(made) / r.seconds));
  }
  if (r.evaluations_saved > 0) {
    monitor.note(fmt::format(
        "{} evaluations per image; skipped {} where the guidance scale is 1 or within {} of it",
        r.evaluations, r.evaluations_saved, Json::parse(r.made_by)["guidance_tolerance"].get<double>()));
  }
  const Json all = json_of(r);
  Json object = {{"out", spec.out}};
  object.update(selected(all, {{"pictures", "count"}, {"seconds", "seconds"}}));
  if (r.resumed_after > 0) object["went_on_after"] = r.resumed_after;
  object.update(selected(all, {{"evaluations", "evaluations"},
                               {"evaluations_saved", "evaluations_saved"},
                               {"made_by", "made_by"},
                               {"warnings", "warnings"}}));
  print_result(common, object, spec.out);
}

}  // namespace

void add_sample_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<SampleSpec>();
  CLI::App* command = add_command(app, common, "sample", "Generate images with a model");
  add_sample_options(*command, *o);
  command->footer(
      "\n"
      "Examples:\n"
      "  diffit sample -m fashion-mnist -n 80 -o grid.png\n"
      "  diffit sample -m fashion-mnist --seeds 7 --classes 3 -o dress.png\n"
      "  diffit sample -m diffit_256.safetensors --vae sd-vae-ft-ema.safetensors --preset diffit-256 -n "
      "50000 --classes random -o samples.npz\n"
      "  diffit sample -m diffit_256.safetensors --vae sd-vae-ft-ema.safetensors --sampler dpmpp2m "
      "--guidance 2 --seeds 7 --classes 207 -o dog.png\n"
      "Image i depends only on the model, the options, its seed and its class. A PNG records how it was "
      "made; print it\n"
      "with diffit info x.png. To continue an interrupted request for x.npz, x.safetensors or dir/, run the "
      "same command\n"
      "again. A folder with images of another request is an error; --restart removes those images and starts "
      "again.");
  command->callback([o, &common] { run_sample(*o, common); });
}

}  // namespace diffit::cli
