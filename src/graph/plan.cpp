#include <sheaf/graph/plan.hpp>

namespace sheaf::inline v0 {
namespace {

template <class Value>
std::size_t bytes_in(const std::vector<Value>& values) noexcept {
  return values.size() * sizeof(Value);
}

}  // namespace

std::size_t plan::scheduling_bytes() const noexcept {
  return bytes_in(sources) + bytes_in(nodes) + bytes_in(operands) + bytes_in(operand_details) +
         bytes_in(operations) + bytes_in(child_begin) + bytes_in(children) + bytes_in(levels) +
         bytes_in(segments) + bytes_in(consumers) + bytes_in(producer_of_array) +
         bytes_in(reaches_fallible) + bytes_in(hosts) + bytes_in(constants) + bytes_in(delays) +
         bytes_in(fixpoints);
}

}  // namespace sheaf::inline v0
