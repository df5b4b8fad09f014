/// \file
/// Operators that run whole: once for all pages of their result, on one thread, and may fail. Host
/// functions and `fixpoint` are such.
///
/// A whole operator may keep a *memory* from run to run: a cache, never the truth. The executor
/// that keeps it says whether the pages are those of the memory's last run but for what the masks
/// of this commit name (`is_current`). They are not after a commit that was given up, and in an
/// executor that goes from branch to branch; then the operator has to look for itself, or start
/// anew.
///
/// Thread safety: the committer's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/status.hpp>
#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {

class page_runner;

class operator_memory {
 public:
  virtual ~operator_memory() = default;
  /// See the head of this file. Set by the executor; from the end of a run until the commit is
  /// finished it is false.
  bool is_current = false;
};

struct page_lines {
  std::uint32_t page;
  line_mask lines;
};

/// What a run computed.
struct whole_result {
  /// The result's pages one after the other, the last one to its end.
  const std::byte* data = nullptr;
  /// Every line may differ from the pages; else only those in `parts`, rising, each page once.
  bool is_all = true;
  std::vector<page_lines> parts;
};

/// Computes the result of `node`. `memory` may be null, and the operator may fill, change or drop
/// it; `is_current` is as before the run. `out` is empty. A failure leaves the pages as they are.
using whole_body = status (*)(page_runner& runner, const plan_node& node,
                              const plan_operation& op,
                              std::unique_ptr<operator_memory>& memory, whole_result& out);

}  // namespace sheaf::inline v0
