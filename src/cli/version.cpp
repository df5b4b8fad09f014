#include <string>
#include <vector>

#include <sheaf/base/isa.hpp>
#include <sheaf/memory/device_library.hpp>
#include <sheaf/observe/build_info.hpp>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "observe/json.hpp"

namespace sheaf::cli {

namespace {

constexpr isa sets[isa_count] = {isa::scalar, isa::avx2, isa::avx512};

/// What there is of GPUs, and if nothing, why.
struct device_report {
  std::string plugin;              ///< its file; empty: none was opened
  std::vector<device_info> found;
  std::string reason;              ///< why none was found
};

device_report devices_here() {
  device_report report;
  const result<device_library> library = device_library::open();
  if (!library) {
    report.reason = library.error().message();
    return report;
  }
  report.plugin = library->path();
  const result<std::uint32_t> count = library->count();
  if (!count) {
    report.reason = count.error().message();
    return report;
  }
  for (std::uint32_t index = 0; index < *count; ++index) {
    const result<device_info> about = library->describe(index);
    if (about) report.found.push_back(*about);
    else report.reason = about.error().message();
  }
  return report;
}

std::string as_text(const device_report& devices) {
  std::string out;
  const std::size_t count = devices.found.size();
  const std::string plugin = devices.plugin.empty() ? "" : ", plugin " + devices.plugin;
  print(out, "cuda        %zu %s%s\n", count, count == 1 ? "device" : "devices", plugin.c_str());
  for (const device_info& about : devices.found) {
    print(out, "            %s, %llu MiB, compute capability %u.%u\n", about.name,
          static_cast<unsigned long long>(about.memory_bytes >> 20),
          about.compute_capability / 10, about.compute_capability % 10);
  }
  if (!devices.reason.empty()) print(out, "            %s\n", devices.reason.c_str());
  return out;
}

std::string as_json(const device_report& devices) {
  std::string names;
  for (const device_info& about : devices.found) {
    if (!names.empty()) names += ", ";
    names += json_quoted(about.name);
  }
  return json_object()
      .text("plugin", devices.plugin)
      .raw("devices", "[" + names + "]")
      .text("reason", devices.reason)
      .done();
}

std::string as_text(const build_info& build, isa selected) {
  std::string out;
  print(out, "sheaf %s\n", std::string(build.version).c_str());
  print(out, "compiler    %s\n", std::string(build.compiler).c_str());
  print(out, "assertions  %s\n", std::string(build.assertions).c_str());
  out += "kernels     ";
  for (const isa set : sets) {
    if (set != sets[0]) out += ", ";
    out += name_of(set);
    out += set == selected ? " (selected)" : is_available(set) ? "" : " (not available here)";
  }
  out += '\n';
  return out + as_text(devices_here());
}

std::string as_json(const build_info& build, isa selected) {
  std::string available;
  for (const isa set : sets) {
    if (!is_available(set)) continue;
    if (!available.empty()) available += ", ";
    available += json_quoted(name_of(set));
  }
  return json_object()
             .text("version", build.version)
             .text("compiler", build.compiler)
             .text("assertions", build.assertions)
             .raw("kernels_available", "[" + available + "]")
             .text("kernels_selected", name_of(selected))
             .raw("cuda", as_json(devices_here()))
             .done() +
         '\n';
}

}  // namespace

result<std::string> version_report(form as) {
  const result<isa> selected = selected_isa();
  if (!selected) return selected.error();
  return as == form::json ? as_json(library_build(), *selected)
                          : as_text(library_build(), *selected);
}

}  // namespace sheaf::cli
