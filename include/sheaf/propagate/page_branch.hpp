/// \file
/// What an executor needs of a branch of the state (a fork) to propagate in it: where a page is,
/// and a frame of the branch's own for a page that is about to change.
///
/// Thread safety: a branch is used by one thread at a time.
#pragma once

#include <cstdint>

#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/status.hpp>

namespace sheaf::inline v0 {

class page_branch {
 public:
  static constexpr std::uint32_t nothing = 0xffff'ffffu;

  /// The frame that holds the page of `slot` in this branch. O(layers of the branch).
  [[nodiscard]] virtual std::uint32_t find(std::uint32_t slot, page_class page) noexcept = 0;
  /// A frame that only this branch sees, to hold `slot` from now on; lines outside `changing` have
  /// their content, those inside are about to be written by the caller. `nothing` where there is
  /// none to be had: `failure` says why, and the commit is to be given up.
  [[nodiscard]] virtual std::uint32_t make_writable(std::uint32_t slot, page_class page,
                                                    line_mask changing) noexcept = 0;
  /// Why `make_writable` returned `nothing`.
  [[nodiscard]] virtual status failure() const noexcept = 0;

 protected:
  ~page_branch() = default;
};

}  // namespace sheaf::inline v0
