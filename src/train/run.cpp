#include "train/run.h"

#include <algorithm>
#include <chrono>
#include <exception>

#include "base/error.h"
#include "base/lock.h"
#include "base/process.h"
#include "base/stopwatch.h"
#include "base/text.h"
#include "config/json_text.h"
#include "runtime/exception_text.h"
#include "runtime/matrix_rate.h"
#include "train/plan.h"

namespace diffit::training {

namespace {

/// What went wrong, as one line for people.
std::string cause_of(const std::exception_ptr& exception) {
  const std::string text = text_of(exception, "train.microbatch");
  return text.substr(0, text.find('\n'));
}

/// One training in one folder: the loop, and what it leaves there.
class Run {
 public:
  Run(const TrainingRequest& request, TrainMonitor& monitor)
      : request_(request), monitor_(monitor), recipe_(request.recipe), folder_(request.folder) {
    DIFFIT_CHECK(recipe_.train.eval_images == 0 || request.evaluate,
                 "{}: train.eval_images is set, but this program does not support evaluation during "
                 "training: set it to 0",
                 folder_.path().string());
    if (leads()) take_folder();
    Recipe started = recipe_;
    if (request_.resume && !folder_.states().empty())
      started.train.init_from.clear();  // the state has it all
    trainer_ =
        std::make_unique<Trainer>(started, request_.data, request_.device, request_.dtype, request_.group);
    for (const std::string& note : trainer_->notes()) say(note);
    if (request_.resume) restore();
    check_same_start();
    if (nothing_left() || !leads()) return;
    measure_machine();
    before_journal_.insert(before_journal_.begin(), request_.preamble.begin(), request_.preamble.end());
    journal_ = std::make_unique<Journal>(folder_, trainer_->images());
    for (const std::string& text : before_journal_) journal_->say(text);
    write_file(folder_.config(), format_toml(write_recipe(recipe_)));
    if (recipe_.sample.images > 0 && !fs::exists(folder_.reals())) {
      write_reals();
    }
  }

  TrainingEnd operator()() {
    if (nothing_left()) return TrainingEnd::nothing_left;
    try {
      if (snapshot_owed_) snapshot();
      return train();
    } catch (...) {
      end_of(cause_of(std::current_exception()));
    }
  }

 private:
  bool leads() const { return request_.group->leads(); }
  bool alone() const { return request_.group->size() == 1; }

  /// Measures what MFU is a share of, which takes a GPU some hundredths of a second.
  void measure_machine() {
    if (!request_.device.is_cuda()) return;
    flops_per_image_ = plan_training(recipe_, summary(request_.data).resolution, 4).flops_per_image;
    machine_rate_ = runtime::matrix_product_rate(request_.device, request_.dtype, 0.05);
  }

  /// Makes the run folder and locks it.
  void take_folder() {
    const bool used = folder_.used();
    DIFFIT_CHECK(!used || request_.resume,
                 "{}: already contains a run; resume it with `resume`, or give another `out`",
                 folder_.path().string());
    std::error_code error;
    fs::create_directories(folder_.path(), error);
    if (error) fail("{}: cannot be made: {}", folder_.path().string(), error.message());
    lock_ = std::make_unique<FileLock>(FileLock::path_in(folder_.path()));
    DIFFIT_CHECK(
        !lock_->busy(),
        "{}: another process is training in this folder; wait for it to finish, or give another `out`",
        folder_.path().string());
    if (!lock_->warning().empty()) warn(lock_->warning());
    remove_temporaries(folder_.path());
  }

  /// Ranks on machines that see different folders would train different weights.
  void check_same_start() const {
    const auto all = request_.group->gather({static_cast<double>(trainer_->images())});
    for (std::size_t r = 1; r < all.size(); ++r) {
      DIFFIT_CHECK(
          all[r] == all[0],
          "{}: rank {} starts at {} images, rank 0 at {}: all processes must see the same run folder",
          folder_.path().string(), r, all[r].at(0), all[0].at(0));
    }
  }

  TrainingEnd train() {
    while (!done()) {
      const auto start = Clock::now();
      const StepResult step = trainer_->step(!alone() && monitor_.cancelled());
      step_seconds_ += seconds_since(start);
      ++steps_here_;
      count(step);
      if (trainer_->skipped_in_a_row() >= recipe_.train.nonfinite_limit) stop_for_nonfinite();
      if (recipe_.train.eval_images > 0 && (due(recipe_.train.eval_images) || done())) evaluate();
      const bool whole = due(recipe_.train.snapshot_images) || done();
      if (whole) snapshot();
      if (!done() && (alone() ? monitor_.cancelled() : step.stop)) {
        if (!whole) save();
        say(fmt::format("interrupted at {} images; continue with `resume`", trainer_->images()));
        return TrainingEnd::interrupted;
      }
    }
    say(fmt::format("done: {} images", trainer_->images()));
    return TrainingEnd::finished;
  }

  void write_reals() {
    Image reals;
    try {
      reals = trainer_->objective().reals();
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::failed) throw;
      warn(fmt::format("no grid of training images: {}", error.what()));
    }
    if (!reals.pixels.empty()) write_png(folder_.reals(), reals);
  }

