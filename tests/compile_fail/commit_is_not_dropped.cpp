/// \file
/// Whether a commit succeeded is looked at.
#include <utility>

#include <sheaf/engine/transaction.hpp>

void dropped(sheaf::transaction& txn) { std::move(txn).commit(); }
