#include "plan_compiler.hpp"

#include <algorithm>
#include <functional>

#include "declaration_state.hpp"
#include "model_walk.hpp"
#include "plan_check.hpp"

namespace sheaf::inline v0 {
namespace {

/// Where an array lies in the plan.
struct array_place {
  std::uint32_t slot;
  std::uint32_t producer;
};

/// A level, and one that reads it.
struct level_pair {
  std::uint32_t from, to;
};

class plan_compiler {
 public:
  plan_compiler(const model_data& data, const std::vector<std::uint32_t>& levels)
      : data_(data), exact_levels_(levels), plan_(std::make_shared<plan>()) {}

  std::shared_ptr<const plan> run() {
    order_definitions();
    place_sources();
    place_nodes();
    follow_delays();
    emit_nodes();
    invert_edges();
    sum_fan_out();
    list_consumers();
    mark_fallible();
    fill_tables();
    SHEAF_PARANOID(check_plan(*plan_).is_ok(), "plan-invariants");
    return std::move(plan_);
  }

 private:
  std::uint32_t level_of(std::uint32_t array) const {
    return exact_levels_.empty() ? data_.arrays[array].level : exact_levels_[array];
  }

  /// Counting sort by (lazy, level); stable, so declaration order rules inside a level.
  void order_definitions() {
    std::uint32_t deepest[2] = {0, 0};
    for (const definition_record& definition : data_.definitions) {
      if (definition.kind == operator_kind::delay) continue;
      std::uint32_t& mine = deepest[data_.arrays[definition.result].lazy];
      mine = std::max(mine, level_of(definition.result));
    }
    eager_levels_ = deepest[0] + 1;
    const auto bucket_of = [&](const definition_record& definition) {
      const bool lazy = data_.arrays[definition.result].lazy;
      return level_of(definition.result) + (lazy ? eager_levels_ : 0);
    };
    level_begin_.assign(std::size_t{eager_levels_} + deepest[1] + 2, 0);
    for (const definition_record& definition : data_.definitions) {
      if (definition.kind == operator_kind::delay) continue;
      ++level_begin_[bucket_of(definition) + 1];
    }
    for (std::size_t i = 1; i < level_begin_.size(); ++i) level_begin_[i] += level_begin_[i - 1];
    order_.resize(level_begin_.back());
    std::vector<std::uint32_t> next(level_begin_.begin(), level_begin_.end() - 1);
    for (std::uint32_t i = 0; i < data_.definitions.size(); ++i) {
      if (data_.definitions[i].kind == operator_kind::delay) continue;
      order_[next[bucket_of(data_.definitions[i])]++] = i;
    }
    plan_->eager_node_count = level_begin_[eager_levels_];
  }

  std::uint32_t take_slots(const array_record& array) {
    const std::uint32_t first = plan_->slot_count;
    plan_->slot_count += page_count_of(array.length, array.type, array.page);
    return first;
  }

  void place_sources() {
    places_.resize(data_.array_count());
    plan_->producer_of_array.assign(data_.array_count(), no_index);
    plan_->levels.resize(eager_levels_);
    for (std::uint32_t i = 0; i < data_.array_count(); ++i) {
      const array_record& array = data_.arrays[i];
      if (array.kind != array_kind::source && !is_delay(data_, array)) continue;
      const auto producer = static_cast<std::uint32_t>(plan_->sources.size());
      const std::uint32_t slot = take_slots(array);
      places_[i] = {slot, producer};
      plan_->producer_of_array[i] = producer;
      plan_->sources.push_back({.slot = slot,
                                .page_count = plan_->slot_count - slot,
                                .length = array.length,
                                .type = array.type,
                                .page = array.page,
                                .array = array_id{i}});
      add_pages(slot, plan_->slot_count - slot, producer, 0);
    }
    close_level(0, 0);
  }