  bool done() const { return trainer_->images() >= recipe_.train.images; }
  bool nothing_left() const { return done() && !snapshot_owed_; }

  /// Whether the last step crossed a multiple of `every`.
  bool due(std::int64_t every) const {
    const std::int64_t images = trainer_->images();
    return every > 0 && images / every > (images - recipe_.train.batch) / every;
  }

  void log(const std::string& text) {
    if (journal_) {
      journal_->say(text);
    } else {
      before_journal_.push_back(text);
    }
  }

  void say(const std::string& text) {
    if (!leads()) return;
    log(text);
    monitor_.note(text);
    pass_on_warning();
  }

  void warn(const std::string& text) {
    if (!leads()) return;
    log("warning: " + text);
    monitor_.warning(text);
    pass_on_warning();
  }

  /// What the journal could not write goes to the monitor alone.
  void pass_on_warning() {
    if (!journal_) return;
    const std::string warning = journal_->take_warning();
    if (!warning.empty()) monitor_.warning(warning);
  }

  void restore() {
    std::vector<std::string> warnings;
    const Json progress = load_newest_state(folder_, *trainer_, recipe_, warnings);
    for (const std::string& warning : warnings) warn("passed over " + warning);
    if (progress.is_null()) {
      say("no checkpoint to resume from: starting at the first image");
      return;
    }
    loss_sum_ = progress.value("loss_sum", 0.0);
    norm_sum_ = progress.value("norm_sum", 0.0);
    saved_images_ = trainer_->images();
    summed_steps_ = progress.value("summed_steps", std::int64_t{0});
    seconds_before_ = progress.value("seconds", 0.0);
    snapshot_owed_ = progress.value("snapshot_owed", false);
    say(fmt::format("resumed at {} images: weights, averages, optimizer and data order", trainer_->images()));
  }

  void count(const StepResult& step) {
    if (!leads()) return;
    if (step.skipped) {
      warn(fmt::format("step at {} images skipped: loss {}, gradient norm {}", trainer_->images(), step.loss,
                       step.gradient_norm));
      monitor_.skipped({trainer_->images(), step.loss, step.gradient_norm});
    } else {
      loss_sum_ += step.loss;
      norm_sum_ += step.gradient_norm;
      ++summed_steps_;
    }
    const double steps = static_cast<double>(std::max<std::int64_t>(summed_steps_, 1));
    TrainStep status;
    status.images = trainer_->images();
    status.total_images = recipe_.train.images;
    status.loss = loss_sum_ / steps;
    status.gradient_norm = norm_sum_ / steps;
    status.lr = step.lr;
    status.seconds = seconds_before_ + step_seconds_;
    status.images_per_second = static_cast<double>(steps_here_ * recipe_.train.batch) / step_seconds_;
    status.seconds_left =
        static_cast<double>(std::max<std::int64_t>(0, status.total_images - status.images)) /
        status.images_per_second;
    if (machine_rate_ > 0) status.mfu = flops_per_image_ * status.images_per_second / machine_rate_;
    status.skipped = trainer_->skipped_steps();
    status.memory_bytes = resident_bytes();
    monitor_.step(status);
    const bool whole = recipe_.train.log_images == 0 || due(recipe_.train.log_images);
    if (summed_steps_ == 0 || !(whole || done())) return;
    journal_->record(status);
    pass_on_warning();
    if (!whole) return;  // the last line of a training that may go on: the sums go on with it
    loss_sum_ = norm_sum_ = 0;
    summed_steps_ = 0;
  }

  void evaluate() {
    const auto start = Clock::now();
    const Exhibit averaged = scratch();
    trainer_->copy_average(trainer_->emas().front(), averaged.parameters);
    if (!leads()) return;
    try {
      const Json figures = request_.evaluate(averaged);
      journal_->record_evaluation(figures, seconds_since(start), trainer_->images());
      say(fmt::format("evaluated at {} images: {}", trainer_->images(), json_text(figures)));
      report(figures);
    } catch (...) {
      warn(fmt::format("no evaluation at {} images: {}", trainer_->images(),
                       cause_of(std::current_exception())));
    }
  }

  void report(const Json& metrics) {
    EvaluationEvent event{trainer_->images(), {}};
    for (const auto& [name, value] : metrics.items()) {
      if (value.is_number()) event.metrics.emplace_back(name, value.get<double>());
    }
    monitor_.evaluated(event);
  }

  void save() {
    if (journal_) journal_->flush();
    pass_on_warning();
    Json progress = {{"loss_sum", loss_sum_},
                     {"norm_sum", norm_sum_},
                     {"summed_steps", summed_steps_},
                     {"seconds", seconds_before_ + step_seconds_}};
    if (snapshot_owed_) progress["snapshot_owed"] = true;
    save_state(folder_, *trainer_, recipe_, progress, recipe_.train.keep_states + keep_more_);
    saved_images_ = trainer_->images();
  }

  /// Only the leader uses the averages.
  Exhibit scratch() const { return leads() ? trainer_->objective().exhibit() : Exhibit{}; }

