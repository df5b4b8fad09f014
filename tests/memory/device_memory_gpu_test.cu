/// Device memory on a device: ranges, stacks, credits, page table, scratch and pinned memory. What
/// needs no device is tested by device_memory_test.
///
/// usage: device_memory_gpu_test [--no-refusals]: with it, no call of the driver is made to fail,
/// which a memory checker would report.
#include <cstring>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "cuda/memory/device_scratch.hpp"
#include "cuda/memory/frame_stack.cuh"
#include "cuda/memory/hooked_memory.hpp"
#include "cuda/memory/memory_kernels.hpp"
#include "cuda/memory/pinned_memory.hpp"
#include "tests/memory/gpu_credits.cuh"

namespace gpu_test {
namespace {

constexpr page_class big = page_class::b4k;
bool makes_calls_fail = true;
constexpr unsigned big_index = static_cast<unsigned>(big);

__global__ void stamp_frames(frame_view view, page_class size, std::uint32_t count,
                             std::uint32_t stamp) {
  const std::uint32_t frame = blockIdx.x * blockDim.x + threadIdx.x;
  if (frame >= count) return;
  auto* const words = reinterpret_cast<std::uint32_t*>(frame_address(view, size, frame));
  for (std::uint32_t i = 0; i < bytes_of(size) / 4; ++i) words[i] = stamp ^ (frame * 1024 + i);
}

bool holds_stamps(const device_arena& arena, page_class size, std::uint32_t count,
                  std::uint32_t stamp) {
  std::vector<std::uint32_t> words(bytes_of(size) / 4);
  for (std::uint32_t frame = 0; frame < count; ++frame) {
    RUNTIME(cudaMemcpy(words.data(), arena.address(size, frame_id{frame}), bytes_of(size),
                       cudaMemcpyDeviceToHost));
    for (std::uint32_t i = 0; i < words.size(); ++i) {
      if (words[i] != (stamp ^ (frame * 1024 + i))) return false;
    }
  }
  return true;
}

void grows_trims_and_refuses(const physical_memory& memory, cudaStream_t stream) {
  // Once before the memory is counted: a kernel is loaded when it is first launched.
  stamp_frames<<<1, 1, 0, stream>>>(frame_view{}, big, 0, 0);
  wait_for(stream);
  const std::uint64_t before = free_bytes();
  constexpr std::uint64_t slack = 64 << 20;  // the driver's own; the frames below are 400 MB
  device_arena_options options;
  options.growth_bytes = memory.step_bytes;
  auto arena = make_arena(memory, options);
  device_error why;
  for (unsigned i = 0; i < page_class_count; ++i) {
    const auto size = static_cast<page_class>(i);
    EXPECT(arena->grow_to(size, 100, &why) == device_code::ok);
    stamp_frames<<<1, 128, 0, stream>>>(arena->view(), size, 100, i);
    RUNTIME(cudaGetLastError());
  }
  EXPECT(arena->grow_to(big, 100'000, &why) == device_code::ok);
  stamp_frames<<<800, 128, 0, stream>>>(arena->view(), big, 100'000, big_index);
  wait_for(stream);
  for (unsigned i = 0; i < page_class_count; ++i) {
    EXPECT(holds_stamps(*arena, static_cast<page_class>(i), 100, i));
  }
  EXPECT(free_bytes() + slack < before);
  if (makes_calls_fail) {
    const device_arena_figures figures = arena->figures();
    EXPECT(arena->grow_to(big, 1u << 27, &why) == device_code::out_of_memory);  // 512 GiB
    EXPECT(arena->figures().bytes_held == figures.bytes_held);
    std::printf("refused as it should: %s\n", why.text);
  }
  EXPECT(arena->trim_to(big, 100) > 0);
  EXPECT(holds_stamps(*arena, big, 100, big_index));
  arena.reset();
  EXPECT(free_bytes() + slack >= before);
}

__global__ void pop_one(frame_stack* stack, std::uint32_t count, std::uint32_t* into) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const frame_id got = warp_pop(*stack, i < count);
  if (i < count) into[i] = index_of(got);
}
__global__ void pop_several(frame_stack* stack, std::uint32_t threads, std::uint32_t* into) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const std::uint32_t wanted = i % 5;
  const std::uint32_t got = warp_pop_many(*stack, wanted, into + i, threads);
  for (std::uint32_t n = got; n < wanted; ++n) into[std::size_t{n} * threads + i] = ~0u;
}
__global__ void push_back(frame_stack* stack, const std::uint32_t* from, std::uint32_t count) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const bool has = i < count && from[i] != ~0u;
  warp_push(*stack, has, has ? from[i] : 0);
}
__global__ void settle_stack(frame_stack* stack) { settle(*stack); }

/// How many of `found` are frames, each of which must be below `limit` and there once.
std::uint32_t count_once(const std::vector<std::uint32_t>& found, std::uint32_t limit) {
  std::vector<bool> seen(limit);
  std::uint32_t count = 0;
  for (const std::uint32_t frame : found) {
    if (frame == ~0u) continue;
    EXPECT(frame < limit && !seen[frame]);
    if (frame < limit) seen[frame] = true;
    ++count;
  }
  return count;
}

void stacks_give_each_frame_once(cudaStream_t stream) {
  constexpr std::uint32_t frames = 100'000, threads = 128 * 1024;
  std::vector<std::uint32_t> ids(frames);
  std::iota(ids.begin(), ids.end(), 0u);
  device_array<std::uint32_t> array(frames), popped(std::size_t{threads} * 4);
  device_array<frame_stack> stack(1);
  std::vector<std::uint32_t> found(std::size_t{threads} * 4);
  for (int round = 0; round < 4; ++round) {
    array.put(ids.data(), frames);
    const frame_stack full{array.data(), frames, static_cast<std::int32_t>(frames), 0, 0};
    stack.put(&full, 1);
    RUNTIME(cudaMemsetAsync(popped.data(), 0xff, found.size() * 4, stream));
    const bool several = round % 2 == 1;
    if (several) {
      pop_several<<<threads / 128, 128, 0, stream>>>(stack.data(), threads, popped.data());
    } else {
      pop_one<<<threads / 128, 128, 0, stream>>>(stack.data(), threads - 5, popped.data());
    }
    settle_stack<<<1, 1, 0, stream>>>(stack.data());
    wait_for(stream);
    popped.get(found.data(), found.size());
    EXPECT(count_once(found, frames) == frames);  // more threads asked than there are frames
    frame_stack left{};
    stack.get(&left, 1);
    EXPECT(left.count == 0);
    const auto places = static_cast<std::uint32_t>(found.size());
    push_back<<<places / 128, 128, 0, stream>>>(stack.data(), popped.data(), places);
    wait_for(stream);
    stack.get(&left, 1);
    EXPECT(left.count == static_cast<std::int32_t>(frames) && left.overflowed == 0);
    std::vector<std::uint32_t> again(frames);
    array.get(again.data(), frames);
    EXPECT(count_once(again, frames) == frames);
  }
}

/// Every page a commit gets is stamped by the thread that popped it.
__global__ void take_pages(frame_stack* stacks, frame_view view, std::uint32_t count,
                           std::uint32_t stamp, std::uint32_t* into) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  const frame_id got = warp_pop(stacks[big_index], i < count);
  if (i >= count) return;
  into[i] = index_of(got);
  if (got == no_frame) return;
  *reinterpret_cast<std::uint32_t*>(frame_address(view, big, index_of(got))) = stamp + i;
}

void commits_take_credits_and_no_memory(const physical_memory& memory, cudaStream_t stream) {
  constexpr std::uint32_t most = 3000;
  credit_rig at(memory, big, most);
  device_array<std::uint32_t> taken(most);
  std::vector<std::uint32_t> found(most);
  std::vector<frame_id> live;
  std::uint64_t growths = 0;
  for (std::uint64_t epoch = 1; epoch <= 200; ++epoch) {
    const auto count = epoch == 5 ? most : static_cast<std::uint32_t>(epoch * 7919 % most);
    at.begin(stream);
    take_pages<<<(most + 127) / 128, 128, 0, stream>>>(
        at.stacks->stacks(), at.arena->view(), count, static_cast<std::uint32_t>(epoch) << 16,
        taken.data());
    // What the last commit took is superseded by this one.
    for (const frame_id frame : live) at.pool.retire(big, frame, epoch);
    at.finish(epoch, stream);
    EXPECT(at.pool.collect() == live.size());
    EXPECT(at.credits.held(big) == most - count);
    taken.get(found.data(), count);
    live.clear();
    for (std::uint32_t i = 0; i < count; ++i) live.push_back(frame_id{found[i]});
    EXPECT(std::set<frame_id>(live.begin(), live.end()).size() == count);
    for (std::uint32_t i = 0; i < count; i += 97) {
      std::uint32_t word = 0;
      RUNTIME(cudaMemcpy(&word, at.arena->address(big, live[i]), 4, cudaMemcpyDeviceToHost));
      EXPECT(word == (static_cast<std::uint32_t>(epoch) << 16) + i);
    }
    if (epoch == 20) growths = at.arena->figures().growths;
  }
  EXPECT(at.arena->figures().growths == growths);
  EXPECT(at.pool.is_consistent());
}

/// Takes `nanoseconds` by the device's clock.
__global__ void dawdle(std::uint64_t nanoseconds) {
  std::uint64_t begin = 0, now = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - begin < nanoseconds);
}

