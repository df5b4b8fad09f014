#include "cuda/propagate/plan_runner.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cuda/propagate/marks.hpp"
#include "cuda/propagate/stage_kernels.hpp"
#include "cuda/propagate/stage_records.hpp"
#include "cuda/propagate/unit.hpp"

namespace sheaf::inline v0 {

namespace {

constexpr unsigned block_threads = 256;
constexpr unsigned blocks_per_multiprocessor = 4;
/// Where in the parameters of graphs the host_slot_range of a stage lies.
constexpr std::size_t host_range_at = 2;
constexpr unsigned full_blocks_per_multiprocessor = 8;

unsigned blocks_for(std::uint64_t threads, unsigned most) {
  const std::uint64_t blocks = (threads + block_threads - 1) / block_threads;
  return static_cast<unsigned>(std::clamp<std::uint64_t>(blocks, 1, most));
}

/// Marks what changed sources reach, a warp for 32 of them; or, where most changed, says that their
/// readers look for themselves.
__global__ void __launch_bounds__(block_threads)
    push_sources(const run_view view, std::uint32_t count, const std::uint32_t* pulls) {
  if (const auto how = static_cast<level_pull>(*pulls); how != level_pull::marked) {
    if (blockIdx.x == 0 && threadIdx.x == 0) flag_level(view.plan, view.state, 0, how);
    return;
  }
  const unsigned lane = threadIdx.x % unit_lanes;
  const std::uint32_t step = gridDim.x * block_threads;
  std::uint32_t first = blockIdx.x * block_threads + threadIdx.x - lane;
  for (; first < count; first += step) {
    const line_mask mine = first + lane < count ? view.state.changed[first + lane] : 0;
    for (std::uint32_t left = __ballot_sync(~0u, mine != 0); left != 0; left &= left - 1) {
      const int from = __ffs(static_cast<int>(left)) - 1;
      const line_mask lines = __shfl_sync(~0u, mine, from);
      push(view.plan, view.state, first + static_cast<std::uint32_t>(from), lines, lane,
           unit_lanes);
    }
  }
}

/// Makes lists and flags as they are between commits.
__global__ void reset_marks(const run_view view, std::uint32_t source_slots) {
  const std::uint32_t at = blockIdx.x * blockDim.x + threadIdx.x;
  const std::uint32_t step = gridDim.x * blockDim.x;
  for (std::uint32_t i = at; i < source_slots; i += step) view.state.changed[i] = 0;
  for (std::uint32_t i = at; i < view.plan.header->batch_count; i += step) {
    view.state.count[i] = 0;
  }
  for (std::uint32_t i = at; i < view.plan.header->level_count; i += step) {
    view.state.pulled[i] = 0;
  }
}

/// Adds what is allocated while it lives to the figures.
class counted_allocations {
 public:
  counted_allocations(const plan_memory& memory, device_figures& into) noexcept
      : memory_(memory), into_(into), before_(memory.allocation_count()) {}
  ~counted_allocations() { into_.allocations_on_commit += memory_.allocation_count() - before_; }
  counted_allocations(const counted_allocations&) = delete;
  counted_allocations& operator=(const counted_allocations&) = delete;

