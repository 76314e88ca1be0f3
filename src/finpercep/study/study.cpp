// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/study.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/log.h"
#include "finpercep/evaluate/rows.h"
#include "finpercep/image/io.h"
#include "finpercep/study/page.h"
#include "finpercep/study/runs.h"

namespace finpercep {

namespace {

// Measures one set's rows one after the other.
class Rows {
 public:
  Rows(const StudySet& set, const Meter& meter, const Compute& compute, int64_t keep)
      : set_(set), meter_(meter), compute_(compute), keep_(keep) {}

  void generator(const std::string& name) {
    rows.push_back({.name = name});
    measure(name, name);
  }
  void pictures(const StudySet::Made& made) {
    rows.push_back({.name = made.name});
    take(made.name, made.facts, [&](int64_t i) { return read_image(made.files[i]); });
  }
  void method(const std::string& name, const std::vector<StudyRun>& runs) {
    rows.push_back({.name = name, .trained = true});
    for (const StudyRun& run : runs) {
      rows.back().seeds.push_back(run.seed);
      measure(run.folder.filename().string(), run.generator().string());
    }
  }

  std::vector<StudyRow> rows;

 private:
  void measure(const std::string& row, const std::string& generator) {
    std::optional<SuperResolver> net;  // opened when a picture has to be made
    take(row, fmt::format("generator {}, {}, seed 0, 8 bits", model_facts(generator), dtype_name(compute_)), [&](int64_t i) {
      if (!net) net = make_super_resolver(generator, {.compute = compute_});
      return make_as_file(*net, set_.lq(i), 0);  // as `eval` does
    });
  }
  void take(const std::string& row, const std::string& facts, const std::function<Image(int64_t)>& make) {
    stop_if_interrupted("what was measured is kept. give the same command again");
    StudyRow& at = rows.back();
    at.values.push_back(meter_.measure(set_, row, facts, make, at.values.empty() ? keep_ : 0, at.pictures));
  }

  const StudySet& set_;
  const Meter& meter_;
  const Compute& compute_;
  int64_t keep_;
};

// Pictures of a test set are a row of their own.
void check_rows(const StudySet& set, std::vector<std::string> names) {
  for (const StudySet::Made& made : set.made) {
    check_name(made.name, "study: pictures of a test set");
    if (std::ranges::find(names, made.name) != names.end())
      throw usage_error(fmt::format(
          "study: expected every row once, found a folder of pictures '{}' and another row of that name. write NAME=FOLDER", made.name));
    names.push_back(made.name);
  }
}

// The runs of each method that are finished; methods without any are left out.
std::vector<std::vector<StudyRun>> finished_runs(const std::vector<Method>& methods, const std::vector<StudyRun>& runs) {
  std::vector<std::vector<StudyRun>> out;
  for (const Method& method : methods) {
    std::vector<StudyRun> finished;
    for (const StudyRun& run : runs)
      if (run.method == method.name && run.finished()) finished.push_back(run);
    if (finished.size() < method.seeds.size())
      log_warning(fmt::format("study: {}: {} of {} runs are finished{}", method.name, finished.size(), method.seeds.size(),
                              finished.empty() ? ": left out" : ""));
    if (!finished.empty()) out.push_back(std::move(finished));
  }
  return out;
}

}  // namespace

void throw_failures(const StudyResult& result) {
  if (!result.failures.empty())
    throw input_error(fmt::format("study: {} runs or pictures failed and are missing from the means, the first: {}", result.failures.size(),
                                  result.failures.front()));
}

StudyResult run_study(const StudySettings& settings, const std::vector<Method>& methods, const std::filesystem::path& output,
                      const StudyOptions& options) {
  const std::vector<StudyRun> runs = study_runs(methods, output);
  check_runs(runs, settings.held_out.photos, options.only);
  const Compute compute = resolve_compute(settings.rl.device, settings.rl.dtype);
  const std::vector<std::string> others = measured_only(settings, methods);
  std::vector<StudySet> sets;
  std::optional<Judge> judge;
  std::map<std::vector<std::string>, Meter> meters;  // by the metrics that they take
  if (options.evaluate) {
    for (const std::string& other : others) make_super_resolver(other, {.compute = compute});
    sets = study_sets(settings);
    std::vector<std::string> names = others;
    for (const Method& method : methods) names.push_back(method.name);
    for (const StudySet& set : sets) check_rows(set, names);
    judge.emplace(JudgeOptions{.model = settings.judge, .device = settings.rl.device});
    for (const StudySet& set : sets)  // what is wrong with the metrics is said now, not after the training
      meters.try_emplace(set.metrics, *judge, set.metrics, settings.rl.device, output / "values");
  }
  make_directory(output);
  write_file(output / "study.yaml", to_yaml(settings));
  std::vector<std::string> failures;
  if (options.train) failures = train_runs(runs, options.only);
  if (!options.evaluate) return {{}, std::move(failures)};

  const auto finished = finished_runs(methods, runs);
  std::vector<TitledTable> tables;
  std::vector<StudyRow> shown;
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const StudySet& set = sets[s];
    const bool first = s == 0;
    const Meter& meter = meters.at(set.metrics);
    Rows measured(set, meter, compute, first ? settings.strips : 0);
    for (const std::string& other : others) measured.generator(other);
    for (const StudySet::Made& made : set.made) measured.pictures(made);
    for (const auto& of_method : finished) measured.method(of_method.front().method, of_method);
    for (TitledTable& table : study_tables(set.title, measured.rows, baseline_of(settings, methods), meter.options()))
      tables.push_back(std::move(table));
    for (const StudyRow& row : measured.rows)
      for (const Evaluation& seed : row.values) failures.insert(failures.end(), seed.failures.begin(), seed.failures.end());
    if (first) shown = std::move(measured.rows);
  }
  std::vector<StudyRun> charted;
  for (const auto& of_method : finished) charted.insert(charted.end(), of_method.begin(), of_method.end());
  write_file(output / "study.md", study_markdown(settings, methods, tables));
  write_file(output / "report.html", render_report(study_page(settings, methods, tables, charted, sets.front(), shown, *judge)));
  return {std::move(tables), std::move(failures)};
}

}  // namespace finpercep
