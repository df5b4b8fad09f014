/// \file
/// The kernel values of every instruction set this machine can run, against the scalar reference,
/// bit for bit after the store: each operation, each element type, special and random values.
#include <gtest/gtest.h>

#include <rapidcheck/gtest.h>
#include <cstring>
#include <memory>
#include <new>
#include <sheaf/algebra/fold_tree.hpp>
#include <sheaf/base/isa.hpp>

#include "algebra/simd_bodies.hpp"
#include "algebra/values.hpp"

namespace sheaf {
namespace {

using test::operands;
using test::simd_bodies;

const simd_bodies* bodies_of(isa set) {
  switch (set) {
    case isa::scalar: return &test::simd_bodies_scalar;
    case isa::avx2: return &test::simd_bodies_avx2;
    case isa::avx512: return &test::simd_bodies_avx512;
  }
  return nullptr;
}

/// `count` elements on a line's border.
template <class T>
class aligned_array {
 public:
  explicit aligned_array(std::size_t count)
      : count_(count), items_(static_cast<T*>(::operator new(count * sizeof(T), alignment))) {
    std::memset(static_cast<void*>(items_.get()), 0xa5, count * sizeof(T));
  }
  T* data() { return items_.get(); }
  T& operator[](std::size_t i) { return items_.get()[i]; }
  std::size_t size() const { return count_; }

 private:
  static constexpr std::align_val_t alignment{64};
  struct deleter {
    void operator()(T* items) const { ::operator delete(items, alignment); }
  };
  std::size_t count_;
  std::unique_ptr<T, deleter> items_;
};

/// Every pair of special values (with the third operand running through them), then random ones.
template <class T>
struct inputs {
  aligned_array<T> a, b, c;
  operands pointers() { return {a.data(), b.data(), c.data()}; }
};
template <class T>
inputs<T> make_inputs(std::uint64_t seed) {
  const std::vector<T> specials = test::special_values<T>();
  const std::size_t pairs = specials.size() * specials.size();
  const std::size_t count = (pairs + 4096 + 63) / 64 * 64;
  inputs<T> in{aligned_array<T>(count), aligned_array<T>(count), aligned_array<T>(count)};
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < count; ++i) {
    const bool special = i < pairs;
    in.a[i] = special ? specials[i / specials.size()] : test::random_value<T>(random);
    in.b[i] = special ? specials[i % specials.size()] : test::random_value<T>(random);
    in.c[i] = special ? specials[random() % specials.size()] : test::random_value<T>(random);
  }
  return in;
}

class Simd : public testing::TestWithParam<isa> {
 protected:
  void SetUp() override {
    if (!is_available(GetParam())) {
      GTEST_SKIP() << "this machine or build lacks " << name_of(GetParam());
    }
    ASSERT_NE(bodies_of(GetParam()), nullptr);
  }
  const simd_bodies& bodies() const { return *bodies_of(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Isa, Simd, testing::Values(isa::scalar, isa::avx2, isa::avx512),
                         [](const auto& set) { return std::string(name_of(set.param)); });

template <class T>
std::string shown(T x) {
  char text[64];
  std::snprintf(text, sizeof text, "%llx (%.9g)", static_cast<unsigned long long>(to_bits(x)),
                static_cast<double>(x));
  return text;
}

/// Compares `out` with `expected(i)`, both after the store; reports the first difference.
template <class T, class In, class Expected>
testing::AssertionResult equal_bits(aligned_array<T>& out, In& in, Expected&& expected) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const T wanted = canonical(expected(i));
    if (to_bits(out[i]) == to_bits(wanted)) continue;
    return testing::AssertionFailure()
           << "element " << i << " of " << shown(in.a[i]) << ", " << shown(in.b[i]) << ", "
           << shown(in.c[i]) << " is " << shown(out[i]) << ", the reference " << shown(wanted);
  }
  return testing::AssertionSuccess();
}

template <class Op, class T>
T reference(inputs<T>& in, std::size_t i) {
  if constexpr (Op::arity == 1) return Op::apply(in.a[i]);
  else if constexpr (Op::arity == 2) return Op::apply(in.a[i], in.b[i]);
  else return Op::apply(in.a[i], in.b[i], in.c[i]);
}

template <class T, class... Ops>
void check_ops(const simd_bodies& bodies, inputs<T>& in, op_list<Ops...>) {
  unsigned number = 0;
  const auto check = [&]<class Op>(Op) {
    const unsigned op = number++;
    aligned_array<T> out(in.a.size());
    const bool done = bodies.apply(op, dtype_of<T>, in.pointers(), out.data(), out.size());
    EXPECT_EQ(done, Op::supports(dtype_of<T>)) << Op::name;
    if constexpr (Op::supports(dtype_of<T>)) {
      EXPECT_TRUE(equal_bits(out, in, [&](std::size_t i) { return reference<Op>(in, i); }))
          << Op::name << " on " << name_of(dtype_of<T>);
    }
  };
  (check(Ops{}), ...);
}

TEST_P(Simd, EveryOperationGivesTheBitsOfTheScalarReference) {
  test::for_each_element_type([&]<class T>(std::type_identity<T>) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      inputs<T> in = make_inputs<T>(seed);
      check_ops(bodies(), in, all_ops{});
    }
  });
}

