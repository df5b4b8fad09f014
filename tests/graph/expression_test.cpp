#include <sheaf/algebra/elementwise.hpp>

#include "graph/support.hpp"

namespace {

using namespace graph_test;
using sheaf::dtype;
using sheaf::instruction;
using sheaf::opcode;

constexpr std::uint8_t operand(unsigned i) {
  return static_cast<std::uint8_t>(sheaf::operand_ref_begin + i);
}
constexpr std::uint8_t constant(unsigned i) {
  return static_cast<std::uint8_t>(sheaf::constant_ref_begin + i);
}
instruction step(opcode op, dtype type, unsigned to, unsigned a, unsigned b, unsigned c,
                 unsigned from = 0) {
  return {op, type, static_cast<std::uint8_t>(to), static_cast<std::uint8_t>(a),
          static_cast<std::uint8_t>(b), static_cast<std::uint8_t>(c),
          static_cast<std::uint8_t>(from), 0};
}

class Expression : public ::testing::Test {
 protected:
  model m;
  array<float> a = m.source<float>("a", 100);
  array<float> b = m.source<float>("b", 100);
  array<float> c = m.source<float>("c", 100);
  array<float> one = m.source<float>("one", 1);
  array<std::int32_t> k = m.source<std::int32_t>("k", 100);

