#include "device/limits_cases.hpp"

namespace sheaf_test {

using namespace sheaf;

namespace {

constexpr std::size_t bytes_max = std::size_t{64} << 20;
/// 12 MiB an array: six of them are too many, two are few enough for all that a plan takes besides.
constexpr std::uint64_t length = std::uint64_t{3} << 20;
constexpr unsigned more_arrays = 4;

/// One engine on the device and one here, with a graph that changes.
class memory_case {
 public:
  std::string open(const device_ops* ops, bool enforces, const std::string& forced) {
    source_ = declared_.source<float>("source", length);
    first_ = declared_.derive("first", source_ + source_);
    for (unsigned i = 0; i < more_arrays; ++i) {
      more_.push_back({name_of_more(i), declared_.derive(name_of_more(i), first_ * source_)});
    }
    if (std::string why = engines_.add(reference_way()); !why.empty()) return why;
    engine_way way =
        device_way("device", watched(*ops, {.enforces_memory = enforces}), forced);
    way.options.device_bytes_max = bytes_max;
    return engines_.add(way);
  }

  /// Some commits; `there`: whether they have to run on the device.
  std::string commits(bool there, const std::vector<named_array>& compared) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      const std::uint64_t at = ++number_ * 131 % length;
      std::string wrong = engines_.commit([&](transaction& txn) {
        txn.set(source_, {.index = at}, static_cast<float>(at) / 7);
      });
      if (!wrong.empty()) return wrong;
      wrong = difference_of(engines_[0], engines_[1], compared);
      if (!wrong.empty()) return wrong;
      const std::string words = engines_[1].stats().device;
      if (engines_[1].last_commit().device_commits != std::uint64_t{there}) {
        return (there ? "ran here: " : "ran on the device: ") + words;
      }
      if (engines_[1].stats().degraded != 0) return "too little memory counts as a loss";
      const bool says_limit = words.find("the limit") != std::string::npos;
      if (says_limit == there) return "its words are: " + words;
    }
    return {};
  }

  std::string run() {
    const std::vector<named_array> few{{"first", first_}};
    std::vector<named_array> all = more_;
    all.push_back(few[0]);
    if (std::string wrong = commits(false, all); !wrong.empty()) return "too large, " + wrong;
    if (calls_watched().loads != 1) return "a plan that does not fit is loaded more than once";
    std::string wrong = engines_.commit([&](transaction& txn) {
      for (const named_array& each : more_) txn.graph().drop(each.array);
    });
    if (wrong.empty()) wrong = commits(true, few);
    if (!wrong.empty()) return "made smaller, " + wrong;
    if (calls_watched().loads_done != 1) return "the plan that fits is loaded more than once";
    return grow(few);
  }

  /// More arrays again; their handles are each engine's own.
  std::string grow(const std::vector<named_array>& few) {
    std::vector<array<float>> last;
    std::string wrong = engines_.commit([&](transaction& txn) {
      for (unsigned i = 0; i < more_arrays; ++i) {
        const auto made = txn.graph().derive("again " + name_of_more(i), first_ * source_);
        if (i == 0) last.push_back(made);
      }
    });
    if (wrong.empty()) wrong = commits(false, few);
    if (!wrong.empty()) return "made larger, " + wrong;
    const snapshot here = engines_[0].snapshot(), there = engines_[1].snapshot();
    for (std::uint64_t i = 0; i < length; i += 131) {
      const auto wanted = here.get(last[0], i), found = there.get(last[1], i);
      if (!wanted || !found || !same_bits(*wanted, *found)) return "made larger, other bits";
    }
    return {};
  }

 private:
  static std::string name_of_more(unsigned i) { return "more " + std::to_string(i); }

  model declared_;
  array<float> source_, first_;
  std::vector<named_array> more_;
  engine_group engines_{declared_, {}};
  std::uint64_t number_ = 0;
};

}  // namespace

std::string small_memory(const device_ops* ops, bool enforces, const std::string& forced) {
  memory_case run;
  if (std::string why = run.open(ops, enforces, forced); !why.empty()) return why;
  return run.run();
}

}  // namespace sheaf_test