TEST_P(Simd, TernaryOperationsAgreeOnEveryTripleOfSpecialFloats) {
  const auto check = [&]<class T>(std::type_identity<T>) {
    const std::vector<T> specials = test::special_values<T>();
    for (const T third : specials) {
      inputs<T> in = make_inputs<T>(7);
      for (std::size_t i = 0; i < in.c.size(); ++i) in.c[i] = third;
      aligned_array<T> out(in.a.size());
      bodies().apply(8, dtype_of<T>, in.pointers(), out.data(), out.size());
      ASSERT_TRUE(equal_bits(out, in, [&](std::size_t i) { return reference<op_fma>(in, i); }));
    }
  };
  check(std::type_identity<float>{});
  check(std::type_identity<double>{});
}

TEST_P(Simd, OperatorsMeanTheNamedOperations) {
  using ops = op_list<op_add, op_sub, op_mul, op_div, op_neg, op_and_, op_or_, op_xor_, op_not_,
                      op_shl, op_shr>;
  static_assert(ops::count == test::infix_count);
  test::for_each_element_type([&]<class T>(std::type_identity<T>) {
    inputs<T> in = make_inputs<T>(11);
    unsigned number = 0;
    const auto check = [&]<class Op>(Op) {
      aligned_array<T> out(in.a.size());
      const bool done =
          bodies().infix(number++, dtype_of<T>, in.pointers(), out.data(), out.size());
      EXPECT_EQ(done, Op::supports(dtype_of<T>)) << Op::name;
      if constexpr (Op::supports(dtype_of<T>)) {
        EXPECT_TRUE(equal_bits(out, in, [&](std::size_t i) { return reference<Op>(in, i); }))
            << Op::name << " on " << name_of(dtype_of<T>);
      }
    };
    [&]<class... Ops>(op_list<Ops...>) { (check(Ops{}), ...); }(ops{});
  });
}

TEST_P(Simd, EverySemiringGivesTheBitsOfTheScalarReference) {
  for (unsigned id = 0; id < semiring_count; ++id) {
    visit_semiring(static_cast<semiring_id>(id), [&]<class S>(S) {
      test::for_each_element_type([&]<class T>(std::type_identity<T>) {
        inputs<T> in = make_inputs<T>(13);
        for (unsigned part = 0; part < 3; ++part) {
          aligned_array<T> out(in.a.size());
          const bool done =
              bodies().weigh(S::id, part, dtype_of<T>, in.pointers(), out.data(), out.size());
          EXPECT_EQ(done, S::supports(dtype_of<T>)) << S::name;
          if constexpr (S::supports(dtype_of<T>)) {
            EXPECT_TRUE(equal_bits(out, in,
                                   [&](std::size_t i) {
                                     if (part == 0) return S::plus(in.a[i], in.b[i]);
                                     return part == 1 ? S::times(in.a[i], in.b[i])
                                                      : S::plus_times(in.a[i], in.b[i], in.c[i]);
                                   }))
                << S::name << " part " << part << " on " << name_of(dtype_of<T>);
          }
        }
      });
    });
  }
}

TEST_P(Simd, CastsGiveTheBitsOfTheScalarReference) {
  test::for_each_element_type([&]<class From>(std::type_identity<From>) {
    inputs<From> in = make_inputs<From>(17);
    test::for_each_element_type([&]<class To>(std::type_identity<To>) {
      const auto expected = [&](std::size_t i) { return cast<To>(in.a[i]); };
      aligned_array<To> out(in.a.size()), same(in.a.size());
      bodies().cast(dtype_of<To>, dtype_of<From>, in.a.data(), out.data(), out.size());
      EXPECT_TRUE(equal_bits(out, in, expected))
          << name_of(dtype_of<From>) << " to " << name_of(dtype_of<To>);
      if (bodies().cast_same_width(dtype_of<To>, dtype_of<From>, in.a.data(), same.data(),
                                   same.size())) {
        EXPECT_TRUE(equal_bits(same, in, expected))
            << name_of(dtype_of<From>) << " to " << name_of(dtype_of<To>) << " in registers";
      }
    });
  });
}

