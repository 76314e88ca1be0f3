// SPDX-License-Identifier: Apache-2.0
#include "finpercep/nets/train_loop.h"

#include <ATen/Parallel.h>
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <stdexcept>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/interrupt.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/nets/optimise.h"

using namespace finpercep;

namespace {

// Noisy descent of |p - 1|^2: the state is parameters, moments and nothing else.
struct Toy {
  at::Tensor p = at::zeros({3});
  AdamW adam{{p}, {}};
  int64_t crash_at = -1, bad_from = -1, bad_to = -1, first_step = -1;
  std::vector<int64_t> validated;

  LoopParts parts() {
    LoopParts parts;
    parts.step = [this](int64_t iter) -> StepResult {
      if (first_step < 0) first_step = iter;
      if (iter == crash_at) throw std::runtime_error("crash");
      Random random(1, "toy", static_cast<uint64_t>(iter));
      at::Tensor gradient = 2 * (p - 1) + 0.1 * normal_tensor(random, {3});
      if (iter >= bad_from && iter < bad_to) gradient.fill_(std::nan(""));
      p.mutable_grad() = gradient;
      const StepReport report = adam.step(0.1);
      return {{{"loss", (p - 1).square().sum().item<double>()}, {"skipped", report.skipped}}, report.skipped};
    };
    parts.save = [this](TensorFile& state) {
      state.tensors["p"] = to_data(p);
      adam.save(state, "adam.");
    };
    parts.restore = [this](const TensorFile& state, const std::string& where) {
      p.copy_(from_data(state.tensors.at("p")));
      adam.restore(state, "adam.", where);
    };
    parts.validate = [this](int64_t iter) { validated.push_back(iter); };
    return parts;
  }
};

void train(Toy& toy, const std::filesystem::path& path, const LoopSettings& settings, bool resume) {
  RunDir run(path, "a: 1\n", resume);
  run_loop(run, settings, resume, toy.parts());
}

const LoopSettings short_loop = {.total_iter = 12, .print_freq = 2, .save_checkpoint_freq = 2, .val_freq = 4};

void damage(const std::filesystem::path& path) {
  auto bytes = read_file(path);
  bytes[bytes.size() - 3] ^= std::byte{1};
  write_file(path, bytes);
}

std::size_t count_states(const std::filesystem::path& run) {
  std::size_t n = 0;
  for (const auto& entry : std::filesystem::directory_iterator(run / "checkpoints"))
    n += entry.path().filename().string().starts_with("state-");
  return n;
}

}  // namespace

TEST_CASE("a run that crashed and resumed is the run that did not, to the bit") {
  const TestFolder folder;
  Toy whole;
  train(whole, folder / "whole", short_loop, false);
  CHECK((whole.p - 1).abs().max().item<double>() < 0.9);
  CHECK(whole.validated == std::vector<int64_t>{4, 8, 12});

  Toy first;
  first.crash_at = 7;
  CHECK_THROWS_WITH(train(first, folder / "halves", short_loop, false), "crash");
  Toy second;
  train(second, folder / "halves", short_loop, true);
  CHECK(second.first_step == 6);
  CHECK(at::equal(second.p, whole.p));
  const std::string name = "checkpoints/state-00000012.safetensors";
  CHECK((read_file(folder / "halves" / name) == read_file(folder / "whole" / name)));
  CHECK(read_text_file(folder / "halves" / "metrics.jsonl") == read_text_file(folder / "whole" / "metrics.jsonl"));
  CHECK(count_states(folder / "whole") == 2);

  Toy again;  // nothing is left to do
  train(again, folder / "whole", short_loop, true);
  CHECK(again.first_step == -1);
  CHECK(at::equal(again.p, whole.p));
}

TEST_CASE("--resume without a saved state starts at the beginning") {
  const TestFolder folder;
  Toy toy;
  train(toy, folder / "run", short_loop, true);
  CHECK(toy.first_step == 0);

  Toy early;  // it ended before its first state was saved: what it logged is logged again
  early.crash_at = 3;
  const LoopSettings late = {.total_iter = 12, .print_freq = 2, .save_checkpoint_freq = 4, .val_freq = 4};
  CHECK_THROWS_WITH(train(early, folder / "early", late, false), "crash");
  CHECK(read_metrics(folder / "early" / "metrics.jsonl").size() == 1);
  Toy again;
  train(again, folder / "early", late, true);
  CHECK(again.first_step == 0);
  CHECK(read_text_file(folder / "early" / "metrics.jsonl") == read_text_file(folder / "run" / "metrics.jsonl"));
}

TEST_CASE("a damaged newest state: the one before it; all damaged: an error") {
  const TestFolder folder;
  Toy whole;
  train(whole, folder / "run", short_loop, false);
  const auto states = folder / "run" / "checkpoints";
  damage(states / "state-00000012.safetensors");
  Toy resumed;
  train(resumed, folder / "run", short_loop, true);
  CHECK(resumed.first_step == 10);
  CHECK(at::equal(resumed.p, whole.p));

  damage(states / "state-00000012.safetensors");
  damage(states / "state-00000010.safetensors");
  Toy none;
  try {
    train(none, folder / "run", short_loop, true);
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::model);
    CHECK(std::string(error.what()).find("all 2 are damaged") != std::string::npos);
  }
  CHECK(none.first_step == -1);
}

