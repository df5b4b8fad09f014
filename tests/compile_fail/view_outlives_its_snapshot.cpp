/// \file
/// A view is fetched from a snapshot that has a name.
#include <sheaf/engine/engine.hpp>

auto fetched(sheaf::engine& desk, const sheaf::array<float>& price) {
  return desk.snapshot().fetch(price);
}
