/// \file
/// A snapshot: an immutable view of every array at one epoch, or in one state of a fork, and views
/// of single arrays in it. `epoch` of a fork's snapshot is the one it was forked from.
///
/// Invariants
///  1. `still` (promise P2): what a snapshot or its views show never changes, whatever commits, and
///     the spans of a view stay valid until the snapshot and all views of it are gone.
///  2. A snapshot outlives its engine's `close`.
///
/// Thread safety: a snapshot and its views may be read from many threads at once; moving or
/// releasing one is for one thread.
/// Cost: opening and closing is O(1), tens of ns. A page is resolved when it is asked for, O(1)
/// unless it changed since. A lazy array is computed whole on first read, once per snapshot.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>

#include <sheaf/base/dtype.hpp>
#include <sheaf/base/id.hpp>
#include <sheaf/base/line_mask.hpp>
#include <sheaf/base/result.hpp>
#include <sheaf/graph/array.hpp>

namespace sheaf::inline v0 {

class engine_core;
class fork_state;
class fork_version;
struct generation;

/// What snapshots and views hold: one share of a pin. The pin keeps the generation alive.
class pin_share {
 public:
  pin_share() noexcept = default;
  pin_share(std::shared_ptr<engine_core> core, const generation* graph, std::uint32_t slot,
            std::uint64_t epoch) noexcept;
  pin_share(const pin_share& other) noexcept;
  pin_share(pin_share&& other) noexcept;
  pin_share& operator=(pin_share other) noexcept;
  ~pin_share();

  [[nodiscard]] bool is_open() const noexcept { return core_ != nullptr; }
  [[nodiscard]] const std::shared_ptr<engine_core>& core() const noexcept { return core_; }
  [[nodiscard]] const generation& graph() const noexcept { return *graph_; }
  [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }

 private:
  std::shared_ptr<engine_core> core_;
  const generation* graph_ = nullptr;
  std::uint32_t slot_ = 0;
  std::uint64_t epoch_ = 0;
};

/// One array at one epoch, or in one state of a fork, without its element type.
struct view_source {
  pin_share pin;
  const std::uint32_t* overlay = nullptr;  ///< frames of a lazy array by slot; null: the page table
  std::uint32_t slot = 0;
  std::uint32_t page_count = 0;
  std::uint64_t length = 0;
  page_class page = page_class::b64;
  bool contiguous = false;
  std::shared_ptr<fork_version> branch = nullptr;  ///< the fork's state; null: the engine's

  /// The bytes of page `index`, which is below `page_count`.
  [[nodiscard]] const std::byte* page_bytes(std::uint32_t index) const noexcept;
};

/// The elements of one array at one epoch.
template <element T>
class view {
 public:
  explicit view(view_source source) noexcept : source_(std::move(source)) {}

  /// Pages in order, each a span over the frame itself; the last one may be shorter.
  class page_range {
   public:
    class iterator {
     public:
      using value_type = std::span<const T>;
      using difference_type = std::ptrdiff_t;
      iterator() = default;
      iterator(const view* owner, std::uint32_t index) : owner_(owner), index_(index) {}
      value_type operator*() const noexcept { return owner_->page(index_); }
      iterator& operator++() noexcept {
        ++index_;
        return *this;
      }
      iterator operator++(int) noexcept {
        iterator before = *this;
        ++index_;
        return before;
      }
      friend bool operator==(const iterator&, const iterator&) = default;

     private:
      const view* owner_ = nullptr;
      std::uint32_t index_ = 0;
    };
    explicit page_range(const view& owner) noexcept : owner_(&owner) {}
    [[nodiscard]] iterator begin() const noexcept { return {owner_, 0}; }
    [[nodiscard]] iterator end() const noexcept { return {owner_, owner_->page_count()}; }
    [[nodiscard]] std::uint32_t size() const noexcept { return owner_->page_count(); }

   private:
    const view* owner_;
  };

  [[nodiscard]] page_range pages() const& noexcept { return page_range(*this); }
  page_range pages() const&& = delete;  // the spans would outlive what keeps them still
  [[nodiscard]] std::uint32_t page_count() const noexcept { return source_.page_count; }
  [[nodiscard]] std::uint64_t size() const noexcept { return source_.length; }
  [[nodiscard]] sheaf::epoch epoch() const noexcept { return {source_.pin.epoch()}; }

  /// Page `index`; empty past the end.
  [[nodiscard]] std::span<const T> page(std::uint32_t index) const& noexcept {
    if (index >= source_.page_count) return {};
    const std::uint64_t per_page = bytes_of(source_.page) / sizeof(T);
    const std::uint64_t first = index * per_page;
    const std::uint64_t count = std::min(per_page, source_.length - first);
    return {reinterpret_cast<const T*>(source_.page_bytes(index)), static_cast<std::size_t>(count)};
  }
  std::span<const T> page(std::uint32_t index) const&& = delete;