TEST_CASE("20 steps in a row that are not finite end the run, 19 do not") {
  const TestFolder folder;
  LoopSettings settings = short_loop;
  settings.total_iter = 40;
  Toy patient;
  patient.bad_from = 5;
  patient.bad_to = 24;
  train(patient, folder / "patient", settings, false);
  Toy diverged;
  diverged.bad_from = 5;
  diverged.bad_to = 25;
  try {
    train(diverged, folder / "diverged", settings, false);
    FAIL("expected an error");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::model);
    CHECK(std::string(error.what()).find("20 times in a row") != std::string::npos);
  }
}

TEST_CASE("a run that learnt nothing is an error and not finished; one that ends in skipped steps is, resumed or not") {
  const TestFolder folder;
  LoopSettings settings = short_loop;
  settings.total_iter = 5;
  settings.save_checkpoint_freq = 5;
  Toy all;
  all.bad_from = 0;
  all.bad_to = 5;
  for (const bool resume : {false, true})
    CHECK_THROWS_WITH_AS(train(all, folder / "all", settings, resume), doctest::Contains("nothing was learnt"), Error);
  Toy late;
  late.bad_from = 5;
  late.bad_to = 8;
  train(late, folder / "late", settings, false);
  settings.total_iter = 8;
  train(late, folder / "late", settings, true);
}

TEST_CASE("metrics are averaged by name over the steps that report them") {
  const TestFolder folder;
  {
    RunDir run(folder / "run", "a: 1\n", false);
    LoopParts parts;
    parts.save = [](TensorFile&) {};
    parts.step = [](int64_t iter) -> StepResult {  // as co-evolution does: every other step has more to say, before the end of the list
      Metrics metrics = {{"loss", static_cast<double>(iter)}};
      if (iter % 2 == 1) metrics.emplace_back("extra", 10.0 * static_cast<double>(iter));
      metrics.emplace_back("skipped", 0);
      return {metrics};
    };
    run_loop(run, {.total_iter = 8, .print_freq = 4, .save_checkpoint_freq = 100}, false, parts);
  }
  const auto rows = read_metrics(folder / "run" / "metrics.jsonl");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].at("step") == 4);
  CHECK(rows[0].at("loss") == doctest::Approx(1.5));
  CHECK(rows[0].at("extra") == doctest::Approx(20));
  CHECK(rows[0].at("skipped") == 0);
  CHECK(rows[1].at("extra") == doctest::Approx(60));
}

TEST_CASE("a signal saves the state and stops the run") {
  const TestFolder folder;
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // the flag of a signal stays set for the life of a process
    int result = 1;
    catch_interrupts();
    Toy toy;
    LoopSettings settings = short_loop;
    settings.save_checkpoint_freq = 100;
    try {
      RunDir run(folder / "run", "a: 1\n", false);
      LoopParts parts = toy.parts();
      const auto step = parts.step;
      parts.step = [step](int64_t iter) {
        if (iter == 4) raise(SIGTERM);
        return step(iter);
      };
      run_loop(run, settings, false, parts);
    } catch (const Error& error) {
      result = error.code() == ExitCode::interrupted ? 0 : 2;
    }
    _exit(result);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  Toy resumed, whole;
  train(resumed, folder / "run", short_loop, true);
  CHECK(resumed.first_step == 5);
  train(whole, folder / "whole", short_loop, false);
  CHECK(at::equal(resumed.p, whole.p));
}

TEST_CASE("one thread: the thread's number of threads comes back") {
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  {
    const OneThread one_thread;
    CHECK(at::get_num_threads() == 1);
  }
  CHECK(at::get_num_threads() == 2);
  at::set_num_threads(before);
}

TEST_CASE("a run whose states were removed is not begun again over its results; one that had none yet is") {
  const TestFolder folder;
  Toy toy;
  train(toy, folder / "run", short_loop, false);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run/checkpoints")) std::filesystem::remove(entry.path());
  Toy again;
  CHECK_THROWS_WITH_AS(train(again, folder / "run", short_loop, true), doctest::Contains("metrics.jsonl goes to iteration 12"), Error);
  CHECK(again.first_step == -1);
  Toy crashed{.crash_at = 3};
  const LoopSettings rare = {.total_iter = 12, .print_freq = 2, .save_checkpoint_freq = 100, .val_freq = 0};
  CHECK_THROWS_AS(train(crashed, folder / "young", rare, false), std::runtime_error);
  Toy anew;
  train(anew, folder / "young", rare, true);
  CHECK(anew.first_step == 0);
}

TEST_CASE("whether states were removed is told by how often the run has saved them, not by how often it is to") {
  const TestFolder folder;
  const auto config = [](int64_t freq) { return fmt::format("train:\n  save_checkpoint_freq: {}  # iterations\n", freq); };
  const auto go = [&](Toy& toy, int64_t freq, bool resume) {
    RunDir run(folder / "run", config(freq), resume);
    run_loop(run, {.total_iter = 12, .print_freq = 1, .save_checkpoint_freq = freq, .val_freq = 0}, resume, toy.parts());
  };
  Toy crashed{.crash_at = 6}, anew{.crash_at = 9}, refused;
  CHECK_THROWS_AS(go(crashed, 100, false), std::runtime_error);
  CHECK_THROWS_AS(go(anew, 2, true), std::runtime_error);  // had none: begins again, now with states
  CHECK(anew.first_step == 0);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "run/checkpoints")) std::filesystem::remove(entry.path());
  CHECK_THROWS_WITH_AS(go(refused, 100, true), doctest::Contains("metrics.jsonl goes to iteration 9"), Error);
}
