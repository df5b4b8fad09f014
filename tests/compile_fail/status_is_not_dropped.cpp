/// \file
/// A status is looked at or passed on.
#include <sheaf/base/status.hpp>

sheaf::status write();

void dropped() { write(); }
