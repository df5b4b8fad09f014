#include <sheaf/propagate/kernels.hpp>

#include <algorithm>

namespace sheaf::inline v0 {

namespace scalar {
extern const kernel_table kernels;
}
#if defined(SHEAF_HAS_AVX2)
namespace avx2 {
extern const kernel_table kernels;
}
#endif
#if defined(SHEAF_HAS_AVX512)
namespace avx512 {
extern const kernel_table kernels;
}
#endif

const kernel_table* kernels_of(isa set) noexcept {
  if (!is_available(set)) return nullptr;
  switch (set) {
#if defined(SHEAF_HAS_AVX2)
    case isa::avx2: return &avx2::kernels;
#endif
#if defined(SHEAF_HAS_AVX512)
    case isa::avx512: return &avx512::kernels;
#endif
    default: return &scalar::kernels;
  }
}

int find_in_manifest(const line_program& program) noexcept {
  const bool one_type = std::ranges::all_of(
      program.operand_types, [&](dtype type) { return type == program.result; });
  if (!one_type || !program.calls.empty()) return -1;
  const kernel_table& table = scalar::kernels;
  for (std::uint32_t i = 0; i < table.manifest_count; ++i) {
    const manifest_entry& entry = table.manifest[i];
    if (entry.operand_count == program.operand_types.size() &&
        std::equal(program.code.begin(), program.code.end(), entry.code,
                   entry.code + entry.instruction_count)) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

}  // namespace sheaf::inline v0
