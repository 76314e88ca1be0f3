// SPDX-License-Identifier: Apache-2.0
#include "finpercep/base/ncnn.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/text.h"

namespace finpercep {

namespace {

constexpr std::string_view magic = "7767517";
constexpr std::size_t max_layers = 100'000, max_blobs_of_layer = 1'000, max_list = 1'000, max_name = 256;
constexpr uint64_t max_param_file = 1 << 24, max_bin_file = uint64_t{1} << 31;
constexpr uint32_t tag_f32 = 0, tag_f16 = 0x01306B47;
constexpr int first_list = -23300;  // key -23300 - id: the value is a list that begins with its length

Error bad(const std::string& where, const std::string& what) {
  return model_error(fmt::format("ncnn: {}: {}. is the file whole and an ncnn model?", where, what));
}

// What a message may show of a file: printable and short.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, 40));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  constexpr std::string_view blank = " \t\r";
  for (std::size_t at = line.find_first_not_of(blank); at != std::string_view::npos; at = line.find_first_not_of(blank, at)) {
    const std::size_t end = std::min(line.find_first_of(blank, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

class TextReader {
 public:
  TextReader(std::string_view text, const std::string& where) : rest_(text), where_(where) {}

  NcnnGraph read() {
    const auto head = next_line();
    if (head.size() != 1 || head[0] != magic)
      throw fault(fmt::format("expected '{}', found '{}'", magic, head.empty() ? "" : shown(head[0])));
    const auto counts = next_line();
    const auto layers = counts.size() == 2 ? parse_number<uint32_t>(counts[0]) : std::nullopt;
    if (!layers || *layers < 1 || *layers > max_layers || !parse_number<uint32_t>(counts[1]))
      throw fault(fmt::format("expected the number of layers, 1 to {}, and of blobs", max_layers));
    NcnnGraph graph;
    for (uint32_t i = 0; i < *layers; ++i) graph.layers.push_back(layer(next_line()));
    if (!next_line().empty()) throw fault(fmt::format("expected the end after {} layers, found another line", *layers));
    if (blobs_.size() != *parse_number<uint32_t>(counts[1]))
      throw fault(fmt::format("expected {} blobs, found {}", shown(counts[1]), blobs_.size()));
    return graph;
  }

 private:
  Error fault(const std::string& what) const { return bad(where_, fmt::format("line {}: {}", line_, what)); }

  // The words of the next line that has any; none at the end.
  std::vector<std::string_view> next_line() {
    while (!rest_.empty()) {
      ++line_;
      const std::size_t end = std::min(rest_.find('\n'), rest_.size());
      const auto words = words_of(rest_.substr(0, end));
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      if (!words.empty()) return words;
    }
    return {};
  }

  NcnnLayer layer(const std::vector<std::string_view>& words) {
    const auto inputs = words.size() >= 4 ? parse_number<uint32_t>(words[2]) : std::nullopt,
               outputs = words.size() >= 4 ? parse_number<uint32_t>(words[3]) : std::nullopt;
    if (!inputs || !outputs || *inputs > max_blobs_of_layer || *outputs > max_blobs_of_layer ||
        words.size() < 4 + std::size_t{*inputs} + *outputs)
      throw fault("expected a layer: type, name, number of inputs and of outputs, their names, id=value..");
    NcnnLayer layer;
    layer.type = words[0];
    layer.name = words[1];
    for (const auto& word : words)
      if (word.size() > max_name) throw fault(fmt::format("expected words of at most {} characters, found {}", max_name, word.size()));
    for (std::size_t i = 4; i < 4 + std::size_t{*inputs}; ++i) {
      if (!blobs_.contains(words[i])) throw fault(fmt::format("input '{}' is no output of a layer before", shown(words[i])));
      layer.inputs.emplace_back(words[i]);
    }
    for (std::size_t i = 4 + *inputs; i < 4 + std::size_t{*inputs} + *outputs; ++i) {
      if (!blobs_.insert(words[i]).second) throw fault(fmt::format("output '{}' is that of a layer before", shown(words[i])));
      layer.outputs.emplace_back(words[i]);
    }
    for (std::size_t i = 4 + std::size_t{*inputs} + *outputs; i < words.size(); ++i) read_param(words[i], layer);
    return layer;
  }

  void read_param(std::string_view word, NcnnLayer& layer) const {
    const std::size_t equals = std::min(word.find('='), word.size());
    const auto key = parse_number<int32_t>(word.substr(0, equals));
    if (!key || equals == word.size()) throw fault(fmt::format("expected id=value, found '{}'", shown(word)));
    const bool list = *key <= first_list;
    const int64_t id = list ? int64_t{first_list} - *key : *key;
    if (id < 0 || id > 1000 || layer.params.contains(static_cast<int>(id)))
      throw fault(fmt::format("expected an id of 0 to 1000 and each once, found '{}'", shown(word)));
    std::vector<double> values;
    for (std::string_view rest = word.substr(equals + 1);;) {
      const std::size_t comma = std::min(rest.find(','), rest.size());
      const auto value = parse_number<double>(rest.substr(0, comma));
      if (!value || values.size() > max_list) throw fault(fmt::format("expected numbers, found '{}'", shown(word)));
      values.push_back(*value);
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
    if (list && values[0] != static_cast<double>(values.size() - 1))
      throw fault(fmt::format("expected a list that begins with its length, found '{}'", shown(word)));
    if (!list && values.size() != 1) throw fault(fmt::format("expected one number, found '{}'", shown(word)));
    if (list) values.erase(values.begin());
    layer.params[static_cast<int>(id)] = std::move(values);
  }

  std::string_view rest_;
  const std::string& where_;
  std::set<std::string_view> blobs_;
  int64_t line_ = 0;
};

float from_half(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16, magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  // Shifted into place, the exponent is 112 too small; the product also sets denormals right.
  return std::bit_cast<float>(std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f) | sign);
}

// The weights of one layer after the other; a kernel begins with a tag that says what its numbers are.
class WeightReader {
 public:
  WeightReader(std::span<const std::byte> bytes, const std::string& where) : rest_(bytes), where_(where) {}

  void read(NcnnLayer& layer) {
    if (layer.type == "Convolution") {
      if (layer.number(8, 0) != 0) throw fault(layer, "expected float16 or float32 weights, found quantised ones");
      layer.weights.push_back(kernel(layer));
      if (layer.number(5, 0) != 0) layer.weights.push_back(floats(layer, size_of(layer, 0)));
    } else if (layer.type == "PReLU") {
      layer.weights.push_back(floats(layer, size_of(layer, 0)));
    } else if (std::ranges::find(without_weights, layer.type) == std::end(without_weights)) {
      throw fault(layer, fmt::format("type '{}' is not one of those that are read: Convolution, PReLU, {}", shown(layer.type),
                                     fmt::join(without_weights, ", ")));
    }
  }

  void finish() const {
    if (!rest_.empty())
      throw bad(where_, fmt::format("weights: expected the end of the .bin after the last layer, found {} more bytes", rest_.size()));
  }

 private:
  static constexpr const char* without_weights[] = {"Input", "Split", "Concat", "Eltwise", "BinaryOp", "Interp", "PixelShuffle"};

  Error fault(const NcnnLayer& layer, const std::string& what) const {
    return bad(where_, fmt::format("layer '{}': {}", shown(layer.name), what));
  }

  std::size_t size_of(const NcnnLayer& layer, int id) const {
    const int64_t size = layer.whole(id, 0);
    if (size < 1) throw fault(layer, fmt::format("param {}: expected a size, found {}", id, layer.number(id, 0)));
    return static_cast<std::size_t>(size);
  }

  std::span<const std::byte> take(const NcnnLayer& layer, std::size_t bytes) {
    if (bytes > rest_.size()) throw fault(layer, fmt::format("expected {} bytes of weights, found only {}", bytes, rest_.size()));
    const auto taken = rest_.first(bytes);
    rest_ = rest_.subspan(bytes);
    return taken;
  }

  std::vector<float> checked(const NcnnLayer& layer, std::vector<float> values) const {
    if (!std::ranges::all_of(values, [](float v) { return std::isfinite(v); })) throw fault(layer, "weights hold NaN or infinity");
    return values;
  }

  std::vector<float> floats(const NcnnLayer& layer, std::size_t count) {
    const auto bytes = take(layer, count * sizeof(float));
    std::vector<float> values(count);
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return checked(layer, std::move(values));
  }

  std::vector<float> kernel(const NcnnLayer& layer) {
    uint32_t tag = 0;
    std::memcpy(&tag, take(layer, sizeof tag).data(), sizeof tag);
    const std::size_t count = size_of(layer, 6);
    if (tag == tag_f32) return floats(layer, count);
    if (tag != tag_f16) throw fault(layer, fmt::format("expected the tag of float16 or float32 weights, found {:#010x}", tag));
    const auto bytes = take(layer, (count + count % 2) * sizeof(uint16_t));  // padded to four bytes
    std::vector<uint16_t> halves(count);
    std::memcpy(halves.data(), bytes.data(), count * sizeof(uint16_t));
    std::vector<float> values(count);
    std::ranges::transform(halves, values.begin(), from_half);
    return checked(layer, std::move(values));
  }

  std::span<const std::byte> rest_;
  const std::string& where_;
};

}  // namespace

double NcnnLayer::number(int id, double fallback) const {
  const auto found = params.find(id);
  return found == params.end() || found->second.size() != 1 ? fallback : found->second[0];
}

int64_t NcnnLayer::whole(int id, int64_t fallback) const {
  const double value = number(id, static_cast<double>(fallback));
  return value >= 0 && value <= 1e9 && value == std::floor(value) ? static_cast<int64_t>(value) : -1;
}

NcnnGraph parse_ncnn(std::string_view param, std::span<const std::byte> bin, const std::string& where) {
  NcnnGraph graph = TextReader(param, where).read();
  WeightReader weights(bin, where);
  for (NcnnLayer& layer : graph.layers) weights.read(layer);
  weights.finish();
  return graph;
}

NcnnGraph read_ncnn(const std::filesystem::path& param_file) {
  std::filesystem::path bin_file = param_file;
  bin_file.replace_extension(".bin");
  std::string param;
  std::vector<std::byte> bin;
  try {
    param = read_text_file(param_file, max_param_file);
    bin = read_file(bin_file, max_bin_file);
  } catch (const Error& error) {
    throw model_error(error.what());  // weights that are not there are exit code 4, as weights that are broken
  }
  return parse_ncnn(param, bin, param_file.string());
}

}  // namespace finpercep