void retired_frames_wait_for_the_device(const physical_memory& memory, cudaStream_t stream) {
  auto arena = make_arena(memory, {});
  pinned_memory pinned;
  device_error why;
  REQUIRE(pinned_memory::allocate(4096, &pinned, &why) == device_code::ok);
  auto* const word = ::new (pinned.data()) epoch_word;
  frame_pool pool(*arena, *word);
  for (std::uint64_t epoch = 1; epoch <= 5; ++epoch) {
    const frame_id frame = pool.allocate(big, &why);
    dawdle<<<1, 1, 0, stream>>>(20'000'000);
    RUNTIME(enqueue_finish(nullptr, nullptr, word, epoch, stream));
    pool.retire(big, frame, epoch);
    EXPECT(pool.collect() == 0);  // 20 ms of work lie ahead
    wait_until("an epoch", [&] { return word->finished() >= epoch; });
    EXPECT(pool.collect() == 1);
    EXPECT(pool.allocate(big, &why) == frame);
    pool.deallocate(big, frame);
  }
  wait_for(stream);
}

__global__ void write_pages(device_table_view table, const std::uint32_t* slots,
                            std::uint32_t count, std::uint64_t epoch, std::uint64_t newest_pinned,
                            frame_stack* credits, device_swap_list* swaps, std::uint32_t* old) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  frame_id before = no_frame;
  const frame_id got =
      frame_for_write(table, slots[i], epoch, newest_pinned, *credits, *swaps, &before);
  old[i] = got == no_frame ? ~0u - 1 : index_of(before);
}

