/// \file
/// Doubles do not go into an array of floats unseen.
#include <vector>

#include <sheaf/engine/transaction.hpp>

void written(sheaf::transaction& txn, const sheaf::array<float>& price,
             const std::vector<double>& values) {
  txn.range(price, {}, values);
}
