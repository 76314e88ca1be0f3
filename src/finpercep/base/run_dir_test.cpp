// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/run_dir.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <functional>

#include <doctest/doctest.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/log.h"
#include "finpercep/base/test_folder.h"

using namespace finpercep;
namespace fs = std::filesystem;

namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::input);
    return error.what();
  }
  return "no error";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void append(const fs::path& path, const std::string& text) { write_file(path, read_text_file(path) + text); }

}  // namespace

TEST_CASE("a run directory has its parts") {
  const TestFolder folder;
  {
    RunDir run(folder / "runs" / "a", "seed: 1\n", false);
    CHECK(read_text_file(run.path() / "config.yaml") == "seed: 1\n");
    CHECK(run.checkpoint("last") == run.path() / "checkpoints" / "last.safetensors");
    CHECK(run.sample("x.png") == run.path() / "samples" / "x.png");
    write_file(run.sample("x.png"), std::string("x"));
    set_log_level(LogLevel::quiet);
    log_info("a line for the file");
    set_log_level(LogLevel::info);
    CHECK(has(read_text_file(run.path() / "log.txt"), " a line for the file\n"));
  }
  const std::string before = read_text_file(folder / "runs" / "a" / "log.txt");
  set_log_level(LogLevel::quiet);
  log_info("after the run");
  set_log_level(LogLevel::info);
  CHECK(read_text_file(folder / "runs" / "a" / "log.txt") == before);
}

TEST_CASE("what a run killed in its first write left behind is no run") {
  const TestFolder folder;
  make_directory(folder / "a" / "checkpoints");
  write_file(folder / "a" / "checkpoints" / ".state-00000001.safetensors.1-0.tmp", std::string("half"));
  const RunDir run(folder / "a", "seed: 1\n", false);
  CHECK(fs::is_empty(folder / "a" / "checkpoints"));
}

TEST_CASE("a directory that holds a run is reopened only on request") {
  const TestFolder folder;
  { RunDir run(folder / "a", "seed: 0\n", false); }
  {
    RunDir run(folder / "a", "seed: 1\n", false);  // nothing had begun
    CHECK(read_text_file(folder / "a" / "config.yaml") == "seed: 1\n");
    fs::remove(folder / "a" / "config.previous.yaml");
    run.log_metrics(1, {{"loss", 1.0}});
  }
  CHECK(has(message_of([&] { RunDir run(folder / "a", "seed: 2\n", false); }), "already holds a run. pass --resume"));
  CHECK(read_text_file(folder / "a" / "config.yaml") == "seed: 1\n");
  { RunDir run(folder / "a", "seed: 1\n", true); }
  CHECK_FALSE(fs::exists(folder / "a" / "config.previous.yaml"));
  { RunDir run(folder / "a", "seed: 3\n", true); }  // its state was never restored
  CHECK(read_text_file(folder / "a" / "config.yaml") == "seed: 1\n");
  for (const char* seed : {"seed: 2\n", "seed: 3\n"}) RunDir(folder / "a", seed, true).use_config();
  CHECK(read_text_file(folder / "a" / "config.yaml") == "seed: 3\n");
  CHECK(read_text_file(folder / "a" / "config.previous.yaml") == "seed: 1\n");
  CHECK(read_text_file(folder / "a" / "config.previous-2.yaml") == "seed: 2\n");
  CHECK(has(read_text_file(folder / "a" / "log.txt"), "goes on with another config, first 'seed: 2' for 'seed: 1';"));
  { RunDir run(folder / "new", "", true); }  // nothing to resume: a new run
  write_file(folder / "file", std::string("x"));
  CHECK(has(message_of([&] { RunDir run(folder / "file", "", false); }), "in the way"));
}

