#include <sheaf/graph/dense.hpp>

#include "../definer.hpp"

namespace sheaf::inline v0 {

bool definer::divides(std::uint64_t inner, std::size_t operand, const char* what) {
  using ull = unsigned long long;
  const std::uint32_t array = state_.scratch[operand].array;
  const std::uint64_t length = data_.arrays[array].length;
  if (inner != 0 && length % inner == 0) return true;
  refuse(make_status(status_code::length_mismatch, subsystem::graph, what,
                     "'%s' has %llu elements, not a multiple of %llu, in the definition of '%s'",
                     data_.name_of(array_id{array}).c_str(), static_cast<ull>(length),
                     static_cast<ull>(inner), name().c_str()));
  return false;
}

void definer::settle_dense(operator_kind kind, semiring_id semiring, const dense_shape& shape) {
  auto& shapes = data_.dense;
  if (shapes.empty() || !(shapes.back() == shape)) shapes.push_back(shape);
  settle(of_kind(kind, semiring, static_cast<std::uint32_t>(shapes.size() - 1)),
         shape.rows * shape.columns, false);
}

void definer::define_gemv(const definition_data& computed) {
  if (!semiring_fits(computed.semiring)) return;
  if (!take_operands(computed.product->operands)) return;
  const std::uint64_t inner = data_.arrays[state_.scratch[1].array].length;
  if (!divides(inner, 0, "a matrix has no whole number of rows as long as the vector")) return;
  const std::uint64_t rows = data_.arrays[state_.scratch[0].array].length / inner;
  settle_dense(operator_kind::gemv, computed.semiring, {rows, inner, 1});
}

void definer::define_matmul(const definition_data& computed) {
  using ull = unsigned long long;
  if (!semiring_fits(computed.semiring)) return;
  if (!take_operands(computed.product->operands)) return;
  const std::uint64_t inner = computed.product->dense.inner;
  if (!divides(inner, 0, "a matrix has no whole number of rows of the inner length")) return;
  if (!divides(inner, 1, "a matrix has no whole number of columns of the inner length")) return;
  const std::uint64_t rows = data_.arrays[state_.scratch[0].array].length / inner;
  const std::uint64_t columns = data_.arrays[state_.scratch[1].array].length / inner;
  if (rows > ~std::uint64_t{0} / columns) {
    return refuse(make_status(status_code::too_many, subsystem::graph,
                              "a product has more elements than 64 bits can number",
                              "%llu x %llu in the definition of '%s'", static_cast<ull>(rows),
                              static_cast<ull>(columns), name().c_str()));
  }
  settle_dense(operator_kind::matmul, computed.semiring, {rows, inner, columns});
}

}  // namespace sheaf::inline v0
