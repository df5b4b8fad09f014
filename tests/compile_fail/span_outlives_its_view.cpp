/// \file
/// A span of a page comes from a view that has a name: the view keeps it still.
#include <sheaf/engine/engine.hpp>

std::span<const float> dangling(const sheaf::snapshot& now, const sheaf::array<float>& price) {
  return now.fetch(price).value().page(0);
}
