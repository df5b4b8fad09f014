#include "propagate/operators/cast.hpp"

#include <algorithm>

#include "propagate/bodies/cast.hpp"
#include "propagate/operators/elements.hpp"

namespace sheaf::inline v0 {

namespace scalar {
extern const cast_table casts;
}
#if defined(SHEAF_HAS_AVX2)
namespace avx2 {
extern const cast_table casts;
}
#endif
#if defined(SHEAF_HAS_AVX512)
namespace avx512 {
extern const cast_table casts;
}
#endif

const cast_table& casts_of(isa set) noexcept {
  switch (set) {
#if defined(SHEAF_HAS_AVX2)
    case isa::avx2: return avx2::casts;
#endif
#if defined(SHEAF_HAS_AVX512)
    case isa::avx512: return avx512::casts;
#endif
    default: return scalar::casts;
  }
}

namespace {

void push_cast(dirty_map& map, const plan_node& node, const plan_operation& op, std::uint32_t,
               std::uint32_t page, line_mask changed) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  for_each_line(changed, [&](unsigned line) {
    const std::uint64_t number = line_number(operand.page, page, line);
    mark_elements(map, node, op, elements_of_line(number, operand.type, op.length));
  });
}

line_mask pull_cast(const dirty_map& map, const plan_node& node, const plan_operation& op,
                    std::uint32_t page) noexcept {
  const plan_operand& operand = map.operand(node, 0);
  line_mask mask = 0;
  for (unsigned line = 0; line < lines_of(op.page); ++line) {
    const std::uint64_t number = line_number(op.page, page, line);
    if (is_any_changed(map, operand, elements_of_line(number, op.type, op.length))) {
      mask |= line_mask{1} << line;
    }
  }
  return mask;
}

line_mask run_cast(page_runner& runner, const plan_node& node, const plan_operation& op,
                   std::uint32_t page, const line_task& task) noexcept {
  const resolved_operation& body = runner.resolved(node);
  const auto cast = reinterpret_cast<cast_body>(body.bodies[0]);
  const plan_operand& operand = runner.operand(node, 0);
  for_each_line(task.mask, [&](unsigned line) {
    const element_range all =
        elements_of_line(line_number(op.page, page, line), op.type, op.length);
    std::byte* to = runner.computed() + line * line_size;
    for (std::uint64_t at = all.first; at < all.last;) {
      const std::uint64_t count = std::min(left_in_page(operand, at), all.last - at);
      cast(to, element_at_index(runner, operand, at), static_cast<std::uint32_t>(count));
      to += count << size_shift(op.type);
      at += count;
    }
  });
  return body.settle(task, runner.computed());
}

status resolve_cast(const plan&, const plan_operation& op, const kernel_table& kernels,
                    resolved_operation& out) {
  const cast_body found = casts_of(kernels.set).cast[op.payload][static_cast<unsigned>(op.type)];
  SHEAF_ASSERT(found != nullptr, "plan-operation-has-a-body");
  out.bodies[0] = reinterpret_cast<void (*)()>(found);
  return {};
}

}  // namespace

constinit const operator_rules cast_rules = {false,     false,    push_cast,
                                             pull_cast, run_cast, resolve_cast};

}  // namespace sheaf::inline v0