  /// What each delay follows, and the order in which a commit moves them on: one that follows
  /// another before that other takes its new value.
  void follow_delays() {
    std::vector<std::uint32_t> depth(plan_->sources.size(), 0);
    for (std::uint32_t i = 0; i < plan_->sources.size() && !data_.delays.empty(); ++i) {
      plan_source& source = plan_->sources[i];
      const array_record& array = data_.arrays[index_of(source.array)];
      if (!is_delay(data_, array)) continue;
      const delay_record& delay = delay_of(data_, array);
      source.delayed = plan_->producer_of_array[delay.array];
      source.initial = delay.initial;
      plan_->delays.push_back(i);
      for (std::uint32_t at = delay.array; is_delay(data_, data_.arrays[at]);
           at = delay_of(data_, data_.arrays[at]).array) {
        ++depth[i];
      }
    }
    std::ranges::stable_sort(plan_->delays, std::greater<>(),
                             [&](std::uint32_t source) { return depth[source]; });
  }

  void place_nodes() {
    std::uint32_t producer = plan_->source_count();
    for (const std::uint32_t definition : order_) {
      const std::uint32_t array = data_.definitions[definition].result;
      places_[array] = {take_slots(data_.arrays[array]), producer};
      plan_->producer_of_array[array] = producer++;
    }
  }

  /// Notes the pages of one node; joins runs of one-page nodes inside a level.
  void add_pages(std::uint32_t slot, std::uint32_t pages, std::uint32_t node,
                 std::uint32_t level_segment_begin) {
    auto& segments = plan_->segments;
    if (pages == 1 && segments.size() > level_segment_begin) {
      plan_segment& last = segments.back();
      if (last.slot_end - last.slot_begin == last.node_count) {
        ++last.slot_end;
        ++last.node_count;
        return;
      }
    }
    segments.push_back({slot, slot + pages, node, 1});
  }

  void close_level(std::uint32_t level, std::uint32_t first_segment) {
    plan_level& sums = plan_->levels[level];
    const auto& segments = plan_->segments;
    sums.segment_begin = first_segment;
    sums.segment_end = static_cast<std::uint32_t>(segments.size());
    const bool empty = sums.segment_begin == sums.segment_end;
    const std::uint32_t before = level == 0 ? 0 : plan_->levels[level - 1].slot_end;
    sums.slot_begin = before;
    sums.slot_end = empty ? before : segments.back().slot_end;
  }

  void emit_nodes() {
    plan_->nodes.resize(order_.size());
    plan_->operands.resize(data_.operand_arrays.size() + data_.operands.size());
    plan_->child_begin.assign(plan_->sources.size() + plan_->nodes.size() + 1, 0);
    operation_slots_.assign(64, no_index);
    last_reader_.assign(eager_levels_, 0);
    for (std::uint32_t level = 1; level < eager_levels_; ++level) {
      const auto first_segment = static_cast<std::uint32_t>(plan_->segments.size());
      enter_level(level);
      for (std::uint32_t i = level_begin_[level]; i < level_begin_[level + 1]; ++i) {
        const std::uint32_t pages = emit_node(i);
        plan_->levels[level].fan_in +=
            std::uint64_t{pages} * data_.definitions[order_[i]].operand_count;
        add_pages(plan_->nodes[i].slot, pages, i, first_segment);
      }
      close_level(level, first_segment);
    }
    level_at_ = no_index;
    for (std::uint32_t i = plan_->eager_node_count; i < order_.size(); ++i) emit_node(i);
    SHEAF_ASSERT(operands_written_ == plan_->operands.size(), "every-operand-has-a-definition");
  }

  /// Every node of a level reads one of the level above, so that pair is noted once.
  void enter_level(std::uint32_t level) {
    level_at_ = level;
    level_above_ = level == 1 ? 0 : level_begin_[level - 1] + plan_->source_count();
    note_reader(level - 1);
  }
  void note_reader(std::uint32_t from) {
    if (last_reader_[from] == level_at_) return;
    last_reader_[from] = level_at_;
    readers_.push_back({from, level_at_});
  }
  /// Counts an edge of an eager node into `child_begin`, one place further on.
  void note_edge(std::uint32_t producer) {
    if (level_at_ == no_index) return;
    ++plan_->child_begin[producer + 1];
    if (SHEAF_UNLIKELY(producer < level_above_)) note_reader(level_of_producer(producer));
  }

