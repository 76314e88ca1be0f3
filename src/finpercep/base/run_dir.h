// SPDX-License-Identifier: Apache-2.0
// runs/NAME/: config.yaml, log.txt, metrics.jsonl, checkpoints/, samples/, report.html
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "finpercep/base/files.h"
#include "finpercep/base/inputs.h"

namespace finpercep {

class RunDir {
 public:
  /// Creates or, with `resume`, reopens the directory and takes its lock (a lock of a dead process is taken over with a warning;
  /// of a living one is an input_error). A directory that already holds a run is an input_error without `resume`; one whose run had not
  /// begun (a config, no metrics, no checkpoint) is begun anew. Removes what a killed process half wrote into checkpoints/ and samples/,
  /// starts log.txt, writes `config_yaml` as config.yaml; over the config of a run that is resumed only with use_config().
  RunDir(std::filesystem::path path, const std::string& config_yaml, bool resume);
  ~RunDir();
  RunDir(const RunDir&) = delete;
  RunDir& operator=(const RunDir&) = delete;

  /// Once the run's state has been restored under `config_yaml`: it becomes config.yaml, one that differs is kept as config.previous.yaml,
  /// config.previous-2.yaml, ..
  void use_config();

  /// The files that the run depends on, as {"network_g": HASH}: kept as inputs.json when it begins, compared when it goes on.
  void use_inputs(const Inputs& inputs);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoint(const std::string& name) const;  ///< checkpoints/NAME.safetensors
  std::filesystem::path sample(const std::string& name) const;      ///< samples/NAME

  /// Appends one line {"step": .., "key": number, ..} to metrics.jsonl. Not-finite numbers become null.
  void log_metrics(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  int64_t last_step() const;  ///< of metrics.jsonl; -1 where it has none
  /// On resume: drops the lines of metrics.jsonl past `step`, so that a replayed step is not logged twice.
  void truncate_metrics(int64_t step);

 private:
  std::filesystem::path path_;
  std::string config_;
  Descriptor lock_;
};

/// metrics.jsonl as read back: one map a line; a cut last line is ignored.
std::vector<std::map<std::string, double>> read_metrics(const std::filesystem::path& file);

}  // namespace finpercep
