/// \file
/// A transaction is moved, never copied.
#include <sheaf/engine/transaction.hpp>

sheaf::transaction copied(const sheaf::transaction& txn) { return txn; }
