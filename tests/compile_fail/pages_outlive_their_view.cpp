/// \file
/// Pages are walked over a view that has a name.
#include <sheaf/engine/engine.hpp>

sheaf::view<float> made(const sheaf::snapshot& now, const sheaf::array<float>& price) {
  return now.fetch(price).value();
}
float first(const sheaf::snapshot& now, const sheaf::array<float>& price) {
  for (const auto page : made(now, price).pages()) return page[0];
  return 0;
}