void kernels_copy_on_write_as_the_host_would(cudaStream_t stream) {
  constexpr std::uint32_t slots = 50'000;
  device_page_table table;
  device_error why;
  REQUIRE(table.reset(std::vector<page_class>(slots, big), &why) == device_code::ok);
  REQUIRE(table.begin_commit(1, 0, slots, &why) == device_code::ok);
  for (std::uint32_t slot = 0; slot < slots; ++slot) table.place(slot, frame_id{slot * 3 + 1});
  REQUIRE(table.begin_commit(2, 1, slots, &why) == device_code::ok);
  for (std::uint32_t slot = 0; slot < slots; slot += 2) {
    table.replace(slot, frame_id{slot * 3 + 2});
  }
  device_array<std::uint32_t> frames(slots), picked(slots), old(slots), ids(slots);
  device_array<std::uint64_t> births(slots);
  device_array<page_table_update> updates(slots);
  const device_table_view view{frames.data(), births.data()};
  std::vector<page_table_update> packed(slots);
  const std::uint32_t sent = table.pack(packed);
  EXPECT(sent == slots && table.unsent_count() == 0);
  updates.put(packed.data(), sent);
  RUNTIME(enqueue_updates(view, updates.data(), sent, stream));

  // Epoch 4 over a pin at 1: frames of epoch 2 change in place, those of epoch 1 do not.
  REQUIRE(table.begin_commit(4, 1, slots, &why) == device_code::ok);
  std::vector<std::uint32_t> chosen, credit(slots);
  for (std::uint32_t slot = 0; slot < slots; slot += 3) chosen.push_back(slot);
  for (std::uint32_t i = 0; i < slots; ++i) credit[i] = 3 * slots + 5 + i;
  picked.put(chosen.data(), chosen.size());
  ids.put(credit.data(), slots);
  device_array<frame_stack> stack(1);
  const frame_stack full{ids.data(), slots, static_cast<std::int32_t>(slots), 0, 0};
  stack.put(&full, 1);
  device_array<device_swap> swaps(slots);
  device_array<device_swap_list> list(1);
  const device_swap_list empty{swaps.data(), slots, 0};
  list.put(&empty, 1);
  const auto count = static_cast<std::uint32_t>(chosen.size());
  write_pages<<<(count + 127) / 128, 128, 0, stream>>>(view, picked.data(), count, 4, 1,
                                                       stack.data(), list.data(), old.data());
  wait_for(stream);
  device_swap_list made{};
  list.get(&made, 1);
  std::vector<device_swap> found(made.count);
  swaps.get(found.data(), found.size());
  std::uint32_t expected = 0;
  for (const std::uint32_t slot : chosen) expected += !table.is_in_place(slot);
  EXPECT(made.count == expected && expected != 0 && expected != count);
  EXPECT(table.adopt(found, &why) == device_code::ok);
  std::vector<std::uint32_t> frames_now(slots);
  std::vector<std::uint64_t> births_now(slots);
  frames.get(frames_now.data(), slots);
  births.get(births_now.data(), slots);
  std::uint32_t wrong = 0;
  for (std::uint32_t slot = 0; slot < slots; ++slot) {
    wrong += frames_now[slot] != index_of(table.frame(slot));
    wrong += births_now[slot] != table.birth(slot);
  }
  EXPECT(wrong == 0);
  std::vector<std::uint32_t> pinned_view(slots);
  table.view_at(1, pinned_view);
  for (std::uint32_t slot = 0; slot < slots; ++slot) wrong += pinned_view[slot] != slot * 3 + 1;
  EXPECT(wrong == 0);
}

