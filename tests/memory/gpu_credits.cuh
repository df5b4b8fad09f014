/// \file
/// Credits of a commit over a device's arena, with room for what one commit may need.
#pragma once

#include "cuda/memory/credit_stacks.hpp"
#include "tests/memory/gpu_rig.cuh"

namespace gpu_test {

struct credit_rig {
  /// `most` frames of class `size` a commit.
  credit_rig(const physical_memory& memory, page_class size, std::uint32_t most)
      : arena(make_arena(memory, {})), stacks(open_stacks(*arena)), pool(*arena, stacks->word()),
        credits(pool) {
    needed[static_cast<unsigned>(size)] = most;
    REQUIRE(stacks->make_room(needed, &why) == device_code::ok);
  }
  /// Grants what a commit may need.
  void begin(cudaStream_t stream) {
    std::array<credit_grant, page_class_count> grants;
    REQUIRE(credits.begin(needed, &grants, &why) == device_code::ok);
    REQUIRE(stacks->grant(grants, stream, &why) == device_code::ok);
  }
  /// Finishes its epoch and waits for it.
  void finish(std::uint64_t epoch, cudaStream_t stream) {
    REQUIRE(stacks->finish(epoch, stream, &why) == device_code::ok);
    wait_until("an epoch", [&] { return stacks->word().finished() >= epoch; });
    REQUIRE(credits.finish(stacks->report(), &why) == device_code::ok);
  }
  [[nodiscard]] static std::unique_ptr<credit_stacks> open_stacks(device_arena& arena) {
    std::unique_ptr<credit_stacks> made;
    device_error why;
    REQUIRE(credit_stacks::open(arena, &made, &why) == device_code::ok);
    return made;
  }

  device_error why;
  class_counts needed{};
  std::unique_ptr<device_arena> arena;
  std::unique_ptr<credit_stacks> stacks;
  frame_pool pool;
  frame_credits credits;
};

}  // namespace gpu_test
