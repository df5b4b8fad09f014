/// \file
/// A long chain of small arrays, as the fast and the slow tests run it.
#pragma once

#include "propagate/rig.hpp"

namespace propagate_test {

/// `length` one-line arrays, each the one before plus one, the last one reading `late` too.
struct chain {
  explicit chain(unsigned length) {
    early = declared.source<float>("early", 16);
    late = declared.source<float>("late", 16);
    array<float> at = early;
    for (unsigned i = 0; i + 1 < length; ++i) at = declared.derive("", at + 1.0f);
    end = declared.derive("end", at + late);
  }
  model declared;
  array<float> early, late, end;
};

/// A change at the end touches the end alone, one at the beginning everything.
inline void run_chain(unsigned length) {
  chain c(length);
  rig r(c.declared);
  r.set(c.late, 3, 5.0f);
  work_counters work = r.propagate();
  EXPECT_EQ(work.pages_recomputed, 1u) << "only the end reads `late`";
  EXPECT_EQ(work.lines_recomputed, 1u);
  EXPECT_EQ(work.levels_pushed + work.levels_pulled + work.levels_full, 1u);
  EXPECT_EQ(work.page_nodes_skipped, length - 1);
  EXPECT_EQ(r.values(c.end)[3], static_cast<float>(length - 1) + 5.0f);
  r.set(c.early, 0, 1.0f);
  work = r.propagate();
  EXPECT_EQ(work.pages_recomputed, length);
  EXPECT_EQ(work.lines_recomputed, length);
  EXPECT_EQ(work.lines_cut_off, 0u);
  EXPECT_EQ(work.page_nodes_skipped, 0u);
  EXPECT_EQ(r.values(c.end)[0], static_cast<float>(length));
  r.expect_glued();
  r.expect_quiet();
}

}  // namespace propagate_test