  /// Returns the node's pages.
  std::uint32_t emit_node(std::uint32_t node) {
    const definition_record& definition = data_.definitions[order_[node]];
    const array_record& result = data_.arrays[definition.result];
    const std::uint32_t operation = operation_of(definition, result);
    plan_->nodes[node] = {places_[definition.result].slot, operation, operands_written_};
    std::uint32_t* entry = plan_->operands.data() + operands_written_;
    operands_written_ += definition.operand_count;
    for (std::uint32_t i = 0; i < definition.operand_count; ++i) {
      if (definition.uniform) {
        const array_place place = places_[data_.operand_arrays[definition.operand_begin + i]];
        entry[i] = place.slot;
        note_edge(place.producer);
      } else {
        entry[i] = static_cast<std::uint32_t>(plan_->operand_details.size());
        emit_detail(data_.operands[definition.operand_begin + i], result.type);
      }
    }
    return plan_->operations[operation].page_count;
  }

  void emit_detail(const model_operand& operand, dtype type) {
    if (operand.array == no_index) {
      plan_->operand_details.push_back(
          {no_index, constant_of(operand.bits), no_index, page_class::b64, type});
      return;
    }
    const array_record& array = data_.arrays[operand.array];
    const array_place place = places_[operand.array];
    note_edge(place.producer);
    plan_->operand_details.push_back(
        {place.producer, place.slot, operand.element, array.page, array.type});
  }

  std::uint32_t constant_of(std::uint64_t bits) {
    auto& constants = plan_->constants;
    if (constants.empty() || constants.back() != bits) constants.push_back(bits);
    return static_cast<std::uint32_t>(constants.size() - 1);
  }

  /// True where the node would be the same operation as the node before it.
  bool same_shape(const definition_record& definition, const array_record& result) const {
    const definition_record& other = *last_definition_;
    const array_record& other_result = *last_result_;
    return (result.length == other_result.length) & (result.page == other_result.page) &
           (result.type == other_result.type) & (result.lazy == other_result.lazy) &
           (definition.kind == other.kind) & (definition.semiring == other.semiring) &
           (definition.uniform == other.uniform) & (definition.weighted == other.weighted) &
           (definition.operand_count == other.operand_count) &
           (definition.payload == other.payload);
  }

  std::uint32_t operation_of(const definition_record& definition, const array_record& result) {
    if (SHEAF_LIKELY(last_result_ != nullptr && same_shape(definition, result))) {
      return last_operation_;
    }
    last_definition_ = &definition;
    last_result_ = &result;
    const plan_operation wanted = {
        .kind = definition.kind,
        .type = result.type,
        .semiring = definition.semiring,
        .page = result.page,
        .uniform = definition.uniform,
        .weighted = definition.weighted,
        .lazy = result.lazy,
        .fallible = definition.kind == operator_kind::host ||
                    definition.kind == operator_kind::fixpoint,
        .operand_count = definition.operand_count,
        .page_count = page_count_of(result.length, result.type, result.page),
        .length = result.length,
        .payload = definition.payload,
        .manifest = no_index,
    };
    auto& operations = plan_->operations;
    if (operations.size() * 2 >= operation_slots_.size()) grow_operation_slots();
    std::uint32_t* slot = slot_of(wanted);
    if (*slot == no_index) {
      *slot = static_cast<std::uint32_t>(operations.size());
      operations.push_back(wanted);
    }
    return last_operation_ = *slot;
  }

