/// \file
/// The right way: compiles without a warning.
#include <vector>

#include <sheaf/engine/engine.hpp>

float used(sheaf::engine& desk, const sheaf::array<float>& price,
           const std::vector<float>& values) {
  auto txn = desk.begin();
  txn.set(price, {.index = 0}, 101.25f);
  txn.range(price, {}, values);
  sheaf::transaction moved = std::move(txn);
  if (!std::move(moved).commit()) return 0;
  const auto now = desk.snapshot();
  const auto view = now.fetch(price);
  if (!view) return 0;
  float sum = now.get(price).value();
  for (const std::span<const float> page : view->pages()) sum += page[0];
  return sum + view->page(0)[0];
}
