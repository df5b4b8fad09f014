// Levels by Kahn's algorithm (Kahn 1962); groups on cycles by Tarjan's algorithm (Tarjan 1972) with
// its stack on the heap, so that a chain of any length is walked without recursion.
#include <algorithm>

#include "model_walk.hpp"

namespace sheaf::inline v0 {
namespace {

/// Which definitions read each array.
struct readers_table {
  std::vector<std::uint32_t> begin;  ///< by array, plus one
  std::vector<std::uint32_t> definitions;
};

readers_table readers_of(const model_data& data) {
  readers_table readers;
  readers.begin.assign(data.arrays.size() + 1, 0);
  for (const definition_record& definition : data.definitions) {
    for_each_operand(data, definition, [&](std::uint32_t array) { ++readers.begin[array + 1]; });
  }
  for (std::size_t i = 1; i < readers.begin.size(); ++i) readers.begin[i] += readers.begin[i - 1];
  readers.definitions.resize(readers.begin.back());
  std::vector<std::uint32_t> next(readers.begin.begin(), readers.begin.end() - 1);
  for (std::uint32_t i = 0; i < data.definitions.size(); ++i) {
    for_each_operand(data, data.definitions[i],
                     [&](std::uint32_t array) { readers.definitions[next[array]++] = i; });
  }
  return readers;
}

/// Tarjan's algorithm over blocked definitions; an edge goes from a definition to what it reads.
class group_finder {
 public:
  group_finder(const model_data& data, const std::vector<std::uint32_t>& blocked)
      : data_(data), numbers_(data.definitions.size(), unvisited), lowest_(numbers_.size(), 0) {
    std::vector<std::uint32_t> outside(numbers_.size(), done);
    for (const std::uint32_t definition : blocked) outside[definition] = unvisited;
    numbers_ = std::move(outside);
  }

  /// The groups of two or more, and single definitions that read themselves.
  std::vector<std::vector<std::uint32_t>> run(const std::vector<std::uint32_t>& blocked) {
    for (const std::uint32_t definition : blocked) {
      if (numbers_[definition] == unvisited) walk_from(definition);
    }
    return std::move(groups_);
  }

  /// Definitions that `definition` reads and that are not outside the walk.
  std::vector<std::uint32_t> reads(std::uint32_t definition) const {
    std::vector<std::uint32_t> found;
    for_each_operand(data_, data_.definitions[definition], [&](std::uint32_t array) {
      const std::uint32_t other = data_.arrays[array].definition;
      if (other < refused_definition) found.push_back(other);
    });
    return found;
  }

 private:
  static constexpr std::uint32_t unvisited = no_index;
  static constexpr std::uint32_t done = no_index - 1;
  struct frame {
    std::uint32_t definition;
    std::vector<std::uint32_t> reads;
    std::size_t next;
  };

  void enter(std::uint32_t definition) {
    numbers_[definition] = lowest_[definition] = counter_++;
    open_.push_back(definition);
    stack_.push_back({definition, reads(definition), 0});
  }

  void walk_from(std::uint32_t start) {
    enter(start);
    while (!stack_.empty()) {
      frame& top = stack_.back();
      const std::uint32_t at = top.definition;
      if (top.next < top.reads.size()) {
        const std::uint32_t other = top.reads[top.next++];
        if (numbers_[other] == unvisited) enter(other);
        else if (numbers_[other] != done) lowest_[at] = std::min(lowest_[at], numbers_[other]);
        continue;
      }
      const bool reads_itself = std::ranges::count(top.reads, at) != 0;
      stack_.pop_back();
      if (!stack_.empty()) {
        std::uint32_t& above = lowest_[stack_.back().definition];
        above = std::min(above, lowest_[at]);
      }
      if (lowest_[at] == numbers_[at]) close_group(at, reads_itself);
    }
  }

  void close_group(std::uint32_t root, bool reads_itself) {
    std::vector<std::uint32_t> group;
    do {
      group.push_back(open_.back());
      numbers_[open_.back()] = done;
      open_.pop_back();
    } while (group.back() != root);
    if (group.size() > 1 || reads_itself) groups_.push_back(std::move(group));
  }

