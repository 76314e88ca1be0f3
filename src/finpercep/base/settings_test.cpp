// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/settings.h"

#include <algorithm>
#include <chrono>
#include <clocale>
#include <cmath>
#include <cstring>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/random.h"
#include "finpercep/base/test_folder.h"

using namespace finpercep;

namespace {

struct Blur {
  double sigma = 1.5;
  std::vector<double> widths = {1, 2.5};
  std::string kind = "gauss";
  void visit(SettingsVisitor& v) {
    v.field("sigma", sigma, "standard deviation, pixels", {.min = 0.1, .max = 20});
    v.field("widths", widths, "widths to draw from", {.min = 0});
    v.choice("kind", kind, "kernel", {"gauss", "sinc", "plateau"});
  }
};

struct Nothing {
  void visit(SettingsVisitor&) {}
};

struct Train {
  double lr = 1e-4;
  int64_t steps = 1000;
  bool ema = true;
  std::string name = "run";
  std::vector<int64_t> milestones;
  std::vector<std::string> files = {"a"};
  Blur blur;
  Nothing nothing;
  void visit(SettingsVisitor& v) {
    v.field("lr", lr, "learning rate");
    v.field("steps", steps, "optimiser steps", {.min = 1});
    v.field("ema", ema, "keep an average");
    v.field("name", name, "name of the run");
    v.field("milestones", milestones, "steps at which lr halves", {.min = 0, .max = 100});
    v.field("files", files, "inputs");
    v.group("blur", blur, "blur of the degradation");
    v.group("nothing", nothing, "an empty group");
  }
};

struct Root {
  int64_t seed = 0;
  Train train;
  void visit(SettingsVisitor& v) {
    v.field("seed", seed, "seed of everything");
    v.group("train", train, "training");
  }
};

Root load(const std::string& text, const std::vector<std::string>& overrides = {}) {
  Root root;
  load_settings(root, text, "c.yaml", overrides);
  return root;
}

std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    load(text, overrides);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::usage);
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.size() < 400);
    return message;
  }
  return "accepted";
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

#define REFUSES(part, ...)                            \
  do {                                                \
    const std::string message = refusal(__VA_ARGS__); \
    CAPTURE(message);                                 \
    CHECK(has(message, part));                        \
  } while (false)

}  // namespace

TEST_CASE("values of all types are read; what is not mentioned keeps its default") {
  const Root root = load(
      "seed: 7  # the seed\n"
      "train:\n"
      "  lr: 2e-4\n"
      "  ema: off\n"
      "  name: 'a: b'\n"
      "  milestones: [10, 20]\n"
      "  files:\n"
      "    - x.png\n"
      "    - 12\n"
      "  blur: {sigma: 3, kind: sinc}\n");
  CHECK(root.seed == 7);
  CHECK(root.train.lr == 2e-4);
  CHECK(root.train.steps == 1000);
  CHECK_FALSE(root.train.ema);
  CHECK(root.train.name == "a: b");
  CHECK(root.train.milestones == std::vector<int64_t>{10, 20});
  CHECK(root.train.files == std::vector<std::string>{"x.png", "12"});
  CHECK(root.train.blur.sigma == 3);
  CHECK(root.train.blur.kind == "sinc");
  CHECK(root.train.blur.widths == std::vector<double>{1, 2.5});
}

TEST_CASE("empty texts and empty groups change nothing") {
  for (const char* text : {"", "\n", "# only a comment\n", "---\n", "{}", "train:\n", "train:\n  blur:\n", "train: {}"}) {
    CAPTURE(text);
    CHECK(to_yaml(load(text)) == to_yaml(Root()));
  }
}

TEST_CASE("overrides come last, in order, and only where they point") {
  const Root root = load("train: {lr: 1, steps: 5}",
                         {"train.lr=3e-5", "seed=4", "seed=5", "train.milestones=[1, 2]", "train.name=", "train.blur.widths=[]",
                          "train.files=[a b, \"c,d\"]", "train.ema=false", "train.blur.kind=plateau"});
  CHECK(root.train.lr == 3e-5);
  CHECK(root.train.steps == 5);
  CHECK(root.seed == 5);
  CHECK(root.train.milestones == std::vector<int64_t>{1, 2});
  CHECK(root.train.name == "");
  CHECK(root.train.blur.widths.empty());
  CHECK(root.train.files == std::vector<std::string>{"a b", "c,d"});
  CHECK_FALSE(root.train.ema);
  CHECK(root.train.blur.kind == "plateau");
  CHECK(load("", {"train.name=a=b"}).train.name == "a=b");
}

