// SPDX-License-Identifier: Apache-2.0
#include "finpercep/fgr/semantic_mask.h"

#include "finpercep/fgr/superpixels.h"  // torch before doctest: both have a CHECK

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "finpercep/base/error.h"
#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"
#include "finpercep/image/test_pictures.h"
#include "finpercep/nets/test_weights.h"

using namespace finpercep;
using test::input_message;

namespace {

nlohmann::json annotation(int height, int width, const nlohmann::json& counts) {
  return {{"segmentation", {{"size", {height, width}}, {"counts", counts}}}, {"area", 1}};
}

double area_of(const Image& mask) {
  double sum = 0;
  for (float v : mask.data) sum += v;
  return sum / static_cast<double>(mask.data.size());
}

// 4 x 4 cells of 16 pixels, numbered from 1.
LabelMap cells() {
  LabelMap map{64, 64, std::vector<uint16_t>(64 * 64)};
  for (int y = 0; y < 64; ++y)
    for (int x = 0; x < 64; ++x) map.ids[static_cast<std::size_t>(y) * 64 + x] = static_cast<uint16_t>(y / 16 * 4 + x / 16 + 1);
  return map;
}

MaskSettings hard(double low, double high) {
  MaskSettings settings;
  settings.area = {low, high};
  settings.feather_prob = 0;
  return settings;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("COCO run lengths: compressed and plain, as pycocotools writes them") {
  const auto fixture = nlohmann::json::parse(read_text_file(FINPERCEP_SOURCE_DIR "/tests/parity/coco_rle.json"));
  for (const auto& c : fixture.at("cases")) {
    CAPTURE(c.at("name").get<std::string>());
    const int height = c.at("size")[0], width = c.at("size")[1];
    CHECK(decode_counts(c.at("compressed").get<std::string>(), "x") == c.at("plain").get<std::vector<int64_t>>());
    for (const char* form : {"compressed", "plain"}) {
      const RunLengthMasks read = parse_sam_masks(nlohmann::json::array({annotation(height, width, c.at(form))}).dump(), "x");
      REQUIRE(read.masks.size() == 1);
      CHECK(read.width == width);
      CHECK(read.height == height);
      CHECK(read.masks[0].area == c.at("area").get<int64_t>());
      const LabelMap map = paint(read);
      int64_t place_sum = 0;
      for (std::size_t i = 0; i < map.ids.size(); ++i) place_sum += map.ids[i] * (static_cast<int64_t>(i) % 251 + 1);
      CHECK(place_sum == c.at("place_sum").get<int64_t>());
      Image mask(width, height, 1);
      std::ranges::transform(map.ids, mask.data.begin(), [](uint16_t id) { return id > 0 ? 0.6f : 0.5f; });
      CHECK(run_lengths(mask).counts == read.masks[0].counts);
      CHECK(run_lengths(mask).area == read.masks[0].area);
    }
  }
}

TEST_CASE("SAM masks: a list or SA-1B's object; where masks overlap, the smaller lies on top") {
  // Of 2 x 3 pixels: all, then the middle column; given small first.
  const nlohmann::json list = {annotation(2, 3, {2, 2, 2}), annotation(2, 3, {0, 6})};
  for (const nlohmann::json& root : {list, nlohmann::json{{"image", {{"width", 3}}}, {"annotations", list}}})
    CHECK(paint(parse_sam_masks(root.dump(), "x")).ids == std::vector<uint16_t>{1, 2, 1, 1, 2, 1});
  CHECK(paint(parse_sam_masks("[]", "x")).ids.empty());
}

TEST_CASE("SAM masks: what is wrong is one line that names the file and the annotation") {
  const auto message = [](const nlohmann::json& root) { return input_message([&] { parse_sam_masks(root.dump(), "m.json"); }); };
  const auto one = [&](const nlohmann::json& counts) { return message(nlohmann::json::array({annotation(2, 3, counts)})); };
  CHECK(has(one({2, 2, 1}), "m.json: annotation 0: expected runs of 6 pixels in all (3 x 2), found 5"));
  CHECK(has(one({2, 2, 3}), "found more"));
  CHECK(has(one({2, -2, 6}), "run lengths of 0 or more"));
  CHECK(has(one({2.5, 3.5}), "run lengths of 0 or more"));
  CHECK(has(one({2, 4000000000, 6}), "run lengths of 0 or more"));
  CHECK(has(one("\x01"), "characters 0 to o"));
  CHECK(has(one("oooooooooo0"), "cut off or too long"));
  CHECK(has(one("P"), "cut off or too long"));  // its last number goes on
  CHECK(has(one("1N"), "run lengths of 0 or more, found -2"));
  CHECK(has(one(nullptr), "\"counts\" as a string or a list"));
  CHECK(has(message(nlohmann::json::array({annotation(2, 3, {6}), annotation(3, 2, {6})})),
            "annotation 1: expected a mask of 3 x 2 as before, found 2 x 3"));
  CHECK(has(message(nlohmann::json::array({annotation(0, 3, nlohmann::json::array())})), "\"size\""));
  CHECK(has(message(nlohmann::json::array({annotation(60000, 60000, {1})})), "pixels, found 60000 x 60000"));
  CHECK(has(message(nlohmann::json::array({{{"segmentation", {{1, 2, 3, 4}}}}})), "no polygons"));
  CHECK(has(message({{"masks", 1}}), "a list of annotations"));
  CHECK(has(message(nlohmann::json(std::vector<nlohmann::json>(65, annotation(2, 3, {0, 6})))),
            "annotation 64: expected masks that cover the picture at most 64 times"));
  CHECK(has(input_message([] { parse_sam_masks("[{", "m.json"); }), "m.json: expected JSON"));
  CHECK(has(input_message([] { parse_sam_masks(std::string(100000, '['), "m.json"); }), "m.json"));
}

TEST_CASE("segments of a photo: label map, SAM's JSON, a folder of masks, numbered masks; other sizes") {
  const TestFolder folder;
  const std::vector<std::string> folders = {(folder / "none").string(), folder.path().string()};
  CHECK_FALSE(read_segments(folders, "a", 3, 2));

  Image labels(3, 2, 1);
  for (int i = 0; i < 6; ++i) labels.data[i] = static_cast<float>(i) / 255;
  write_image(folder / "a.png", labels);
  const std::vector<uint16_t> counting = {0, 1, 2, 3, 4, 5};
  CHECK(read_segments(folders, "a", 3, 2)->ids == counting);
  // A photo that was reduced or enlarged: nearest. Another shape: an error.
  CHECK(read_segments(folders, "a", 6, 4)->ids ==
        std::vector<uint16_t>{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 3, 3, 4, 4, 5, 5});
  CHECK(has(input_message([&] { read_segments(folders, "a", 100, 20); }),
            "a.png: expected 100 x 20 as the photo 'a' has, or that in proportion, found 3 x 2"));

  write_file(folder / "b.json", nlohmann::json::array({annotation(2, 3, {2, 2, 2})}).dump());
  CHECK(read_segments(folders, "b", 3, 2)->ids == std::vector<uint16_t>{0, 1, 0, 0, 1, 0});
  write_file(folder / "empty.json", std::string("[]"));
  CHECK(has(input_message([&] { read_segments(folders, "empty", 3, 2); }), "found 0 x 0"));

  Image all(3, 2, 1, 1.0f), left(3, 2, 1);
  left.at(0, 0, 0) = left.at(0, 1, 0) = 1;
  make_directory(folder / "c");
  write_image(folder / "c" / "0.png", left);
  write_image(folder / "c" / "1.png", all);
  write_image(folder / "d_1.png", left);
  write_image(folder / "d_2.png", all);
  for (const char* stem : {"c", "d"}) CHECK(read_segments(folders, stem, 3, 2)->ids == std::vector<uint16_t>{2, 1, 1, 2, 1, 1});
  CHECK_FALSE(read_segments(folders, "d", 3, 2, {"d", "d_1"}));  // d_1.png is the label map of a photograph of that name
  write_image(folder / "d_3.png", Image(2, 2, 1));
  CHECK(has(input_message([&] { read_segments(folders, "d", 3, 2); }), "d_3.png: expected 3 x 2 as d_1.png, found 2 x 2"));
}

TEST_CASE("cut: a label map as the photo itself is cut and mirrored") {
  const LabelMap map = cells();
  Image picture(64, 64, 1);
  for (std::size_t i = 0; i < map.ids.size(); ++i) picture.data[i] = map.ids[i];
  const Image rectangle = crop(picture, 5, 9, 40, 30);
  const auto same = [](const LabelMap& ids, const Image& image) {
    return std::ranges::equal(ids.ids, image.data, [](uint16_t a, float b) { return a == b; });
  };
  CHECK(same(cut(map, 5, 9, 40, 30, false), rectangle));
  CHECK(same(cut(map, 5, 9, 40, 30, true), flip_horizontal(rectangle)));
}

TEST_CASE("semantic masks: whole regions, near the area that is drawn") {
  const LabelMap map = cells();
  for (const double wanted : {0.0625, 0.2, 0.5, 0.9}) {
    CAPTURE(wanted);
    double sum = 0;
    std::set<std::vector<float>> different;
    for (uint64_t i = 0; i < 30; ++i) {
      Random random(1, "mask", i);
      const auto mask = semantic_mask(map, hard(wanted, wanted), random);
      REQUIRE(mask);
      for (int y = 0; y < 64; ++y)
        for (int x = 0; x < 64; ++x) REQUIRE(mask->at(0, y, x) == mask->at(0, y / 16 * 16, x / 16 * 16));
      const double area = area_of(*mask);
      CHECK(area >= wanted / 1.25);
      CHECK(area <= wanted * 1.25);
      sum += area;
      different.insert(mask->data);
    }
    CHECK(sum / 30 == doctest::Approx(wanted).epsilon(0.15));
    CHECK(different.size() > 5);
  }
}

TEST_CASE("semantic masks: from their stream alone; soft edges where asked for; nothing where no set fits") {
  const LabelMap map = cells();
  MaskSettings soft = hard(0.2, 0.4);
  soft.feather_prob = 1;
  soft.feather = {2, 2};
  Random a(3, "mask", 1), b(3, "mask", 1), c(3, "mask", 2);
  const auto first = semantic_mask(map, soft, a);
  CHECK(first->data == semantic_mask(map, soft, b)->data);
  CHECK(first->data != semantic_mask(map, soft, c)->data);
  CHECK(std::ranges::any_of(first->data, [](float v) { return v > 0.1f && v < 0.9f; }));
  const auto [low, high] = std::ranges::minmax(first->data);
  CHECK(low >= 0);
  CHECK(high <= 1);

  const auto of_one = [](uint16_t id, double top) {
    Random random(1, "mask");
    return semantic_mask({64, 64, std::vector<uint16_t>(64 * 64, id)}, hard(0.05, top), random);
  };
  CHECK_FALSE(of_one(0, 1));    // no region
  CHECK_FALSE(of_one(1, 0.6));  // one that fills the picture, which is too much
  CHECK(area_of(*of_one(1, 1)) == 1);
  LabelMap speck{64, 64, std::vector<uint16_t>(64 * 64, 0)};
  speck.ids[100] = 7;
  Random random(1, "mask");
  CHECK_FALSE(semantic_mask(speck, hard(0.05, 0.6), random));
}

TEST_CASE("connected parts: 4-neighbours, small ones join their neighbour") {
  const LabelMap map{4,
                     3,
                     {1, 1, 2, 2,  //
                      1, 2, 2, 1,  //
                      3, 1, 2, 2}};
  CHECK(connected_parts(map, 1).ids == std::vector<uint16_t>{1, 1, 2, 2, 1, 2, 2, 3, 4, 5, 2, 2});
  CHECK(connected_parts(map, 2).ids == std::vector<uint16_t>{1, 1, 2, 2, 1, 2, 2, 2, 1, 1, 2, 2});
}

TEST_CASE("superpixels keep to edges, are connected and of about equal size") {
  // Four flat quarters whose border lies off the grid.
  Image picture(90, 70);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < 70; ++y)
      for (int x = 0; x < 90; ++x) picture.at(c, y, x) = (x < 37 ? 0.2f : 0.8f) * (y < 29 ? 1.0f : 0.4f) + 0.05f * static_cast<float>(c);
  const LabelMap map = superpixels(picture, 40);
  const int count = *std::ranges::max_element(map.ids);
  CHECK(count > 25);
  CHECK(count < 60);
  CHECK(*std::ranges::min_element(map.ids) == 1);
  const LabelMap parts = connected_parts(map, 1);
  CHECK(*std::ranges::max_element(parts.ids) == count);
  std::vector<std::set<int>> quarters(static_cast<std::size_t>(count) + 1);
  for (int y = 0; y < 70; ++y)
    for (int x = 0; x < 90; ++x) quarters[map.ids[static_cast<std::size_t>(y) * 90 + x]].insert((x < 37) + 2 * (y < 29));
  CHECK(std::ranges::count_if(quarters, [](const auto& set) { return set.size() > 1; }) == 0);
  CHECK(superpixels(picture, 40).ids == map.ids);
  for (const auto& [width, height] : {std::pair{1, 1}, {2, 50}, {50, 3}})
    CHECK(superpixels(Image(width, height), 10).ids.size() == static_cast<std::size_t>(width) * height);
}

TEST_CASE("token segments: parts of the picture that follow what it shows, the same for the same draws") {
  if (!test::have_weights({"dinov2_vits14"})) return;
  Params params(0);
  const Dino net(params, DinoVersion::v2);
  load_pretrained(net, DinoVersion::v2);
  // A noisy disc on a smooth ground.
  const auto in_disc = [](int x, int y) { return (x - 150) * (x - 150) + (y - 120) * (y - 120) < 80 * 80; };
  Image picture(300, 240);
  Random grain(1, "grain");
  for (int y = 0; y < 240; ++y)
    for (int x = 0; x < 300; ++x)
      for (int c = 0; c < 3; ++c)
        picture.at(c, y, x) = in_disc(x, y) ? static_cast<float>(grain.uniform()) : 0.2f + 0.001f * static_cast<float>(x);
  Random a(1, "segments"), b(1, "segments");
  const LabelMap map = token_segments(net, picture, a, 4);
  CHECK(map.width == 300);
  CHECK(map.height == 240);
  CHECK(map.ids == token_segments(net, picture, b, 4).ids);
  // Of each region, the smaller of its parts inside and outside of the disc is on the wrong side.
  std::map<uint16_t, std::array<int, 2>> sides;
  for (int y = 0; y < 240; ++y)
    for (int x = 0; x < 300; ++x) ++sides[map.ids[static_cast<std::size_t>(y) * 300 + x]][in_disc(x, y)];
  int wrong = 0, disc = 0;
  for (const auto& [id, side] : sides) {
    wrong += std::min(side[0], side[1]);
    disc += side[1];
  }
  CHECK(sides.size() >= 2);
  CHECK(wrong < disc / 5);  // a patch is 14 pixels wide
}