  /// Weights, averages and images first, the state last: whoever finds the state finds them too.
  void snapshot() {
    snapshot_owed_ = true;  // until its files are written: a state that is saved before says so
    const std::int64_t images = trainer_->images();
    const Objective& objective = trainer_->objective();
    const auto extra = [&](double std) {
      Metadata metadata = objective.label_metadata();
      metadata["diffit.images"] = std::to_string(images);
      if (std > 0) metadata["diffit.ema_std"] = fmt::format("{}", std);
      return metadata;
    };
    SnapshotEvent event{images, {folder_.snapshot(images, "").string()}, ""};
    if (leads()) objective.save(folder_.snapshot(images, ""), trainer_->parameters(), extra(0));
    const Exhibit averaged = scratch();
    for (auto ema = trainer_->emas().rbegin(); ema != trainer_->emas().rend(); ++ema) {
      trainer_->copy_average(*ema, averaged.parameters);
      if (!leads()) continue;
      objective.save(folder_.snapshot(images, ema->name()), averaged.parameters, extra(ema->power_std()));
      event.models.push_back(folder_.snapshot(images, ema->name()).string());
    }
    // The last one copied is the half-life average.
    if (recipe_.sample.images > 0 && averaged.grid) write_samples(averaged);
    if (averaged.measure) measure(averaged);
    snapshot_owed_ = false;
    save();
    say(fmt::format("snapshot at {} images", images));
    if (!leads()) return;
    std::error_code none;
    if (const fs::path grid = folder_.samples(images); fs::exists(grid, none)) event.samples = grid.string();
    monitor_.snapshot(event);
  }

  void measure(const Exhibit& averaged) {
    const auto start = Clock::now();
    Json figures;
    try {
      figures = averaged.measure();
    } catch (...) {
      warn(fmt::format("nothing held out was measured at {} images: {}", trainer_->images(),
                       cause_of(std::current_exception())));
      return;
    }
    journal_->record_evaluation(figures, seconds_since(start), trainer_->images());
    say(fmt::format("held out at {} images: {}", trainer_->images(), json_text(figures)));
    report(figures);
  }

  void write_samples(const Exhibit& averaged) {
    try {
      const Image all = averaged.grid();
      const fs::path path = folder_.samples(trainer_->images());
      try {
        write_png(path, all);
      } catch (const Error&) {
        write_png(path, all);  // a disk that failed for a moment; the grid is not made again later
      }
      journal_->record_image("samples", all, trainer_->images());
    } catch (...) {
      warn(fmt::format("no sample grid at {} images: {}", trainer_->images(),
                       cause_of(std::current_exception())));
    }
  }

  [[noreturn]] void stop_for_nonfinite() {
    ++keep_more_;  // the state from before the steps that were skipped stays too
    fail(
        "training stopped: {} steps in a row had a loss or gradient that is not finite, at {} images. Try a "
        "lower optimiser.lr, a smaller optimiser.clip, or train.dtype = f32",
        trainer_->skipped_in_a_row(), trainer_->images());
  }

  /// Ends the training for `cause` with its state saved where it can be.
  [[noreturn]] void end_of(const std::string& cause) {
    const std::string text = cause + "; " + save_at_the_end();
    if (journal_) journal_->say(text);
    fail("{}", text);
  }

  /// What is there to go on from. Throws nothing: a second failure must not hide the first.
  std::string save_at_the_end() {
    const std::int64_t images = trainer_->images();
    std::string why_not = "the failure occurred during an update";
    if (images == 0) {
      why_not = "no step was completed";
    } else if (saved_images_ == images) {
      return fmt::format("a checkpoint at {} images is saved, continue with `resume`", images);
    } else if (!alone()) {
      why_not = "this process cannot save one without the others";
    } else if (trainer_->whole()) {
      try {
        save();
        return fmt::format("a checkpoint at {} images is saved, continue with `resume`", images);
      } catch (...) {
        why_not = cause_of(std::current_exception());
      }
    }
    const std::vector<std::int64_t> states = folder_.states();
    if (states.empty())
      return "no checkpoint is saved: " + why_not + "; fix the cause and continue with `resume`";
    return fmt::format("the last checkpoint is at {} images ({}), continue from it with `resume`",
                       states.front(), why_not);
  }

  const TrainingRequest& request_;
  TrainMonitor& monitor_;
  Recipe recipe_;
  RunFolder folder_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<Journal> journal_;
  std::vector<std::string> before_journal_;
  double loss_sum_ = 0, norm_sum_ = 0;
  double flops_per_image_ = 0, machine_rate_ = 0;  // machine_rate_: 0 where it is not measured
  std::int64_t summed_steps_ = 0, steps_here_ = 0;
  std::int64_t saved_images_ = -1, keep_more_ = 0;
  bool snapshot_owed_ = false;
  double seconds_before_ = 0, step_seconds_ = 0;
};

}  // namespace

TrainingEnd run_training(const TrainingRequest& request, TrainMonitor& monitor) {
  return Run(request, monitor)();
}

}  // namespace diffit::training