 private:
  const plan_memory& memory_;
  device_figures& into_;
  const std::uint64_t before_;
};

}  // namespace

std::unique_ptr<device_runner> make_device_runner(device_context& device, device_error*) {
  return std::make_unique<plan_runner>(device);
}

plan_runner::~plan_runner() {
  drop_graph();
  delete collector_;
  delete records_;
  if (params_ != nullptr) static_cast<void>(cudaFreeHost(params_));
  if (begun_ != nullptr) static_cast<void>(cudaEventDestroy(begun_));
  if (ended_ != nullptr) static_cast<void>(cudaEventDestroy(ended_));
}

void plan_runner::drop_graph() noexcept {
  graphs_.push_back(std::exchange(full_graph_, nullptr));
  for (cudaGraphExec_t graph : graphs_) {
    if (graph != nullptr) static_cast<void>(cudaGraphExecDestroy(graph));
  }
  graphs_.clear();
}

device_code plan_runner::load_plan(std::span<const device_section> sections, device_error* why) {
  if (sections.size() != plan_section_count) {
    return tell(why, device_code::invalid, "a plan of %zu sections, %u are known", sections.size(),
                plan_section_count);
  }
  drop_graph();
  device_error said;
  const device_code code = load(sections, &said);
  if (code == device_code::ok) return code;
  if (code == device_code::lost) return lose(device_, why, "%s", said.text);
  if (why != nullptr) *why = said;
  drop_graph();
  small_.give_back();
  memory_.give_back();
  return code;
}

device_code plan_runner::load(std::span<const device_section> sections, device_error* why) {
  if (const device_code code = memory_.open(why); code != device_code::ok) return code;
  if (const device_code code = open_ports(why); code != device_code::ok) return code;
  if (const device_code code = memory_.take_sections(sections, why); code != device_code::ok) {
    return code;
  }
  next_stage_ = 0;
  source_slots_ = memory_.source_slots();
  if (const device_code code = find_kernels(why); code != device_code::ok) return code;
  if (const device_code code = find_columns_of_plan(why); code != device_code::ok) return code;
  if (const device_code code = memory_.load(why); code != device_code::ok) return code;
  if (const device_code code = small_.load(memory_, why); code != device_code::ok) return code;
  return capture_all(why);
}

device_code plan_runner::capture_all(device_error* why) {
  graphs_.assign(host_plan_.header->stage_count, nullptr);
  for (std::uint32_t stage = 0; stage < graphs_.size(); ++stage) {
    const device_code code = capture(stage, false, &graphs_[stage], why);
    if (code != device_code::ok) return code;
  }
  return capture(0, true, &full_graph_, why);
}

device_code plan_runner::open_ports(device_error* why) noexcept {
  if (params_ == nullptr) {
    SHEAF_CUDA_TRY(device_, why, cudaMallocHost(&params_, 256));
    *params_ = 0;
  }
  if (device_.settings.is_timed && begun_ == nullptr) {
    SHEAF_CUDA_TRY(device_, why, cudaEventCreate(&begun_));
    SHEAF_CUDA_TRY(device_, why, cudaEventCreate(&ended_));
  }
  const double deadline = device_.settings.deadline_seconds;
  if (records_ == nullptr) {
    const record_stream_settings settings{device_.settings.ring_bytes, deadline,
                                          memory_.blocks()};
    if (const device_code code = record_stream::open(settings, &records_, why);
        code != device_code::ok) {
      return code;
    }
  }
  if (collector_ != nullptr) return device_code::ok;
  return collector::open(device_.settings.ring_bytes, deadline, &collector_, why,
                         memory_.blocks());
}

device_code plan_runner::find_kernels(device_error* why) noexcept {
  int processors = 0;
  SHEAF_CUDA_TRY(device_, why,
                 cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount,
                                        static_cast<int>(device_.settings.index)));
  int cache = 0;
  SHEAF_CUDA_TRY(device_, why,
                 cudaDeviceGetAttribute(&cache, cudaDevAttrL2CacheSize,
                                        static_cast<int>(device_.settings.index)));
  const unsigned most = static_cast<unsigned>(processors) * blocks_per_multiprocessor;
  launches_.clear();
  for (std::uint32_t i = 0; i < host_plan_.header->batch_count; ++i) {
    const device_batch& batch = host_plan_.batches[i];
    const batch_kernel kernel = kernel_of(batch.kind, batch.semiring, batch.type);
    if (kernel == nullptr) {
      return tell(why, device_code::unsupported, "no kernel for operator kind %u",
                  static_cast<unsigned>(batch.kind));
    }
    const std::uint64_t threads = unit_count(batch.page, batch.count) * unit_lanes;
    const unsigned most_of_full =
        static_cast<unsigned>(processors) * full_blocks_per_multiprocessor;
    launches_.push_back({kernel, i, blocks_for(threads, most), blocks_for(threads, most_of_full),
                         find_full_batch(host_plan_, i, static_cast<std::uint64_t>(cache) / 5 * 2),
                         full_kernel_of(batch.semiring, batch.type)});
  }
  std::vector<const void*> kernels{reinterpret_cast<const void*>(&push_sources),
                                   reinterpret_cast<const void*>(&reset_marks)};
  if (host_plan_.header->stage_count != 1) {
    for (const void* const kernel : stage_kernels()) kernels.push_back(kernel);
  }
  for (const launch& each : launches_) {
    kernels.push_back(reinterpret_cast<const void*>(each.kernel));
  }
  return load_kernels(device_, kernels, why);
}

device_code plan_runner::find_columns_of_plan(device_error* why) noexcept {
  int shared = 0;
  SHEAF_CUDA_TRY(device_, why,
                 cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                        static_cast<int>(device_.settings.index)));
  columns_ = find_columns(host_plan_, static_cast<std::uint32_t>(shared));
  if (!columns_) return device_code::ok;
  column_kernel_ = column_kernel_of(host_plan_.batches[0].semiring, host_plan_.batches[0].type);
  const void* const kernel = reinterpret_cast<const void*>(column_kernel_);
  SHEAF_CUDA_TRY(device_, why,
                 cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(column_shared_bytes(*columns_))));
  return load_kernels(device_, {&kernel, 1}, why);
}

