// Whole trainings, in a second each: resuming bit for bit, bad numbers, bad states.
#include "train/run.h"

#include <cstring>
#include <map>
#include <numeric>

#include "base/error.h"
#include "model/model_file.h"
#include "train/testing.h"

namespace diffit::training {
namespace {

using testing::shades;
using testing::small_ddpmpp_recipe;
using testing::small_recipe;
using testing::TemporaryFolder;
using testing::TrainingListener;

TrainingEnd train(const fs::path& folder, const Recipe& recipe, bool resume = false,
                  const std::atomic<bool>* stop = nullptr, TrainingListener listener = {}) {
  listener.stop = stop;
  return run_training({recipe, shades(), folder, resume, at::kCPU, at::kFloat}, listener);
}

std::map<std::string, std::string> tensors_of(const fs::path& path) {
  std::map<std::string, std::string> all;
  const SafetensorsFile file(path);
  for (const TensorView& view : file.tensors()) {
    all[view.name] = std::string(reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size());
  }
  return all;
}

std::string refusal(const std::function<void()>& call, ErrorKind kind) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "was not refused";
  return "";
}

TEST(Run, ResumedRunIsBitIdentical) {
  const TemporaryFolder whole, parts;
  EXPECT_EQ(train(whole.path(), small_recipe(64)), TrainingEnd::finished);

  std::atomic<bool> stop = false;
  TrainingListener stopper;
  stopper.stepped = [&](const TrainStep& status) { stop = status.images == 40; };
  EXPECT_EQ(train(parts.path(), small_recipe(64), false, &stop, stopper), TrainingEnd::interrupted);
  EXPECT_EQ(RunFolder(parts.path()).states().front(), 40);
  EXPECT_EQ(train(parts.path(), small_recipe(64), true), TrainingEnd::finished);

  const RunFolder a(whole.path()), b(parts.path());
  EXPECT_EQ(tensors_of(a.state(64)), tensors_of(b.state(64)));
  for (const char* name : {"", "ema", "ema-0.050", "ema-0.100"}) {
    EXPECT_EQ(tensors_of(a.snapshot(64, name)), tensors_of(b.snapshot(64, name))) << name;
  }
  EXPECT_EQ(read_text(a.samples(64), 1 << 20), read_text(b.samples(64), 1 << 20));
  EXPECT_EQ(train(parts.path(), small_recipe(64), true), TrainingEnd::nothing_left);
}

TEST(Run, ResumeAcceptsLongerTraining) {
  for (const auto& recipe : {small_recipe, small_ddpmpp_recipe}) {
    const TemporaryFolder whole, parts;
    train(whole.path(), recipe(48));
    train(parts.path(), recipe(24));
    EXPECT_EQ(train(parts.path(), recipe(48), true), TrainingEnd::finished);
    EXPECT_EQ(tensors_of(RunFolder(whole.path()).state(48)), tensors_of(RunFolder(parts.path()).state(48)));
  }
}

TEST(Run, AccumulationAndCheckpointingChangeOnlyRounding) {
  const auto weights_after = [](const Recipe& recipe) {
    Trainer trainer(recipe, shades(), at::kCPU, at::kFloat);
    for (int i = 0; i < 3; ++i) trainer.step();
    std::vector<at::Tensor> flat;
    for (const Parameter& p : trainer.parameters().trained()) flat.push_back(p.tensor.detach().flatten());
    return at::cat(flat).to(at::kDouble);
  };
  for (const auto& made : {small_recipe, small_ddpmpp_recipe}) {
    Recipe recipe = made(64);
    recipe.optimiser.eps = 1e-3;  // without it Adam turns the rounding of a zero gradient into a whole step
    const at::Tensor plain = weights_after(recipe);
    recipe.train.microbatch = 2;
    const at::Tensor accumulated = weights_after(recipe);
    recipe.train.checkpointing = true;
    const at::Tensor checkpointed = weights_after(recipe);
    EXPECT_LT((plain - accumulated).abs().max().item<double>(), 1e-6);
    EXPECT_TRUE(at::equal(accumulated, checkpointed));
  }
}

TEST(Run, TheLossFalls) {
  Recipe recipe = small_recipe(1600);
  recipe.optimiser.lr = 5e-3;
  Trainer trainer(recipe, shades(), at::kCPU, at::kFloat);
  std::vector<double> losses;
  for (int i = 0; i < 200; ++i) losses.push_back(trainer.step().loss);
  const double first = std::accumulate(losses.begin(), losses.begin() + 20, 0.0);
  const double last = std::accumulate(losses.end() - 20, losses.end(), 0.0);
  EXPECT_LT(last, 0.5 * first);
}

TEST(Run, NonFiniteStepIsSkippedAndNeverSaved) {
  const TemporaryFolder folder;
  fs::create_directories(folder.path());
  const Recipe recipe = small_recipe(160);
  Trainer trainer(recipe, shades(), at::kCPU, at::kFloat);
  for (const Parameter& p : trainer.parameters()) {
    if (p.name == "tokenizer.bias") p.tensor.detach().fill_(INFINITY);
  }
  EXPECT_TRUE(trainer.step().skipped);
  EXPECT_EQ(trainer.skipped_in_a_row(), 1);
  EXPECT_EQ(trainer.images(), 8);
  EXPECT_EQ(trainer.counters()["optimiser_steps"], 0);
  const RunFolder run(folder.path());
  EXPECT_NE(refusal([&] { save_state(run, trainer, recipe, {}, 2); }, ErrorKind::failed).find("not written"),
            std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Run, StopsAfterManySkippedStepsAndKeepsLastGoodCheckpoint) {
  const TemporaryFolder folder;
  Recipe recipe = small_recipe(160);
  recipe.train.nonfinite_limit = 3;
  recipe.optimiser.clip = 0;
  recipe.optimiser.lr = 10;  // diverges
  recipe.optimiser.warmup_images = 0;
  recipe.loss.noise_mean = 18;
  recipe.loss.noise_deviation = 20;
  const std::string message = refusal([&] { train(folder.path(), recipe); }, ErrorKind::failed);
  EXPECT_NE(message.find("not finite"), std::string::npos) << message;
  EXPECT_NE(message.find("a checkpoint at"), std::string::npos) << message;
  EXPECT_NE(read_text(RunFolder(folder.path()).log(), 1 << 20).find("skipped"), std::string::npos);
}

/// shades(), but that one of them throws when it is read.
class Broken : public testing::ShadedImages {
 public:
  Broken(std::int64_t which, std::function<void()> trouble) : which_(which), trouble_(std::move(trouble)) {}
  Image read(std::int64_t index) const override {
    if (index == which_) trouble_();
    return ShadedImages::read(index);
  }
  std::optional<ImageInfo> uniform() const override { return ImageInfo{8, 8, 1}; }

 private:
  std::int64_t which_;
  std::function<void()> trouble_;
};

TEST(Run, CheckpointIsSavedAfterAnyFailure) {
  const TemporaryFolder whole;
  Recipe recipe = small_recipe(64);
  train(whole.path(), recipe);
  // The 45th image of the training: in the middle of a step, after the state of 32 images.
  const auto which = static_cast<std::int64_t>(
      permuted(44, 64, static_cast<std::uint64_t>(recipe.train.seed), stream_of(Purpose::data_order, 0)));
  const std::pair<std::function<void()>, const char*> troubles[] = {
      {[] { reject("x/7.jpg: truncated"); }, "x/7.jpg"},
      {[] { EXPECT_TRUE(Json::parse("{").is_null()); }, "parse error"},
      {[] { throw std::bad_alloc(); }, "out of memory"},
      {[] { TORCH_CHECK(false, "CUDA error: an illegal access"); }, "CUDA error"},
      {[] { throw 7; }, "unknown"}};
  for (const auto& [trouble, cause] : troubles) {
    const TemporaryFolder folder;
    const auto broken = std::make_shared<const Dataset>(std::make_unique<Broken>(which, trouble), 0);
    const std::string message = refusal(
        [&] {
          run_training({recipe, broken, folder.path(), false, at::kCPU, at::kFloat}, testing::ignored());
        },
        ErrorKind::failed);
    EXPECT_NE(message.find(cause), std::string::npos) << message;
    EXPECT_NE(message.find("40 images is saved"), std::string::npos) << message;
    EXPECT_NE(message.find("`resume`"), std::string::npos) << message;
    const RunFolder run(folder.path());
    EXPECT_EQ(run.states().front(), 40);
    EXPECT_NE(read_text(run.log(), 1 << 20).find(cause), std::string::npos);
    EXPECT_EQ(train(folder.path(), recipe, true), TrainingEnd::finished);
    EXPECT_EQ(tensors_of(run.state(64)), tensors_of(RunFolder(whole.path()).state(64))) << cause;
  }
}

TEST(Run, ResumeWritesMissingSnapshot) {
  const TemporaryFolder folder;
  const RunFolder run(folder.path());
  fs::create_directories(run.snapshot(16, "ema"));  // in its place
  refusal([&] { train(folder.path(), small_recipe(16), true); }, ErrorKind::failed);
  EXPECT_EQ(run.states().front(), 16);
  fs::remove(run.snapshot(16, "ema"));
  EXPECT_EQ(train(folder.path(), small_recipe(16), true), TrainingEnd::finished);
  EXPECT_TRUE(fs::is_regular_file(run.snapshot(16, "ema")));
  EXPECT_EQ(train(folder.path(), small_recipe(16), true), TrainingEnd::nothing_left);
}

TEST(Run, FailureBeforeFirstStepSavesNothing) {
  const TemporaryFolder folder;
  Recipe recipe = small_recipe(64);
  const auto which = static_cast<std::int64_t>(
      permuted(3, 64, static_cast<std::uint64_t>(recipe.train.seed), stream_of(Purpose::data_order, 0)));
  const auto broken = std::make_shared<const Dataset>(
      std::make_unique<Broken>(which, [] { reject("x/7.jpg: truncated"); }), 0);
  const std::string message = refusal(
      [&] {
        run_training({recipe, broken, folder.path(), false, at::kCPU, at::kFloat}, testing::ignored());
      },
      ErrorKind::failed);
  EXPECT_NE(message.find("no checkpoint is saved"), std::string::npos) << message;
  EXPECT_TRUE(RunFolder(folder.path()).states().empty());
}

TEST(Run, UnwritableLogsDoNotStopTraining) {
  const TemporaryFolder folder, other;
  fs::create_directories(folder.path());
  fs::create_symlink("/dev/full", folder.path() / "log.txt");
  std::string said;
  TrainingListener listener;
  listener.said = [&](const std::string& text) { said += text + "\n"; };
  EXPECT_EQ(train(folder.path(), small_recipe(32), false, nullptr, listener), TrainingEnd::finished);
  EXPECT_NE(said.find("log.txt"), std::string::npos) << said;
  train(other.path(), small_recipe(32));
  EXPECT_EQ(tensors_of(RunFolder(folder.path()).state(32)), tensors_of(RunFolder(other.path()).state(32)));
}

TEST(Run, AnyEvaluationExceptionIsAWarning) {
  const TemporaryFolder folder;
  Recipe recipe = small_recipe(16);
  recipe.train.eval_images = 8;
  TrainingRequest request{recipe, shades(), folder.path()};
  request.evaluate = [](const Exhibit&) -> Json { return Json::parse("{"); };
  std::string said;
  TrainingListener listener;
  listener.said = [&](const std::string& text) { said += text + "\n"; };
  EXPECT_EQ(run_training(request, listener), TrainingEnd::finished);
  EXPECT_NE(said.find("no evaluation at 8 images"), std::string::npos) << said;
}

TEST(Run, EveryByteOfACheckpointIsChecksummed) {
  const TemporaryFolder folder;
  train(folder.path(), small_recipe(32));
  const RunFolder run(folder.path());
  const std::string bytes = read_text(run.state(32), 1 << 24);
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  const std::size_t from = bytes.find("__metadata__"), to = bytes.find('}', bytes.find("sealed"));
  ASSERT_LT(to, 8 + length);
  std::vector<std::size_t> digits;
  for (std::size_t i = from; i < to; ++i) {
    if (bytes[i] >= '0' && bytes[i] <= '9') digits.push_back(i);
  }
  ASSERT_GT(digits.size(), 100U);
  std::vector<std::string> warnings;
  const auto resumed_at = [&] {
    Trainer trainer(small_recipe(32), shades(), at::kCPU, at::kFloat);
    load_newest_state(run, trainer, small_recipe(32), warnings);
    return trainer.images();
  };
  EXPECT_EQ(resumed_at(), 32);
  for (std::size_t i = 0; i < digits.size(); i += 7) {  // a second's worth of them
    std::string edited = bytes;
    edited[digits[i]] = edited[digits[i]] == '9' ? '8' : static_cast<char>(edited[digits[i]] + 1);
    write_file(run.state(32), edited);
    EXPECT_EQ(resumed_at(), 16) << bytes.substr(digits[i] - 30, 40);
  }
}

TEST(Run, ResumesCheckpointOfEarlierVersion) {
  const TemporaryFolder folder, other;
  train(folder.path(), small_recipe(32));
  const RunFolder run(folder.path());
  {
    const SafetensorsFile file(run.state(32));
    Metadata metadata = file.metadata();
    ASSERT_EQ(metadata.erase("diffit.state_crc32"), 1U);
    const std::string sealed = R"(,"sealed":true)";
    std::string& state = metadata[kStateKey];
    ASSERT_NE(state.find(sealed), std::string::npos);
    write_safetensors(other.path().string() + ".cut", file.tensors(), metadata);  // the seal taken off alone
    state.erase(state.find(sealed), sealed.size());
    write_safetensors(other.path().string() + ".old", file.tensors(), metadata);
  }
  fs::rename(other.path().string() + ".old", run.state(32));
  std::vector<std::string> warnings;
  Trainer trainer(small_recipe(32), shades(), at::kCPU, at::kFloat);
  load_newest_state(run, trainer, small_recipe(32), warnings);
  EXPECT_EQ(trainer.images(), 32);
  fs::rename(other.path().string() + ".cut", run.state(32));
  load_newest_state(run, trainer, small_recipe(32), warnings);
  EXPECT_EQ(trainer.images(), 16);
  EXPECT_EQ(warnings.size(), 1U);
}

TEST(Run, DamagedCheckpointFallsBackToPrevious) {
  const TemporaryFolder folder, other;
  train(folder.path(), small_recipe(32));
  const RunFolder run(folder.path());
  ASSERT_EQ(run.states(), (std::vector<std::int64_t>{32, 16}));
  std::string bytes = read_text(run.state(32), 1 << 24);
  bytes[bytes.size() - 5] = static_cast<char>(bytes[bytes.size() - 5] ^ 4);
  write_file(run.state(32), bytes);
  std::string said;
  TrainingListener listener;
  listener.said = [&](const std::string& text) { said += text + "\n"; };
  EXPECT_EQ(train(folder.path(), small_recipe(32), true, nullptr, listener), TrainingEnd::finished);
  EXPECT_NE(said.find("damaged"), std::string::npos) << said;
  EXPECT_NE(said.find("resumed at 16"), std::string::npos) << said;
  train(other.path(), small_recipe(32));
  EXPECT_EQ(tensors_of(run.state(32)), tensors_of(RunFolder(other.path()).state(32)));

  for (const std::int64_t images : run.states()) write_file(run.state(images), "{}");
  refusal([&] { train(folder.path(), small_recipe(32), true); }, ErrorKind::invalid);
}

TEST(Run, AnotherRecipeIsNotResumed) {
  const TemporaryFolder folder;
  train(folder.path(), small_recipe(16));
  EXPECT_NE(refusal([&] { train(folder.path(), small_recipe(16)); }, ErrorKind::invalid).find("`resume`"),
            std::string::npos);
  Recipe changed = small_recipe(32);
  changed.optimiser.lr = 1e-4;
  EXPECT_NE(refusal([&] { train(folder.path(), changed, true); }, ErrorKind::invalid).find("optimiser.lr"),
            std::string::npos);
  Recipe wider = small_recipe(32);
  wider.model["channels"] = {16, 16};
  EXPECT_NE(refusal([&] { train(folder.path(), wider, true); }, ErrorKind::invalid).find("model.channels"),
            std::string::npos);
}

TEST(Run, StatsContainEachStepOnceAfterAKill) {
  const TemporaryFolder folder;
  train(folder.path(), small_recipe(32));
  const RunFolder run(folder.path());
  fs::remove(run.state(32));  // as if killed before the last state: 24 and 32 are written again
  write_file(run.stats(), read_text(run.stats(), 1 << 20) + "{\"images\": 40, \"lo");
  train(folder.path(), small_recipe(32), true);
  std::vector<std::int64_t> images;
  for (const std::string& line : split(read_text(run.stats(), 1 << 20), '\n')) {
    if (!line.empty()) images.push_back(parse_json(line, "stats")["images"].get<std::int64_t>());
  }
  EXPECT_EQ(images, (std::vector<std::int64_t>{8, 16, 24, 32}));
}

/// Trains with an evaluation that tells the mean of four samples of the average.
TrainingEnd train_evaluated(const fs::path& folder, Recipe recipe, bool resume = false,
                            const std::atomic<bool>* stop = nullptr, TrainingListener listener = {}) {
  listener.stop = stop;
  recipe.train.eval_images = 24;
  recipe.eval.features = "means";
  TrainingRequest request{recipe, shades(), folder, resume, at::kCPU, at::kFloat};
  request.evaluate = [](const Exhibit& averaged) {
    Json figures = Json::object();
    averaged.sample(4, 3, [&](const at::Tensor& images) {
      EXPECT_EQ(images.sizes(), (std::vector<std::int64_t>{4, 8, 8, 1}));
      EXPECT_EQ(images.scalar_type(), at::kByte);
      figures["mean"] = images.to(at::kDouble).mean().item<double>();
    });
    return figures;
  };
  return run_training(request, listener);
}

/// Images and figures of the lines that hold an evaluation.
std::vector<std::pair<std::int64_t, double>> evaluations_of(const fs::path& folder) {
  std::vector<std::pair<std::int64_t, double>> all;
  for (const std::string& line : split(read_text(RunFolder(folder).stats(), 1 << 20), '\n')) {
    if (line.empty()) continue;
    const Json row = parse_json(line, "stats");
    if (row.contains("eval"))
      all.emplace_back(row["images"].get<std::int64_t>(), row["eval"]["mean"].get<double>());
  }
  return all;
}

TEST(Run, EvaluationDoesNotChangeTraining) {
  const TemporaryFolder plain, whole, parts;
  train(plain.path(), small_recipe(64));
  train_evaluated(whole.path(), small_recipe(64));
  std::atomic<bool> stop = false;
  TrainingListener stopper;
  stopper.stepped = [&](const TrainStep& status) { stop = status.images == 40; };
  train_evaluated(parts.path(), small_recipe(64), false, &stop, stopper);
  EXPECT_EQ(train_evaluated(parts.path(), small_recipe(64), true), TrainingEnd::finished);
  for (const char* name : {"", "ema", "ema-0.050", "ema-0.100"}) {
    const auto without = tensors_of(RunFolder(plain.path()).snapshot(64, name));
    EXPECT_EQ(tensors_of(RunFolder(whole.path()).snapshot(64, name)), without) << name;
    EXPECT_EQ(tensors_of(RunFolder(parts.path()).snapshot(64, name)), without) << name;
  }
  const auto evaluations = evaluations_of(whole.path());
  ASSERT_EQ(evaluations.size(), 3U);
  EXPECT_EQ(evaluations[0].first, 24);
  EXPECT_EQ(evaluations[1].first, 48);
  EXPECT_EQ(evaluations[2].first, 64);  // and one at the end
  EXPECT_NE(evaluations[0].second, evaluations[2].second);
  EXPECT_EQ(evaluations_of(parts.path()), evaluations);
  EXPECT_TRUE(evaluations_of(plain.path()).empty());
}

TEST(Run, FailedEvaluationIsAWarning) {
  const TemporaryFolder folder;
  Recipe recipe = small_recipe(16);
  recipe.train.eval_images = 8;
  TrainingRequest request{recipe, shades(), folder.path()};
  request.evaluate = [](const Exhibit&) -> Json { fail("no features today"); };
  std::string said;
  TrainingListener listener;
  listener.said = [&](const std::string& text) { said += text + "\n"; };
  EXPECT_EQ(run_training(request, listener), TrainingEnd::finished);
  EXPECT_NE(said.find("no features today"), std::string::npos);
}

TEST(Run, MissingEvaluationCallbackIsAnError) {
  const TemporaryFolder folder;
  Recipe recipe = small_recipe(16);
  recipe.train.eval_images = 8;
  const TrainingRequest request{recipe, shades(), folder.path() / "run"};
  try {
    TrainMonitor monitor;
    run_training(request, monitor);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::invalid);
    EXPECT_NE(std::string(error.what()).find("train.eval_images"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(fs::exists(folder.path() / "run"));
}

TEST(Run, SnapshotsContainTheirConfiguration) {
  const TemporaryFolder folder;
  train(folder.path(), small_recipe(16));
  const RunFolder run(folder.path());
  for (const char* name : {"", "ema", "ema-0.050", "ema-0.100"}) {
    const LoadedModel model = load_model(WeightsFile(run.snapshot(16, name)), at::kCPU);
    EXPECT_EQ(std::get<ImageDiffiT>(model).config().classes, 4);
  }
}

/// The image that a training with small_recipe shows as its 45th cannot be read while `bad`; its header is
/// whole.
class DamagedShades : public testing::ShadedImages {
 public:
  explicit DamagedShades(const std::atomic<bool>& bad) : bad_(bad) {}
  Image read(std::int64_t index) const override {
    if (index == damaged_ && bad_) reject("shades/damaged.png: truncated");
    return ShadedImages::read(index);
  }
  std::optional<ImageInfo> uniform() const override { return ImageInfo{8, 8, 1}; }

 private:
  const std::atomic<bool>& bad_;
  const std::int64_t damaged_ = static_cast<std::int64_t>(permuted(
      44, 64, static_cast<std::uint64_t>(small_recipe(64).train.seed), stream_of(Purpose::data_order, 0)));
};

TEST(Run, UnreadableImageSavesCheckpointAndResumeIsBitIdentical) {
  const TemporaryFolder whole, parts;
  std::atomic<bool> bad = false;
  const auto run = [&](const fs::path& folder, bool resume) {
    const auto data = std::make_shared<const Dataset>(std::make_unique<DamagedShades>(bad));
    return run_training({small_recipe(64), data, folder, resume, at::kCPU, at::kFloat}, testing::ignored());
  };
  EXPECT_EQ(run(whole.path(), false), TrainingEnd::finished);
  bad = true;
  const std::string text = refusal([&] { run(parts.path(), false); }, ErrorKind::failed);
  EXPECT_NE(text.find("shades/damaged.png: truncated"), std::string::npos) << text;
  EXPECT_NE(text.find("`resume`"), std::string::npos) << text;
  EXPECT_EQ(RunFolder(parts.path()).states().front(), 40);
  bad = false;
  EXPECT_EQ(run(parts.path(), true), TrainingEnd::finished);
  EXPECT_EQ(tensors_of(RunFolder(whole.path()).state(64)), tensors_of(RunFolder(parts.path()).state(64)));
}

}  // namespace
}  // namespace diffit::training
