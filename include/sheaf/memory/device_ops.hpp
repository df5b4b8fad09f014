/// \file
/// What host code asks of a device: one table of batch-grained functions, filled in by a plugin
/// (`libsheaf_cuda.so`) that is opened at run time. No header of a device's maker is needed on this
/// side, and a plugin needs no symbol of the library.
///
/// Terms
///   record   the changed lines of some pages: `line_record`s, and the lines they name packed one
///            behind the other, page by page, rising inside a page.
///   commit   a record of source pages goes in, everything derived is brought up to date on the
///            device, a record of what changed comes out.
///   stage    what a commit computes before the host has to run something itself: a plan whose
///            operators all have bodies has one. See `sheaf/propagate/device_plan.hpp`.
///
/// Invariants
///  1. `device-all-or-told`: a call that returns anything but `ok` names the reason; after `lost`
///     every later call returns `lost` at once, and nothing of the device is waited for.
///  2. What a commit puts out stays valid until the next call for the same device.
///
/// Thread safety: calls for one device by one thread at a time; different devices in parallel.
/// Binary contract: plain data and C calling; `version` and `size` say what a table has.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sheaf/base/line_mask.hpp>

namespace sheaf::inline v0 {

inline constexpr std::uint32_t device_ops_version = 3;

enum class device_code : std::uint32_t {
  ok,
  unsupported,    ///< an operator or a type it has no body for; nothing changed
  out_of_memory,  ///< of the device, or past `memory_bytes_max`; nothing changed
  absent,         ///< no driver, too old a driver, or no such device
  lost,           ///< a kernel trapped, a deadline passed or the driver gave up: for good
  invalid,        ///< an argument names what is not there; nothing changed
};

/// Why a call did not do what it was asked.
struct device_error {
  device_code code = device_code::ok;
  char text[236] = {};
};

struct device_info {
  char name[128];
  std::uint64_t memory_bytes;
  std::uint32_t compute_capability;  ///< 10 x major + minor
  std::uint32_t multiprocessors;
  std::uint32_t driver_version;  ///< as the maker counts: 1000 x major + 10 x minor
};

/// How a plan is run on a device.
enum class device_executor : std::uint32_t {
  automatic,  ///< by predicted cost
  stream,     ///< a launch a level
  graph,      ///< captured once, launched whole
};

/// A host's own allocator of device memory. Called by the thread that calls the device, while it
/// does, with the device's context current; never between the begin and the end of a commit.
struct device_memory_hook {
  void* context = nullptr;
  /// Memory of the device, aligned to 256 bytes; null where there is none left. Null itself: the
  /// driver's memory is used.
  void* (*allocate)(void* context, std::uint64_t bytes) noexcept = nullptr;
  void (*deallocate)(void* context, void* block, std::uint64_t bytes) noexcept = nullptr;
};

struct device_settings {
  std::uint32_t index = 0;
  device_executor executor = device_executor::automatic;
  std::uint64_t memory_bytes_max = ~std::uint64_t{0};
  std::uint64_t ring_bytes = std::uint64_t{1} << 25;  ///< pinned, each way
  double deadline_seconds = 10;  ///< a call that takes longer makes the device `lost`
  /// Every page its own allocation between red zones, which are looked at after each commit; a
  /// write past a page ends the process and says where. Slow.
  bool is_checked = false;
  bool is_timed = false;         ///< `device_figures::device_microseconds` is measured
  device_memory_hook memory = {};  ///< outlives the device
};

/// Changed lines of one page.
struct line_record {
  std::uint32_t slot;
  std::uint32_t reserved;
  line_mask lines;
};
struct device_record {
  const line_record* pages;
  const std::byte* lines;  ///< packed; of slots that are not observed: nothing
  std::uint32_t page_count;
  std::uint32_t line_count;  ///< of `lines`
};

/// What commits did, since the device was opened.
struct device_figures {
  std::uint64_t commits;
  std::uint64_t launches;
  std::uint64_t graph_captures;
  std::uint64_t allocations_on_commit;  ///< of device memory, by `write` and `commit`
  std::uint64_t bytes_in, bytes_out;
  std::uint64_t lines_computed;  ///< not counted in this version: 0
  std::uint64_t lines_changed;
  double device_microseconds;  ///< of the levels of the last commit, by the device's clock
};

struct device_context;  ///< of the plugin

/// A part of a plan: an array of plain data. Which array has which number is in
/// `sheaf/propagate/device_plan.hpp`.
struct device_section {
  const void* data;
  std::uint64_t bytes;
};

struct device_ops {
  std::uint32_t version;
  std::uint32_t size;  ///< of this table

  /// How many devices there are; 0 with a reason in `why`.
  std::uint32_t (*count)(device_error* why);
  device_code (*describe)(std::uint32_t index, device_info* into, device_error* why);
  device_code (*open)(const device_settings* settings, device_context** made, device_error* why);
  /// Gives everything back; of a device that is lost, nothing is waited for.
  void (*close)(device_context* device);

  /// Takes over a plan in place of the one before. Pages hold zeros until they are written. Where
  /// it is refused no plan is loaded, and the memory of the one before has been given back; other
  /// calls are `invalid` until one is.
  device_code (*load_plan)(device_context* device, const device_section* sections,
                           std::uint32_t section_count, device_error* why);
  /// Writes lines of any pages, derived ones too, and derives nothing from them: how a device is
  /// brought up to date with what others committed.
  device_code (*write)(device_context* device, const device_record* what, device_error* why);
  /// Runs one stage of a commit: writes lines, of which each counts as changed, and propagates.
  /// `what` are pages of sources in stage 0, which begins a commit and forgets one that did not
  /// come to its last stage; later, pages that the host computed since the stage before. `changed`
  /// gets every page that this stage changed. Stages of a commit rise; who knows that nothing
  /// reaches a stage may leave it out.
  device_code (*commit)(device_context* device, std::uint32_t stage, const device_record* what,
                        device_record* changed, device_error* why);
  /// Recomputes all derived pages; `unsupported` where the host computes some of them.
  device_code (*recompute)(device_context* device, device_error* why);
  /// Reads whole pages, packed in the order of `slots`.
  device_code (*read)(device_context* device, const std::uint32_t* slots, std::uint32_t count,
                      std::byte* into, device_error* why);
  void (*figures)(device_context* device, device_figures* into);
};

/// The one symbol of a plugin: its table, or null where it has none of that version.
using device_ops_entry = const device_ops* (*)(std::uint32_t version);
inline constexpr const char* device_ops_symbol = "sheaf_device_ops";

}  // namespace sheaf::inline v0
