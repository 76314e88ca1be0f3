// SPDX-License-Identifier: Apache-2.0
#include "cli/eval_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "cli/command.h"
#include "finpercep/base/error.h"
#include "finpercep/base/files.h"

namespace finpercep {

namespace {

// Of a set or of a question about a reward.
std::filesystem::path table_of(const std::string& stem, const EvalOutputs& outputs) {
  const TableFormat format = parse_table_format(outputs.format);
  return std::filesystem::path(outputs.folder) / (stem + (format == TableFormat::csv     ? ".csv"
                                                          : format == TableFormat::latex ? ".tex"
                                                                                         : ".md"));
}

// A table with its title, which is a remark where programs read it.
void print_table(const std::string& title, const Table& table, TableFormat format) {
  const std::string head = format == TableFormat::markdown ? "### " + title + "\n"
                           : format == TableFormat::csv    ? "# " + title
                           : format == TableFormat::latex  ? "% " + title
                                                           : title;
  print(fmt::format("{}\n{}{}", head, render(table, format), format == TableFormat::markdown ? "\n" : ""));
}

}  // namespace

std::string difference_of(const TestSet& set) { return set.name + "-difference"; }

// A row is called by the stem of its name, or by the whole of it where two have one stem: every run's checkpoint is generator.safetensors.
std::filesystem::path csv_of(const TestSetRows& of, const std::string& row, const EvalOutputs& outputs) {
  const auto stem = [](const std::string& name) { return std::filesystem::path(folder_name(name)).stem().string(); };
  std::string name = stem(row);
  if (std::ranges::count(of.rows, name, [&](const TestRow& other) { return stem(other.name); }) > 1) {
    name = row;
    std::ranges::replace(name, '/', '_');
  }
  return std::filesystem::path(outputs.folder) / fmt::format("{}-{}.csv", of.set.name, name);
}

void check_tables(const std::vector<TestSetRows>& sets, const std::string& baseline, const std::vector<std::string>& others,
                  const EvalOutputs& outputs) {
  std::vector<std::filesystem::path> written;
  for (const std::string& stem : others) written.push_back(table_of(stem, outputs));
  for (const TestSetRows& of : sets) {
    std::set<std::string> names;
    for (const TestRow& row : of.rows)
      if (!names.insert(row.name).second)
        throw usage_error(
            fmt::format("eval: set {}: expected every row once, found '{}' twice. give one another name, OTHER=..", of.set.name, row.name));
    if (!baseline.empty() && !names.contains(baseline))
      throw usage_error(fmt::format("--baseline: expected one of {}, found '{}'", fmt::join(names, ", "), baseline));
    written.push_back(table_of(of.set.name, outputs));
    if (!baseline.empty()) written.push_back(table_of(difference_of(of.set), outputs));
    for (const TestRow& row : of.rows) written.push_back(csv_of(of, row.name, outputs));
  }
  if (outputs.folder.empty()) return;
  std::set<std::filesystem::path> files;
  for (const auto& file : written) {
    if (!files.insert(file).second)
      throw usage_error(fmt::format("eval: expected every set and row once, found two that would be written to {}", file.string()));
    refuse_overwrite(file, outputs.overwrite);
  }
}

void show_table(const std::string& stem, const std::string& title, const Table& table, const EvalOutputs& outputs) {
  const TableFormat format = parse_table_format(outputs.format);
  print_table(title, table, format);
  if (format != TableFormat::markdown) print("\n");
  if (!outputs.folder.empty())
    write_file(table_of(stem, outputs), render(table, format == TableFormat::text ? TableFormat::markdown : format));
}

}  // namespace finpercep
