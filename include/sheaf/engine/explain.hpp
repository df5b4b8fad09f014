/// \file
/// Why an element has the value it has: the commit that last changed its line, and what that commit
/// changed of the operands it is computed from.
///
/// The answer comes from the records of recent commits. Records know lines: the line of the element
/// changed at `at`, the element itself perhaps earlier.
///
/// Thread safety: values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <sheaf/engine/commit_record.hpp>

namespace sheaf::inline v0 {

/// What a transaction of the commit said of itself.
struct explained_tag {
  std::string who;
  std::string why;
};

struct explanation {
  /// False: no commit that the engine remembers changed the line; it did so at `known_since` or
  /// before, or never.
  bool is_known = false;
  epoch at;           ///< that last changed the line
  epoch known_since;  ///< changes after this epoch are remembered
  std::vector<explained_tag> tags;     ///< of the group, in commit order, untagged ones left out
  /// Lines of its operands that the same commit changed: those of the same line where the operator
  /// goes line by line, else all of the operand. Empty for a source.
  std::vector<changed_page> operands;
};

}  // namespace sheaf::inline v0
