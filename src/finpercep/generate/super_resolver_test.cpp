// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/direct.h"

#include <doctest/doctest.h>
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <array>
#include <thread>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_errors.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/generate/generator.h"
#include "finpercep/generate/pictures.h"
#include "finpercep/generate/tiles.h"
#include "finpercep/generate/torchscript.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/tensor.h"
#include "finpercep/image/test_pictures.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/nets/pretrained.h"

using namespace finpercep;

namespace {

// A TorchScript file whose method is `code`.
std::string script(const TestFolder& folder, const std::string& code, const std::string& name = "m.pt") {
  torch::jit::Module module("M");
  module.define(code);
  const std::string path = (folder / name).string();
  module.save(path);
  return path;
}

const std::string nearest_code =
    "def forward(self, lr):\n"
    "  return lr.repeat_interleave(4, 2).repeat_interleave(4, 3)\n";

bool has(const std::string& text, const std::string& part) {
  CAPTURE(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

Image nearest(const Image& lr) {
  Image out(4 * lr.width, 4 * lr.height);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < out.height; ++y)
      for (int x = 0; x < out.width; ++x) out.at(c, y, x) = lr.at(c, y / 4, x / 4);
  return out;
}

UpscaleOptions tiles_of(int64_t tile) { return {.tile = tile, .compute = {}}; }

}  // namespace

TEST_CASE("tiles: the shares of every pixel sum to one, and each tile is asked for once") {
  for (const auto& [height, width, side, unit] :
       {std::array<int64_t, 4>{50, 90, 40, 1}, {64, 64, 0, 4}, {33, 200, 1, 1}, {100, 37, 48, 4}}) {
    int64_t pixels = 0, tiles = 0;
    const at::Tensor whole = at::rand({1, 3, 2 * height, 2 * width});
    const at::Tensor out = in_tiles(height, width, 2, side, unit, [&](const Tile& t) {
      ++tiles;
      pixels += t.height * t.width;
      if (side > 0) CHECK(std::max(t.height, t.width) <= std::max(side, 2 * tile_overlap + unit));
      return whole.narrow(2, 2 * t.top, 2 * t.height).narrow(3, 2 * t.left, 2 * t.width);
    });
    CHECK((out - whole).abs().max().item<double>() < 1e-6);
    CHECK(pixels >= height * width);
    if (side == 0) CHECK(tiles == 1);
  }
}

TEST_CASE("tiles: what a net makes of a tile's end, where it saw no picture beyond, is not in the result") {
  const int64_t scale = 2, spoilt = scale * tile_overlap / 4, height = 100, width = 130;
  const at::Tensor whole = at::rand({1, 3, scale * height, scale * width});
  const at::Tensor out = in_tiles(height, width, scale, 3 * tile_overlap, 1, [&](const Tile& t) {
    at::Tensor made = whole.narrow(2, scale * t.top, scale * t.height).narrow(3, scale * t.left, scale * t.width).clone();
    if (t.top > 0) made.narrow(2, 0, spoilt).fill_(9);
    if (t.left > 0) made.narrow(3, 0, spoilt).fill_(9);
    if (t.top + t.height < height) made.narrow(2, made.size(2) - spoilt, spoilt).fill_(9);
    if (t.left + t.width < width) made.narrow(3, made.size(3) - spoilt, spoilt).fill_(9);
    return made;
  });
  CHECK((out - whole).abs().max().item<double>() < 1e-6);
}

TEST_CASE("a TorchScript module makes the picture, whole or in tiles, the same from any thread") {
  const TestFolder folder;
  const std::string path = script(folder, nearest_code);
  const Image lr = test::photo(50, 37), expected = nearest(lr);
  for (const int64_t tile : {0, 33, 256})
    CHECK(test::largest_difference(make_super_resolver(path, tiles_of(tile))(lr, 1), expected) < 1e-6f);
  const SuperResolver resolver = make_super_resolver(path, {});
  std::vector<Image> made(4);
  std::vector<std::thread> threads;
  for (Image& image : made) threads.emplace_back([&] { image = resolver(lr, 1); });
  for (std::thread& thread : threads) thread.join();
  for (const Image& image : made) CHECK(image.data == expected.data);
  Image clamped = expected;
  for (float& v : clamped.data) v = std::clamp(3 * v - 1, 0.0f, 1.0f);
  CHECK(test::largest_difference(
            make_super_resolver(
                script(folder, "def forward(self, lr):\n  return 3 * lr.repeat_interleave(4, 2).repeat_interleave(4, 3) - 1\n"), {})(lr, 1),
            clamped) < 1e-6f);
}

TEST_CASE("a module enlarges as often as it does, in tiles too; bicubic as often as it is told") {
  const TestFolder folder;
  const Image lr = test::photo(50, 37);
  for (const int scale : {1, 2, 3, 8}) {
    CAPTURE(scale);
    const std::string times = std::to_string(scale);
    const std::string path =
        script(folder, "def forward(self, lr):\n  return lr.repeat_interleave(" + times + ", 2).repeat_interleave(" + times + ", 3)\n");
    const Image whole = make_super_resolver(path, tiles_of(0))(lr, 1);
    CHECK(whole.width == 50 * scale);
    CHECK(whole.at(2, 36 * scale, 49 * scale) == lr.at(2, 36, 49));
    CHECK(test::largest_difference(make_super_resolver(path, tiles_of(33))(lr, 1), whole) < 1e-6f);
    CHECK(make_super_resolver("bicubic@" + times, {})(lr, 1).height == 37 * scale);
  }
  CHECK(make_super_resolver("bicubic", {})(lr, 1).width == 200);
  const std::string picky = script(
      folder, "def forward(self, lr):\n  assert lr.size(2) % 48 == 0\n  return lr.repeat_interleave(4, 2).repeat_interleave(4, 3)\n");
  CHECK(make_super_resolver(picky, {})(test::photo(48, 48), 1).width == 192);  // fails on the picture that asks for the factor
}

TEST_CASE("a module that takes noise gets the picture's own, from its seed, whatever the tile") {
  const TestFolder folder;
  const std::string path = script(folder, "def forward(self, lr, noise):\n  return 0.5 + 0.1 * noise + 0 * lr.mean()\n");
  const Image lr = test::photo(50, 40);
  const Image one = make_super_resolver(path, tiles_of(0))(lr, 1), again = make_super_resolver(path, tiles_of(33))(lr, 1),
              other = make_super_resolver(path, tiles_of(0))(lr, 2);
  CHECK(test::largest_difference(one, again) < 1e-6f);
  CHECK(test::largest_difference(one, other) > 0.1f);
}

TEST_CASE("modules that are none, fail or return something else give one line and exit code 4") {
  const TestFolder folder;
  const Image lr = test::photo(7, 5);
  const auto said = [&](const std::string& path) {
    return test::message_of(ExitCode::model, [&] { make_super_resolver(path, {})(lr, 1); });
  };
  const auto with = [&](const std::string& code) { return said(script(folder, code)); };
  has(with("def forward(self, lr):\n  return lr[:, :, 1:]\n"),
      "expected an output of 1 to 8 times the size for an LR of [1, 3, 64, 64], found [1, 3, 63, 64]");
  has(with("def forward(self, lr):\n  return lr if lr.size(2) == 5 else lr.repeat_interleave(2, 2).repeat_interleave(2, 3)\n"),
      "expected an output of shape [1, 3, 10, 14] for an LR of [1, 3, 5, 7], found [1, 3, 5, 7]");
  has(with("def forward(self, lr):\n  return lr.repeat_interleave(4, 2).repeat_interleave(4, 3) / 0\n"), "NaN or infinity");
  has(with("def forward(self, lr):\n  return (lr, lr)\n"), "expected a tensor from forward, found Tuple");
  has(with("def forward(self, lr):\n  assert lr.size(2) % 8 == 0, 'sides must be multiples of 8'\n  return lr\n"),
      "failed on an LR picture of 7 x 5: ");
  has(with("def forward(self, a, b, c):\n  return a\n"), "found a forward with 3 inputs");
  has(with("def run(self, a):\n  return a\n"), "expected a method forward(lr) or forward(lr, noise), found none");
  for (const std::string bytes : {"", "hello", "PK\x03\x04 and no more"}) {
    write_file(folder / "other.pt", bytes);
    has(said((folder / "other.pt").string()), "other.pt: expected a TorchScript module saved by torch.jit.save");
  }
  has(said((folder / "none.pt").string()), "none.pt: expected a TorchScript module, found no file");
  std::filesystem::rename(script(folder, nearest_code), folder / "named_otherwise");
  CHECK(make_super_resolver((folder / "named_otherwise").string(), {})(lr, 1).width == 28);
}

TEST_CASE("names: all that exist are listed, a folder is refused, steps are checked") {
  const auto names = generator_names();
  for (const char* name : {"bicubic", "realesrgan-x4plus", "realesr-animevideov3", "sr-small"})
    CHECK(std::ranges::find(names, name) != names.end());
  CHECK(std::ranges::find(names, "finpercep-rm") == names.end());
  const TestFolder folder;
  has(test::message_of(ExitCode::usage, [&] { make_super_resolver(folder.path().string(), {}); }), "found a folder");
  has(test::message_of(ExitCode::model, [&] { make_super_resolver("realesrgan-x4pluss", {}); }), "did you mean 'realesrgan-x4plus'?");
  for (const char* name : {"sr-small@", "sr-small@0", "sr-small@x", "sr-small@2x", "sr-small@-1", "sr-small@99999"})
    has(test::message_of(ExitCode::usage, [&] { make_super_resolver(name, {}); }), "after the @");
  has(test::message_of(ExitCode::model, [&] { make_super_resolver("sr-smell@2", {}); }), "'sr-smell'");
  has(test::message_of(ExitCode::usage, [&] { make_super_resolver("bicubic@9", {}); }),
      "expected a factor from 1 to 8 after the @, found '9'");
  has(test::message_of(ExitCode::usage, [&] { make_super_resolver("realesrgan-x4plus@2", {}); }), "expected realesrgan-x4plus alone");
  CHECK(weights_hash("sr-small@2") == weights_hash("sr-small"));
  CHECK(weights_hash((folder / "at@home").string()) == "");
}

TEST_CASE("the shipped generator in fewer or more steps: another picture, still near the first") {
  const SuperResolver four = make_super_resolver("sr-small@4", {}), shipped = make_super_resolver("sr-small", {});
  const Image lr = test::photo(24, 24);
  CHECK(four(lr, 1).data == shipped(lr, 1).data);
  for (const char* steps : {"@1", "@2", "@6"}) {
    const float far = test::largest_difference(make_super_resolver(std::string("sr-small") + steps, {})(lr, 1), shipped(lr, 1));
    CHECK(far > 0);
    CHECK(far < 0.5f);
  }
}

TEST_CASE("the public nets: whole and in tiles nearly alike, bf16 near fp32, the seed of no effect") {
  const Image lr = resize(test::photo(80, 40), 40, 20, Resize::bicubic);
  for (const PublicNet& net : public_nets()) {
    if (net.name == "realesrgan-x4plus") continue;  // the same code as its sister, and four times as slow
    SuperResolver whole;
    try {
      whole = make_super_resolver(net.name, tiles_of(0));
    } catch (const Error& error) {
      MESSAGE("skipped: " << error.what());
      continue;
    }
    CAPTURE(net.name);
    for (const at::Tensor& weight : load_public_net(net.name)->params.all()) CHECK(weight.isfinite().all().item<bool>());
    const Image sr = whole(lr, 1);
    CHECK(sr.width == 160);
    CHECK(sr.data == whole(lr, 2).data);
    const auto mean_difference = [&](const Image& other) { return (to_tensor(sr) - to_tensor(other)).abs().mean().item<double>(); };
    CHECK(mean_difference(make_super_resolver(net.name, tiles_of(33))(lr, 1)) < 0.015);  // all of such a tile lies near its border
    CHECK(mean_difference(make_super_resolver(net.name, {.tile = 0, .compute = {at::kCPU, at::kBFloat16}})(lr, 1)) < 4e-3);
    Image small = resize(sr, lr.width, lr.height, Resize::bicubic);
    CHECK((to_tensor(small) - to_tensor(lr)).abs().mean().item<double>() < 0.1);
  }
}

TEST_CASE("pictures made elsewhere: by stem, of the photograph's size") {
  const TestFolder folder;
  std::filesystem::create_directory(folder / "sr");
  const auto said = [&](auto action) { return test::input_message(action); };
  has(said([&] { PictureFolder(folder / "none"); }), "expected a folder of SR pictures");
  has(said([&] { PictureFolder(folder / "sr"); }), "sr");
  const Image one = test::photo(30, 20), two = test::photo(16, 24);
  write_image(folder / "sr" / "one.png", one);
  write_image(folder / "sr" / "two.jpg", two);
  const PictureFolder pictures(folder / "sr");
  CHECK(pictures.size() == 2);
  CHECK(pictures.contains("one"));
  CHECK_FALSE(pictures.contains("three"));
  CHECK(pictures.find("one", 30, 20).data == one.data);
  CHECK(pictures.find("two", 16, 24).width == 16);
  CHECK(pictures.fault("one", 30, 20) == "");
  CHECK(pictures.fault("two", 16, 24) == "");
  has(pictures.fault("one", 120, 80), "one.png: expected 120 x 80 as its photograph, found 30 x 20");
  has(pictures.fault("three", 30, 20), "expected a picture named 'three'");
  has(said([&] { pictures.find("two", 17, 24); }), "two.jpg: expected 17 x 24 as its photograph, found 16 x 24");
  has(said([&] { pictures.find("three", 30, 20); }), "expected a picture named 'three'");
  write_image(folder / "sr" / "one.jpg", one);
  has(said([&] { PictureFolder(folder / "sr"); }), "expected one picture of that stem");
}

TEST_CASE("a checkpoint of unknown settings, and one whose pictures hold NaN, are model errors") {
  const TestFolder folder;
  const auto path = (folder / "g.safetensors").string();
  GeneratorSettings settings;
  settings.net = {.channels = {8, 8, 8}, .blocks = 1, .unshuffle = 4};
  write_checkpoint(path, {}, "generator", "of_tomorrow: 1\n");  // the file's settings, not the user's
  CHECK(test::message_of(ExitCode::model, [&] { load_generator(path, at::kCPU); }).find("of_tomorrow") != std::string::npos);
  {
    const Generator diverged(settings);
    at::NoGradGuard no_grad;
    for (const at::Tensor& weight : diverged.params.all()) weight.fill_(1e30);
    TensorFile file;
    put(file, diverged.params.named());  // in float32: halves would be infinite, which is refused when they are read
    write_checkpoint(path, file, "generator", to_yaml(settings));
  }
  CHECK(test::message_of(ExitCode::model, [&] { make_super_resolver(path, {})(test::photo(6, 5), 3); }).find("found NaN") !=
        std::string::npos);
}
