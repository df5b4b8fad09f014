#include <sheaf/observe/build_info.hpp>

#include <sheaf/base/assert.hpp>

#define SHEAF_QUOTED_AGAIN(word) #word
#define SHEAF_QUOTED(word) SHEAF_QUOTED_AGAIN(word)

namespace sheaf::inline v0 {

namespace {

#if defined(__clang__)
constexpr std::string_view compiler = "clang " SHEAF_QUOTED(__clang_major__) "." SHEAF_QUOTED(
    __clang_minor__) "." SHEAF_QUOTED(__clang_patchlevel__);
#elif defined(__GNUC__)
constexpr std::string_view compiler = "gcc " SHEAF_QUOTED(__GNUC__) "." SHEAF_QUOTED(
    __GNUC_MINOR__) "." SHEAF_QUOTED(__GNUC_PATCHLEVEL__);
#else
constexpr std::string_view compiler = "another compiler";
#endif

#if defined(SHEAF_PARANOID_ASSERTS) && SHEAF_PARANOID_ASSERTS
constexpr std::string_view assertions = "paranoid";
#elif defined(SHEAF_DEBUG_ASSERTS) && SHEAF_DEBUG_ASSERTS
constexpr std::string_view assertions = "debug";
#else
constexpr std::string_view assertions = "always";
#endif

}  // namespace

build_info library_build() noexcept { return {SHEAF_VERSION, compiler, assertions}; }

}  // namespace sheaf::inline v0
