/// \file
/// The insides of a `model`.
///
/// Thread safety: one thread at a time, as `model`.
#pragma once

#include <sheaf/graph/model.hpp>

#include "declaration_state.hpp"

namespace sheaf::inline v0 {

struct model::state : declaration_state {
  array_handle handle_of(std::uint32_t array) const noexcept {
    return {array_id{array}, data->tag_of(array), data->arrays[array].length};
  }
};

}  // namespace sheaf::inline v0
