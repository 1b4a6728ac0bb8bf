// diffit study: which of two images do people prefer?
#include <chrono>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/output_check.h"
#include "base/text.h"
#include "report/render.h"
#include "server/study/results.h"
#include "server/study/study_server.h"
#include "tools/diffit/command_serve.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/terminal.h"

namespace diffit::cli {

namespace {

using server::StudyPlan;
using server::StudyResults;

/// "NAME=VALUE" by the number of the set.
std::map<std::size_t, double> numbers_by_set(const StudyPlan& plan, const std::vector<std::string>& given,
                                             const std::string& option) {
  std::map<std::size_t, double> numbers;
  for (const std::string& entry : given) {
    const std::size_t equals = entry.rfind('=');
    DIFFIT_CHECK(equals != std::string::npos, "{}: wanted NAME=NUMBER, got '{}'", option, entry);
    const std::string name = entry.substr(0, equals);
    const auto set = std::find(plan.sets.begin(), plan.sets.end(), name);
    DIFFIT_CHECK(set != plan.sets.end(), "{}: the study has no set '{}'; it has {}", option, name,
                 fmt::join(plan.sets, ", "));
    numbers[static_cast<std::size_t>(set - plan.sets.begin())] =
        parse_double(entry.substr(equals + 1), option);
  }
  return numbers;
}

Cell share_cell(const server::Share& share) {
  if (share.of == 0) return words("");
  Cell cell = number(100 * share.value, 3, 100 * share.low, 100 * share.high);
  cell.text += " %";
  return cell;
}

Table pairs_table(const StudyPlan& plan, const StudyResults& results) {
  Table table;
  table.title = "Preferences";
  table.caption = "Share of answers that prefer the first set, with Wilson's 95 % interval.";
  table.columns = {{"first"}, {"second"}, {"answers"}, {"first preferred"}};
  for (const server::PairResult& pair : results.pairs) {
    table.rows.push_back({words(plan.sets[pair.first]), words(plan.sets[pair.second]),
                          words(std::to_string(pair.preferred.of)), share_cell(pair.preferred)});
  }
  return table;
}

Table strengths_table(const StudyPlan& plan, const StudyResults& results,
                      const std::map<std::size_t, double>& scores) {
  Table table;
  table.title = "Strengths";
  table.caption =
      "Bradley and Terry's model, on the logit scale, with 95 % intervals: a difference of 1 is a "
      "preference of 73 %.";
  table.columns = {{"set"}, {"strength"}};
  if (!scores.empty()) table.columns.push_back({"score (lower is better)"});
  for (std::size_t i = 0; i < results.strengths.size(); ++i) {
    const server::Strength& s = results.strengths[i];
    std::vector<Cell> row{words(plan.sets[i]), number(s.value, 3, s.low, s.high)};
    if (!scores.empty()) row.push_back(scores.contains(i) ? number(scores.at(i)) : words(""));
    table.rows.push_back(row);
  }
  return table;
}

Table agreement_table(const StudyPlan& plan, const StudyResults& results,
                      const std::map<std::size_t, double>& scores) {
  Table table;
  table.title = "Raters and score";
  table.caption =
      "Whether raters prefer the set with the lower score. Undecided: the interval contains 50 %.";
  table.columns = {{"first"}, {"second"}, {"agreement"}};
  for (const server::Agreement& entry : server::agreement(results, scores)) {
    table.rows.push_back({words(plan.sets[entry.first]), words(plan.sets[entry.second]),
                          words(!entry.decided ? "undecided"
                                : entry.agrees ? "agree"
                                               : "disagree")});
  }
  return table;
}

Table raters_table(const StudyResults& results) {
  Table table;
  table.title = "Raters";
  table.columns = {{"rater"},          {"answered"},    {"counted"},       {"catch trials right"},
                   {"repeated alike"}, {"left chosen"}, {"median seconds"}};
  for (const server::RaterResult& rater : results.raters) {
    table.rows.push_back({words(std::to_string(rater.rater + 1)), words(std::to_string(rater.answered)),
                          words(rater.counted ? "yes" : "no"), share_cell(rater.catches),
                          share_cell(rater.repeats), share_cell(rater.left),
                          number(rater.median_seconds, 3)});
  }
  return table;
}

std::string summary(const StudyResults& results) {
  return fmt::format("{} of {} raters are counted; {}.", results.counted, results.planned,
                     results.complete ? "the study is complete"
                                      : "the study is not complete, so that these results are not final");
}

Page results_page(const StudyPlan& plan, const StudyResults& results,
                  const std::map<std::size_t, double>& scores) {
  Page page;
  page.title = "Results of a study";
  page.subtitle = plan.question;
  Text about{{summary(results), plan.stopping_rule()}};
  for (std::size_t i = 0; i < plan.sets.size(); ++i)
    about.paragraphs.push_back(plan.sets[i] + ": " + plan.sources[i]);
  page.sections.push_back({"Study", {about}});
  Section preferences{"Preferences", {pairs_table(plan, results)}};
  if (results.strengths.empty()) {
    preferences.blocks.push_back(Text{{results.why_no_strengths}});
  } else {
    preferences.blocks.push_back(strengths_table(plan, results, scores));
  }
  page.sections.push_back(preferences);
  if (!scores.empty() && !results.strengths.empty()) {
    ScatterPlot plot;
    plot.name = "score";
    plot.title = "Strength and score";
    plot.caption =
        "With 95 % intervals of the strengths. Where both agree, strengths fall from left to right.";
    plot.x.label = "score";
    plot.y.label = "strength (logit)";
    ScatterGroup& group = plot.groups.emplace_back();
    group.label = "sets";
    for (const auto& [set, score] : scores) {
      const server::Strength& s = results.strengths[set];
      ScatterPoint& point = group.points.emplace_back();
      point.label = plan.sets[set];
      point.x = score;
      point.y = s.value;
      point.y_low = s.low;
      point.y_high = s.high;
    }
    page.sections.push_back({"Score", {agreement_table(plan, results, scores), plot}});
  }
  page.sections.push_back({"Raters", {raters_table(results)}});
  return page;
}

struct AnalyseOptions {
  std::string folder, out;
  std::vector<std::string> scores;
};

void analyse(const AnalyseOptions& o, const CommonOptions& common) {
  const std::string extension = fs::path(o.out).extension().string();
  DIFFIT_CHECK(o.out.empty() || extension == ".html" || extension == ".csv",
               "-o {}: wanted .html (the results) or .csv (the answers)", o.out);
  if (!o.out.empty()) check_output_file(o.out, "-o");
  const StudyPlan plan = server::read_study(o.folder);
  const std::map<std::size_t, double> scores = numbers_by_set(plan, o.scores, "--score");
  const std::vector<server::Answer> answers = server::Answers(plan, /*write=*/false).all();
  const StudyResults results = server::study_results(plan, answers);
  if (extension == ".csv") write_file(o.out, server::answers_csv(plan, answers));
  if (extension == ".html") write_page(results_page(plan, results, scores), o.out);
  std::string text = summary(results) + "\n\n" + to_markdown(pairs_table(plan, results)) + "\n" +
                     (results.strengths.empty() ? results.why_no_strengths + "\n"
                                                : to_markdown(strengths_table(plan, results, scores)));
  if (!scores.empty()) text += "\n" + to_markdown(agreement_table(plan, results, scores));
  print_result(common, server::to_json(plan, results, scores), text);
}

void serve(const server::StudyServeSpec& spec, const CommonOptions& common) {
  TerminalMonitor monitor(common);
  server::StudyServer running(spec);
  watch_for_stop();
  std::string text = running.address() + "\n";
  for (const std::string& link : running.links()) text += link + "\n";
  text.pop_back();
  print_result(common, {{"address", running.address()}, {"links", running.links()}}, text);
  monitor.note(
      "Give each rater one of these links. Press Ctrl-C to stop; answers are kept, and the links stay "
      "valid.");
  while (!stop_requested()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  running.stop();
}

struct SimulateOptions {
  std::string folder;
  std::vector<std::string> strengths;
  server::SimulationSpec spec;
};

void simulate(const SimulateOptions& o, const CommonOptions& common) {
  const StudyPlan plan = server::read_study(o.folder);
  server::SimulationSpec spec = o.spec;
  spec.strengths.assign(plan.sets.size(), 0.0);
  for (const auto& [set, value] : numbers_by_set(plan, o.strengths, "--strength"))
    spec.strengths[set] = value;
  const std::vector<server::Answer> answers = server::simulated_answers(plan, spec);
  server::Answers kept(plan, /*write=*/true);
  DIFFIT_CHECK(kept.all().empty(), "{}: has answers already; simulate in a study of its own", o.folder);
  for (const server::Answer& answer : answers) kept.add(answer);
  print_result(common, {{"answers", answers.size()}}, fmt::format("{} simulated answers", answers.size()));
}

void add_new_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<server::StudySpec>();
  CLI::App* command = add_command(app, common, "new", "Plan a study: sets of images, raters, trials");
  command->add_option("folder", o->folder, "folder that is created for the study")->required();
  command
      ->add_option("--set", o->sets,
                   "a set of images, NAME=PATH (folder, zip, npz, IDX); at least two, of one size")
      ->required();
  command->add_option("--question", o->question, "what raters are asked")->capture_default_str();
  command->add_option("--raters", o->raters, "number of raters; each gets a link")->capture_default_str();
  command->add_option("--trials", o->trials, "pairs of images that each rater judges")->capture_default_str();
  command->add_option("--repeats", o->repeats, "pairs that are shown again with sides exchanged")
      ->capture_default_str();
  command
      ->add_option("--catches", o->catches,
                   "catch trials: an image against the same with its pixels shuffled")
      ->capture_default_str();
  command
      ->add_option("--catch-needed", o->catch_needed,
                   "share of catch trials that a rater must answer right to be counted")
      ->capture_default_str();
  command
      ->add_option("--images", o->images, "images of each set, chosen at random; fewer if a set is smaller")
      ->capture_default_str();
  command->add_option("--seed", o->seed, "of images, order and sides")->capture_default_str();
  command->footer(
      "\n"
      "Example:\n"
      "  diffit study new study --set real=t10k-images-idx3-ubyte.gz --set made=samples/ --raters 5");
  command->callback([o, &common] {
    const StudyPlan plan = server::make_study(*o);
    print_result(common,
                 {{"folder", o->folder},
                  {"sets", plan.sets},
                  {"images", plan.images},
                  {"trials", plan.trials_of_rater()},
                  {"stopping_rule", plan.stopping_rule()}},
                 fmt::format("{}: {} sets of {} images. {}", o->folder, plan.sets.size(), plan.images,
                             plan.stopping_rule()));
  });
}

}  // namespace

void add_study_command(CLI::App& app, CommonOptions& common) {
  CLI::App* study = app.add_subcommand("study", "Ask people which of two images they prefer");
  study->require_subcommand(1);
  add_new_command(*study, common);

  auto s = std::make_shared<server::StudyServeSpec>();
  CLI::App* serving =
      add_command(*study, common, "serve", "Serve the page on which raters answer, and print their links");
  serving->add_option("folder", s->folder, "folder of the study")->required();
  serving->add_option("--host", s->host, "address to listen on")->capture_default_str();
  serving->add_option("--port", s->port, "port; 0: any free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  serving->add_option("--address", s->address, "address by which raters reach it, if a proxy is in front");
  serving->callback([s, &common] { serve(*s, common); });

  auto a = std::make_shared<AnalyseOptions>();
  CLI::App* analysing =
      add_command(*study, common, "analyse", "Preferences with intervals, and how consistent raters are");
  analysing->add_option("folder", a->folder, "folder of the study")->required();
  analysing->add_option(
      "--score", a->scores,
      "a score of a set to compare with, such as its FID: NAME=NUMBER, lower is better; may be "
      "given several times");
  analysing->add_option("-o,--out", a->out, "output: x.html, a page of results; x.csv, every answer");
  analysing->callback([a, &common] { analyse(*a, common); });

  auto m = std::make_shared<SimulateOptions>();
  CLI::App* simulating = add_command(*study, common, "simulate",
                                     "Fill a study with the answers of simulated raters, to test its plan");
  simulating->add_option("folder", m->folder, "folder of a study without answers")->required();
  simulating->add_option(
      "--strength", m->strengths,
      "strength of a set on the logit scale, NAME=NUMBER; default 0; may be given several times");
  simulating->add_option("--lapse", m->spec.lapse, "share of answers given without a look")
      ->capture_default_str();
  simulating->add_option("--spread", m->spec.spread, "standard deviation of a rater's own strengths")
      ->capture_default_str();
  simulating->add_option("--seed", m->spec.seed, "of the answers")->capture_default_str();
  simulating->callback([m, &common] { simulate(*m, common); });
}

}  // namespace diffit::cli
