/// \file
/// A snapshot is one pin: it moves, and its views share it.
#include <sheaf/engine/snapshot.hpp>

sheaf::snapshot copied(const sheaf::snapshot& now) { return sheaf::snapshot(now); }
