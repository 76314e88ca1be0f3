// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "finpercep/base/files.h"
#include "finpercep/base/test_folder.h"
#include "finpercep/image/io.h"
#include "finpercep/image/test_pictures.h"

using namespace finpercep;
using test::input_message;

namespace {

std::vector<std::string> names(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::string> result;
  for (const auto& path : paths) result.push_back(path.filename().string());
  return result;
}

}  // namespace

TEST_CASE("folders, patterns, lists and files become pictures in a fixed order") {
  const TestFolder folder;
  for (const char* name : {"b.png", "a.JPG", "c.webp", "d.tiff", "e.jpeg", "f.TIF", "notes.txt", "._a.png", "p[1].png"})
    write_file(folder / name, "x");
  std::filesystem::create_directory(folder / "inner.png");
  write_file(folder / "inner.png" / "deep.png", "x");
  const std::string root = folder.path().string();
  using Names = std::vector<std::string>;
  CHECK(names(list_images({root})) == Names{"a.JPG", "b.png", "c.webp", "d.tiff", "e.jpeg", "f.TIF", "p[1].png"});
  CHECK(names(list_images({root + "/*.png"})) == Names{"b.png", "p[1].png"});
  CHECK(names(list_images({root + "/?.w*"})) == Names{"c.webp"});
  CHECK(names(list_images({root + "/p[1]*"})) == Names{"p[1].png"});
  CHECK(names(list_images({root + "/p[1].png"})) == Names{"p[1].png"});
  write_file(folder / "notes", "x");
  CHECK(names(list_images({root + "/notes"})) == Names{"notes"});  // content decides, when it is read
  CHECK(names(list_images({root + "/c.webp", root + "/*.png", root + "/a.JPG"})) == Names{"c.webp", "b.png", "p[1].png", "a.JPG"});
  write_file(folder / "list.txt", "\xEF\xBB\xBF" + root + "/c.webp\r\n\n" + root + "/b.png");
  CHECK(names(list_images({"@" + root + "/list.txt", root + "/a.JPG"})) == Names{"c.webp", "b.png", "a.JPG"});
  CHECK(names(list_images({root + "/list.txt"})) == Names{"c.webp", "b.png"});
}

TEST_CASE("what yields no picture is an error that names it") {
  const TestFolder folder;
  const std::string root = folder.path().string();
  const auto message = [](const std::string& input) { return input_message([&] { list_images({input}); }); };
  CHECK(message(root).find("found none in this folder") != std::string::npos);
  CHECK(message(root + "/nothing.png").find("no such file") != std::string::npos);
  CHECK(message(root + "/*.png").find("nothing that matches") != std::string::npos);
  CHECK(message("@" + root + "/no-list.txt").find("no-list.txt") != std::string::npos);
  CHECK(message("").find("no such file") != std::string::npos);
  CHECK(!input_message([] { list_images({}); }).empty());
  write_file(folder / "list.txt", "\n");
  CHECK(message("@" + root + "/list.txt").find("one path a line") != std::string::npos);
  write_file(folder / "list.txt", "\n" + root + "/gone.png\n");
  CHECK(message("@" + root + "/list.txt").find("line 2") != std::string::npos);
  // A dangling link is kept: the reader reports it, instead of a table with a picture less.
  std::filesystem::create_symlink(folder / "gone.png", folder / "link.png");
  const auto found = list_images({root});
  REQUIRE(found.size() == 1);
  CHECK(!input_message([&] { read_image(found[0]); }).empty());
}
