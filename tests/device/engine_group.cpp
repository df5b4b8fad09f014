#include "device/engine_group.hpp"

#include <cstdlib>
#include <cstring>

#include "engine/open_device.hpp"

namespace sheaf_test {

using namespace sheaf;

namespace {

template <element T>
std::string difference_in(const array<T>& target, const snapshot& wanted, const snapshot& found) {
  const auto want = wanted.fetch(target);
  const auto have = found.fetch(target);
  if (!want) return want.error().message();
  if (!have) return have.error().message();
  if (want->size() != have->size()) return "another length";
  std::uint64_t first = 0;
  for (std::uint32_t page = 0; page < want->page_count(); ++page) {
    const std::span<const T> a = want->page(page), b = have->page(page);
    if (a.size() != b.size()) return "pages of another size";
    if (std::memcmp(a.data(), b.data(), a.size_bytes()) != 0) {
      std::size_t at = 0;
      while (same_bits(a[at], b[at])) ++at;
      return "element " + std::to_string(first + at) + " has the bits " +
             std::to_string(to_bits(b[at])) + " instead of " + std::to_string(to_bits(a[at]));
    }
    first += a.size();
  }
  return {};
}

}  // namespace

std::string difference_of(engine& wanted, engine& found, const std::vector<named_array>& compared) {
  const snapshot want = wanted.snapshot();
  const snapshot have = found.snapshot();
  if (!want || !have) return "a snapshot does not open";
  for (const named_array& each : compared) {
    const any_array& target = each.array;
    const std::string differs = visit_dtype(target.type(), [&]<element T>(std::type_identity<T>) {
      return difference_in(array<T>(target.handle()), want, have);
    });
    if (!differs.empty()) return "array " + each.name + ", " + differs;
  }
  return {};
}

result<engine> open_by(const model& declared, const engine_way& way) {
  const char* before = std::getenv("SHEAF_FORCE_BACKEND");
  const std::string kept = before == nullptr ? "" : before;
  if (way.forced.empty()) ::unsetenv("SHEAF_FORCE_BACKEND");
  else ::setenv("SHEAF_FORCE_BACKEND", way.forced.c_str(), 1);
  if (way.ops != nullptr) use_device_ops(way.ops, false);
  auto opened = engine::open(declared, way.options);
  if (way.ops != nullptr) use_device_ops(nullptr, false);
  if (before == nullptr) ::unsetenv("SHEAF_FORCE_BACKEND");
  else ::setenv("SHEAF_FORCE_BACKEND", kept.c_str(), 1);
  return opened;
}

std::string engine_group::add(const engine_way& way) {
  auto opened = open_by(declared_, way);
  if (!opened) return way.name + " does not open: " + opened.error().message();
  members_.push_back({way.name, std::move(*opened), 0});
  return {};
}

std::string engine_group::compare() {
  for (std::size_t i = 1; i < members_.size(); ++i) {
    const std::string differs = difference_of(members_[0].engine, members_[i].engine, compared_);
    if (!differs.empty()) return members_[i].name + ", " + differs;
  }
  return {};
}

}  // namespace sheaf_test