  std::uint32_t* slot_of(const plan_operation& wanted) {
    std::uint64_t hash = wanted.length * 0x9e37'79b9'7f4a'7c15u + wanted.payload;
    hash = (hash ^ hash >> 29) * 0xbf58'476d'1ce4'e5b9u + wanted.operand_count;
    hash = hash * 31 + static_cast<unsigned>(wanted.kind) * 8 +
           static_cast<unsigned>(wanted.semiring);
    hash = (hash ^ hash >> 32) * 0x94d0'49bb'1331'11ebu;
    const std::size_t last = operation_slots_.size() - 1;
    std::size_t at = (hash >> 20) & last;
    while (operation_slots_[at] != no_index &&
           !(plan_->operations[operation_slots_[at]] == wanted)) {
      at = (at + 1) & last;
    }
    return &operation_slots_[at];
  }

  void grow_operation_slots() {
    operation_slots_.assign(operation_slots_.size() * 2, no_index);
    for (std::uint32_t i = 0; i < plan_->operations.size(); ++i) {
      *slot_of(plan_->operations[i]) = i;
    }
  }

  /// Children of every producer, from the counts in `child_begin`. A node that reads a producer
  /// twice is one child: its edges come together, so the repeat is the newest entry.
  void invert_edges() {
    const std::size_t producers = plan_->sources.size() + plan_->nodes.size();
    auto& begin = plan_->child_begin;
    for (std::size_t i = 1; i <= producers; ++i) begin[i] += begin[i - 1];
    plan_->children.resize(begin[producers]);
    std::vector<std::uint32_t> next(begin.begin(), begin.end() - 1);
    std::uint32_t* children = plan_->children.data();
    std::uint32_t repeats = 0;
    for (std::uint32_t node = 0; node < plan_->eager_node_count; ++node) {
      for_each_operand(data_, data_.definitions[order_[node]], [&](std::uint32_t array) {
        const std::uint32_t producer = plan_->producer_of_array[array];
        const std::uint32_t at = next[producer];
        if (SHEAF_UNLIKELY(at != begin[producer] && children[at - 1] == node)) {
          ++repeats;
        } else {
          children[at] = node;
          next[producer] = at + 1;
        }
      });
    }
    if (repeats != 0) close_gaps(next);
  }

  /// Moves the children together where repeats left room; `next` says where each list ends.
  void close_gaps(const std::vector<std::uint32_t>& next) {
    auto& begin = plan_->child_begin;
    std::uint32_t to = 0;
    for (std::size_t producer = 0; producer < next.size(); ++producer) {
      const std::uint32_t first = begin[producer];
      const std::uint32_t count = next[producer] - first;
      begin[producer] = to;
      if (first != to) std::copy_n(&plan_->children[first], count, &plan_->children[to]);
      to += count;
    }
    begin.back() = to;
    plan_->children.resize(to);
  }

  /// One step per segment: over a run of one-page nodes the numbers of children telescope.
  void sum_fan_out() {
    const auto& begin = plan_->child_begin;
    for (std::uint32_t level = 0; level < eager_levels_; ++level) {
      plan_level& sums = plan_->levels[level];
      for (std::uint32_t i = sums.segment_begin; i < sums.segment_end; ++i) {
        const plan_segment& run = plan_->segments[i];
        const std::uint32_t first = run.node_begin + (level == 0 ? 0 : plan_->source_count());
        const std::uint32_t pages = (run.slot_end - run.slot_begin) / run.node_count;
        sums.fan_out += std::uint64_t{begin[first + run.node_count] - begin[first]} * pages;
      }
    }
  }

  /// The level of an eager producer by its place in the order.
  std::uint32_t level_of_producer(std::uint32_t producer) const {
    if (producer < plan_->source_count()) return 0;
    const std::uint32_t node = producer - plan_->source_count();
    return level_of(data_.definitions[order_[node]].result);
  }