TEST_CASE("bad overrides are refused by name") {
  REFUSES("config: --set train.lr=fast: train.lr: expected a number, found 'fast'", "", {"train.lr=fast"});
  REFUSES("--set train.lrr=1: train.lrr: unknown key. did you mean train.lr?", "", {"train.lrr=1"});
  REFUSES("expected key=value", "", {"seed"});
  for (const char* text : {"=1", ".seed=1", "seed.=1", "train..lr=1", ""}) REFUSES("expected key=value", "", {text});
  REFUSES("train: expected keys and values, or a .yaml file of them, found '3'", "", {"train=3"});
  REFUSES("found keys and values", "", {"train={lr: 1}"});
  REFUSES("seed: expected a whole number, found keys and values", "", {"seed.x=1"});
  REFUSES("close every bracket", "", {"train.milestones=[1, 2"});
  REFUSES("seed: expected a whole number, found ''", "", {"seed="});
  REFUSES("not that deep", "", {std::string(100000, 'a') + [] {
            std::string s;
            for (int i = 0; i < 50000; ++i) s += ".a";
            return s;
          }() + "=1"});
}

TEST_CASE("an unknown key is an error that names the line and the nearest key") {
  REFUSES("config: c.yaml:3: train.step: unknown key. did you mean train.steps?", "seed: 1\ntrain:\n  step: 5\n");
  REFUSES("config: c.yaml:1: sede: unknown key. did you mean seed?", "sede: 1\n");
  REFUSES("c.yaml:2: sigma: unknown key. did you mean train.blur.sigma?", "seed: 1\nsigma: 2\n");
  REFUSES("train.blur.zzzzzz: unknown key. known here: sigma, widths, kind", "train: {blur: {zzzzzz: 1}}");
  REFUSES("train.nothing.x: unknown key. remove it", "train: {nothing: {x: 1}}");
  REFUSES("unknown key", std::string(500, 'k') + ": 1");
}

TEST_CASE("duplicate keys are refused at any depth") {
  REFUSES("c.yaml:3: expected keys and values, found 'seed' twice", "seed: 1\ntrain: {}\nseed: 1\n");
  REFUSES("c.yaml:4: expected keys and values, found 'sigma' twice", "train:\n  blur:\n    sigma: 1\n    sigma: 1\n");
  REFUSES("'lr' twice", "train: {lr: 1, \"lr\": 2}");
}

TEST_CASE("numbers are strict") {
  for (const char* text : {"1x", "1 2", "0x10", "1_000", "--1", "+-1", "+", "1,5", "nan", ".nan", "inf", "-.inf", "1e999", "\"1\"", "true",
                           "~", "[1]", "{a: 1}"}) {
    CAPTURE(text);
    REFUSES("c.yaml:1: train.lr: expected a number, found",
            fmt::format("train: {{lr: {}}}", text[0] == '1' && text[1] == ',' ? "'1,5'" : text));
    REFUSES("seed: expected a whole number, found", fmt::format("seed: {}", text));
  }
  for (const char* text : {"1e3", "1.0", "9223372036854775808", "-9223372036854775809", "99999999999999999999999999"}) {
    CAPTURE(text);
    REFUSES("seed: expected a whole number, found", fmt::format("seed: {}", text));
  }
  CHECK(load("seed: 9223372036854775807").seed == INT64_MAX);
  CHECK(load("seed: -9223372036854775808").seed == INT64_MIN);
  CHECK(load("seed: +12").seed == 12);
  CHECK(load("train: {lr: 1e3}").train.lr == 1000);
  CHECK(load("train: {lr: +.5}").train.lr == 0.5);
  CHECK(load("train: {lr: !!float 1e-4}").train.lr == 1e-4);
  CHECK(std::signbit(load("train: {lr: -0}").train.lr));
}

TEST_CASE("numbers do not depend on the locale") {
  const char* found = nullptr;
  for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"}) {
    if (!found) found = std::setlocale(LC_ALL, name);
  }
  if (!found) MESSAGE("no locale with a decimal comma is installed");
  CHECK(load("train: {lr: 1.5}").train.lr == 1.5);
  CHECK(has(to_yaml(load("train: {lr: 1.5}")), "lr: 1.5\n"));
  std::setlocale(LC_ALL, "C");
}

