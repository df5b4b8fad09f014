/// \file
/// What a host does with an installed Sheaf: includes a header, links the library, runs.
#include <cstdio>
#include <sheaf/base/isa.hpp>
#include <string>

int main() {
  const sheaf::result<sheaf::isa> selected = sheaf::selected_isa();
  if (!selected) {
    std::fprintf(stderr, "%s\n", selected.error().message().c_str());
    return 1;
  }
  std::printf("sheaf works on %s\n", std::string(sheaf::name_of(*selected)).c_str());
  return 0;
}
