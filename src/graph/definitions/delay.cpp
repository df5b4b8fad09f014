/// \file
/// delay: a source of the plan that the engine writes. What it follows is no edge of the graph, so
/// loops through it are no cycles.
#include "graph/definer.hpp"

namespace sheaf::inline v0 {

void definer::define_delay(const definition_data& computed) {
  const std::uint32_t followed = admit(computed.at, type_);
  if (followed == no_index) return;
  if (record().lazy) {
    return refuse(make_status(status_code::invalid_argument, subsystem::graph,
                              "a delay is state and cannot be lazy", "'%s'", name().c_str()));
  }
  if (!shape_result(data_.arrays[followed].length, data_.arrays[followed].page)) return;
  const auto payload = static_cast<std::uint32_t>(data_.delays.size());
  data_.delays.push_back({followed, computed.bits[0]});
  store({.result = result_,
         .operand_begin = 0,
         .operand_count = 0,
         .payload = payload,
         .kind = operator_kind::delay,
         .semiring = semiring_id::sum_product,
         .uniform = false,
         .weighted = false},
        0);
  record().level = 0;
}

}  // namespace sheaf::inline v0
