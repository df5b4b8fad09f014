#include <sheaf/graph/model_data.hpp>

#include <charconv>
#include <new>

#include "model_walk.hpp"

namespace sheaf::inline v0 {
namespace {

std::size_t hash_of(std::string_view name) noexcept {
  return std::hash<std::string_view>{}(name);
}

/// The slot of `name`, or the free one where it belongs. There is a free one.
std::uint32_t* slot_of(const model_data& data, std::vector<std::uint32_t>& slots,
                       std::string_view name) noexcept {
  const std::size_t last = slots.size() - 1;
  std::size_t at = hash_of(name) & last;
  while (slots[at] != no_index && data.given_name(slots[at]) != name) at = (at + 1) & last;
  return &slots[at];
}

void grow(const model_data& data, name_index& names) {
  std::vector<std::uint32_t> larger(names.slots.empty() ? 64 : names.slots.size() * 2, no_index);
  for (const std::uint32_t array : names.slots) {
    if (array != no_index) *slot_of(data, larger, data.given_name(array)) = array;
  }
  names.slots = std::move(larger);
}

/// The number that all of `digits` spells, or no_index.
std::uint32_t number_in(std::string_view digits) noexcept {
  std::uint32_t value = no_index;
  const char* end = digits.data() + digits.size();
  const auto [stop, fault] = std::from_chars(digits.data(), end, value);
  return fault == std::errc() && stop == end ? value : no_index;
}

}  // namespace

void index_names(model_data& data) {
  name_index& names = data.names;
  if (data.characters.empty()) names.array_count = data.array_count();
  for (; names.array_count < data.array_count(); ++names.array_count) {
    const std::uint32_t array = names.array_count;
    const std::string_view name = data.given_name(array);
    if (name.empty() || data.arrays[array].kind == array_kind::dropped) continue;
    if (names.name_count * 2 >= names.slots.size()) grow(data, names);
    std::uint32_t* slot = slot_of(data, names.slots, name);
    if (*slot != no_index) {
      names.duplicates.emplace_back(array, *slot);
    } else {
      *slot = array;
      ++names.name_count;
    }
  }
}

std::string_view model_data::given_name(std::uint32_t array) const noexcept {
  const array_record& found = arrays[array];
  if (found.kind == array_kind::hidden) return {};
  return {characters.data() + found.name_begin, found.name_size};
}

std::string model_data::name_to_show(const array_handle& target) const noexcept {
  return owns(target) ? name_of(target.id) : "another model's";
}

std::string model_data::name_of(array_id id) const noexcept {
  const std::uint32_t array = index_of(id);
  if (array >= array_count()) return "no array";
  const array_record& found = arrays[array];
  try {
    if (found.kind == array_kind::hidden) {
      return name_of(array_id{found.name_begin}) + '#' + std::to_string(found.name_size);
    }
    if (found.name_size == 0) return '#' + std::to_string(array);
    return std::string(given_name(array));
  } catch (const std::bad_alloc&) {
    return "?";
  }
}

array_id model_data::find(std::string_view name) const noexcept {
  const std::size_t mark = name.rfind('#');
  if (mark == std::string_view::npos) {
    if (names.slots.empty() || name.empty()) return no_array;
    auto& slots = const_cast<std::vector<std::uint32_t>&>(names.slots);
    return array_id{*slot_of(*this, slots, name)};
  }
  const std::uint32_t number = number_in(name.substr(mark + 1));
  if (number == no_index) return no_array;
  if (mark == 0) {
    const bool anonymous = number < array_count() && arrays[number].name_size == 0 &&
                           arrays[number].kind != array_kind::hidden &&
                           arrays[number].kind != array_kind::dropped;
    return anonymous ? array_id{number} : no_array;
  }
  const array_id parent = find(name.substr(0, mark));
  for (std::uint32_t i = 0; parent != no_array && i < array_count(); ++i) {
    const array_record& other = arrays[i];
    if (other.kind == array_kind::hidden && other.name_begin == index_of(parent) &&
        other.name_size == number) {
      return array_id{i};
    }
  }
  return no_array;
}

}  // namespace sheaf::inline v0
