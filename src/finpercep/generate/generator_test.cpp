// SPDX-License-Identifier: Apache-2.0
#include "finpercep/generate/generator.h"

#include <doctest/doctest.h>

#include <cmath>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_errors.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/generate/train.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/test_pictures.h"
#include "finpercep/nets/checkpoint.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;

namespace {

GeneratorSettings tiny() {
  GeneratorSettings settings;
  settings.net = {.channels = {8, 8, 8}, .blocks = 1, .unshuffle = 4};  // multiple of 16: units of 4 LR pixels
  return settings;
}

// What a checkpoint of them gives back.
void round_to_halves(const Params& params) {
  for (at::Tensor& values : params.all()) values.copy_(values.to(at::kHalf));
}

void shake(const Generator& generator, double by) {
  for (std::size_t i = 0; i < generator.params.named().size(); ++i) {
    Random random(99, "shake", i);
    generator.params.named()[i].second.add_(normal_tensor(random, generator.params.named()[i].second.sizes()) * by);
  }
}

at::Tensor picture(uint64_t item, at::IntArrayRef shape) {
  Random random(7, "generator_test", item);
  return normal_tensor(random, shape).mul_(0.2).add_(0.5);
}

// A training of moments on these photographs; the net is the caller's.
GeneratorTrainSettings short_training(std::vector<std::string> photos) {
  GeneratorTrainSettings settings;
  settings.device = "cpu";
  settings.dtype = "fp32";
  settings.network_g = tiny();
  settings.datasets.photos.photos = std::move(photos);
  settings.datasets.gt_size = 32;
  settings.datasets.batch_size = 2;
  settings.optim_g.lr = 1e-2;
  return settings;
}

UpscaleOptions tiles_of(int64_t tile) {
  UpscaleOptions options;
  options.tile = tile;
  return options;
}

Image bicubic(const Image& lr) {
  Image out = resize(lr, lr.width * 4, lr.height * 4, Resize::bicubic);
  clamp_unit(out);
  return out;
}

double correlation(const Image& a, const Image& b, const Image& base) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) {
    const double u = a.data[i] - base.data[i], v = b.data[i] - base.data[i];
    ab += u * v;
    aa += u * u;
    bb += v * v;
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE("a fresh generator's chain in closed form: x_t = y + a known sum of its noise, and y at the end") {
  at::NoGradGuard no_grad;
  const Generator generator(tiny());
  const ResShiftSchedule& s = generator.schedule;
  const at::Tensor y = picture(1, {2, 3, 16, 32});
  Random random(1, "noise");
  const auto noise = generator.draw_noise(random, y.sizes(), at::kCPU);
  REQUIRE(noise.size() == 4);
  for (int64_t stop = 4; stop >= 0; --stop) {
    // x0 = y at each step, so the residual only shrinks: x_{t-1} - y = eta_{t-1} / eta_t (x_t - y) + std_t noise
    at::Tensor residual = s.kappa * std::sqrt(s.eta[4]) * noise[0];
    for (int64_t t = 4; t > stop; --t) {
      residual = residual * (s.eta[t - 1] / s.eta[t]);
      if (t > 1) residual = residual + posterior_std(s, t) * noise[4 - t + 1];
    }
    CAPTURE(stop);
    CHECK((generator.roll_out(y, noise, stop) - (y + residual)).abs().max().item<double>() < 1e-5);
  }
  CHECK((generator.roll_out(y, noise) - y).abs().max().item<double>() < 1e-6);
}

TEST_CASE("stopping on the way and going on is the whole chain") {
  at::NoGradGuard no_grad;
  const Generator generator(tiny());
  shake(generator, 0.1);
  const at::Tensor y = picture(1, {1, 3, 16, 16});
  Random random(2, "noise");
  const auto noise = generator.draw_noise(random, y.sizes(), at::kCPU);
  const at::Tensor x2 = generator.roll_out(y, noise, 2), x1 = generator.roll_out(y, noise, 1), x0 = generator.roll_out(y, noise);
  const at::Tensor next =
      posterior_mean(generator.schedule, x2, generator.predict(x2, y, 2), 2) + posterior_std(generator.schedule, 2) * noise[3];
  CHECK((next - x1).abs().max().item<double>() < 1e-6);
  CHECK((generator.predict(x1, y, 1) - x0).abs().max().item<double>() < 1e-6);
  CHECK((x0 - y).abs().mean().item<double>() > 1e-3);
  // Each picture of a batch at its own step.
  const at::Tensor both = generator.predict_each(at::cat({x1, x2}), at::cat({y, y}), at::tensor({int64_t{1}, int64_t{2}}));
  CHECK((both[0] - generator.predict(x1, y, 1)[0]).abs().max().item<double>() < 1e-5);
  CHECK((both[1] - generator.predict(x2, y, 2)[0]).abs().max().item<double>() < 1e-5);
}

TEST_CASE("a fresh generator up-scales as bicubic does, whatever the size, seed and tile") {
  const Generator generator(tiny());
  for (const auto& [width, height] : {std::pair{1, 1}, {5, 3}, {16, 16}, {37, 50}, {70, 33}}) {
    const Image lr = test::photo(width, height), expected = bicubic(lr);
    for (const int64_t tile : {0, 32, 48, 256})
      for (const uint64_t seed : {1, 2}) {
        CAPTURE(width);
        CAPTURE(tile);
        CHECK(test::largest_difference(upscale(generator, lr, seed, tiles_of(tile)), expected) < 2e-6f);
      }
  }
}

TEST_CASE("a scale that does not divide what the net needs of its sides") {
  GeneratorSettings settings = tiny();
  settings.scale = 3;
  const Generator generator(settings);
  REQUIRE(generator.net.multiple % 3 != 0);
  for (const int64_t tile : {0, 32}) {
    const Image sr = upscale(generator, test::photo(37, 22), 1, tiles_of(tile));
    CHECK(sr.width == 111);
    CHECK(sr.height == 66);
  }
}

TEST_CASE("tiles that are too small for their overlap are made larger") {
  const Generator generator(tiny());
  const Image lr = test::photo(40, 9);
  for (const int64_t tile : {1, 16, 17}) CHECK(test::largest_difference(upscale(generator, lr, 1, tiles_of(tile)), bicubic(lr)) < 2e-6f);
}

TEST_CASE("noise belongs to the picture, not to the tile") {
  const Generator generator(tiny());
  shake(generator, 0.1);
  const Image lr = test::photo(60, 41), base = bicubic(lr);
  const Image whole = upscale(generator, lr, 1, tiles_of(0)), other = upscale(generator, lr, 2, tiles_of(0));
  CHECK(upscale(generator, lr, 1, tiles_of(64)).data == whole.data);
  CHECK(upscale(generator, lr, 1, tiles_of(0)).data == whole.data);
  CHECK(other.data != whole.data);
  // Norms see the tile's statistics and not the picture's; all else is the same.
  const double tiled = correlation(upscale(generator, lr, 1, tiles_of(32)), whole, base), reseeded = correlation(other, whole, base);
  CAPTURE(tiled);
  CAPTURE(reseeded);
  CHECK(tiled > 0.9);
  CHECK(1 - reseeded > 2 * (1 - tiled));
}

TEST_CASE("checkpoint: halves of the values, settings and facts come back") {
  const TestFolder folder;
  GeneratorSettings settings = tiny();
  settings.steps = 5;
  settings.kappa = 0.75;
  const Generator generator(settings);
  shake(generator, 0.1);
  const auto path = (folder / "g.safetensors").string();
  save_generator(path, generator, generator.params.all(), {{"iterations", "7"}});
  const auto read = load_generator(path, at::kCPU);
  CHECK(read->schedule.steps() == 5);
  CHECK(read->settings.kappa == 0.75);
  CHECK(read->settings.net.channels == settings.net.channels);
  for (std::size_t i = 0; i < generator.params.named().size(); ++i)
    CHECK(at::equal(read->params.named()[i].second, generator.params.named()[i].second.to(at::kHalf).to(at::kFloat)));
  CHECK(read_checkpoint(path, "generator").metadata.at("iterations") == "7");

  round_to_halves(generator.params);
  const Image lr = test::photo(6, 5);
  CHECK(make_super_resolver(path, tiles_of(256))(lr, 3).data == upscale(generator, lr, 3, tiles_of(256)).data);
  CHECK(make_super_resolver("bicubic", {})(lr, 3).data == bicubic(lr).data);
}

TEST_CASE("what is not a generator is a model error") {
  const TestFolder folder;
  const auto path = (folder / "r.safetensors").string();
  write_checkpoint(path, {}, "reward", "stage: 0\n");
  CHECK(test::message_of(ExitCode::model, [&] { load_generator(path, at::kCPU); }).find("expected a generator, found a reward") !=
        std::string::npos);
  CHECK(test::message_of(ExitCode::model, [&] { load_generator("no-such-generator", at::kCPU); }).find("'no-such-generator'") !=
        std::string::npos);
  const Generator generator(tiny());
  save_generator(path, generator, generator.params.all(), {});
  auto bytes = read_file(path);
  bytes[bytes.size() / 2] ^= std::byte{4};
  write_file(path, bytes);
  CHECK(test::message_of(ExitCode::model, [&] { load_generator(path, at::kCPU); }) != "");
}

TEST_CASE("training: a run that lost its last three iterations and resumed is the run that did not") {
  const TestFolder folder;
  write_image(folder / "a.png", test::photo(48, 40));
  write_image(folder / "b.png", test::photo(64, 96));
  GeneratorTrainSettings settings = short_training({(folder / "a.png").string(), (folder / "b.png").string()});
  settings.train = {.total_iter = 6, .print_freq = 3, .save_checkpoint_freq = 3};
  settings.snapshots = {2};
  train_generator(settings, folder / "whole", false);
  std::filesystem::copy(folder / "whole", folder / "resumed", std::filesystem::copy_options::recursive);
  std::filesystem::remove(folder / "resumed" / "checkpoints" / "state-00000006.safetensors");
  std::filesystem::remove(folder / "resumed" / "checkpoints" / "generator.safetensors");
  train_generator(settings, folder / "resumed", true);
  const std::string state = "checkpoints/state-00000006.safetensors", shipped = "checkpoints/generator.safetensors";
  const TensorFile whole = read_safetensors(folder / "whole" / state, Checksum::required),
                   resumed = read_safetensors(folder / "resumed" / state, Checksum::required);
  REQUIRE(whole.tensors.size() == resumed.tensors.size());
  for (const auto& [name, data] : whole.tensors) {
    CAPTURE(name);
    CHECK((data.bytes == resumed.tensors.at(name).bytes));
  }
  CHECK((read_file(folder / "whole" / shipped) == read_file(folder / "resumed" / shipped)));
  CHECK(read_text_file(folder / "whole" / "metrics.jsonl") == read_text_file(folder / "resumed" / "metrics.jsonl"));

  // It did train, and the average lags behind.
  CHECK(from_data(whole.tensors.at("net.out.weight")).abs().max().item<double>() > 0);
  CHECK((whole.tensors.at("net.out.weight").bytes != whole.tensors.at("ema.out.weight").bytes));
  load_generator((folder / "whole" / "checkpoints" / "generator-00000002.safetensors").string(), at::kCPU);

  // A training may start from a model: with lr 0 it stays that.
  settings.pretrain_network_g = (folder / "whole" / shipped).string();
  settings.manual_seed = 5;
  settings.optim_g.lr = 0;
  settings.train.total_iter = 1;
  settings.snapshots = {};
  train_generator(settings, folder / "tuned", false);
  CHECK((read_safetensors(folder / "tuned" / shipped, Checksum::required).tensors.at("down.0.0.conv1.weight").bytes ==
         read_safetensors(folder / "whole" / shipped, Checksum::required).tensors.at("down.0.0.conv1.weight").bytes));
}

TEST_CASE(
    "a flow of either net is trained, saved and sampled like the chain, in any number of steps; checkpoints of before have no policy and "
    "are ResShift") {
  const Image lr = test::photo(16, 12);
  for (const char* type : {"unet", "dit"}) {
    CAPTURE(type);
    const TestFolder folder;
    write_image(folder / "a.png", test::photo(64, 64));
    GeneratorTrainSettings settings = short_training({(folder / "a.png").string()});
    settings.network_g.policy = "flow";
    settings.network_g.type = type;
    settings.network_g.dit = {.width = 16, .depth = 2, .heads = 2, .window = 2, .patch = 4};
    settings.network_g.kappa = 0.5;
    settings.train = {.total_iter = 4, .print_freq = 4, .save_checkpoint_freq = 4};
    settings.rollout_from = 2;
    train_generator(settings, folder / "run", false);
    const std::string file = (folder / "run" / "checkpoints" / "generator.safetensors").string();
    const auto generator = load_generator(file, at::kCPU);
    CHECK(generator->settings.policy == "flow");
    CHECK(generator->settings.type == type);
    CHECK(generator->schedule.flow);
    CHECK(generator->schedule.steps() == 4);
    const Image four = make_super_resolver(file, {})(lr, 1);
    CHECK(four.width == 64);
    CHECK(make_super_resolver(file + "@4", {})(lr, 1).data == four.data);
    for (const char* steps : {"@1", "@7", "@20"}) CHECK(make_super_resolver(file + steps, {})(lr, 1).data != four.data);
    CHECK(make_super_resolver(file, {})(lr, 2).data != four.data);
    settings.datasets.gt_size = 36;
    CHECK_THROWS_WITH_AS(train_generator(settings, folder / "other", false), doctest::Contains("datasets.gt_size: expected a multiple of "),
                         Error);
    CHECK_FALSE(std::filesystem::exists(folder / "other"));
  }

  GeneratorSettings before;
  load_settings(before, "net: {channels: [8, 8, 8], blocks: 1}\nsteps: 4\nkappa: 1\n", "old");
  CHECK(before.policy == "resshift");
}

TEST_CASE("a direct net is a chain of one step without noise: its picture is the net's, it is trained and saved like the others") {
  const TestFolder folder;
  write_image(folder / "a.png", test::photo(64, 64));
  GeneratorTrainSettings settings = short_training({(folder / "a.png").string()});
  settings.network_g.policy = "direct";
  settings.network_g.type = "srvgg";
  settings.network_g.srvgg = {.features = 8, .convs = 2};
  settings.optim_g.lr = 1e-3;
  settings.train = {.total_iter = 30, .print_freq = 30, .save_checkpoint_freq = 30};
  train_generator(settings, folder / "run", false);
  const std::string file = (folder / "run" / "checkpoints" / "generator.safetensors").string();
  const auto generator = load_generator(file, at::kCPU);
  CHECK(generator->schedule.steps() == 1);
  CHECK(generator->sees_lr);

  Params params(0);
  const SRVGG net(params, {.features = 8, .convs = 2});
  copy_values(generator->params.all(), params.all());
  const at::Tensor lr = picture(3, {2, 3, 9, 7}).clamp(0, 1), y = generator->condition(lr);
  Random random(0, "noise");
  CHECK(at::equal(generator->roll_out(y, generator->draw_noise(random, y.sizes(), at::kCPU)), net(lr)));
  const auto read = read_metrics(folder / "run" / "metrics.jsonl");
  CHECK(read.back().at("l_pix") > 0);

  // Pictures are made by the fast form of the net, the trainer's own is the plain one.
  const Image small = test::photo(16, 12);
  const Image fast = make_super_resolver(file, {})(small, 1);
  CHECK(test::largest_difference(fast, upscale(*generator, small, 1, tiles_of(0))) < 1e-4f);
  CHECK_THROWS_AS(make_super_resolver(file + "@3", {}), Error);
  settings.network_g.policy = "resshift";
  CHECK_THROWS_AS(Generator(settings.network_g), Error);
  settings.network_g.policy = "direct";
  settings.network_g.srvgg.features = 20;  // it would train, but the convolutions that make pictures take eights
  CHECK_THROWS_AS(Generator(settings.network_g), Error);
}

TEST_CASE("a direct UNet or DiT takes the up-sampled picture and makes pictures by the same road as the others") {
  const TestFolder folder;
  for (const char* type : {"unet", "dit"}) {
    CAPTURE(type);
    GeneratorSettings settings;
    settings.policy = "direct";
    settings.type = type;
    settings.net = {.channels = {16}, .blocks = 1};
    settings.dit = {.width = 16, .depth = 1, .heads = 2, .window = 4, .patch = 4};
    const Generator generator(settings, 3);
    CHECK_FALSE(generator.sees_lr);
    round_to_halves(generator.params);
    save_generator(folder / "direct.safetensors", generator, generator.params.all(), {});
    const Image lr = test::photo(20, 12);
    const Image sr = make_super_resolver((folder / "direct.safetensors").string(), {})(lr, 1);
    CHECK(sr.width == 80);
    CHECK(test::largest_difference(sr, upscale(generator, lr, 1, {})) == 0);
  }
}

TEST_CASE("training pairs must be of the net's scale") {
  const TestFolder folder;
  write_image(folder / "a.png", test::photo(64, 64));
  GeneratorTrainSettings settings = short_training({(folder / "a.png").string()});
  settings.network_g.scale = 2;
  CHECK_THROWS_WITH_AS(train_generator(settings, folder / "run", false),
                       "datasets.degradation.scale: expected 2, the generator's scale, found 4", Error);
  CHECK_FALSE(std::filesystem::exists(folder / "run"));
}

TEST_CASE("a thinned chain: every so many steps, the last one included, each with its own time") {
  const ResShiftSchedule whole = resshift_schedule(4, 1, .2), two = thinned(whole, 2), three = thinned(whole, 3);
  CHECK(thinned(whole, 4).eta == whole.eta);
  CHECK(two.eta == std::vector<double>{0, whole.eta[2], whole.eta[4]});
  CHECK(two.time == std::vector<double>{0, .5, 1});
  CHECK(three.time == std::vector<double>{0, .25, .75, 1});
  CHECK(thinned(whole, 1).eta == std::vector<double>{0, whole.eta[4]});
}

TEST_CASE("more steps than trained: the finer chain's noise, the nearest time that the net knows") {
  const ResShiftSchedule four = resshift_schedule(4, 1, .2), fine = timed_as(resshift_schedule(15, 1, .2), four);
  CHECK(fine.eta == resshift_schedule(15, 1, .2).eta);
  CHECK(fine.time[1] == .25);
  CHECK(fine.time[15] == 1);
  for (int64_t t = 1; t <= 15; ++t) {
    const auto level = static_cast<std::size_t>(std::lround(4 * fine.time[t]));
    for (std::size_t k = 1; k <= 4; ++k)
      CHECK(std::abs(std::sqrt(four.eta[level]) - std::sqrt(fine.eta[t])) <=
            std::abs(std::sqrt(four.eta[k]) - std::sqrt(fine.eta[t])) + 1e-12);
  }
  CHECK(timed_as(four, four).time == four.time);
}

TEST_CASE("the training loss: l1, l2, LPIPS-vgg of a window that lies in the picture") {
  const at::Tensor a = picture(1, {2, 3, 48, 40}).clamp(0, 1), b = picture(2, {2, 3, 48, 40}).clamp(0, 1);
  Random random(1, "loss");
  CHECK(generator_loss(a, b, {.pixel_weight = 3}, std::nullopt, random).total.item<double>() ==
        doctest::Approx(3 * (a - b).abs().mean().item<double>()));
  CHECK(generator_loss(a, b, {.pixel = "l2"}, std::nullopt, random).total.item<double>() ==
        doctest::Approx((a - b).square().mean().item<double>()));
  CHECK(!load_perceptual({}, at::kCPU));
  if (!test::have_weights({"lpips_vgg"})) return;
  const std::optional<Lpips> lpips = load_perceptual({.perceptual_weight = 1}, at::kCPU);
  const GeneratorLossSettings settings{
      .pixel_weight = 0, .perceptual_weight = 2, .perceptual_size = 64};  // larger than the picture: all of it
  const at::Tensor x = a.clone().set_requires_grad(true);
  const GeneratorLoss loss = generator_loss(x, b, settings, lpips, random);
  CHECK(loss.total.item<double>() == doctest::Approx(2 * (*lpips)(a, b).mean().item<double>()));
  CHECK(loss.parts[1].second == doctest::Approx((*lpips)(a, b).mean().item<double>()));
  loss.total.backward();
  CHECK(x.grad().abs().sum().item<double>() > 0);

  const at::Tensor z = a.clone().set_requires_grad(true);
  generator_loss(z, b, {.pixel_weight = 0, .perceptual_weight = 1, .perceptual_size = 32}, lpips, random).total.backward();
  const at::Tensor touched = z.grad().abs().sum({0, 1}) > 0;
  CHECK(touched.any(1).sum().item<int64_t>() == 32);
  CHECK(touched.any(0).sum().item<int64_t>() == 32);
}