  /// Sorts the pairs of `readers_` by the level that is read, with a counting sort.
  void list_consumers() {
    std::vector<std::uint32_t> begin(std::size_t{eager_levels_} + 1, 0);
    for (const level_pair& pair : readers_) ++begin[pair.from + 1];
    for (std::uint32_t i = 0; i < eager_levels_; ++i) {
      begin[i + 1] += begin[i];
      plan_->levels[i].consumer_begin = begin[i];
      plan_->levels[i].consumer_end = begin[i + 1];
    }
    plan_->consumers.resize(readers_.size());
    for (const level_pair& pair : readers_) plan_->consumers[begin[pair.from]++] = pair.to;
  }

  /// Backwards over the eager nodes: a producer reaches what its children reach.
  void mark_fallible() {
    plan_->reaches_fallible.assign(plan_->sources.size(), 0);
    const bool any = std::ranges::any_of(
        plan_->operations, [](const plan_operation& one) { return one.fallible && !one.lazy; });
    if (!any) return;
    std::vector<std::uint8_t> reaches(plan_->sources.size() + plan_->nodes.size(), 0);
    for (std::uint32_t node = plan_->eager_node_count; node-- > 0;) {
      std::uint8_t& own = reaches[plan_->source_count() + node];
      own |= plan_->operation_of(plan_->nodes[node]).fallible;
      if (own == 0) continue;
      for_each_operand(data_, data_.definitions[order_[node]], [&](std::uint32_t array) {
        reaches[plan_->producer_of_array[array]] = 1;
      });
    }
    std::copy_n(reaches.begin(), plan_->sources.size(), plan_->reaches_fallible.begin());
  }

  void fill_tables() {
    for (std::uint32_t i = 0; i < data_.array_count(); ++i) {
      if (!data_.arrays[i].contiguous || plan_->producer_of_array[i] == no_index) continue;
      plan_->contiguous.push_back(plan_->producer_of_array[i]);
    }
    std::ranges::sort(plan_->contiguous);
    plan_->programs = data_.programs;
    plan_->tables.reserve(data_.tables.size());
    for (const auto& table : data_.tables) plan_->tables.push_back(*table);
    plan_->matrices = data_.matrices;
    plan_->stencils = data_.stencils;
    plan_->dense = data_.dense;
    for (const auto& scan : data_.scans) plan_->scans.push_back(*scan);
    for (const auto& histogram : data_.histograms) plan_->histograms.push_back(*histogram);
    for (const order_record& order : data_.orders) plan_->orders.push_back(order.step);
    plan_->fixpoints = data_.fixpoints;
    plan_->hosts.resize(data_.hosts.size());
    for (std::uint32_t i = 0; i < plan_->hosts.size(); ++i) plan_->hosts[i] = i;
  }

  const model_data& data_;
  const std::vector<std::uint32_t>& exact_levels_;
  std::shared_ptr<plan> plan_;
  std::uint32_t eager_levels_ = 1;          ///< the sources' level included
  std::vector<std::uint32_t> order_;        ///< definitions in plan order: the nodes
  std::vector<std::uint32_t> level_begin_;  ///< into `order_`; eager levels, then lazy ones
  std::vector<array_place> places_;         ///< by array
  std::vector<level_pair> readers_;         ///< each pair once, by the level that reads
  std::vector<std::uint32_t> last_reader_;  ///< by level: the newest level known to read it
  std::uint32_t level_at_ = 0;              ///< level of the nodes being emitted; lazy: no_index
  std::uint32_t level_above_ = 0;           ///< first producer of the level before
  std::uint32_t operands_written_ = 0;
  std::vector<std::uint32_t> operation_slots_;  ///< hash table of operations
  const definition_record* last_definition_ = nullptr;  ///< of the node before
  const array_record* last_result_ = nullptr;
  std::uint32_t last_operation_ = 0;
};

}  // namespace

std::shared_ptr<const plan> compile_plan(const model_data& data,
                                         const std::vector<std::uint32_t>& levels) {
  return plan_compiler(data, levels).run();
}

}  // namespace sheaf::inline v0