  template <class X>
  sheaf::line_program program(X&& expression) {
    const auto made = m.derive("", std::forward<X>(expression));
    const auto plan = plan_of(m);
    if (plan->nodes.empty()) return {};
    const auto& found = plan->programs[operation_of(*plan, made.id()).payload];
    EXPECT_TRUE(verify(found).is_ok()) << verify(found).message();
    return found;
  }
  template <class X>
  std::vector<instruction> code(X&& expression) {
    return program(std::forward<X>(expression)).code;
  }
};

using Steps = std::vector<instruction>;

TEST_F(Expression, OfOneArrayIsOneCopy) {
  EXPECT_EQ(code(a),
            Steps({step(opcode::copy, dtype::f32, 0, operand(0), operand(0), operand(0))}));
}

TEST_F(Expression, ReferencesOperandsInOrderOfFirstAppearance) {
  EXPECT_EQ(code(b * a + b),
            Steps({step(opcode::mul, dtype::f32, 0, operand(0), operand(1), operand(0)),
                   step(opcode::add, dtype::f32, 0, 0, operand(0), 0)}));
}

TEST_F(Expression, TakesTheLowestFreeRegister) {
  EXPECT_EQ(code((a + b) * (a - c)),
            Steps({step(opcode::add, dtype::f32, 0, operand(0), operand(1), operand(0)),
                   step(opcode::sub, dtype::f32, 1, operand(0), operand(2), operand(0)),
                   step(opcode::mul, dtype::f32, 0, 0, 1, 0)}));
  EXPECT_EQ(program((a + b) * (a - c)).register_count, 2);
  EXPECT_EQ(program(a + b + c + a + b).register_count, 1);
}

TEST_F(Expression, KeepsEachConstantOnce) {
  const auto made = program((a + 2.0f) * 2 - 3.5);
  EXPECT_EQ(made.constants, (std::vector<std::uint64_t>{0x40000000, 0x40600000}));
  EXPECT_EQ(made.code, Steps({step(opcode::add, dtype::f32, 0, operand(0), constant(0), operand(0)),
                              step(opcode::mul, dtype::f32, 0, 0, constant(0), 0),
                              step(opcode::sub, dtype::f32, 0, 0, constant(1), 0)}));
}

TEST_F(Expression, ConvertsNegativeIntegerConstantsToTheElementsOwnBits) {
  EXPECT_EQ(program(k + -1).constants, (std::vector<std::uint64_t>{0xffffffff}));
}

TEST_F(Expression, KnowsEveryFunction) {
  const auto f = dtype::f32;
  const auto two = [&](opcode op) {
    return Steps({step(op, f, 0, operand(0), operand(1), operand(0))});
  };
  EXPECT_EQ(code(a / b), two(opcode::div));
  EXPECT_EQ(code(min(a, b)), two(opcode::min));
  EXPECT_EQ(code(sheaf::max(a, b)), two(opcode::max));
  EXPECT_EQ(code(eq(a, b)), two(opcode::eq));
  EXPECT_EQ(code(ne(a, b)), two(opcode::ne));
  EXPECT_EQ(code(lt(a, b)), two(opcode::lt));
  EXPECT_EQ(code(le(a, b)), two(opcode::le));
  const auto lone = [&](opcode op) {
    return Steps({step(op, f, 0, operand(0), operand(0), operand(0))});
  };
  EXPECT_EQ(code(-a), lone(opcode::neg));
  EXPECT_EQ(code(abs(a)), lone(opcode::abs));
  EXPECT_EQ(code(sheaf::sqrt(a)), lone(opcode::sqrt));
  EXPECT_EQ(code(exp(a)), lone(opcode::exp));
  EXPECT_EQ(code(log(a)), lone(opcode::log));
  EXPECT_EQ(code(tanh(a)), lone(opcode::tanh));
  EXPECT_EQ(code(erf(a)), lone(opcode::erf));
  EXPECT_EQ(code(sin(a)), lone(opcode::sin));
  EXPECT_EQ(code(cos(a)), lone(opcode::cos));
  EXPECT_EQ(code(pow(a, b)), two(opcode::pow));
  EXPECT_EQ(code(pow(a, 2)), Steps({step(opcode::pow, f, 0, operand(0), constant(0), operand(0))}));
  EXPECT_EQ(code(fma(a, b, c)),
            Steps({step(opcode::fma, f, 0, operand(0), operand(1), operand(2))}));
  EXPECT_EQ(code(select(a, b, c)),
            Steps({step(opcode::select, f, 0, operand(0), operand(1), operand(2))}));
  EXPECT_EQ(code(where(a, b, c)), code(select(a, b, c)));
}

TEST_F(Expression, KnowsBitOperationsOfIntegersOnly) {
  const auto i = dtype::i32;
  const auto with = [&](opcode op) {
    return Steps({step(op, i, 0, operand(0), constant(0), operand(0))});
  };
  EXPECT_EQ(code(k & 3), with(opcode::bit_and));
  EXPECT_EQ(code(k | 3), with(opcode::bit_or));
  EXPECT_EQ(code(k ^ 3), with(opcode::bit_xor));
  EXPECT_EQ(code(k << 3), with(opcode::shl));
  EXPECT_EQ(code(k >> 3), with(opcode::shr));
  EXPECT_EQ(code(~k), Steps({step(opcode::bit_not, i, 0, operand(0), operand(0), operand(0))}));
  EXPECT_FALSE((sheaf::integer_arguments<array<float>, int>));
  EXPECT_FALSE((sheaf::expression_arguments<array<std::int32_t>, double>));
  EXPECT_FALSE((sheaf::expression_arguments<array<float>, array<double>>));
  EXPECT_FALSE((sheaf::expression_arguments<float, float>));
}

TEST_F(Expression, CastsBetweenTypesOfOneSize) {
  EXPECT_EQ(code(cast<std::int32_t>(a) + k),
            Steps({step(opcode::cast, dtype::i32, 0, operand(0), operand(0), operand(0),
                        unsigned(dtype::f32)),
                   step(opcode::add, dtype::i32, 0, 0, operand(1), 0)}));
}

TEST_F(Expression, MarksBroadcastOperands) {
  const auto made = m.derive("", a * one + element_of(b, 7));
  const auto plan = plan_of(m);
  const auto& operation = operation_of(*plan, made.id());
  ASSERT_EQ(operation.operand_count, 3u);
  EXPECT_FALSE(operation.uniform);
  EXPECT_EQ(operation.length, 100u);
  const auto* entries = plan->operands.data() + node_of(*plan, made.id()).operand_begin;
  EXPECT_EQ(plan->operand_details[entries[0]].element, no_index);
  EXPECT_EQ(plan->operand_details[entries[1]].element, 0u);
  EXPECT_EQ(plan->operand_details[entries[2]].element, 7u);
}

TEST_F(Expression, OfOneElementArraysAloneHasOneElement) {
  const auto other = m.source<float>("other", 1);
  const auto made = m.derive("", one + other);
  EXPECT_EQ(made.size(), 1u);
  EXPECT_TRUE(operation_of(*plan_of(m), made.id()).uniform);
}

TEST_F(Expression, WithAlignedOperandsOfOnePageClassIsUniform) {
  const auto made = m.derive("", a * b + c);
  EXPECT_TRUE(operation_of(*plan_of(m), made.id()).uniform);
  const auto wide = m.source<float>("wide", 100, {.page = sheaf::page_class::b4k});
  const auto mixed = m.derive("", a * wide);
  const auto plan = plan_of(m);
  EXPECT_FALSE(operation_of(*plan, mixed.id()).uniform);
  EXPECT_EQ(operation_of(*plan, mixed.id()).page, sheaf::page_class::b4k);
}

TEST_F(Expression, EqualOnesShareProgramAndOperation) {
  const auto x = m.derive("", a * b + 1.0f);
  const auto between = m.derive("", a - b);
  const auto y = m.derive("", b * c + 1.0f);
  const auto z = m.derive("", b * c + 2.0f);
  const auto plan = plan_of(m);
  EXPECT_EQ(node_of(*plan, x.id()).operation, node_of(*plan, y.id()).operation);
  EXPECT_NE(node_of(*plan, x.id()).operation, node_of(*plan, z.id()).operation);
  EXPECT_NE(node_of(*plan, x.id()).operation, node_of(*plan, between.id()).operation);
}

TEST_F(Expression, UsesUpTo32RegistersAndNoMore) {
  const auto nested = [&](unsigned depth) {
    sheaf::expression<float> e = a + b;
    for (unsigned i = 1; i < depth; ++i) e = (a + b) * std::move(e);
    return e;
  };
  EXPECT_EQ(program(nested(32)).register_count, 32);
  m.derive("deep", nested(33));
  EXPECT_THAT(only_mistake(m, status_code::too_many), ::testing::HasSubstr("32 values at once"));
}

TEST_F(Expression, UsesUpTo128OperandsAnd96ConstantsAndNoMore) {
  const auto wide = [&](model& in, unsigned operands, unsigned constants) {
    sheaf::expression<float> e = in.source<float>("", 100);
    for (unsigned i = 1; i < operands; ++i) e = std::move(e) + in.source<float>("", 100);
    for (unsigned i = 0; i < constants; ++i) e = std::move(e) * (1.0f + float(i));
    return e;
  };
  const auto full = program(wide(m, 128, 96));
  EXPECT_EQ(full.operand_types.size(), 128u);
  EXPECT_EQ(full.constants.size(), 96u);
  model operands;
  operands.derive("x", wide(operands, 129, 0));
  EXPECT_THAT(only_mistake(operands, status_code::too_many), ::testing::HasSubstr("128 operands"));
  model constants;
  constants.derive("x", wide(constants, 1, 97));
  EXPECT_THAT(only_mistake(constants, status_code::too_many), ::testing::HasSubstr("96 constants"));
}

TEST_F(Expression, LeavesScalarFunctionsOfTheSameNamesAlone) {
  EXPECT_EQ(sheaf::min(2.0f, 1.0f), 1.0f);
  EXPECT_EQ(sheaf::select(0, 1, 2), 2);
  EXPECT_EQ(sheaf::cast<std::int32_t>(1e20f), 0x7fffffff);
}

}  // namespace
