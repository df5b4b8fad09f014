/// \file
/// Engines over one model that are given the same commits and have to hold the same bits: promise
/// P1 across backends. What goes wrong is told in words, so that programs without GoogleTest use
/// it, too.
///
/// Thread safety: one thread; `add` sets SHEAF_FORCE_BACKEND while it opens an engine.
#pragma once

#include <chrono>
#include <deque>
#include <string>
#include <vector>

#include <sheaf/engine/engine.hpp>
#include <sheaf/memory/device_ops.hpp>

namespace sheaf_test {

struct named_array {
  std::string name;
  sheaf::any_array array;
};

/// How an engine of a group is opened.
struct engine_way {
  std::string name;
  std::string forced = "";                  ///< SHEAF_FORCE_BACKEND; empty: unset
  const sheaf::device_ops* ops = nullptr;   ///< in place of the plugin's; the engine asks for it
  sheaf::engine_options options = {};
};

/// The CPU in its plainest form.
[[nodiscard]] inline engine_way reference_way() { return {"scalar", "scalar", nullptr, {}}; }
/// A device that runs all it can.
[[nodiscard]] inline engine_way device_way(std::string name, const sheaf::device_ops* ops,
                                           std::string forced = "") {
  engine_way way{std::move(name), std::move(forced), ops, {}};
  way.options.device = sheaf::device::cuda;
  return way;
}

/// Where engines that hold the same epoch differ in `compared`: empty, or which array and element.
[[nodiscard]] std::string difference_of(sheaf::engine& wanted, sheaf::engine& found,
                                        const std::vector<named_array>& compared);
/// `SHEAF_FORCE_BACKEND` and the table are as before when it returns.
[[nodiscard]] sheaf::result<sheaf::engine> open_by(const sheaf::model& declared,
                                                   const engine_way& way);

class engine_group {
 public:
  /// `declared` stays where it is; the first engine added is what others are compared with.
  engine_group(const sheaf::model& declared, std::vector<named_array> compared)
      : declared_(declared), compared_(std::move(compared)) {}

  /// Empty, or why the engine did not open.
  [[nodiscard]] std::string add(const engine_way& way);

  /// Has `write` fill a transaction of each engine, commits them and compares. Empty, or what went
  /// wrong. `write` may not draw random numbers: it is called once an engine.
  template <class Write>
  [[nodiscard]] std::string commit(Write&& write) {
    for (member& each : members_) {
      const auto begin = std::chrono::steady_clock::now();
      auto txn = each.engine.begin();
      write(txn);
      const auto done = std::move(txn).commit();
      const std::chrono::duration<double, std::micro> took =
          std::chrono::steady_clock::now() - begin;
      each.microseconds = took.count();
      if (!done) return each.name + " refused a commit: " + done.error().message();
    }
    return compare();
  }
  [[nodiscard]] std::string compare();

  [[nodiscard]] std::size_t size() const noexcept { return members_.size(); }
  [[nodiscard]] sheaf::engine& operator[](std::size_t index) { return members_[index].engine; }
  /// What the last commit took, from the beginning of its transaction.
  [[nodiscard]] double microseconds(std::size_t index) const {
    return members_[index].microseconds;
  }
  [[nodiscard]] const std::string& name_of(std::size_t index) const {
    return members_[index].name;
  }

 private:
  struct member {
    std::string name;
    sheaf::engine engine;
    double microseconds = 0;
  };
  const sheaf::model& declared_;
  std::vector<named_array> compared_;
  std::deque<member> members_;
};

}  // namespace sheaf_test
