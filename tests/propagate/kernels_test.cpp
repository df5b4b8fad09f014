/// Combine, settle, gather and the folds, on every instruction set of this machine, against an
/// element-by-element reference, bit for bit.
#include "propagate/kernels_support.hpp"

namespace {

using namespace kernels_support;

/// Calls `check(table, lines, semiring, type)` for all of them.
template <class Check>
void for_each_semiring_page(Check&& check) {
  for (const kernel_table* table : tables()) {
    for_each_type([&]<element T>() {
      for (unsigned s = 0; s < semiring_count; ++s) {
        const auto id = static_cast<semiring_id>(s);
        if (!supports(id, dtype_of<T>)) continue;
        for (unsigned lines = 1; lines <= page_lines_max; lines *= 2) {
          SCOPED_TRACE(testing::Message() << name_of(table->set) << ' ' << name_of(id) << ' '
                                          << name_of(dtype_of<T>) << ' ' << lines << " lines");
          generator random(s * 1000 + lines);
          check.template operator()<T>(*table, id, lines, random);
          if (testing::Test::HasFatalFailure()) return;
        }
      }
    });
  }
}

TEST(Kernels, AreThereForEverySemiringAndTypeThatIsDefined) {
  for (const kernel_table* table : tables()) {
    for (unsigned s = 0; s < semiring_count; ++s) {
      for (unsigned t = 0; t < dtype_count; ++t) {
        const bool defined = supports(static_cast<semiring_id>(s), static_cast<dtype>(t));
        EXPECT_EQ(table->combine[s][t] != nullptr, defined);
        EXPECT_EQ(table->combine_weighted[s][t] != nullptr, defined);
        EXPECT_EQ(table->fold_lines[s][t] != nullptr, defined);
        EXPECT_EQ(table->fold_blocks[s][t] != nullptr, defined);
        EXPECT_EQ(table->segment_fold[s][t] != nullptr, defined);
      }
    }
    EXPECT_EQ(table->gather[1], nullptr);
  }
}

TEST(Kernels, OfASetAreNullExactlyWhereTheMachineLacksIt) {
  for (const isa set : {isa::scalar, isa::avx2, isa::avx512}) {
    const kernel_table* table = kernels_of(set);
    ASSERT_EQ(table != nullptr, is_available(set));
    if (table == nullptr) continue;
    EXPECT_EQ(table->set, set);
  }
}

TEST(KernelsCombine, FoldsFromTheFirstOperandAndStoresOnlyLinesThatDiffer) {
  for_each_semiring_page([]<element T>(const kernel_table& table, semiring_id id, unsigned lines,
                                       generator& random) {
    for (const unsigned count : {1u, 2u, 3u, 4u, 5u, 9u}) {
      const page_shape shape = random_shape<T>(random, lines);
      std::vector<std::unique_ptr<guarded_page>> pages;
      std::vector<const std::byte*> values;
      for (unsigned k = 0; k < count; ++k) {
        pages.push_back(std::make_unique<guarded_page>(lines));
        fill<T>(random, *pages[k], shape);
        values.push_back(pages[k]->data());
      }
      std::vector<T> expected(lines * line_size / sizeof(T));
      for (std::size_t i = 0; i < expected.size(); ++i) {
        expected[i] = pages[0]->as<T>()[i];
        for (unsigned k = 1; k < count; ++k) {
          expected[i] = plus_of(id, expected[i], pages[k]->as<T>()[i]);
        }
      }
      const combine_body body =
          table.combine[static_cast<unsigned>(id)][static_cast<unsigned>(dtype_of<T>)];
      check_page_body<T>(random, shape, expected, [&](const line_task& task) {
        return body(task, values.data(), count);
      });
    }
  });
}

TEST(KernelsCombineWeighted, WeighsEachOperandAndTakesBroadcasts) {
  for_each_semiring_page([]<element T>(const kernel_table& table, semiring_id id, unsigned lines,
                                       generator& random) {
    for (const unsigned count : {1u, 2u, 5u}) {
      for (const bool weighted : {true, false}) {
        const page_shape shape = random_shape<T>(random, lines);
        std::vector<std::unique_ptr<guarded_page>> pages;
        std::vector<operand_view> views;  // values, then weights
        // Pages times single elements have a path of their own.
        const bool scaled = weighted && random.below(2) == 0;
        for (unsigned k = 0; k < 2 * count; ++k) {
          pages.push_back(std::make_unique<guarded_page>(lines));
          fill<T>(random, *pages[k], shape);
          const bool aligned = scaled ? k < count : random.below(3) != 0;
          const std::size_t place = aligned ? 0 : random.below(lines * line_size / sizeof(T));
          views.push_back({pages[k]->data() + place * sizeof(T), aligned ? 64u : 0u});
        }
        const auto at = [&](unsigned k, std::size_t i) {
          return reinterpret_cast<const T*>(views[k].data)[views[k].step == 0 ? 0 : i];
        };
        std::vector<T> expected(lines * line_size / sizeof(T));
        for (std::size_t i = 0; i < expected.size(); ++i) {
          T sum = weighted ? times_of(id, at(0, i), at(count, i)) : at(0, i);
          for (unsigned k = 1; k < count; ++k) {
            sum = weighted ? plus_times_of(id, sum, at(k, i), at(count + k, i))
                           : plus_of(id, sum, at(k, i));
          }
          expected[i] = sum;
        }
        const combine_weighted_body body =
            table.combine_weighted[static_cast<unsigned>(id)][static_cast<unsigned>(dtype_of<T>)];
        check_page_body<T>(random, shape, expected, [&](const line_task& task) {
          return body(task, views.data(), weighted ? views.data() + count : nullptr, count);
        });
      }
    }
  });
}

TEST(KernelsSettle, MakesCanonicalZeroesTheTailAndStoresWhatDiffers) {
  for (const kernel_table* table : tables()) {
    for_each_type([&]<element T>() {
      for (unsigned lines = 1; lines <= page_lines_max; lines *= 2) {
        for (unsigned round = 0; round < 8; ++round) {
          SCOPED_TRACE(testing::Message() << name_of(table->set) << ' ' << name_of(dtype_of<T>));
          generator random(lines * 100 + round);
          const page_shape shape = random_shape<T>(random, lines);
          guarded_page computed(lines);
          fill<T>(random, computed, {lines});  // past the end too: settle must zero it
          const std::vector<T> expected(computed.as<T>(),
                                        computed.as<T>() + computed.size() / sizeof(T));
          check_page_body<T>(random, shape, expected, [&](const line_task& task) {
            return table->settle[static_cast<unsigned>(dtype_of<T>)](task, computed.data());
          });
          if (testing::Test::HasFatalFailure()) return;
        }
      }
    });
  }
}

TEST(KernelsFoldLines, FoldsTheLanesOfEachLineAsTheTreeSays) {
  for_each_semiring_page([]<element T>(const kernel_table& table, semiring_id id, unsigned lines,
                                       generator& random) {
    constexpr unsigned per_line = static_cast<unsigned>(line_size / sizeof(T));
    const page_shape shape = random_shape<T>(random, lines);
    guarded_page page(lines);
    fill<T>(random, page, shape);
    const line_mask mask = random.mask(lines, shape.last_line());
    guarded_page results(page_lines_max * sizeof(T) / line_size + 1);
    const T untouched = from_bits<T>(static_cast<bits_of<T>>(0xa5a5a5a5a5a5a5a5u));
    table.fold_lines[static_cast<unsigned>(id)][static_cast<unsigned>(dtype_of<T>)](
        results.data(), page.data(), mask, shape.tail_line, shape.tail_elements);
    for (unsigned line = 0; line < page_lines_max; ++line) {
      T expected = untouched;
      if ((mask >> line & 1) != 0) {
        const T* first = page.as<T>() + line * per_line;
        const unsigned count = line == shape.tail_line ? shape.tail_elements : per_line;
        expected = fold_of<T>(id, {first, first + count});
      }
      ASSERT_EQ(to_bits(results.as<T>()[line]), to_bits(expected)) << line << "; seed " << seed();
    }
    ASSERT_TRUE(results.guards_are_intact());
  });
}

TEST(KernelsFoldBlocks, FoldBlocksOf64AsTheTreeSays) {
  for_each_semiring_page([]<element T>(const kernel_table& table, semiring_id id, unsigned lines,
                                       generator& random) {
    const auto capacity = static_cast<unsigned>(lines * line_size / sizeof(T));
    const unsigned valid = 1 + random.below(capacity);
    const unsigned blocks = (valid + 63) / 64;
    guarded_page page(lines);
    fill<T>(random, page, {lines});
    guarded_page results(page_lines_max * sizeof(T) / line_size + 1);
    const T untouched = from_bits<T>(static_cast<bits_of<T>>(0xa5a5a5a5a5a5a5a5u));
    const unsigned begin = random.below(blocks);
    const unsigned end = begin + 1 + random.below(blocks - begin);
    table.fold_blocks[static_cast<unsigned>(id)][static_cast<unsigned>(dtype_of<T>)](
        results.data(), page.data(), valid, begin, end);
    for (unsigned b = 0; b < page_lines_max; ++b) {
      T expected = untouched;
      if (b >= begin && b < end) {
        const T* first = page.as<T>() + b * 64;
        expected = fold_of<T>(id, {first, first + std::min(64u, valid - b * 64)});
      }
      ASSERT_EQ(to_bits(results.as<T>()[b]), to_bits(expected)) << b << "; seed " << seed();
    }
    ASSERT_TRUE(results.guards_are_intact());
  });
}

/// Pages of an array scattered over frames of a size class.
template <element T>
class paged_array {
 public:
  paged_array(generator& random, unsigned lines, unsigned pages)
      : memory_(lines * (pages + 3)), shift_(static_cast<unsigned>(std::countr_zero(
                                          lines * line_size / sizeof(T)))) {
    fill<T>(random, memory_, {lines * (pages + 3)});
    for (unsigned p = 0; p < pages; ++p) frames_.push_back(random.below(pages + 3));
    view_ = {frames_.data(), memory_.data(), shift_,
             static_cast<unsigned>(std::countr_zero(lines * line_size))};
  }
  const paged_view& view() const { return view_; }
  unsigned size() const { return static_cast<unsigned>(frames_.size()) << shift_; }
  T operator[](unsigned i) {
    return memory_.as<T>()[(std::size_t{frames_[i >> shift_]} << shift_) +
                           (i & ((1u << shift_) - 1))];
  }

