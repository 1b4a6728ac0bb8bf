#include "base/error.h"
#include "diffusion/grid_check.h"
#include "tools/diffit/latent_source.h"
#include "tools/diffit/part_file.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/sample_options.h"
#include "tools/diffit/sample_output.h"
#include "tools/diffit/stop.h"
#include "model/model_file.h"
#include "model/vae_folder.h"

namespace diffit::cli {

namespace {

std::optional<ClassNames> names_of(const WeightsFile& file, std::int64_t classes) {
  if (classes == 0) return {};
  return class_names_of(file.path(), file.metadata(), classes, home() / "presets/classes");
}

using Generate = std::function<Evaluations(const SampleSink&, const SampleProgress&)>;

/// One a class, where there are more images than that.
std::int64_t columns_of(const SampleOptions& options, const SampleRequest& request, std::int64_t classes) {
  const bool rows_of_classes = options.columns == 0 && options.classes == "all" && classes > 1 &&
                               classes <= 32 && static_cast<std::int64_t>(request.seeds.size()) > classes;
  return rows_of_classes ? classes : options.columns;
}

/// Stamps of the files whose content the samples depend on.
Json stamps(const SampleOptions& options, const fs::path& model, const fs::path& vae,
            std::string (*stamp)(const fs::path&)) {
  Json object = Json::object();
  std::error_code none;
  if (fs::path(options.out).extension() == ".png" && !fs::is_directory(options.out, none)) {
    return object;  // made in one go, never gone on with
  }
  const auto add = [&](const char* name, const fs::path& path) {
    if (!path.empty()) object[name] = stamp(path);
  };
  add("model", model);
  add("vae", vae);
  add("autoguidance", options.autoguidance.empty() ? fs::path() : model_path(options.autoguidance));
  add("init_noise", options.init_noise);
  add("step_noise", options.step_noise);
  return object;
}

/// Runs `generate` into the output, going on where an interrupted run stopped, and prints what was done.
/// `request` is what `generate` works on; its `first` is set here. `grid`: a warning of its time grid, or "".
void make(const SampleOptions& options, const CommonOptions& common,
          const SampleOutputOptions& output_options, SampleRequest& request, const std::string& grid,
          const Generate& generate) {
  const auto count = static_cast<std::int64_t>(request.seeds.size());
  const auto output = open_sample_output(request, output_options);
  // At a boundary of batches, so that every number is the one an uninterrupted run would have computed.
  request.first = output->done() == count ? count : output->done() / request.batch * request.batch;
  output->go_on_from(request.first);
  ProgressLine line(common);
  Json warnings = Json::array();
  for (const std::string& warning : {grid, output->warning()}) {
    if (warning.empty()) continue;
    warnings.push_back(warning);
    line.say("warning: " + warning);
  }
  if (request.first == count) {
    line.say(fmt::format("{}: all {} images of this request are there already", options.out, count));
  } else if (request.first > 0) {
    line.say(fmt::format("{}: going on after {} of {} images", options.out, request.first, count));
  }
  const std::atomic<bool>& stop = watch_for_stop();
  const auto start = std::chrono::steady_clock::now();
  std::int64_t made = request.first;
  const Evaluations evaluations = generate(
      [&](std::int64_t first, const at::Tensor& samples) {
        output->add(first, samples);
        made = first + samples.size(0);
      },
      [&](std::int64_t done, std::int64_t all) {
        if (stop) {
          fail("interrupted after {} of {} pictures; {}", made, count,
               output->done() > 0 ? "the same command goes on with the next ones" : "nothing was kept");
        }
        line.show_count(static_cast<double>(done), static_cast<double>(all), "evaluations");
      });
  output->finish();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (request.first < count) {
    line.say(fmt::format("{} images in {} ({:.3g} a second)", count - request.first, human_seconds(seconds),
                         static_cast<double>(count - request.first) / seconds));
  }
  if (evaluations.saved > 0) {
    line.say(fmt::format(
        "{} evaluations a picture; {} were saved where guidance changes nothing or is within {} of "
        "none",
        evaluations.made, evaluations.saved, request.guidance.tolerance));
  }
  Json object = {{"out", options.out}, {"pictures", count}, {"seconds", seconds}};
  if (request.first > 0) object["went_on_after"] = request.first;
  object["evaluations"] = evaluations.made;
  object["evaluations_saved"] = evaluations.saved;
  object["made_by"] = output_options.made_by;
  object["warnings"] = warnings;
  print_result(common, object, options.out);
}

void sample_images(const SampleOptions& options, const CommonOptions& common, const Machine& machine,
                   const WeightsFile& file, const ImageConfig& config) {
  ImageRequest request = image_request(options, config, names_of(file, config.classes));
  request.dtype = machine.dtype;
  if (request.batch == 0) request.batch = 64;
  const Model model = load_model(file, machine.device);
  std::optional<Model> guide;
  if (!options.autoguidance.empty()) {
    guide = load_model(WeightsFile(model_path(options.autoguidance)), machine.device);
    request.guide = std::get_if<ImageDiffiT>(&*guide);
    DIFFIT_CHECK(request.guide != nullptr, "--autoguidance {}: a latent model; wanted an image-space one",
                 options.autoguidance);
  }
  check(config, request);
  make(options, common,
       {.path = options.out,
        .shape = {config.in_channels, config.resolution, config.resolution},
        .columns = columns_of(options, request, config.classes),
        .rounding = rounding_of(options),
        .restart = options.restart,
        .made_by = describe(options, request),
        .files = stamps(options, file.path(), {}, file_stamp),
        .earlier_files = stamps(options, file.path(), {}, earlier_file_stamp)},
       request, grid_warning(config, request), [&](const SampleSink& sink, const SampleProgress& progress) {
         return generate(std::get<ImageDiffiT>(model), request, sink, progress);
       });
}

void sample_latents(SampleOptions options, const CommonOptions& common, const Machine& machine,
                    const WeightsFile& file, const LatentConfig& config) {
  LatentRequest request = latent_request(options, config, names_of(file, config.classes));
  if (options.autoguidance.empty()) check_null_row(file, request.guidance);
  request.dtype = machine.dtype;
  if (request.batch == 0) request.batch = 8;
  const bool raw = holds_raw_samples(options.out);
  const fs::path vae_file = vae_path(options.vae, file);
  DIFFIT_CHECK(
      raw || !vae_file.empty(),
      "-o {}: the samples of {} are latents: give --vae FILE (a Stable Diffusion autoencoder) to make "
      "pictures of them, or -o x.safetensors to keep them as they are",
      options.out, options.model);
  std::optional<Vae> vae;
  if (!vae_file.empty() && (!raw || !options.vae.empty())) {
    vae = open_vae(vae_file, file, config, machine.device);
    options.vae = vae_file.string();
  }
  const LatentNetwork network = network_of(open_latent_model(file, machine));
  if (!options.autoguidance.empty()) {
    const auto guide = open_latent_model(WeightsFile(model_path(options.autoguidance)), machine);
    const LatentConfig& weak = guide->config();
    DIFFIT_CHECK(weak.input_size == config.input_size && weak.in_channels == config.in_channels &&
                     weak.classes == config.classes,
                 "--autoguidance {}: wanted a model of the same latents and classes ({}x{}, {} channels, {} "
                 "classes), got {}x{}, {}, {}",
                 options.autoguidance, config.input_size, config.input_size, config.in_channels,
                 config.classes, weak.input_size, weak.input_size, weak.in_channels, weak.classes);
    request.guide = network_of(guide);
  }
  check(config, request);
  const VaePlace place = vae ? find_vae(vae_file) : VaePlace();
  const auto files = [&](std::string (*stamp)(const fs::path&)) {
    Json object = stamps(options, file.path(), place.weights, stamp);
    if (!place.config.empty()) object["vae_config"] = stamp(place.config);
    return object;
  };
  std::vector<std::int64_t> shape{config.in_channels, config.input_size, config.input_size};
  if (!raw) {
    const std::int64_t side = config.input_size * vae->factor();
    shape = {vae->config().in_channels, side, side};
  }
  make(options, common,
       {.path = options.out,
        .shape = shape,
        .columns = columns_of(options, request, config.classes),
        .rounding = rounding_of(options),
        .restart = options.restart,
        .made_by = describe(options, request),
        .files = files(file_stamp),
        .earlier_files = files(earlier_file_stamp)},
       request, grid_warning(request), [&](const SampleSink& sink, const SampleProgress& progress) {
         const SampleSink decoded = [&](std::int64_t first, const at::Tensor& latents) {
           sink(first, decode_latents(*vae, latents));
         };
         return generate(network, config, machine.device, request, raw ? sink : decoded, progress);
       });
}

void run_sample(SampleOptions options, const CommonOptions& common) {
  check_output_path(options.out);
  const Machine machine = open_machine(common, /*prefer_bf16=*/false);
  const WeightsFile file(model_path(options.model));
  const ModelConfig config = config_of(file);
  apply_preset(options, config, options.model);
  if (const auto* image = std::get_if<ImageConfig>(&config)) {
    sample_images(options, common, machine, file, *image);
  } else {
    sample_latents(options, common, machine, file, std::get<LatentConfig>(config));
  }
}

}  // namespace

void add_sample_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<SampleOptions>();
  CLI::App* command = add_command(app, common, "sample", "Make pictures with a model");
  add_sample_options(*command, *o);
  command->footer(
      "\nExamples:\n"
      "  diffit sample -m fashion-mnist -n 80 -o grid.png\n"
      "  diffit sample -m fashion-mnist --seeds 7 --classes 3 -o dress.png\n"
      "  diffit sample -m diffit_256.safetensors --vae sd-vae-ft-ema.safetensors --preset diffit-256 -n "
      "50000 "
      "--classes random -o samples.npz\n"
      "  diffit sample -m diffit_256.safetensors --vae sd-vae-ft-ema.safetensors --sampler dpmpp2m "
      "--guidance 2 "
      "--seeds 7 --classes 207 -o dog.png\n"
      "Picture i depends on model, options, its seed and its class alone. A PNG holds how it was made: "
      "diffit info x.png. An interrupted run of x.npz, x.safetensors or dir/ goes on when it is typed "
      "again. A folder that\nholds images of another request is refused; --restart removes those and begins "
      "again.");
  command->callback([o, &common] { run_sample(*o, common); });
}

}  // namespace diffit::cli