  const model_data& data_;
  std::vector<std::uint32_t> numbers_;  ///< by definition: order of entry, unvisited or done
  std::vector<std::uint32_t> lowest_;   ///< least number reached from here inside the open part
  std::vector<std::uint32_t> open_;
  std::vector<frame> stack_;
  std::uint32_t counter_ = 0;
  std::vector<std::vector<std::uint32_t>> groups_;
};

/// A shortest way from the first declared member of `group` along "reads" back to itself.
std::vector<std::uint32_t> path_through(const model_data& data, const group_finder& finder,
                                        std::vector<std::uint32_t> group) {
  std::ranges::sort(group);
  const std::uint32_t start = *std::ranges::min_element(
      group, {}, [&](std::uint32_t member) { return data.definitions[member].result; });
  const auto index_in = [&](std::uint32_t definition) {
    return static_cast<std::size_t>(std::ranges::lower_bound(group, definition) - group.begin());
  };
  std::vector<std::uint32_t> from(group.size(), no_index);
  std::vector<std::uint32_t> queue{start};
  for (std::size_t head = 0; head < queue.size(); ++head) {
    const std::uint32_t at = queue[head];
    for (const std::uint32_t other : finder.reads(at)) {
      const std::size_t index = index_in(other);
      if (index == group.size() || group[index] != other || from[index] != no_index) continue;
      from[index] = at;
      if (other != start) queue.push_back(other);
    }
    if (from[index_in(start)] != no_index) break;
  }
  std::vector<std::uint32_t> path{start};
  for (std::uint32_t at = from[index_in(start)]; at != start; at = from[index_in(at)]) {
    path.push_back(at);
  }
  path.push_back(start);
  std::ranges::reverse(path);
  return path;
}

/// "a -> b -> a", where each reads the next; the middle of a long path is cut out.
std::string words_of(const model_data& data, const std::vector<std::uint32_t>& path) {
  constexpr std::size_t half = status::detail_size_max / 2 - 24;
  const auto name = [&](std::size_t i) {
    return data.name_of(array_id{data.definitions[path[i]].result});
  };
  std::string head = name(0).substr(0, half);
  std::size_t next = 1;
  for (; next < path.size() && head.size() + 4 + name(next).size() <= half; ++next) {
    head += " -> ";
    head += name(next);
  }
  std::string tail = " -> " + name(path.size() - 1).substr(0, half);
  std::size_t last = path.size() - 1;
  for (; last > next && tail.size() + 4 + name(last - 1).size() <= half; --last) {
    tail.insert(0, name(last - 1));
    tail.insert(0, " -> ");
  }
  if (next == path.size()) return head;
  if (last > next) head += " -> (" + std::to_string(last - next) + " more)";
  return head + tail;
}

}  // namespace

level_table levels_of(const model_data& data) {
  const readers_table readers = readers_of(data);
  level_table table;
  table.levels.assign(data.array_count(), no_index);
  std::vector<std::uint32_t> missing(data.definitions.size(), 0);
  for (std::uint32_t i = 0; i < data.definitions.size(); ++i) {
    for_each_operand(data, data.definitions[i], [&](std::uint32_t) { ++missing[i]; });
  }
  std::vector<std::uint32_t> highest(data.definitions.size(), 0);
  std::vector<std::uint32_t> ready;
  for (std::uint32_t i = 0; i < data.array_count(); ++i) {
    const array_record& array = data.arrays[i];
    if (array.definition < refused_definition && !is_delay(data, array)) continue;
    table.levels[i] = 0;  // a source, a delay, or an array whose fault is reported elsewhere
    ready.push_back(i);
  }
  while (!ready.empty()) {
    const std::uint32_t array = ready.back();
    ready.pop_back();
    for (std::uint32_t i = readers.begin[array]; i < readers.begin[array + 1]; ++i) {
      const std::uint32_t definition = readers.definitions[i];
      highest[definition] = std::max(highest[definition], table.levels[array] + 1);
      if (--missing[definition] != 0) continue;
      const std::uint32_t result = data.definitions[definition].result;
      table.levels[result] = highest[definition];
      ready.push_back(result);
    }
  }
  for (std::uint32_t i = 0; i < data.definitions.size(); ++i) {
    if (missing[i] != 0) table.blocked.push_back(i);
  }
  return table;
}

std::vector<status> cycles_among(const model_data& data,
                                 const std::vector<std::uint32_t>& blocked) {
  std::vector<status> found;
  if (blocked.empty()) return found;
  group_finder finder(data, blocked);
  for (const std::vector<std::uint32_t>& group : finder.run(blocked)) {
    found.push_back({status_code::cycle, subsystem::graph,
                     "definitions depend on themselves, each array reads the next: make them one "
                     "fixpoint, or put a delay between",
                     words_of(data, path_through(data, finder, group))});
  }
  return found;
}

}  // namespace sheaf::inline v0