TEST_CASE("values out of range or of the wrong kind are refused with place and path") {
  REFUSES("c.yaml:2: train.steps: expected a whole number of at least 1, found '0'", "train:\n  steps: 0\n");
  REFUSES("train.blur.sigma: expected a number in 0.1 .. 20, found '20.5'", "train: {blur: {sigma: 20.5}}");
  CHECK(load("train: {blur: {sigma: 20}}").train.blur.sigma == 20);
  REFUSES("train.blur.kind: expected one of gauss, sinc, plateau, found 'snic'. did you mean sinc?", "train: {blur: {kind: snic}}");
  REFUSES("train.ema: expected true or false, found '1'", "train: {ema: 1}");
  REFUSES("train.ema: expected true or false, found 'tRUE'", "train: {ema: tRUE}");
  REFUSES("train.name: expected text, found a list", "train: {name: [a]}");
  REFUSES("train.name: expected text, found nothing. write \"\"", "train: {name: }");
  REFUSES("train.milestones: expected a list, found '5'. write [5]", "train: {milestones: 5}");
  REFUSES("c.yaml:5: train.milestones[2]: expected a whole number, found 'x'", "train:\n  milestones:\n  - 1\n  - 2\n  - x\n");
  REFUSES("train: expected keys and values, or a .yaml file of them, found a list", "train: [1]");
  REFUSES("train.milestones[1]: expected a whole number in 0 .. 100, found '101'", "train: {milestones: [1, 101]}");
  REFUSES("train.blur.widths[0]: expected a number, found a list", "train: {blur: {widths: [[1]]}}");
  REFUSES("c.yaml:1: expected keys and values, found a list", "- 1\n");
  REFUSES("c.yaml:1: expected keys and values, found 'word'", "word");
}

TEST_CASE("whatever yaml-cpp dislikes becomes a usage error with its line") {
  REFUSES("c.yaml:3: malformed YAML", "seed: 1\ntrain: {lr: 1\n");
  REFUSES("malformed YAML", "seed: 'abc");
  REFUSES("malformed YAML", "seed: \"\\q\"");
  REFUSES("malformed YAML", "\tseed: 1");
  REFUSES("malformed YAML", "a: b: c");
  REFUSES("alias", "a: &x 1\nseed: *x\n");
  REFUSES("malformed YAML", "seed: *x\n");
  REFUSES("merge key", "train:\n  <<: {lr: 1}\n");
  REFUSES("a key that is not a word", "? [1, 2]\n: 3\n");
  REFUSES("a key that is not a word", "~: 3\n");
  REFUSES("expected one YAML document", "seed: 1\n---\nseed: 2\n");
  REFUSES("zero byte", std::string("seed: 1\0", 8));
  REFUSES("c.yaml:2: expected UTF-8, found byte 0xff", "seed: 1\ntrain: {name: a\xff}\n");
  REFUSES("expected UTF-8, found byte 0xc3", "", {"train.name=a\xc3"});
  REFUSES("malformed YAML", "train: {name: \"\\ud800\"}");
  REFUSES("zero characters", "train: {name: \"a\\0b\"}");
}

