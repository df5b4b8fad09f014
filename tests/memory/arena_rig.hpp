/// \file
/// An arena over the fake device, and a pool over the arena: what tests of frames begin with.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "cuda/memory/frame_pool.hpp"

#include "fake_device.hpp"

namespace device_test {

struct arena_rig {
  explicit arena_rig(std::uint64_t bytes_max = ~std::uint64_t{0},
                     arena_mode mode = arena_mode::plain) {
    device_arena_options options;
    options.range_bytes = 64 * step;
    options.growth_bytes = step;
    options.bytes_max = bytes_max;
    options.mode = mode;
    EXPECT_EQ(device_arena::create(options, device.memory(), &arena, &why), device_code::ok);
    pool = std::make_unique<frame_pool>(*arena, word);
  }
  fake_device device;
  epoch_word word;
  std::unique_ptr<device_arena> arena;
  std::unique_ptr<frame_pool> pool;
  device_error why;
};

}  // namespace device_test
