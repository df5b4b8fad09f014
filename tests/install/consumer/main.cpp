/// \file
/// What a host does with an installed Sheaf: declares, opens, commits, reads.
#include <array>
#include <cstdint>
#include <cstdio>
#include <sheaf/engine/engine.hpp>
#include <sheaf/graph/model.hpp>
#include <string>
#include <utility>

int main() {
  sheaf::model model;
  const auto price = model.source<float>("price", 100);
  const auto doubled = model.derive("doubled", price * 2.0f);
  auto opened = sheaf::engine::open(model, {});
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().message().c_str());
    return 1;
  }
  auto txn = opened->begin();
  const std::array<std::uint32_t, 1> where{42};
  const std::array<float, 1> what{1.5f};
  txn.scatter(price, where, what);
  if (!std::move(txn).commit()) return 3;
  const auto now = opened->snapshot();
  const auto view = now.fetch(doubled);
  if (!view) return 4;
  float sum = 0;
  for (const auto page : view->pages()) {
    for (const float value : page) sum += value;
  }
  if (sum != 3.0f) return 5;
  std::puts("sheaf works");
  return 0;
}
