// SPDX-License-Identifier: Apache-2.0
// Models in the format of Tencent's ncnn: a text file of layers (.param) and the weights in the order of the layers (.bin). Read is what
// the published super-resolution nets use: float32 and float16 weights; quantised ones are refused. Everything is checked before it is
// believed: names, counts, sizes, the last byte.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace finpercep {

struct NcnnLayer {
  std::string type, name;
  std::vector<std::string> inputs, outputs;   ///< names of blobs
  std::map<int, std::vector<double>> params;  ///< by ncnn's number; one value unless the file gives a list
  std::vector<std::vector<float>> weights;    ///< Convolution: kernel (O x I x H x W), then the bias if it has one; PReLU: slopes

  double number(int id, double fallback) const;   ///< `fallback` where the layer gives none, or a list
  int64_t whole(int id, int64_t fallback) const;  ///< the same for counts: -1 where it is no whole number from 0 to 1e9
};

struct NcnnGraph {
  std::vector<NcnnLayer> layers;  ///< each reads blobs of layers before it only
};

/// model_error naming `where` and the line or the layer for anything that is not sound. At most 100,000 layers.
NcnnGraph parse_ncnn(std::string_view param, std::span<const std::byte> bin, const std::string& where);
/// FILE.param and, beside it, FILE.bin.
NcnnGraph read_ncnn(const std::filesystem::path& param_file);

}  // namespace finpercep
