/// \file
/// A pointer is no element: the array says which type a value has.
#include <sheaf/engine/transaction.hpp>

void written(sheaf::transaction& txn, const sheaf::array<float>& price) {
  txn.set(price, {.index = 0}, "101.25");
}