TEST_P(Simd, ComparisonMasksHaveOneBitPerElement) {
  test::for_each_element_type([&]<class T>(std::type_identity<T>) {
    inputs<T> in = make_inputs<T>(19);
    const std::size_t count = in.a.size(),
                      lanes = bodies().register_size == 1 ? 1 : bodies().register_size / sizeof(T);
    for (std::size_t i = 0; i < count; i += 3) in.b[i] = in.a[i];
    for (std::size_t i = 0; i < count; ++i) {
      if (i / lanes % 4 == 1) in.b[i] = in.a[i];  // whole registers that are equal
      if (i / lanes % 4 == 2 && i % lanes != i / lanes % lanes) in.b[i] = in.a[i];  // one differs
    }
    const auto differs = std::make_unique<bool[]>(count), nonzero = std::make_unique<bool[]>(count),
               same = std::make_unique<bool[]>(count);
    bodies().masks(dtype_of<T>, in.pointers(), count, differs.get(), nonzero.get(), same.get());
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t begin = i / lanes * lanes;
      const bool equal = std::memcmp(&in.a[begin], &in.b[begin], lanes * sizeof(T)) == 0;
      ASSERT_EQ(differs[i], to_bits(in.a[i]) != to_bits(in.b[i])) << i;
      ASSERT_EQ(nonzero[i], in.a[i] != T{0}) << i;
      ASSERT_EQ(same[i], equal) << i << " on " << name_of(dtype_of<T>);
    }
  });
}

template <class T, class... Folds>
testing::AssertionResult folds_agree(const simd_bodies& bodies, aligned_array<T>& items,
                                     unsigned count, bool line, op_list<Folds...>) {
  unsigned number = 0;
  testing::AssertionResult result = testing::AssertionSuccess();
  const auto check = [&]<class F>(F) {
    T out{};
    bodies.fold(number, line, dtype_of<T>, items.data(), count, &out);
    const T wanted = canonical(fold_block<F>(items.data(), count));
    if (to_bits(out) != to_bits(wanted)) {
      result = testing::AssertionFailure() << "fold " << number << " of " << count << ' '
                                           << name_of(dtype_of<T>) << (line ? " in a line" : "");
    }
    ++number;
  };
  (check(Folds{}), ...);
  return result;
}

TEST_P(Simd, FoldsFollowTheTreeAtEveryLength) {
  test::for_each_element_type([&]<class T>(std::type_identity<T>) {
    std::mt19937_64 random(23);
    for (unsigned count = 1; count <= fold_block_items_max; ++count) {
      for (unsigned round = 0; round < 8; ++round) {
        aligned_array<T> items(fold_block_items_max);
        for (unsigned i = 0; i < count; ++i) {
          items[i] = round % 2 == 0 ? test::random_value<T>(random)
                                    : static_cast<T>(static_cast<int>(random() % 100));
        }
        if (count <= line_lanes<T>) {
          ASSERT_TRUE(folds_agree(bodies(), items, count, true, test::fold_list{}));
        }
        ASSERT_TRUE(folds_agree(bodies(), items, count, false, test::fold_list{}));
      }
    }
  });
}

RC_GTEST_PROP(SimdRandom, EveryAvailableSetAgreesWithTheReference, ()) {
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  for (const isa set : {isa::scalar, isa::avx2, isa::avx512}) {
    if (!is_available(set)) continue;
    test::for_each_element_type([&]<class T>(std::type_identity<T>) {
      inputs<T> in{aligned_array<T>(256), aligned_array<T>(256), aligned_array<T>(256)};
      std::mt19937_64 random(seed);
      for (std::size_t i = 0; i < 256; ++i) {
        in.a[i] = test::random_value<T>(random);
        in.b[i] = test::random_value<T>(random);
        in.c[i] = test::random_value<T>(random);
      }
      check_ops(*bodies_of(set), in, all_ops{});
    });
  }
  RC_ASSERT(!testing::Test::HasFailure());
}

}  // namespace
}  // namespace sheaf