TEST_CASE("a run in use is refused, a dead one taken over") {
  const TestFolder folder;
  int ready[2];
  REQUIRE(pipe(ready) == 0);
  const pid_t child = fork();
  if (child == 0) {
    RunDir run(folder / "a", "", false);
    if (::write(ready[1], "x", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char byte;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  close(ready[0]);
  close(ready[1]);
  CHECK(has(message_of([&] { RunDir run(folder / "a", "", true); }), "in use by process " + std::to_string(child)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  {
    RunDir run(folder / "a", "", true);
    CHECK(read_text_file(run.path() / "lock") == std::to_string(getpid()) + "\n");
    CHECK(has(message_of([&] { RunDir again(folder / "a", "", true); }), "in use by process " + std::to_string(getpid())));
  }
  CHECK(read_text_file(folder / "a" / "lock") == "");
  { RunDir run(folder / "a", "", true); }
}

TEST_CASE("what a killed process half wrote is removed, and nothing else") {
  const TestFolder folder;
  { RunDir run(folder / "a", "", false); }
  const fs::path half = folder / "a" / "checkpoints" / ".state-00000001.safetensors.123-4.tmp",
                 own = folder / "a" / "checkpoints" / ".note", other = folder / "a" / ".report.html.5-0.tmp";
  for (const fs::path& path : {half, own, other}) write_file(path, std::string("x"));
  RunDir run(folder / "a", "", true);
  CHECK_FALSE(fs::exists(half));
  CHECK(fs::exists(own));
  CHECK(fs::exists(other));  // a report may be written while a run goes on
}

TEST_CASE("a refused run does not keep the lock") {
  const TestFolder folder;
  { RunDir run(folder / "a", "", false); }
  message_of([&] { RunDir run(folder / "a", "", false); });
  RunDir run(folder / "a", "", true);
}

TEST_CASE("metrics are logged and read back") {
  const TestFolder folder;
  RunDir run(folder / "a", "", false);
  run.log_metrics(1, {{"loss", 0.1}, {"lr", 1e-4}});
  run.log_metrics(2, {{"loss", std::nan("")}, {"grad", INFINITY}, {"k\"\n", -2}});
  const fs::path path = run.path() / "metrics.jsonl";
  CHECK(read_text_file(path) == "{\"step\":1,\"loss\":0.1,\"lr\":0.0001}\n{\"step\":2,\"loss\":null,\"grad\":null,\"k\\\"\\n\":-2.0}\n");
  const auto rows = read_metrics(path);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].at("loss") == 0.1);
  CHECK(rows[0].at("step") == 1);
  CHECK(std::isnan(rows[1].at("grad")));
  CHECK(rows[1].at("k\"\n") == -2);
}

TEST_CASE("a replayed step is not logged twice, a cut line is dropped") {
  const TestFolder folder;
  const fs::path path = folder / "a" / "metrics.jsonl";
  {
    RunDir run(folder / "a", "", false);
    for (int step = 1; step <= 5; ++step) run.log_metrics(step, {{"loss", 1.0 / step}});
    run.truncate_metrics(3);
    CHECK(read_metrics(path).size() == 3);
    run.log_metrics(4, {{"loss", 9}});
  }
  append(path, "{\"step\": 5, \"lo");
  CHECK(read_metrics(path).size() == 4);
  RunDir run(folder / "a", "", true);
  run.log_metrics(5, {{"loss", 8}});
  const auto rows = read_metrics(path);
  REQUIRE(rows.size() == 5);
  for (int step = 1; step <= 5; ++step) CHECK(rows[step - 1].at("step") == step);
  CHECK(rows[3].at("loss") == 9);
}

TEST_CASE("broken metrics are an error that names the line; a run drops them") {
  const TestFolder folder;
  const fs::path path = folder / "a" / "metrics.jsonl";
  { RunDir run(folder / "a", "", false); }
  for (const char* line : {"x", "[1]", "{\"a\": \"b\"}", "{\"a\": {}}", "{\"a\": [[[[1]]]]}", "", "{} {}"}) {
    write_file(path, "{\"step\":1}\n" + std::string(line) + "\n{\"step\":2}\n");
    CAPTURE(line);
    CHECK(has(message_of([&] { read_metrics(path); }), "metrics.jsonl:2: expected a JSON object"));
  }
  RunDir run(folder / "a", "", true);
  CHECK(read_metrics(path).size() == 2);
  write_file(path, std::string());
  CHECK(read_metrics(path).empty());
  CHECK(has(message_of([&] { read_metrics(folder / "none"); }), "No such file"));
}

TEST_CASE("a run goes on with the files that it began with; one that had not begun takes others") {
  const TestFolder folder;
  const fs::path path = folder.path() / "run";
  { RunDir(path, "a: 1\n", false).use_inputs({{"network_g", "xxh3:1"}}); }
  { RunDir(path, "a: 1\n", false).use_inputs({{"network_g", "xxh3:2"}}); }
  {
    RunDir run(path, "a: 1\n", false);
    run.use_inputs({{"network_g", "xxh3:3"}});
    run.log_metrics(1, {{"l", 0.5}});
  }
  RunDir run(path, "a: 1\n", true);
  const std::string said = message_of([&] { run.use_inputs({{"network_g", "xxh3:2"}}); });
  for (const char* part : {"network_g", "xxh3:3", "xxh3:2", "with which the work here began"}) CHECK(has(said, part));
  CHECK(message_of([&] { run.use_inputs({{"network_g", "xxh3:3"}}); }) == "no error");
  CHECK(has(message_of([&] { expect_inputs(path, {{"network_g", "xxh3:2"}}); }), "network_g"));
}
