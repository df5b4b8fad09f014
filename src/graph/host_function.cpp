#include <sheaf/graph/host_function.hpp>

namespace sheaf::inline v0 {

void host_call::refuse_index(std::size_t index) noexcept {
  if (!mistake_.is_ok()) return;
  mistake_ = make_status(status_code::out_of_range, subsystem::graph,
                         "a host function asks for an operand it does not have",
                         "'%.*s' has %zu operands, asked for number %zu",
                         static_cast<int>(name_.size()), name_.data(), operands_.size(), index);
}

void host_call::refuse_type(std::size_t index, dtype asked) noexcept {
  if (!mistake_.is_ok()) return;
  mistake_ = make_status(status_code::type_mismatch, subsystem::graph,
                         "a host function asks for an operand as another type",
                         "operand %zu of '%.*s' is %s, asked for as %s", index,
                         static_cast<int>(name_.size()), name_.data(),
                         sheaf::name_of(operands_[index].type).data(),
                         sheaf::name_of(asked).data());
}

void host_call::refuse_result(dtype asked) noexcept {
  if (!mistake_.is_ok()) return;
  mistake_ = make_status(status_code::type_mismatch, subsystem::graph,
                         "a host function asks for its result as another type",
                         "'%.*s' is %s, asked for as %s", static_cast<int>(name_.size()),
                         name_.data(), sheaf::name_of(result_.type).data(),
                         sheaf::name_of(asked).data());
}

}  // namespace sheaf::inline v0
