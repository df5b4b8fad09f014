/// \file
/// Worlds for tests of failures: an engine with one kind of operator, over a source and over a host
/// function, and a host function behind every result. Each of those may be told to fail, so that a
/// commit ends with everything before it already changed.
#pragma once

#include <algorithm>
#include <bit>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <sheaf/graph/dense.hpp>
#include <sheaf/graph/sequence.hpp>
#include <sheaf/graph/sparse.hpp>
#include <sheaf/graph/stencil.hpp>

#include "engine/support.hpp"
#include "page/random.hpp"
#include "propagate/operators/desk_operators.hpp"

namespace engine_test {

/// Fails at the call it is told: by a status or by an exception.
struct fuse {
  unsigned calls = 0;
  unsigned fails_at = 0;  ///< 0: never
  bool throws = false;

  void arm(unsigned at, bool by_exception) { calls = 0, fails_at = at, throws = by_exception; }
  [[nodiscard]] status pass() {
    if (++calls != fails_at) return {};
    if (throws) throw std::runtime_error("the fuse went");
    return status(status_code::invalid_argument, subsystem::engine, "the fuse went");
  }
};

class world;

/// One kind of operator: what it derives from `x` in `of`. Names begin with `prefix`.
struct operator_kind_case {
  const char* name;
  std::function<void(world& of, model& in, const std::string& prefix, array<float> x)> build;
  bool may_change_graph = true;
  bool keeps_extents = false;  ///< its arrays keep a second extent once they had one
  bool can_fail = false;       ///< by itself, without a host function
};

using image = std::vector<std::byte>;

/// Expects equal bits, and says where the first difference is.
inline void expect_same(const image& found, const image& wanted, const char* what) {
  ASSERT_EQ(found.size(), wanted.size()) << what;
  const auto at = std::mismatch(found.begin(), found.end(), wanted.begin()).first - found.begin();
  EXPECT_EQ(static_cast<std::size_t>(at), found.size()) << what << " differs from that byte on";
}

/// Calls `visitor(array<T>)` with the element type of `target`.
template <class Visitor>
void visit_typed(const any_array& target, Visitor&& visitor) {
  switch (target.type()) {
    case dtype::f32: return visitor(array<float>(target.handle()));
    case dtype::f64: return visitor(array<double>(target.handle()));
    case dtype::i32: return visitor(array<std::int32_t>(target.handle()));
    case dtype::i64: return visitor(array<std::int64_t>(target.handle()));
    case dtype::u8: return visitor(array<std::uint8_t>(target.handle()));
    case dtype::u32: return visitor(array<std::uint32_t>(target.handle()));
    case dtype::u64: return visitor(array<std::uint64_t>(target.handle()));
  }
}

class world {
 public:
  static constexpr std::uint64_t length = 1500, rows = 30, columns = 50, vertices = 24, edges = 60;

  explicit world(const operator_kind_case& kind, const engine_options& options = {},
                 bool with_hosts = true)
      : kind_(kind), with_hosts_(with_hosts), desk(opened(declare(), options)) {}

  /// A result to be compared, with a host function behind it.
  template <element T>
  void show(model& in, const std::string& name, array<T> result) {
    shown.push_back(result);
    if (!with_hosts_) return;
    shown.push_back(in.derive_host<std::uint64_t>(
        name + ".probe", 1, {result}, [this](host_call& call) -> status {
          std::uint64_t folded = 7;
          for (const T value : call.operand<T>(0)) {
            folded = folded * 31 + std::bit_cast<bits_of<T>>(value);
          }
          call.result<std::uint64_t>()[0] = folded;
          return blow.pass();
        }));
  }

  /// Adds another instance of the kind over `from`; returns what it shows.
  std::vector<any_array> add(model& in, const std::string& prefix, array<float> from) {
    const std::size_t before = shown.size();
    kind_.build(*this, in, prefix, from);
    return {shown.begin() + static_cast<std::ptrdiff_t>(before), shown.end()};
  }

  /// The bits of everything shown, and of every source.
  template <class State>
  [[nodiscard]] image bits(const State& now) const {
    image out = image_of(now, x, y, at, ends[0], ends[1], weight, base);
    for (const any_array& each : shown) {
      visit_typed(each, [&](const auto& typed) {
        const auto more = image_of(now, typed);
        out.insert(out.end(), more.begin(), more.end());
      });
    }
    return out;
  }
  [[nodiscard]] image bits() { return bits(desk.snapshot()); }
  [[nodiscard]] const operator_kind_case& kind() const noexcept { return kind_; }
  [[nodiscard]] bool can_fail() const noexcept { return with_hosts_ || kind_.can_fail; }

  /// Random writes to sources: the same for equal seeds.
  template <class Transaction>
  void write(Transaction& txn, std::uint64_t seed) const {
    sheaf_test::random_numbers random(seed);
    const auto value = [&] { return static_cast<float>(random() % 2000) * 0.25f - 200; };
    for (unsigned writes = 1 + random() % 3; writes != 0; --writes) {
      txn.set(x, {.index = random() % length}, value());
    }
    if (random() % 2 == 0) {
      const std::uint64_t first = random() % length;
      std::vector<float> values(1 + random() % (length - first));
      for (float& each : values) each = value();
      txn.range(y, {.index = first}, values);
    }
    txn.set(at, {.index = random() % length}, static_cast<std::uint32_t>(random() % length));
    const std::uint64_t edge = random() % edges;
    const bool is_gone = random() % 3 == 0;
    for (const array<std::uint32_t>& end : ends) {
      txn.set(end, {.index = edge}, is_gone ? no_vertex : random() % vertices);
    }
    txn.set(weight, {.index = random() % edges}, static_cast<float>(random() % 8));
    txn.set(base, {.index = random() % vertices}, static_cast<float>(random() % 50));
  }
  /// A transaction of `state`, the engine or a fork, with those writes in it.
  template <class State>
  [[nodiscard]] auto written(State& state, std::uint64_t seed) const {
    auto txn = state.begin();
    write(txn, seed);
    return txn;
  }

  model declared;
  array<float> x, y, hosted, weight, base;
  array<std::uint32_t> at, ends[2];
  std::vector<any_array> shown;
  fuse blow;

 private:
  template <element T>
  using bits_of = std::conditional_t<
      sizeof(T) == 1, std::uint8_t,
      std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;

  const model& declare() {
    x = declared.source<float>("x", length);
    y = declared.source<float>("y", length);
    at = declared.source<std::uint32_t>("at", length);
    ends[0] = declared.source<std::uint32_t>("from", edges);
    ends[1] = declared.source<std::uint32_t>("to", edges);
    weight = declared.source<float>("weight", edges);
    base = declared.source<float>("base", vertices * fixpoint_stride<float>(1));
    kind_.build(*this, declared, "plain.", x);
    if (!with_hosts_) return declared;
    hosted = declared.derive_host<float>("hosted", length, {x}, [this](host_call& call) {
      const auto from = call.operand<float>(0);
      const auto to = call.result<float>();
      for (std::size_t i = 0; i < to.size(); ++i) to[i] = from[i] - 3;
      return blow.pass();
    });
    shown.push_back(hosted);
    kind_.build(*this, declared, "behind.", hosted);
    return declared;
  }

  operator_kind_case kind_;
  bool with_hosts_;

 public:
  engine desk;
};

/// Every kind of operator the engine has.
const std::vector<operator_kind_case>& operator_kinds();

}  // namespace engine_test