TEST_CASE("huge and deep texts are refused at once") {
  const auto start = std::chrono::steady_clock::now();
  REFUSES("expected at most 1048576 bytes", std::string((1 << 20) + 1, '#'));
  const std::string flow_lists(100000, '[');
  std::string flow_maps, block;
  for (int i = 0; i < 100000; ++i) flow_maps += "{a: ";
  for (int i = 0; i < 700; ++i) block += std::string(i, ' ') + "a:\n";
  CHECK(refusal(flow_lists) != "accepted");
  CHECK(refusal("seed: " + flow_lists) != "accepted");
  CHECK(refusal(flow_maps) != "accepted");
  CHECK(refusal(std::string(500000, '-')) != "accepted");
  std::string dashes;
  for (int i = 0; i < 100000; ++i) dashes += "- ";
  CHECK(refusal(dashes) != "accepted");
  REFUSES("more than 32 levels", block);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("to_yaml is readable") {
  CHECK(to_yaml(Root()) ==
        "seed: 0\n"
        "train:\n"
        "  lr: 0.0001\n"
        "  steps: 1000\n"
        "  ema: true\n"
        "  name: run\n"
        "  milestones: []\n"
        "  files: [a]\n"
        "  blur:\n"
        "    sigma: 1.5\n"
        "    widths: [1, 2.5]\n"
        "    kind: gauss\n"
        "  nothing: {}\n");
  CHECK(to_yaml(Nothing()) == "{}\n");
}

TEST_CASE("to_yaml reads back to exactly the same values") {
  Random random(1, "settings");
  const std::vector<std::string> words = {"",
                                          " ",
                                          "~",
                                          "null",
                                          "Null",
                                          "true",
                                          "yes",
                                          "off",
                                          "12",
                                          "1e3",
                                          "-",
                                          "a: b",
                                          "a #b",
                                          "#",
                                          "'",
                                          "\"",
                                          "\\",
                                          "\n",
                                          "a\nb\r\n\tc",
                                          " lead",
                                          "trail ",
                                          "[a",
                                          "a]",
                                          "{",
                                          ",",
                                          "a,b",
                                          "*x",
                                          "&x",
                                          "!x",
                                          "%x",
                                          "@x",
                                          "`x",
                                          "---",
                                          "...",
                                          "? x",
                                          "- x",
                                          "<<",
                                          "=",
                                          "\x01\x1f\x7f",
                                          "\xc3\xa4",
                                          "\xe2\x80\xa8",
                                          "\xc2\x85",
                                          "\xc2\xa0",
                                          "\xef\xbb\xbf"
                                          "bom",
                                          "\xf0\x9f\x98\x80",
                                          "/a/b.png",
                                          "C:\\x"};
  for (int trial = 0; trial < 400; ++trial) {
    Root root;
    const auto number = [&] {
      for (;;) {
        const uint64_t high = random.bits(), bits = (high << 32) | random.bits();
        double value;
        std::memcpy(&value, &bits, 8);
        if (std::isfinite(value) && std::fpclassify(value) != FP_SUBNORMAL) return value;
      }
    };
    root.seed = random.integer(INT64_MIN, INT64_MAX);
    root.train.lr = trial == 0   ? -0.0
                    : trial == 1 ? 1.7976931348623157e308
                    : trial == 2 ? 2.2250738585072014e-308
                    : trial == 3 ? 0.1 + 0.2
                                 : number();
    root.train.name = words[trial % words.size()];
    if (trial > 200) {
      for (int i = 0; i < 5; ++i) root.train.name += words[random.integer(0, static_cast<int64_t>(words.size()) - 1)];
    }
    root.train.files.assign(words.begin(), words.begin() + random.integer(0, static_cast<int64_t>(words.size())));
    root.train.blur.widths = {std::abs(number()), 1e22, 3};
    const std::string text = to_yaml(root);
    CAPTURE(text);
    Root back;
    load_settings(back, text, "text");
    REQUIRE(back.seed == root.seed);
    REQUIRE(std::memcmp(&back.train.lr, &root.train.lr, 8) == 0);
    REQUIRE(back.train.name == root.train.name);
    REQUIRE(back.train.files == root.train.files);
    REQUIRE(back.train.blur.widths == root.train.blur.widths);
    REQUIRE(to_yaml(back) == text);
  }
}

TEST_CASE("what would not load is not written") {
  Root root;
  root.train.lr = std::nan("");
  CHECK_THROWS_AS(to_yaml(root), Error);
  root = Root();
  root.train.blur.widths = {1, INFINITY};
  CHECK_THROWS_AS(to_yaml(root), Error);
  for (const char* text : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80"}) {
    root = Root();
    root.train.name = text;
    CHECK_THROWS_AS(to_yaml(root), Error);
  }
}

TEST_CASE("describe_settings says beside each key what it means, and still loads") {
  Root root;
  root.train.lr = 0.25;
  const std::string text = describe_settings(root);
  CHECK(std::count(text.begin(), text.end(), '\n') == std::count(text.begin(), text.end(), '#'));
  CHECK(has(text, "\n  lr: 0.25                            # learning rate\n"));
  CHECK(has(text, "# kernel (gauss, sinc, plateau)\n"));
  CHECK(has(text, "# standard deviation, pixels (in 0.1 .. 20)\n"));
  CHECK(to_yaml(load(text)) == to_yaml(root));
}

TEST_CASE("read_config_text") {
  const TestFolder folder;
  CHECK(read_config_text("") == "");
  write_file(folder / "a.yaml", std::string("seed: 3\n"));
  CHECK(load(read_config_text((folder / "a.yaml").string())).seed == 3);
  try {
    read_config_text((folder / "missing.yaml").string());
    FAIL("a missing file was read");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::input);
    CHECK(has(error.what(), "missing.yaml"));
  }
}

TEST_CASE("a group may be the name of a file") {
  const TestFolder folder;
  const std::string file = (folder / "train.yaml").string();
  write_file(file, std::string("# shared\nlr: 0.25\n"));
  CHECK(load("seed: 5\ntrain: " + file + "\n").train.lr == 0.25);
  CHECK(load("seed: 5\n", {"train=" + file}).train.lr == 0.25);
  write_file(file, std::string("lr: 0.25\nlrr: 1\n"));
  REFUSES("train.yaml:2: train.lrr: unknown key. did you mean train.lr?", "train: " + file + "\n");
  write_file(file, std::string("- 1\n"));
  REFUSES("expected keys and values, or a .yaml file of them", "train: " + file + "\n");
  CHECK_THROWS_WITH_AS(load("train: nowhere.yaml\n"), doctest::Contains("nowhere.yaml"), Error);
}
