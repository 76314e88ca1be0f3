// SPDX-License-Identifier: Apache-2.0
// The picture docs/images/masks.jpg, made by docs/images/make_masks.sh; no test, so it is skipped unless it is asked for.
#include "finpercep/fgr/superpixels.h"  // torch before doctest: both have a CHECK

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "finpercep/base/files.h"
#include "finpercep/image/io.h"
#include "finpercep/image/resize.h"

using namespace finpercep;

namespace {

constexpr int side = 256, tile = 132, gap = 4;

// What is swapped keeps its colours, the rest fades.
Image masked(const Image& photo, const Image& mask) {
  Image out = photo;
  for (std::size_t i = 0; i < mask.data.size(); ++i) {
    const float gray = 0.3f * (photo.plane(0)[i] + photo.plane(1)[i] + photo.plane(2)[i]) / 3 + 0.62f;
    for (int c = 0; c < 3; ++c) out.plane(c)[i] = mask.data[i] * photo.plane(c)[i] + (1 - mask.data[i]) * gray;
  }
  return out;
}

Image coloured(const Image& photo, const LabelMap& map) {
  Image out = photo;
  for (std::size_t i = 0; i < map.ids.size(); ++i) {
    Random random(5, "colour", map.ids[i]);
    for (int c = 0; c < 3; ++c) out.plane(c)[i] = 0.35f * photo.plane(c)[i] + 0.65f * static_cast<float>(random.uniform());
  }
  return out;
}

void paste(Image& sheet, const Image& picture, int row, int column) {
  const Image small = resize(picture, tile, tile, Resize::area);
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < tile; ++y)
      std::copy_n(&small.plane(c)[static_cast<std::size_t>(y) * tile], tile, &sheet.at(c, row * (tile + gap) + y, column * (tile + gap)));
}

}  // namespace

TEST_CASE("sheet of masks: FINPERCEP_MASK_SHEET=FILE FINPERCEP_MASK_DATA=FOLDER with photos/ and segments/" * doctest::skip()) {
  const char *file = std::getenv("FINPERCEP_MASK_SHEET"), *data = std::getenv("FINPERCEP_MASK_DATA");
  REQUIRE(file);
  REQUIRE(data);
  const std::filesystem::path root = data;
  Params params(0);
  const Dino net(params, DinoVersion::v2);
  load_pretrained(net, DinoVersion::v2);
  MaskSettings settings;
  settings.area = {0.2, 0.45};
  const std::vector<std::string> stems = {"101084", "108004", "189096", "16068"};
  const int columns = static_cast<int>(settings.kinds.size()) + 5;
  Image sheet(columns * (tile + gap) - gap, static_cast<int>(stems.size()) * (tile + gap) - gap, 3, 1.0f);
  for (int row = 0; row < static_cast<int>(stems.size()); ++row) {
    const std::string& stem = stems[row];
    const Image photo = read_image(root / "photos" / "bsds-test" / (stem + ".jpg"));
    const int x = (photo.width - side) / 2, y = (photo.height - side) / 2;
    const Image shown = crop(photo, x, y, side, side);
    int column = 0;
    paste(sheet, shown, row, column++);
    for (const std::string& kind : settings.kinds) {
      Random random(1, "sheet", row);
      paste(sheet, masked(shown, random_mask(kind, side, side, settings, random)), row, column++);
    }
    Random random(1, "segments", row);
    const auto people = read_segments({(root / "segments" / "bsds-test").string()}, stem, photo.width, photo.height);
    REQUIRE(people);
    for (const LabelMap& whole : {*people, token_segments(net, photo, random)}) {
      const LabelMap map = cut(whole, x, y, side, side, false);
      paste(sheet, coloured(shown, map), row, column++);
      const auto mask = semantic_mask(map, settings, random);
      paste(sheet, mask ? masked(shown, *mask) : Image(side, side), row, column++);
    }
  }
  write_file(file, encode_jpeg(sheet, 82, true));
}
