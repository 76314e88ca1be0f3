// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/methods.h"

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/study/runs.h"

using namespace finpercep;

namespace {

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a method is its name and settings over the study's") {
  StudySettings study;
  study.rl.reward_weight = 0.5;
  study.seeds = {1, 2, 3};
  const Method plain = parse_method("ccl", study, "", {});
  CHECK(plain.name == "ccl");
  CHECK(to_yaml(plain.rl) == to_yaml(study.rl));
  CHECK(plain.seeds == study.seeds);

  const Method other = parse_method("control:  reward_weight=0 stages=[0, 1]  optim_g.lr=1e-3 stage_iters=[7,8] seeds=4", study, "", {});
  CHECK(other.name == "control");
  CHECK(other.rl.reward_weight == 0);
  CHECK(other.rl.stages == std::vector<int64_t>{0, 1});
  CHECK(other.rl.stage_iters == std::vector<int64_t>{7, 8});
  CHECK(other.rl.optim_g.lr == 1e-3);
  CHECK(other.seeds == std::vector<int64_t>{4});
  CHECK(parse_method("control: seeds=[4,5]", study, "", {}).seeds == std::vector<int64_t>{4, 5});
}

TEST_CASE("a run's generator is a checkpoint, or a module where it began with one") {
  StudySettings study;
  study.seeds = {3};
  const Method ours = parse_method("a", study, "", {}), module = parse_method("b: network_g=mine.pt", study, "", {});
  const std::vector<StudyRun> runs = study_runs({ours, module}, "out");
  CHECK(runs[0].generator() == std::filesystem::path("out/runs/a-seed3/checkpoints/generator.safetensors"));
  CHECK(runs[1].generator() == std::filesystem::path("out/runs/b-seed3/checkpoints/generator.pt"));
}

TEST_CASE("config= takes another RL config, and --set holds for it as well") {
  const TestFolder folder;
  write_file(folder / "grpo.yaml", std::string("algorithm: grpo\ngroup_size: 4\n"));
  StudySettings study;
  study.rl.reward_weight = 0.5;
  const std::vector<std::string> overrides = {"rl.ema_decay=0.5", "judge=finpercep-rm-rl"};
  const Method method = parse_method("grpo: group_size=6 config=grpo.yaml", study, folder / ".", overrides);
  CHECK(method.rl.algorithm == "grpo");
  CHECK(method.rl.group_size == 6);
  CHECK(method.rl.ema_decay == 0.5);
  CHECK(method.rl.reward_weight == RlSettings().reward_weight);
}

TEST_CASE("what is wrong with a method is one line with its name") {
  const StudySettings study;
  for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{{"a: reward_wait=1", "reward_weight"},
                                                                                   {"a: reward_weight=fast", "a number"},
                                                                                   {"a: stages", "key=value"},
                                                                                   {"a: stages=[0", "stages=[0"},
                                                                                   {"a: config=absent.yaml", "absent.yaml"},
                                                                                   {"a: seeds=x", "seeds"},
                                                                                   {"a: manual_seed=7", "seeds=[..]"},
                                                                                   {"a: seeds=[1,1]", "differ"},
                                                                                   {"a: seeds=[]", "differ"}}) {
    CAPTURE(text);
    const std::string line = error_of([&, text = text] { parse_method(text, study, "", {}); });
    CAPTURE(line);
    CHECK(line.starts_with("study: method 'a'"));
    CHECK(line.find(says) != std::string::npos);
    CHECK(line.find('\n') == std::string::npos);
  }
  CHECK(error_of([&] { parse_method("a stages=[0]", study, "", {}); }).find("found no ':'") != std::string::npos);
  for (const std::string text : {"", "../a", ".a: stages=[0]", "a/b"})
    CHECK(error_of([&] { parse_method(text, study, "", {}); }).find("expected a name") != std::string::npos);
}

TEST_CASE("every row of the tables has its own name, and the baseline is one of them") {
  StudySettings study;
  study.methods = {"a", "b: ema_decay=0"};
  study.others = {"bicubic"};
  CHECK(parse_methods(study, "").size() == 2);
  CHECK(measured_only(study, parse_methods(study, "")) == std::vector<std::string>{"bicubic", "sr-small"});
  CHECK(baseline_of(study, parse_methods(study, "")) == "sr-small");
  study.methods = {"a: network_g=mine.pt", "b: network_g=mine.pt ema_decay=0"};
  CHECK(baseline_of(study, parse_methods(study, "")) == "mine.pt");
  CHECK(measured_only(study, parse_methods(study, "")) == std::vector<std::string>{"bicubic", "mine.pt"});
  study.methods = {"a", "b: ema_decay=0"};
  study.baseline = std::string("b");
  parse_methods(study, "");
  study.baseline = std::string("c");
  CHECK(error_of([&] { parse_methods(study, ""); }).find("bicubic, sr-small, a, b, found 'c'") != std::string::npos);
  study.baseline.clear();
  for (const std::string row : {"bicubic", "sr-small"}) {  // the start is a row too
    study.methods = {"a", row + ": ema_decay=0"};
    CHECK(error_of([&] { parse_methods(study, ""); }).find("'" + row + "' twice") != std::string::npos);
  }
}

TEST_CASE("what a study's methods have in common: the config's where one has it, else the first method's") {
  StudySettings study;
  study.methods = {"a: reward=finpercep-rm", "b: reward=finpercep-rm network_g=mine.pt"};
  const std::vector<Method> methods = parse_methods(study, "");
  CHECK(usual(&RlSettings::reward, study, methods) == "finpercep-rm");
  CHECK(usual(&RlSettings::network_g, study, methods) == "sr-small");
}
