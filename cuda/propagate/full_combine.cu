#include "cuda/propagate/full_combine.hpp"

#include "cuda/propagate/bodies.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr unsigned fan_in_of_four = 4;

template <class S, class T>
__global__ void __launch_bounds__(full_threads)
    run_full(const run_view view, const full_batch batch) {
  const device_plan& plan = view.plan;
  const run_state& state = view.state;
  const device_batch& known = plan.batches[batch.batch];
  if (static_cast<level_pull>(state.pulled[known.level]) != level_pull::full) return;
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    flag_level(plan, state, known.level, level_pull::full);
  }
  const unsigned shift = state.pages.frame_shift(batch.page);
  std::byte* const base = state.pages.base[static_cast<unsigned>(batch.page)];
  const std::uint32_t* const frames = state.pages.frames;
  const std::uint64_t lines = (batch.length * sizeof(T) + line_size - 1) / line_size;
  const std::uint32_t thread = blockIdx.x * full_threads + threadIdx.x;
  const std::uint32_t item = thread >> batch.lanes_shift;
  const std::uint32_t lane = thread & ((1u << batch.lanes_shift) - 1);
  const std::uint32_t slice = item / batch.count;
  const std::uint32_t at = item - slice * batch.count;
  const std::uint32_t quad_of_page = (slice << batch.lanes_shift) + lane;
  if (lane == 0 && slice == 0) {
    state.changed[batch.slot + at] = first_lines(static_cast<unsigned>(lines));
    if (state.todo[batch.slot + at] != 0) state.todo[batch.slot + at] = 0;
  }
  if (quad_of_page >= lines * line_lanes_of_unit) return;
  const uint4 slots = __ldg(reinterpret_cast<const uint4*>(plan.operands + batch.operands) + at);
  const std::size_t place = std::size_t{quad_of_page} * quad_size;
  const auto load = [&](std::uint32_t slot) {
    return as_elements<T>(*reinterpret_cast<const quad*>(
        base + (static_cast<std::size_t>(__ldg(frames + slot)) << shift) + place));
  };
  const elements_of<T> a = load(slots.x), b = load(slots.y), c = load(slots.z), d = load(slots.w);
  elements_of<T> sum;
  for (unsigned i = 0; i < elements_of<T>::count; ++i) {
    sum.at[i] = S::plus(S::plus(S::plus(a.at[i], b.at[i]), c.at[i]), d.at[i]);
  }
  const std::uint64_t first = std::uint64_t{quad_of_page} * elements_of<T>::count;
  quad* const to = reinterpret_cast<quad*>(
      base + (static_cast<std::size_t>(__ldg(frames + batch.slot + at)) << shift) + place);
  store_streaming(to, settled<T>(sum, first, batch.length));
}

}  // namespace

std::optional<full_batch> find_full_batch(const device_plan& plan, std::uint32_t index,
                                          std::uint64_t cache_bytes) {
  const device_batch& batch = plan.batches[index];
  if (batch.kind != operator_kind::combine || !batch.uniform || batch.weighted ||
      batch.fan_in != fan_in_of_four || lines_in(batch.page) < full_lines) {
    return std::nullopt;
  }
  const std::uint32_t first = plan.batch_slots[batch.begin];
  const std::uint32_t node = plan.slots[first].producer - plan.header->source_count;
  const plan_node& known = plan.nodes[node];
  const unsigned lines_shift =
      std::uint64_t{batch.count} * full_lines * line_size > cache_bytes ? 1 : 2;
  const unsigned lanes_shift = lines_shift + 2;
  const std::uint64_t threads = std::uint64_t{batch.count}
                                << (lanes_shift + static_cast<unsigned>(batch.page) - lines_shift);
  const full_batch made{index,
                        first,
                        batch.count,
                        known.operand_begin,
                        plan.operations[known.operation].length,
                        batch.page,
                        lanes_shift,
                        static_cast<std::uint32_t>((threads + full_threads - 1) / full_threads)};
  if (threads >> 32 != 0) return std::nullopt;
  if (made.operands % fan_in_of_four != 0) return std::nullopt;
  for (std::uint32_t i = 0; i < batch.count; ++i) {
    const plan_node& each = plan.nodes[node + i];
    const plan_operation& op = plan.operations[each.operation];
    if (plan.batch_slots[batch.begin + i] != first + i || each.slot != first + i ||
        op.page_count != 1 || op.length != made.length ||
        each.operand_begin != made.operands + i * fan_in_of_four) {
      return std::nullopt;
    }
  }
  return made;
}

full_kernel full_kernel_of(semiring_id ring, dtype type) {
  full_kernel found = nullptr;
  visit_dtype(type, [&]<class T>(std::type_identity<T>) {
    visit_ring<T>(ring, [&]<class S>() { found = &run_full<S, T>; });
  });
  return found;
}

}  // namespace sheaf::inline v0
