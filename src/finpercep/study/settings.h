// SPDX-License-Identifier: Apache-2.0
// Settings of a study: methods of RL that start from one config, side by side on the same pictures.
#pragma once
#include <string>
#include <vector>

#include "finpercep/curriculum/settings.h"

namespace finpercep {

struct HeldOutSettings {
  PhotoSettings photos;  ///< none: no such set
  int64_t count = 8;
  int64_t side = 384;  ///< centre crops of so many pixels, degraded as the RL config's training pairs are
  void visit(SettingsVisitor& v);
};

struct StudySettings {
  std::string title = "FinPercep study", subtitle;
  std::vector<std::string> notes;    ///< paragraphs of the report
  RlSettings rl;                     ///< what every method starts from
  std::vector<std::string> methods;  ///< see Method
  std::vector<int64_t> seeds = {1};
  std::vector<std::string> others;  ///< generators that are measured only
  std::string baseline;             ///< row that the others are compared with; "": the generator that the methods start from
  HeldOutSettings held_out;
  std::vector<std::string> test_sets;  ///< see parse_test_set
  std::vector<std::string> metrics = {"psnry", "ssim", "lpips", "lpips-vgg", "dists", "niqe", "finpercep.score", "finpercep.severity"};
  std::vector<std::string> test_metrics = {};  ///< of test_sets, where those of `metrics` would take too long; none: the same
  std::string judge = "finpercep-rm";          ///< reward model of the last two and of the defect maps
  int64_t strips = 8;                          ///< pictures of the first set that the report shows
  void visit(SettingsVisitor& v);
};

}  // namespace finpercep