 private:
  guarded_page memory_;
  std::vector<std::uint32_t> frames_;
  unsigned shift_;
  paged_view view_;
};

TEST(KernelsSegmentFold, FoldsNamedElementsInOrderAndGivesZeroForNone) {
  for_each_semiring_page([]<element T>(const kernel_table& table, semiring_id id, unsigned lines,
                                       generator& random) {
    paged_array<T> operand(random, lines, 5);
    std::vector<std::uint32_t> offsets{random.below(9)};
    for (unsigned i = 0; i < 64; ++i) {
      const unsigned sizes[] = {0, 1, 2, 63, 64, random.below(65)};
      offsets.push_back(offsets.back() + sizes[random.below(6)]);
    }
    const bool direct = offsets.back() <= operand.size() && random.below(2) == 0;
    std::vector<std::uint32_t> indices(offsets.back());
    for (std::uint32_t j = 0; j < indices.size(); ++j) {
      indices[j] = direct ? j : random.below(operand.size());
    }
    const std::uint64_t elements = random.bits() | random.bits();
    guarded_page results(64 * sizeof(T) / line_size);
    const T untouched = from_bits<T>(static_cast<bits_of<T>>(0xa5a5a5a5a5a5a5a5u));
    table.segment_fold[static_cast<unsigned>(id)][static_cast<unsigned>(dtype_of<T>)](
        results.data(), elements, operand.view(), offsets.data(),
        direct ? nullptr : indices.data());
    const T zero = visit_semiring(id, [](auto s) -> T {
      if constexpr (requires { s.template zero<T>(); }) return s.template zero<T>();
      else return T{};
    });
    for (unsigned i = 0; i < 64; ++i) {
      T expected = untouched;
      if ((elements >> i & 1) != 0) {
        std::vector<T> items;
        for (std::uint32_t j = offsets[i]; j < offsets[i + 1]; ++j) {
          items.push_back(operand[indices[j]]);
        }
        expected = items.empty() ? zero : fold_of<T>(id, items);
      }
      ASSERT_EQ(to_bits(results.as<T>()[i]), to_bits(expected)) << i << "; seed " << seed();
    }
    ASSERT_TRUE(results.guards_are_intact());
  });
}

TEST(KernelsGather, CopiesTheBitsOfNamedElementsAndTouchesNoOther) {
  for (const kernel_table* table : tables()) {
    for_each_type([&]<element T>() {
      for (unsigned lines = 1; lines <= page_lines_max; lines *= 2) {
        generator random(lines);
        paged_array<T> operand(random, lines, 5);
        std::vector<std::uint32_t> indices(64);
        for (std::uint32_t& index : indices) index = random.below(operand.size());
        for (const std::uint64_t elements : {~std::uint64_t{0}, random.bits(), std::uint64_t{1}}) {
          guarded_page results(64 * sizeof(T) / line_size);
          table->gather[size_shift(dtype_of<T>)](results.data(), elements, operand.view(),
                                                 indices.data());
          for (unsigned i = 0; i < 64; ++i) {
            const T expected = (elements >> i & 1) != 0
                                   ? operand[indices[i]]
                                   : from_bits<T>(static_cast<bits_of<T>>(0xa5a5a5a5a5a5a5a5u));
            ASSERT_EQ(to_bits(results.as<T>()[i]), to_bits(expected)) << i << "; seed " << seed();
          }
          ASSERT_TRUE(results.guards_are_intact());
        }
      }
    });
  }
}

}  // namespace