void scratch_stays_within_its_limit(cudaStream_t stream) {
  std::unique_ptr<device_scratch> scratch;
  device_error why;
  device_scratch_options options;
  options.bytes_max = 8 << 20;
  options.keep_bytes = 64 << 20;
  REQUIRE(device_scratch::open(0, options, &scratch, &why) == device_code::ok);
  void *first = nullptr, *second = nullptr, *third = nullptr;
  EXPECT(scratch->take(5 << 20, stream, &first, &why) == device_code::ok);
  EXPECT(scratch->take(3 << 20, stream, &second, &why) == device_code::ok);
  EXPECT(scratch->take(1, stream, &third, &why) == device_code::out_of_memory);
  RUNTIME(cudaMemsetAsync(first, 1, 5 << 20, stream));
  RUNTIME(cudaMemsetAsync(second, 2, 3 << 20, stream));
  EXPECT(scratch->give(first, 5 << 20, stream, &why) == device_code::ok);
  EXPECT(scratch->take(1, stream, &third, &why) == device_code::ok);
  EXPECT(scratch->give(third, 1, stream, &why) == device_code::ok);
  EXPECT(scratch->give(second, 3 << 20, stream, &why) == device_code::ok);
  wait_for(stream);
  EXPECT(scratch->bytes_in_use() == 0);
  const std::uint64_t held = scratch->bytes_held();
  EXPECT(held >= (8u << 20));
  for (int i = 0; i < 1000; ++i) {
    EXPECT(scratch->take(4 << 20, stream, &first, &why) == device_code::ok);
    EXPECT(scratch->give(first, 4 << 20, stream, &why) == device_code::ok);
  }
  wait_for(stream);
  EXPECT(scratch->bytes_held() == held);
  // The driver trims what it knows to be free: what it was told by a wait of its own.
  RUNTIME(cudaStreamSynchronize(stream));
  scratch->trim_to(0);
  EXPECT(scratch->bytes_held() < held);
}

