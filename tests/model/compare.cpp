#include "model/compare.hpp"

#include <cstring>

namespace model_test {

namespace {

using sheaf::array;
using sheaf::status_code;

/// One array, and what it should hold.
template <element T>
class comparison {
 public:
  comparison(const array_recipe& recipe, const column& expected, std::uint64_t epoch)
      : recipe_(recipe), expected_(expected), epoch_(epoch) {}

  /// Elements [first, first + found.size()).
  void check(std::span<const T> found, std::uint64_t first) const {
    require((first + found.size()) * sizeof(T) <= expected_.size(),
            where(first) + "is past the end");
    const std::byte* want = expected_.data() + first * sizeof(T);
    if (std::memcmp(found.data(), want, found.size_bytes()) == 0) return;
    for (std::size_t i = 0; i < found.size(); ++i) {
      T value;
      std::memcpy(&value, want + i * sizeof(T), sizeof(T));
      if (sheaf::same_bits(found[i], value)) continue;
      throw mismatch{where(first + i) + "has the bits " +
                     std::to_string(sheaf::to_bits(found[i])) + " instead of " +
                     std::to_string(sheaf::to_bits(value))};
    }
  }

  /// Bytes past the array's end are zero up to the end of the line.
  void check_tail(std::span<const T> last_page) const {
    const std::size_t used = last_page.size_bytes() % sheaf::line_size;
    if (used == 0) return;
    const auto* from = reinterpret_cast<const std::byte*>(last_page.data() + last_page.size());
    for (std::size_t i = 0; i < sheaf::line_size - used; ++i) {
      require(from[i] == std::byte{0}, where(recipe_.length) + "past the end is not zero");
    }
  }

  [[nodiscard]] std::string where(std::uint64_t index) const {
    return "array '" + recipe_.name + "' (" + std::string(name_of(recipe_.type)) + " x " +
           std::to_string(recipe_.length) + "), element " + std::to_string(index) + ", epoch " +
           std::to_string(epoch_) + ": ";
  }

 private:
  const array_recipe& recipe_;
  const column& expected_;
  std::uint64_t epoch_;
};

template <element T>
void compare_pages(const sheaf::view<T>& view, const comparison<T>& to) {
  std::uint64_t first = 0;
  std::span<const T> last;
  for (const std::span<const T> page : view.pages()) {
    require(!page.empty(), to.where(first) + "begins an empty page");
    to.check(page, first);
    first += page.size();
    last = page;
  }
  require(first == view.size(), to.where(first) + "ends the last page");
  to.check_tail(last);
}

template <element T>
void compare_one(const sheaf::snapshot& now, const array_recipe& recipe, const array<T>& handle,
                 const column& expected, dice& random) {
  const comparison<T> to(recipe, expected, now.epoch().value);
  const auto view = now.fetch(handle);
  require(view, to.where(0) + "fetch");
  require(view->size() == recipe.length, to.where(0) + "the size of a view");
  require(view->epoch() == now.epoch(), to.where(0) + "the epoch of a view");
  switch (random.below(10)) {
    case 0: {
      std::vector<T> copy(recipe.length);
      require(view->copy_to(copy) == recipe.length, to.where(0) + "what copy_to returns");
      return to.check(copy, 0);
    }
    case 1:
      for (std::uint64_t i = 0; i < recipe.length; ++i) {
        const T value = (*view)[i];
        to.check({&value, 1}, i);
      }
      return;
    case 2: {
      const std::uint64_t index = random.below(recipe.length);
      const auto at = view->at(index);
      const auto got = now.get(handle, index);
      require(at, to.where(index) + "at");
      require(got, to.where(index) + "get");
      to.check({&*at, 1}, index);
      to.check({&*got, 1}, index);
      break;
    }
    default: break;
  }
  compare_pages(*view, to);
}

}  // namespace

void compare_all(const sheaf::snapshot& now, const std::vector<array_recipe>& arrays,
                 const std::vector<sheaf::any_array>& handles,
                 const std::vector<column>& expected, dice& random) {
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    sheaf::visit_dtype(arrays[i].type, [&]<class T>(std::type_identity<T>) {
      if (arrays[i].form == array_form::dropped) {
        const auto gone = now.fetch(array<T>(handles[i].handle()));
        require(!gone && gone.error().code() == status_code::unknown_array,
                "a read of the dropped array '" + arrays[i].name + "'");
        return;
      }
      compare_one<T>(now, arrays[i], array<T>(handles[i].handle()), expected[i], random);
    });
  }
}

void check_bad_reads(const sheaf::snapshot& now, const std::vector<array_recipe>& arrays,
                     const std::vector<sheaf::any_array>& handles,
                     const sheaf::any_array& foreign, dice& random) {
  const std::size_t index = random.below(arrays.size());
  if (arrays[index].form == array_form::dropped) return;
  const sheaf::array_handle& handle = handles[index].handle();
  sheaf::visit_dtype(arrays[index].type, [&]<class T>(std::type_identity<T>) {
    using other = std::conditional_t<std::is_same_v<T, float>, std::int32_t, float>;
    const auto past = now.get(array<T>(handle), arrays[index].length);
    require(!past && past.error().code() == status_code::out_of_range, "a read past the end");
    const auto wrong = now.fetch(array<other>(handle));
    require(!wrong && wrong.error().code() == status_code::type_mismatch, "a read as another type");
    const auto strange = now.fetch(array<T>(foreign.handle()));
    require(!strange && strange.error().code() == status_code::foreign_handle,
            "a read of another model's array");
    const auto none = now.fetch(array<T>());
    require(!none && none.error().code() == status_code::unknown_array, "a read of no array");
  });
}

std::function<void()> view_check(const sheaf::snapshot& from, const array_recipe& recipe,
                                 const sheaf::any_array& handle, const column& expected) {
  return sheaf::visit_dtype(recipe.type, [&]<class T>(std::type_identity<T>) {
    auto view = from.fetch(array<T>(handle.handle()));
    require(view, "a view to hold");
    std::vector<std::span<const T>> spans;
    for (const std::span<const T> page : view->pages()) spans.push_back(page);
    return std::function<void()>([held = *view, spans, &recipe, expected] {
      const comparison<T> to(recipe, expected, held.epoch().value);
      std::uint64_t first = 0;
      for (const std::span<const T> page : spans) {
        to.check(page, first);
        first += page.size();
      }
      compare_pages(held, to);
    });
  });
}

}  // namespace model_test
