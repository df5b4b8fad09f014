#include "device/limits_cases.hpp"

namespace sheaf_test {

using namespace sheaf;

namespace {

constexpr std::size_t bytes_max = std::size_t{64} << 20;
/// 24 MiB each: two fit beside their source's 8 MiB, three do not.
constexpr std::uint64_t source_length = std::uint64_t{2} << 20;
constexpr std::uint64_t length = std::uint64_t{6} << 20;

/// One engine on the device and one here, with a graph that changes.
class memory_case {
 public:
  std::string open(const device_ops* ops, bool enforces, const std::string& forced) {
    std::vector<std::uint32_t> indices(length);
    for (std::uint64_t i = 0; i < length; ++i) {
      indices[i] = static_cast<std::uint32_t>(i * 7 % source_length);
    }
    source_ = declared_.source<float>("source", source_length);
    first_ = declared_.derive("first", gather(source_, indices));
    second_ = declared_.derive("second", first_ + first_);
    third_ = declared_.derive("third", second_ * first_);
    if (std::string why = engines_.add(reference_way()); !why.empty()) return why;
    engine_way way =
        device_way("device", watched(*ops, {.enforces_memory = enforces}), forced);
    way.options.device_bytes_max = bytes_max;
    return engines_.add(way);
  }

  /// Some commits; `there`: whether they have to run on the device.
  std::string commits(bool there, const std::vector<named_array>& compared) {
    for (std::uint64_t i = 0; i < 3; ++i) {
      const std::uint64_t at = ++number_ * 131 % source_length;
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
    const std::vector<named_array> both{{"first", first_}, {"second", second_}};
    std::vector<named_array> all = both;
    all.push_back({"third", third_});
    if (std::string wrong = commits(false, all); !wrong.empty()) return "too large, " + wrong;
    const std::uint64_t refused = calls_watched().loads;
    if (refused != 1) return "a plan that does not fit is loaded more than once";
    std::string wrong = engines_.commit([&](transaction& txn) { txn.graph().drop(third_); });
    if (wrong.empty()) wrong = commits(true, both);
    if (!wrong.empty()) return "made smaller, " + wrong;
    if (calls_watched().loads_done != 1) return "the plan that fits is loaded more than once";
    return grow(both);
  }

  /// A third array again; its handle is each engine's own.
  std::string grow(const std::vector<named_array>& both) {
    std::vector<array<float>> third;
    std::string wrong = engines_.commit([&](transaction& txn) {
      third.push_back(txn.graph().derive("another", second_ * first_));
    });
    if (wrong.empty()) wrong = commits(false, both);
    if (!wrong.empty()) return "made larger, " + wrong;
    const snapshot here = engines_[0].snapshot(), there = engines_[1].snapshot();
    for (std::uint64_t i = 0; i < length; i += 1009) {
      const auto wanted = here.get(third[0], i), found = there.get(third[1], i);
      if (!wanted || !found || !same_bits(*wanted, *found)) return "made larger, other bits";
    }
    return {};
  }

 private:
  model declared_;
  array<float> source_, first_, second_, third_;
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