cudaError_t plan_runner::launch_columns() noexcept {
  const unsigned blocks = static_cast<unsigned>(bytes_of(columns_->page) / column_bytes);
  column_kernel_<<<blocks, column_threads, column_shared_bytes(*columns_), device_.stream>>>(
      view_, *columns_);
  return cudaGetLastError();
}

run_way plan_runner::choose(level_pull after_sources) const noexcept {
  if (columns_ && after_sources == level_pull::full) return run_way::column;
  return device_.settings.executor == device_executor::stream ? run_way::stream : run_way::graph;
}

cudaError_t plan_runner::launch_levels(std::uint32_t stage, bool is_full) noexcept {
  const device_stage& known = host_plan_.stages[stage];
  if (stage == 0) {
    push_sources<<<blocks_for(source_slots_, 1024), block_threads, 0, device_.stream>>>(
        view_, source_slots_, params_);
  } else {
    const cudaError_t launched = launch_mark_host_run(
        view_, reinterpret_cast<const host_slot_range*>(params_ + host_range_at),
        host_plan_.stages[stage - 1].host_end, device_.stream);
    if (launched != cudaSuccess) return launched;
  }
  for (std::uint32_t i = known.batch_begin; i < known.batch_end; ++i) {
    const launch& each = launches_[i];
    if (is_full && each.full) {
      each.kernel_of_full<<<each.full->blocks, full_threads, 0, device_.stream>>>(view_,
                                                                                  *each.full);
      continue;
    }
    const unsigned blocks = is_full ? each.full_blocks : each.blocks;
    each.kernel<<<blocks, block_threads, 0, device_.stream>>>(view_, each.batch);
  }
  return cudaGetLastError();
}
cudaError_t plan_runner::launch_reset() noexcept {
  const std::uint32_t longest = std::max(source_slots_, host_plan_.header->batch_count);
  reset_marks<<<blocks_for(longest, 1024), block_threads, 0, device_.stream>>>(view_,
                                                                               source_slots_);
  return cudaGetLastError();
}

device_code plan_runner::capture(std::uint32_t stage, bool is_full, cudaGraphExec_t* into,
                                 device_error* why) noexcept {
  cudaGraph_t graph = nullptr;
  SHEAF_CUDA_TRY(device_, why,
                 cudaStreamBeginCapture(device_.stream, cudaStreamCaptureModeThreadLocal));
  const cudaError_t launched = launch_levels(stage, is_full);
  SHEAF_CUDA_TRY(device_, why, cudaStreamEndCapture(device_.stream, &graph));
  SHEAF_CUDA_TRY(device_, why, launched);
  const cudaError_t made = cudaGraphInstantiate(into, graph, 0);
  static_cast<void>(cudaGraphDestroy(graph));
  SHEAF_CUDA_TRY(device_, why, made);
  SHEAF_CUDA_TRY(device_, why, cudaGraphUpload(*into, device_.stream));
  ++figures_.graph_captures;
  return wait(device_, "a graph", why);
}

device_code plan_runner::run_levels(std::uint32_t stage, run_way way, device_error* why) noexcept {
  const bool is_full = stage == 0 && static_cast<level_pull>(*params_) == level_pull::full;
  switch (way) {
    case run_way::column:
      SHEAF_CUDA_TRY(device_, why, launch_columns());
      ++figures_.launches;
      return device_code::ok;
    case run_way::graph:
      SHEAF_CUDA_TRY(device_, why,
                     cudaGraphLaunch(is_full ? full_graph_ : graphs_[stage], device_.stream));
      ++figures_.launches;
      return device_code::ok;
    case run_way::stream: break;
  }
  SHEAF_CUDA_TRY(device_, why, launch_levels(stage, is_full));
  const device_stage& known = host_plan_.stages[stage];
  figures_.launches += known.batch_end - known.batch_begin + 1;
  return device_code::ok;
}

device_code plan_runner::forget_changes(device_error* why) noexcept {
  SHEAF_CUDA_TRY(
      device_, why,
      cudaMemsetAsync(view_.state.changed, 0, host_plan_.header->slot_count * sizeof(line_mask),
                      device_.stream));
  SHEAF_CUDA_TRY(device_, why, launch_reset());
  return device_code::ok;
}

