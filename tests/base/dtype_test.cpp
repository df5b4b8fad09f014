/// \file
/// The run-time tag and the C++ type of an element always agree.
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <sheaf/base/dtype.hpp>
#include <sheaf/base/id.hpp>
#include <type_traits>

namespace sheaf {
namespace {

static_assert(dtype_of<float> == dtype::f32 && dtype_of<double> == dtype::f64);
static_assert(dtype_of<std::int32_t> == dtype::i32 && dtype_of<std::int64_t> == dtype::i64);
static_assert(dtype_of<std::uint8_t> == dtype::u8 && dtype_of<std::uint32_t> == dtype::u32);
static_assert(dtype_of<std::uint64_t> == dtype::u64);
static_assert(!element<bool> && !element<char> && !element<std::int16_t> && !element<long double>);
static_assert(!element<const float> && !element<float&>);

static_assert(!std::is_convertible_v<array_id, frame_id> && !std::is_convertible_v<array_id, int>);
static_assert(sizeof(array_id) == 4 && sizeof(frame_id) == 4 && sizeof(epoch) == 8);

TEST(Dtype, VisitHandsOverTheTypeTheTagStandsFor) {
  for (unsigned i = 0; i < dtype_count; ++i) {
    const auto type = static_cast<dtype>(i);
    visit_dtype(type, [&]<class T>(std::type_identity<T>) {
      EXPECT_EQ(dtype_of<T>, type);
      EXPECT_EQ(size_of(type), sizeof(T));
      EXPECT_EQ(std::size_t{1} << size_shift(type), sizeof(T));
      EXPECT_EQ(is_float(type), std::is_floating_point_v<T>);
      const std::string_view name = name_of(type);
      const char kind = std::is_floating_point_v<T> ? 'f' : std::is_signed_v<T> ? 'i' : 'u';
      EXPECT_EQ(name.front(), kind);
      EXPECT_EQ(name.substr(1), std::to_string(8 * sizeof(T)));
    });
  }
}

TEST(Epoch, OrdersByValueAndHashesAsItsNumber) {
  EXPECT_LT(epoch{1}, epoch{2});
  EXPECT_EQ(epoch{7}, epoch{7});
  EXPECT_EQ(epoch{}.value, 0U);
  EXPECT_EQ(std::hash<epoch>{}(epoch{7}), std::hash<std::uint64_t>{}(7));
}

TEST(Ids, TheAbsentIdIsTheLargestSoDenseOnesNeverReachIt) {
  EXPECT_EQ(index_of(no_array), std::numeric_limits<std::uint32_t>::max());
  EXPECT_EQ(index_of(no_frame), std::numeric_limits<std::uint32_t>::max());
  EXPECT_EQ(index_of(array_id{5}), 5U);
}

}  // namespace
}  // namespace sheaf
