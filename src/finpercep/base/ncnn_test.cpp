// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/ncnn.h"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <limits>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"

using namespace finpercep;

namespace {

using Bytes = std::vector<std::byte>;

template <class Value>
void append(Bytes& out, const std::vector<Value>& values) {
  const auto* first = reinterpret_cast<const std::byte*>(values.data());
  out.insert(out.end(), first, first + values.size() * sizeof(Value));
}

const std::string param =
    "7767517\n5 6\n"
    "Input            in     0 1 a\n"
    "Split            s      1 2 a b c\r\n"
    "\n"
    "Convolution      first  1 1 b d 0=1 1=1 5=1 6=3 -23310=1,2.000000e-01\n"
    "PReLU            slope  1 1 d e 0=1\n"
    "Convolution      second 2 1 e c f 0=1 6=1\n";

// Kernel of three halves (padded), bias, slope, kernel of one float.
Bytes weights() {
  Bytes bin;
  append<uint32_t>(bin, {0x01306B47});
  append<uint16_t>(bin, {0x3C00, 0x8001, 0x7BFF, 0xFFFF});
  append<float>(bin, {0.5f, 0.25f});
  append<uint32_t>(bin, {0});
  append<float>(bin, {-2.0f});
  return bin;
}

std::string message(const std::string& text, const Bytes& bin) {
  try {
    parse_ncnn(text, bin, "FILE");
  } catch (const Error& error) {
    const std::string what = error.what();
    return error.code() == ExitCode::model && what.find('\n') == std::string::npos ? what : "";
  }
  return "";
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("layers, names, parameters and weights as the files give them; halves are exact") {
  const NcnnGraph graph = parse_ncnn(param, weights(), "FILE");
  REQUIRE(graph.layers.size() == 5);
  const NcnnLayer &split = graph.layers[1], &first = graph.layers[2], &second = graph.layers[4];
  CHECK(split.type == "Split");
  CHECK(split.inputs == std::vector<std::string>{"a"});
  CHECK(split.outputs == std::vector<std::string>{"b", "c"});
  CHECK(first.number(1, 7) == 1);
  CHECK(first.number(2, 7) == 7);
  CHECK(first.params.at(10) == std::vector<double>{0.2});
  REQUIRE(first.weights.size() == 2);
  CHECK(first.weights[0] == std::vector<float>{1.0f, -0x1p-24f, 65504.0f});
  CHECK(first.weights[1] == std::vector<float>{0.5f});
  CHECK(graph.layers[3].weights[0] == std::vector<float>{0.25f});
  CHECK(second.weights.size() == 1);
  CHECK(second.weights[0] == std::vector<float>{-2.0f});
}

TEST_CASE("what is not sound is one line that names the place") {
  const struct {
    const char *from, *to, *says;
  } cases[] = {
      {"7767517", "7767518", "line 1: expected '7767517', found '7767518'"},
      {"5 6", "6 6", "line 8: expected a layer"},
      {"5 6", "4 6", "line 8: expected the end after 4 layers"},
      {"5 6", "5 7", "expected 7 blobs, found 6"},
      {"5 6", "0 6", "line 2"},
      {"5 6", "100001 6", "line 2"},
      {"5 6", "5", "line 2"},
      {"1 2 a b", "1 2 z b", "line 4: input 'z' is no output"},
      {"1 2 a b c", "1 2 a b a", "line 4: output 'a' is that of"},
      {"1 1 d e", "1 4000000000 d e", "line 7: expected a layer"},
      {"1 1 d e", "1 -1 d e", "line 7: expected a layer"},
      {"0=1 1=1", "0=1 0=1", "line 6: expected an id"},
      {"0=1 1=1", "0=x 1=1", "line 6: expected numbers, found '0=x'"},
      {"0=1 1=1", "0=nan 1=1", "line 6: expected numbers"},
      {"0=1 1=1", "0=1,2 1=1", "line 6: expected one number"},
      {"0=1 1=1", "0 1=1", "line 6: expected id=value, found '0'"},
      {"-23310=1,", "-23310=2,", "line 6: expected a list that begins with its length"},
      {"PReLU", "Gelu", "layer 'slope': type 'Gelu' is not one of those"},
      {"6=3", "6=3 8=1", "found quantised ones"},
      {"6=3", "6=1e9", "layer 'first': expected 2000000000 bytes of weights"},
      {"6=3", "6=2.5", "param 6: expected a size, found 2.5"},
      {"6=3", "6=5", "layer 'first': weights hold NaN"},
  };
  for (const auto& c : cases) {
    const std::string said = message(with(param, c.from, c.to), weights());
    CAPTURE(c.from);
    CAPTURE(said);
    CHECK(said.starts_with("ncnn: FILE: "));
    CHECK(said.find(c.says) != std::string::npos);
  }
  CHECK(message("", {}).find("line 0: expected '7767517'") != std::string::npos);
  CHECK(message(with(param, "slope", std::string(300, 'n')), weights()).find("at most 256") != std::string::npos);
}

TEST_CASE("the .bin must hold what the layers say, to the byte, and finite numbers") {
  for (std::size_t size = 0; size < weights().size(); ++size) {
    Bytes cut = weights();
    cut.resize(size);
    CHECK(message(param, cut) != "");
  }
  Bytes bin = weights();
  bin.push_back({});
  CHECK(message(param, bin).find("found 1 more bytes") != std::string::npos);
  bin = weights();
  bin[0] ^= std::byte{1};
  CHECK(message(param, bin).find("layer 'first': expected the tag of float16 or float32 weights, found 0x01306b46") != std::string::npos);
  for (const uint16_t half : {0x7C00, 0xFC00, 0x7E00}) {
    bin = weights();
    std::memcpy(bin.data() + 6, &half, 2);
    CHECK(message(param, bin).find("layer 'first': weights hold NaN or infinity") != std::string::npos);
  }
  bin = weights();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bin.data() + 12, &nan, 4);
  CHECK(message(param, bin).find("layer 'first': weights hold NaN") != std::string::npos);
}

TEST_CASE("from files: the .bin lies beside the .param; what is missing is a model error that names it") {
  const TestFolder folder;
  const auto said = [&] {
    try {
      read_ncnn(folder / "m.param");
    } catch (const Error& error) {
      return error.code() == ExitCode::model ? std::string(error.what()) : "";
    }
    return std::string();
  };
  CHECK(said().find("m.param") != std::string::npos);
  write_file(folder / "m.param", param);
  CHECK(said().find("m.bin") != std::string::npos);
  write_file(folder / "m.bin", weights());
  CHECK(read_ncnn(folder / "m.param").layers.size() == 5);
}
