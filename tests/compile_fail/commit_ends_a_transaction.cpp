/// \file
/// `commit` takes the transaction with it: `std::move(txn).commit()`.
#include <sheaf/engine/transaction.hpp>

bool kept(sheaf::transaction& txn) { return txn.commit().has_value(); }