device_code plan_runner::forget_marks(device_error* why) noexcept {
  SHEAF_CUDA_TRY(
      device_, why,
      cudaMemsetAsync(view_.state.todo, 0, host_plan_.header->slot_count * sizeof(line_mask),
                      device_.stream));
  return forget_changes(why);
}

device_code plan_runner::write(const device_record& what, device_error* why) {
  if (const device_code code = need_plan(why); code != device_code::ok) return code;
  const counted_allocations counted(memory_, figures_);
  const slot_classes slots{memory_.classes().data(), memory_.slot_count()};
  const device_scatter target{view_.state.pages, memory_.unnoted(), true};
  const device_code code = records_->write(what, slots, target, device_.stream, why);
  return code;
}

device_code plan_runner::begin_timing(device_error* why) noexcept {
  if (begun_ != nullptr) SHEAF_CUDA_TRY(device_, why, cudaEventRecord(begun_, device_.stream));
  return device_code::ok;
}
device_code plan_runner::end_timing(device_error* why) noexcept {
  if (ended_ == nullptr) return device_code::ok;
  float milliseconds = 0;
  SHEAF_CUDA_TRY(device_, why, cudaEventSynchronize(ended_));
  SHEAF_CUDA_TRY(device_, why, cudaEventElapsedTime(&milliseconds, begun_, ended_));
  figures_.device_microseconds = milliseconds * 1e3;
  return device_code::ok;
}

/// Of a plan with several: whether the record may be, and what the kernels of the stage are told.
device_code plan_runner::begin_stage(std::uint32_t stage, const device_record& what,
                                     device_error* why) noexcept {
  const std::uint32_t stages = host_plan_.header->stage_count;
  const bool follows = stage == 0 || (next_stage_ != 0 && stage >= next_stage_);
  if (stage >= stages || !follows) {
    return tell(why, device_code::invalid, "stage %u of %u, the next is %u", stage, stages,
                next_stage_);
  }
  if (!is_of_stage(host_plan_, stage, what)) {
    return tell(why, device_code::invalid, "a record names pages that stage %u is not sent", stage);
  }
  if (stage == 0) return next_stage_ == 0 ? device_code::ok : forget_marks(why);
  const host_slot_range sent = host_slots_between(host_plan_, next_stage_ - 1, stage);
  std::memcpy(params_ + host_range_at, &sent, sizeof sent);
  return device_code::ok;
}

/// Runs the levels of a stage; what it was sent is written and noted.
device_code plan_runner::propagate(std::uint32_t stage, level_pull how, device_error* why) {
  *params_ = static_cast<std::uint32_t>(how);
  if (const device_code code = run_levels(stage, choose(how), why); code != device_code::ok) {
    return code;
  }
  if (ended_ != nullptr) SHEAF_CUDA_TRY(device_, why, cudaEventRecord(ended_, device_.stream));
  return device_code::ok;
}

device_code plan_runner::commit_small(const device_record& what, device_record& changed,
                                      device_error* why) {
  bool is_finished = false;
  if (const device_code code = begin_timing(why); code != device_code::ok) return code;
  if (const device_code code = small_.run(what, ended_, changed, is_finished, why);
      code != device_code::ok) {
    return code;
  }
  ++figures_.launches;
  figures_.bytes_in += std::uint64_t{what.line_count} * line_size;
  figures_.bytes_out +=
      changed.page_count * sizeof(line_record) + std::uint64_t{changed.line_count} * line_size;
  figures_.lines_changed += changed.line_count;
  if (is_finished) return device_code::ok;
  pages_out_.assign(changed.pages, changed.pages + changed.page_count);
  lines_out_.assign(changed.lines, changed.lines + std::size_t{changed.line_count} * line_size);
  if (const device_code code = propagate(0, level_pull::marked, why); code != device_code::ok) {
    return code;
  }
  return gather(0, changed, why);
}