  /// All elements as one span over the frames themselves, of a `layout::contiguous` array;
  /// `unsupported` for a paged one of more than one page. O(1), no copy.
  [[nodiscard]] result<std::span<const T>> flat() const& noexcept {
    if (!source_.contiguous && source_.page_count > 1) {
      return status(status_code::unsupported, subsystem::engine,
                    "one flat span is for contiguous arrays outside forks, or of one page");
    }
    return std::span<const T>(reinterpret_cast<const T*>(source_.page_bytes(0)),
                              static_cast<std::size_t>(source_.length));
  }
  result<std::span<const T>> flat() const&& = delete;

  /// Element `index`; `out_of_range` past the end.
  [[nodiscard]] result<T> at(std::uint64_t index) const noexcept {
    if (index >= source_.length) {
      return make_status(status_code::out_of_range, subsystem::engine, "no such element",
                         "index %llu of a view of %llu elements",
                         static_cast<unsigned long long>(index),
                         static_cast<unsigned long long>(source_.length));
    }
    return (*this)[index];
  }
  /// Element `index`, which must be below `size()`.
  [[nodiscard]] T operator[](std::uint64_t index) const noexcept {
    const std::uint64_t per_page = bytes_of(source_.page) / sizeof(T);
    const auto* page = source_.page_bytes(static_cast<std::uint32_t>(index / per_page));
    return reinterpret_cast<const T*>(page)[index % per_page];
  }
  /// Copies elements [0, to.size()) and returns how many there were.
  std::uint64_t copy_to(std::span<T> to) const noexcept {
    std::uint64_t done = 0;
    for (const std::span<const T> from : pages()) {
      const std::uint64_t count = std::min<std::uint64_t>(from.size(), to.size() - done);
      std::copy_n(from.begin(), count, to.begin() + static_cast<std::ptrdiff_t>(done));
      done += count;
      if (done == to.size()) break;
    }
    return done;
  }

 private:
  view_source source_;
};

/// See the head of this file. Obtained from `engine::snapshot`.
class snapshot {
 public:
  /// Nothing is open: every call fails with `closed`.
  snapshot() noexcept;
  snapshot(snapshot&&) noexcept = default;
  snapshot& operator=(snapshot&&) noexcept = default;
  snapshot(const snapshot&) = delete;
  snapshot& operator=(const snapshot&) = delete;

  /// Ok, or why there is no snapshot: `closed`, `too_many`, `reentrant`.
  [[nodiscard]] const status& error() const noexcept { return error_; }
  explicit operator bool() const noexcept { return pin_.is_open(); }
  /// True while commits wait because of versions that only snapshots as old as this one need: to
  /// release it would let them go on.
  [[nodiscard]] bool is_pressed() const noexcept;
  [[nodiscard]] sheaf::epoch epoch() const noexcept { return {pin_.epoch()}; }

  /// The whole of `target`. O(1) for sources and eager arrays. Errors: `error()`, `foreign_handle`,
  /// `unknown_array`; for lazy arrays also `out_of_memory` and `operator_failed`.
  template <element T>
  [[nodiscard]] result<view<T>> fetch(const array<T>& target) const& {
    result<view_source> found = find(target.handle(), dtype_of<T>);
    if (!found) return found.error();
    return view<T>(std::move(*found));
  }
  template <element T>
  result<view<T>> fetch(const array<T>& target) const&& = delete;  // the snapshot dies first

  /// One element; for arrays of one the index may be left out. Errors as `fetch`, `out_of_range`.
  template <element T>
  [[nodiscard]] result<T> get(const array<T>& target, std::uint64_t index = 0) const {
    result<view_source> found = find(target.handle(), dtype_of<T>);
    if (!found) return found.error();
    return view<T>(std::move(*found)).at(index);
  }

  /// A fork of what this snapshot shows. O(1); it takes no further pin. Check it like a result.
  [[nodiscard]] fork_state fork() const;

  /// Gives the pin up early; views taken from it keep their own.
  void release() noexcept;

 private:
  friend class engine;
  friend class engine_core;
  friend class fork_state;
  snapshot(pin_share pin) noexcept : pin_(std::move(pin)) {}
  explicit snapshot(std::shared_ptr<fork_version> branch) noexcept;
  explicit snapshot(const status& error) noexcept : error_(error) {}
  [[nodiscard]] result<view_source> find(const array_handle& target, dtype type) const;
  [[nodiscard]] status closed_reason() const;

  pin_share pin_;
  std::shared_ptr<fork_version> branch_;  ///< the fork's state; null: the engine's
  status error_;
};

}  // namespace sheaf::inline v0
