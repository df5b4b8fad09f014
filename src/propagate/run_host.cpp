#include <algorithm>
#include <cstring>
#include <exception>
#include <new>
#include <span>

#include <sheaf/propagate/operator_scope.hpp>

#include "propagate/operators/host.hpp"
#include "propagate/page_runner.hpp"

namespace sheaf::inline v0 {

namespace {
thread_local unsigned operators_running = 0;

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
operator_scope::operator_scope() noexcept { ++operators_running; }
operator_scope::~operator_scope() { --operators_running; }

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

status page_runner::call_host(const plan_node& node, const plan_operation& op,
                              const std::byte*& data) {
  const std::string name = name_of_result(node);
  try {
    gather_host_operands(node, op);
  } catch (const std::bad_alloc&) {
    return make_status(status_code::out_of_memory, subsystem::propagate,
                       "no memory for the operands of a host function", "array '%s'", name.c_str());
  }
  data = host_result_;
  host_call call(name, host_operands_, {host_result_, op.length, op.type});
  return call_guarded(plan_.model->hosts[plan_.graph->hosts[op.payload]], call, name);
}

namespace {

status run_host(page_runner& runner, const plan_node& node, const plan_operation& op,
                std::unique_ptr<operator_memory>&, whole_result& out) {
  return runner.call_host(node, op, out.data);
}

}  // namespace

constinit const operator_rules host_rules = {.pushed_only = true,
                                             .by_element = false,
                                             .push = push_whole,
                                             .pull = nullptr,
                                             .run = nullptr,
                                             .resolve = nullptr,
                                             .run_whole = run_host};

}  // namespace sheaf::inline v0