void the_device_writes_pinned_and_registered_memory(cudaStream_t stream) {
  device_error why;
  pinned_memory pinned;
  REQUIRE(pinned_memory::allocate(1 << 20, &pinned, &why) == device_code::ok);
  std::vector<std::byte> own(3 << 20);
  registered_range range;
  REQUIRE(registered_range::pin(own.data(), own.size(), &range, &why) == device_code::ok);
  registered_range again;
  EXPECT(!makes_calls_fail ||
         registered_range::pin(own.data(), own.size(), &again, &why) == device_code::invalid);
  RUNTIME(cudaMemsetAsync(pinned.data(), 0x5a, pinned.size(), stream));
  RUNTIME(cudaMemcpyAsync(own.data(), pinned.data(), pinned.size(), cudaMemcpyDefault, stream));
  wait_for(stream);
  EXPECT(pinned.data()[12345] == std::byte{0x5a});
  EXPECT(own[54321] == std::byte{0x5a} && own[2 << 20] == std::byte{0});
}

__global__ void write_word(frame_view view, page_class size, std::uint32_t frame,
                           std::int64_t offset) {
  *reinterpret_cast<std::uint32_t*>(frame_address(view, size, frame) + offset) ^= 1;
}

void a_checked_arena_names_an_overrun(const physical_memory& memory, cudaStream_t stream) {
  device_arena_options options;
  options.mode = arena_mode::checked;
  auto arena = make_arena(memory, options);
  device_error why;
  EXPECT(arena->grow_to(page_class::b512, 20, &why) == device_code::ok);
  RUNTIME(enqueue_zeros(arena->view(), page_class::b512, 0, 20, stream));
  wait_for(stream);
  EXPECT(arena->check_all(nullptr, &why) == device_code::ok);
  for (const std::int64_t offset : {std::int64_t{-256}, std::int64_t{512}, std::int64_t{764}}) {
    write_word<<<1, 1, 0, stream>>>(arena->view(), page_class::b512, 13, offset);
    wait_for(stream);
    zone_damage found{};
    EXPECT(arena->check_all(&found, &why) == device_code::invalid);
    EXPECT(found.size == page_class::b512 && found.frame == 13 && found.offset == offset);
    write_word<<<1, 1, 0, stream>>>(arena->view(), page_class::b512, 13, offset);
    wait_for(stream);
    EXPECT(arena->check_all(nullptr, &why) == device_code::ok);
  }
}

void a_hosts_allocator_serves(const physical_memory& below, cudaStream_t stream) {
  static std::uint64_t bytes_out = 0;
  device_memory_hook hook;
  hook.allocate = [](void*, std::uint64_t bytes) noexcept -> void* {
    void* made = nullptr;
    if (cudaMalloc(&made, bytes) != cudaSuccess) return nullptr;
    bytes_out += bytes;
    return made;
  };
  hook.deallocate = [](void*, void* block, std::uint64_t bytes) noexcept {
    bytes_out -= bytes;
    static_cast<void>(cudaFree(block));
  };
  hooked_memory hooked(hook, below);
  device_arena_options options;
  options.range_bytes = 32 << 20;
  auto arena = make_arena(hooked.memory(), options);
  device_error why;
  EXPECT(arena->grow_to(big, 300, &why) == device_code::ok);
  EXPECT(bytes_out == (32u << 20));
  EXPECT(arena->grow_to(big, 9000, &why) == device_code::out_of_memory);
  stamp_frames<<<3, 128, 0, stream>>>(arena->view(), big, 300, 9);
  wait_for(stream);
  EXPECT(holds_stamps(*arena, big, 300, 9));
  arena.reset();
  EXPECT(bytes_out == 0);
}

}  // namespace
}  // namespace gpu_test

int main(int count, char** words) {
  using namespace gpu_test;
  makes_calls_fail = count < 2 || std::strcmp(words[1], "--no-refusals") != 0;
  need_device();
  const auto memory = open_memory();
  const cudaStream_t stream = make_stream();
  for (const void* const kernel : memory_kernels()) {
    cudaFuncAttributes found{};
    RUNTIME(cudaFuncGetAttributes(&found, kernel));
  }
  grows_trims_and_refuses(memory->memory(), stream);
  stacks_give_each_frame_once(stream);
  commits_take_credits_and_no_memory(memory->memory(), stream);
  retired_frames_wait_for_the_device(memory->memory(), stream);
  kernels_copy_on_write_as_the_host_would(stream);
  scratch_stays_within_its_limit(stream);
  the_device_writes_pinned_and_registered_memory(stream);
  a_checked_arena_names_an_overrun(memory->memory(), stream);
  a_hosts_allocator_serves(memory->memory(), stream);
  RUNTIME(cudaStreamDestroy(stream));
  return verdict("device memory");
}
