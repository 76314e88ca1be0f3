// SPDX-License-Identifier: Apache-2.0
#include "finpercep/study/settings.h"

namespace finpercep {

void HeldOutSettings::visit(SettingsVisitor& v) {
  v.group("photos", photos, "held-out photographs; none: no such set");
  v.field("count", count, "photographs", {.min = 1, .max = 100'000});
  v.field("side", side, "of the centre crops, pixels", {.min = 32, .max = 4096});
}

void StudySettings::visit(SettingsVisitor& v) {
  v.field("title", title, "of the report");
  v.field("subtitle", subtitle, "of the report");
  v.field("notes", notes, "paragraphs at the end of the report");
  v.group("rl", rl, "the RL config that every method starts from");
  v.field("methods", methods,
          "each \"NAME: key=value ..\": settings over rl's; config=FILE starts from another RL config, seeds=[..] trains other seeds");
  v.field("seeds", seeds, "every method is trained once for each", {.min = 0, .max = 9e15});
  v.field("others", others, "generators that are measured and not trained");
  v.field("baseline", baseline, "row that the others are compared with; empty: the generator that the methods start from");
  v.group("held_out", held_out, "the test set of held-out photographs");
  v.field("test_sets", test_sets, "NAME=LQ:GT, folders, then :SR or :ROW=SR for each folder of pictures made of LQ: one more row");
  v.field("metrics", metrics, "of `finpercep metrics`, finpercep.score and finpercep.severity");
  v.field("test_metrics", test_metrics, "the same for test_sets; none: as metrics");
  v.field("judge", judge, "reward model of finpercep.score, finpercep.severity and the defect maps");
  v.field("strips", strips, "pictures of the first set that the report shows", {.min = 0, .max = 100});
}

}  // namespace finpercep
