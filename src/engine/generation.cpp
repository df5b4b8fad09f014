#include "engine/generation.hpp"

#include <algorithm>

#include "engine/fork_workspace.hpp"

namespace sheaf::inline v0 {

generation::generation() = default;
generation::~generation() = default;

result<std::shared_ptr<generation>> generation::create(std::shared_ptr<const plan> graph,
                                                       std::shared_ptr<const model_data> declared,
                                                       frame_store& frames,
                                                       const executor_options& options) {
  auto made = std::make_shared<generation>();
  made->graph = std::move(graph);
  made->declared = std::move(declared);
  made->table = frames.frames();
  auto runner = executor::create(made->graph, made->declared, frames, options);
  if (!runner) return runner.error();
  made->runner = std::move(*runner);
  made->resolved = made->runner->plan_in_use();
  std::uint32_t words = 0;
  for (const plan_source& source : made->graph->sources) {
    made->touched_begin.push_back(words);
    words += (source.page_count + 63) / 64;
  }
  made->forks = std::make_unique<fork_workspaces>(made->runner->seed_of_branches(), words);
  made->touched_bits = std::make_unique<std::uint64_t[]>(std::max(words, 1u));
  return made;
}

std::string generation::name_of(const array_handle& target) const {
  return declared->name_to_show(target);
}

status generation::check(const array_handle& target, dtype type) const noexcept {
  return check_handle(*declared, target, type);
}

status check_handle(const model_data& declared, const array_handle& target, dtype type) noexcept {
  if (target.model_tag == 0) {
    return status(status_code::unknown_array, subsystem::engine, "the handle names no array");
  }
  if (index_of(target.id) >= declared.array_count()) {
    const bool same = target.model_tag == declared.tag;
    return make_status(same ? status_code::unknown_array : status_code::foreign_handle,
                       subsystem::engine,
                       same ? "the array was declared after this engine was opened"
                            : "the array is not in this graph: declared later, or of another model",
                       "array %u of model %u, the graph has %u", index_of(target.id),
                       target.model_tag, declared.array_count());
  }
  const std::uint32_t tag = declared.tag_of(index_of(target.id));
  if (target.model_tag != tag) {
    return make_status(status_code::foreign_handle, subsystem::engine,
                       "the array belongs to another model than this engine",
                       "array %u of model %u, the engine has model %u", index_of(target.id),
                       target.model_tag, tag);
  }
  const array_record& record = declared.record(target.id);
  if (record.kind == array_kind::dropped) {
    return make_status(status_code::unknown_array, subsystem::engine, "the array was dropped",
                       "'%s'", declared.name_of(target.id).c_str());
  }
  if (record.type != type) {
    return make_status(status_code::type_mismatch, subsystem::engine,
                       "the array has another element type", "'%s' holds %s, not %s",
                       declared.name_of(target.id).c_str(),
                       std::string(sheaf::name_of(record.type)).c_str(),
                       std::string(sheaf::name_of(type)).c_str());
  }
  return {};
}

result<const plan_source*> generation::source_of(const array_handle& target,
                                                 dtype type) const noexcept {
  if (declared->owns(target)) {
    const std::uint32_t producer = graph->producer_of_array[index_of(target.id)];
    if (graph->is_source(producer) && graph->sources[producer].type == type &&
        graph->sources[producer].delayed == no_index) {
      return &graph->sources[producer];
    }
  }
  SHEAF_TRY(check(target, type));
  return make_status(status_code::not_a_source, subsystem::engine,
                     "only source arrays can be written", "'%s' is derived",
                     name_of(target).c_str());
}

}  // namespace sheaf::inline v0
