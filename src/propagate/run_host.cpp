#include <cstring>
#include <exception>
#include <new>
#include <span>

#include <sheaf/propagate/operator_scope.hpp>

#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

namespace {
thread_local unsigned operators_running = 0;

struct operator_scope {
  operator_scope() noexcept { ++operators_running; }
  ~operator_scope() { --operators_running; }
  operator_scope(const operator_scope&) = delete;
  operator_scope& operator=(const operator_scope&) = delete;
};

status call_guarded(const host_function& function, host_call& call,
                    const std::string& name) noexcept {
  const operator_scope scope;
  const auto threw = [&](const char* words) {
    return make_status(status_code::operator_failed, subsystem::propagate,
                       "a host function threw an exception", "array '%s': %s", name.c_str(), words);
  };
  try {
    const status said = function(call);
    if (!call.mistake().is_ok()) return call.mistake();
    if (said.is_ok()) return said;
    const std::string words = said.message();
    return make_status(status_code::operator_failed, subsystem::propagate,
                       "a host function failed", "array '%s': %s", name.c_str(), words.c_str());
  } catch (const std::exception& thrown) {
    return threw(thrown.what());
  } catch (...) {
    return threw("not a std::exception");
  }
}

}  // namespace

bool is_inside_operator() noexcept { return operators_running != 0; }

/// Fills `host_operands_` and `host_result_` (padded to whole pages) for `node`.
void page_runner::gather_host_operands(const plan_node& node, const plan_operation& op) {
  const plan& graph = *plan_.graph;
  const std::uint32_t* entries = graph.operands.data() + node.operand_begin;
  host_operands_.clear();
  if (host_buffers_.size() < op.operand_count + 1) host_buffers_.resize(op.operand_count + 1);
  for (std::uint32_t i = 0; i < op.operand_count; ++i) {
    const plan_operand& operand = graph.operand_details[entries[i]];
    const std::uint64_t length = graph.length_of(operand.producer);
    const std::uint64_t bytes = length << size_shift(operand.type);
    const std::size_t page_bytes = bytes_of(operand.page);
    const std::byte* data = address(operand.slot, operand.page);
    if (bytes > page_bytes) {
      std::vector<line_storage>& buffer = host_buffers_[i + 1];
      buffer.resize((bytes + line_size - 1) / line_size);
      auto* to = reinterpret_cast<std::byte*>(buffer.data());
      for (std::uint64_t at = 0; at < bytes; at += page_bytes) {
        const auto page = static_cast<std::uint32_t>(at / page_bytes);
        std::memcpy(to + at, address(operand.slot + page, operand.page),
                    std::min<std::uint64_t>(page_bytes, bytes - at));
      }
      data = to;
    }
    host_operands_.push_back({data, length, operand.type});
  }
  host_buffers_[0].resize(std::size_t{op.page_count} * lines_of(op.page));
  host_result_ = reinterpret_cast<std::byte*>(host_buffers_[0].data());
  for (std::uint32_t page = 0; page < op.page_count; ++page) {
    std::memcpy(host_result_ + page * bytes_of(op.page), address(node.slot + page, op.page),
                bytes_of(op.page));
  }
}

status page_runner::call_host(const plan_node& node, const plan_operation& op) {
  const std::uint32_t array =
      plan_.array_of_producer[plan_.graph->source_count() + plan_.node_index(node)];
  const std::string name = plan_.model->name_of(array_id{array});
  try {
    gather_host_operands(node, op);
  } catch (const std::bad_alloc&) {
    return make_status(status_code::out_of_memory, subsystem::propagate,
                       "no memory for the operands of a host function", "array '%s'", name.c_str());
  }
  host_call call(name, host_operands_, {host_result_, op.length, op.type});
  return call_guarded(plan_.model->hosts[plan_.graph->hosts[op.payload]], call, name);
}

line_task page_runner::settle_task(const plan_node& node, const plan_operation& op,
                                   std::uint32_t page) const noexcept {
  const resolved_operation& body = plan_.operations[node.operation];
  std::byte* const current = address(node.slot + page, op.page);
  const bool is_last = page + 1 == op.page_count;
  return {current, current, plan_.lines_of_page(op, page), is_last ? body.tail_line : 64,
          is_last ? body.tail_elements : 0};
}

status page_runner::run_host(const plan_node& node, const plan_operation& op, line_mask* changed) {
  SHEAF_TRY(call_host(node, op));
  const resolved_operation& body = plan_.operations[node.operation];
  counters_.pages_recomputed += op.page_count;
  for (std::uint32_t page = 0; page < op.page_count; ++page) {
    line_task task = settle_task(node, op, page);
    const std::byte* computed = host_result_ + page * bytes_of(op.page);
    const std::uint32_t slot = node.slot + page;
    const bool changes_in_place = in_place(slot, op.page);
    if (!changes_in_place) task.out = page_scratch_;
    changed[page] = body.settle(task, computed);
    if (!changes_in_place && changed[page] != 0 && !rehearsing_ &&
        !write_aside(slot, op.page, changed[page], page_scratch_)) {
      changed[page] = 0;
    }
    if (std::uint64_t* tracked = tracked_page(node, op, page); tracked != nullptr) {
      for_each_line(changed[page], [&](unsigned line) { tracked[line] = ~std::uint64_t{0}; });
    }
    count(op, task.mask, changed[page]);
  }
  return {};
}

status page_runner::compare_host(const plan_node& node, const plan_operation& op,
                                 line_mask* differ) {
  SHEAF_TRY(call_host(node, op));
  const resolved_operation& body = plan_.operations[node.operation];
  for (std::uint32_t page = 0; page < op.page_count; ++page) {
    line_task task = settle_task(node, op, page);
    task.out = page_scratch_;
    differ[page] = body.settle(task, host_result_ + page * bytes_of(op.page));
  }
  return {};
}

}  // namespace sheaf::inline v0
