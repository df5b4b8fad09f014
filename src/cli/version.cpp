#include <string>

#include <sheaf/base/isa.hpp>
#include <sheaf/observe/build_info.hpp>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "observe/json.hpp"

namespace sheaf::cli {

namespace {

constexpr isa sets[isa_count] = {isa::scalar, isa::avx2, isa::avx512};

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
  return out + '\n';
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
