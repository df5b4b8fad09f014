#include <cstdio>
#include <vector>

#include <sheaf/engine/engine.hpp>

#include "huber.hpp"

int main() {
  sheaf::model model;
  auto error = model.source<float>("error", 4);
  auto width = model.source<float>("width", 1);  // of length 1: meets every element
  auto loss = model.derive("loss", sheaf::apply<huber>(error, width) * 2.0f);
  auto desk = sheaf::engine::open(model);
  if (!desk) return std::printf("%s\n", desk.error().message().c_str()), 1;

  auto txn = desk->begin();
  txn.range(error, {.index = 0}, std::vector<float>{-3.0f, -0.5f, 0.0f, 1.0f});
  txn.set(width, {.index = 0}, 1.0f);
  if (!std::move(txn).commit()) return 1;
  auto now = desk->snapshot();
  auto view = now.fetch(loss);
  if (!view) return 1;
  for (const float element : view->page(0)) std::printf("%g\n", element);
}