device_code plan_runner::commit(std::uint32_t stage, const device_record& what,
                                device_record& changed, device_error* why) {
  if (const device_code code = need_plan(why); code != device_code::ok) return code;
  const counted_allocations counted(memory_, figures_);
  const std::uint32_t stages = host_plan_.header->stage_count;
  if (stages != 1 || stage != 0) {
    const device_code code = begin_stage(stage, what, why);
    if (code != device_code::ok) return code;
  }
  pages_out_.clear();
  lines_out_.clear();
  if (stages == 1 && device_.settings.executor != device_executor::stream && small_.wants(what)) {
    if (const device_code code = commit_small(what, changed, why); code != device_code::ok) {
      return code;
    }
  } else {
    const slot_classes slots{memory_.classes().data(), memory_.slot_count()};
    const device_scatter target{view_.state.pages, view_.state.changed, true};
    const std::uint64_t bytes = records_->bytes_in();
    if (what.page_count != 0) {
      const device_code code = records_->write(what, slots, target, device_.stream, why);
      if (code != device_code::ok) return code;
    }
    figures_.bytes_in += records_->bytes_in() - bytes;
    if (const device_code code = begin_timing(why); code != device_code::ok) return code;
    const level_pull how =
        stage == 0 ? pull_after_sources(host_plan_, what.page_count, what.line_count)
                   : level_pull::marked;
    if (const device_code code = propagate(stage, how, why); code != device_code::ok) return code;
    if (const device_code code = gather(stage, changed, why); code != device_code::ok) return code;
  }
  next_stage_ = stage + 1 == stages ? 0 : stage + 1;
  figures_.commits += stage == 0;
  if (const device_code code = end_timing(why); code != device_code::ok) return code;
  return memory_.check_zones(why);
}

/// In as many parts as it takes.
device_code plan_runner::gather(std::uint32_t stage, device_record& changed, device_error* why) {
  collect_request request{};
  request.pages = view_.state.pages;
  request.changed = view_.state.changed;
  request.classes = memory_.classes_on_device();
  request.observed = memory_.observed();
  request.first_slot = source_slots_;
  request.count = host_plan_.header->slot_count - source_slots_;
  if (const std::uint32_t stages = host_plan_.header->stage_count; stages == 1) {
    SHEAF_CUDA_TRY(device_, why, launch_reset());
  } else {
    // Later stages look at what changed in this one: it is collected from a copy.
    const device_stage& known = host_plan_.stages[stage];
    request.changed = memory_.unnoted();
    request.slots = view_.plan.batch_slots + known.slot_begin;
    request.count = known.slot_end - known.slot_begin;
    SHEAF_CUDA_TRY(device_, why,
                   launch_set_apart(view_, known, request.changed, device_.stream));
    if (stage + 1 == stages) {
      const device_code code = forget_changes(why);
      if (code != device_code::ok) return code;
    }
  }
  changed = {};
  if (request.count == 0) return wait(device_, "a commit", why);
  for (;;) {
    device_record part{};
    collector::rest left{};
    if (const device_code code = collector_->start(request, device_.stream, why);
        code != device_code::ok) {
      return code;
    }
    if (const device_code code = collector_->finish(&part, &left, why); code != device_code::ok) {
      return code;
    }
    figures_.bytes_out += part.page_count * sizeof(line_record) + part.line_count * line_size;
    figures_.lines_changed += part.line_count;
    const bool is_all = left.pages == 0 && left.lines == 0;
    if (is_all && pages_out_.empty()) {
      changed = part;
      return device_code::ok;
    }
    pages_out_.insert(pages_out_.end(), part.pages, part.pages + part.page_count);
    lines_out_.insert(lines_out_.end(), part.lines,
                      part.lines + std::size_t{part.line_count} * line_size);
    if (is_all) break;
  }
  changed = {pages_out_.data(), lines_out_.data(), static_cast<std::uint32_t>(pages_out_.size()),
             static_cast<std::uint32_t>(lines_out_.size() / line_size)};
  return device_code::ok;
}

device_code plan_runner::recompute(device_error* why) {
  if (const device_code code = need_plan(why); code != device_code::ok) return code;
  if (host_plan_.header->host_node_count != 0) {
    return tell(why, device_code::unsupported, "the host computes a part of the plan");
  }
  *params_ = static_cast<std::uint32_t>(level_pull::full);
  if (const device_code code = run_levels(0, run_way::stream, why); code != device_code::ok) {
    return code;
  }
  if (const device_code code = forget_changes(why); code != device_code::ok) return code;
  if (const device_code code = wait(device_, "a recompute", why); code != device_code::ok) {
    return code;
  }
  return memory_.check_zones(why);
}

device_code plan_runner::read(std::span<const std::uint32_t> slots, std::byte* into,
                              device_error* why) {
  if (const device_code code = need_plan(why); code != device_code::ok) return code;
  return memory_.read(slots, into, why);
}

device_code plan_runner::need_plan(device_error* why) const noexcept {
  if (memory_.is_loaded()) return device_code::ok;
  return tell(why, device_code::invalid, "no plan is loaded");
}

}  // namespace sheaf::inline v0
