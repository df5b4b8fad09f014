#include <algorithm>
#include <unordered_map>

#include "definer.hpp"

namespace sheaf::inline v0 {
namespace {

using ull = unsigned long long;

/// A group on its way from terms to edges and bases.
class group_definer {
 public:
  group_definer(declaration_state& state, semiring_id semiring,
                std::span<const fixpoint_member_data> members,
                const fixpoint_group_options& options)
      : state_(state), data_(*state.data), semiring_(semiring), members_(members) {
    shape_.vertices = static_cast<std::uint32_t>(members.size());
    shape_.iterations_max = options.iterations_max;
    shape_.is_group = true;
    for (std::uint32_t i = 0; i < members.size(); ++i) {
      const std::uint32_t array = index_of(members[i].array.id);
      vertex_of_.emplace(array, i);
      array_record& record = data_.arrays[array];
      if (record.definition == refused_definition) continue;  // named twice
      --data_.undefined_count;
      record.definition = refused_definition;  // until the group is found to be good
      record.lazy = options.is_lazy;
      if (record.lazy) ++data_.lazy_count;
    }
  }

  void run() {
    first_.emplace(state_, array_of(0), true, std::nullopt);
    definer& first = *first_;
    if (!shapes_fit(first) || !first.check_fixpoint_semiring(semiring_)) return;
    for (std::uint32_t vertex = 0; vertex < shape_.vertices; ++vertex) {
      if (!take_terms(vertex)) return;
    }
    if (bases_.empty()) {
      return first.refuse(make_status(status_code::invalid_argument, subsystem::graph,
                                      "a fixpoint without a term from outside has nothing to "
                                      "follow",
                                      "the group of '%s'", name_of_member(0).c_str()));
    }
    shape_.edge_capacity = static_cast<std::uint32_t>(shape_.edges.size());
    shape_.is_weighted = std::ranges::any_of(
        shape_.edges, [this](const fixpoint_edge& edge) { return edge.weight != one_; });
    const std::uint32_t row_lines = shape_.row_lines;
    const std::uint32_t rows = first.define_rows(semiring_, std::move(shape_), bases_);
    if (rows == no_index) return;
    for (std::uint32_t vertex = 0; vertex < members_.size(); ++vertex) {
      definer_of(vertex).define_slice(rows, vertex * row_lines);
    }
  }

 private:
  [[nodiscard]] std::uint32_t array_of(std::uint32_t vertex) const noexcept {
    return index_of(members_[vertex].array.id);
  }
  [[nodiscard]] definer definer_of(std::uint32_t vertex) {
    return {state_, array_of(vertex), true, std::nullopt};
  }
  [[nodiscard]] std::string name_of_member(std::uint32_t vertex) const {
    return data_.name_of(members_[vertex].array.id);
  }

  bool shapes_fit(definer& first) {
    const array_record& like = data_.arrays[array_of(0)];
    const std::uint64_t each = line_size >> size_shift(like.type);
    const std::uint64_t row_lines = (like.length + each - 1) / each;
    shape_.row_lines = static_cast<std::uint32_t>(row_lines);
    one_ = bits_of_one(semiring_, like.type);
    for (std::uint32_t vertex = 0; vertex < shape_.vertices; ++vertex) {
      const std::uint64_t length = data_.arrays[array_of(vertex)].length;
      if (length != like.length) {
        first.refuse(make_status(status_code::length_mismatch, subsystem::graph,
                                 "the members of a fixpoint have different lengths",
                                 "'%s' has %llu elements, '%s' has %llu",
                                 name_of_member(0).c_str(), static_cast<ull>(like.length),
                                 name_of_member(vertex).c_str(), static_cast<ull>(length)));
        return false;
      }
      if (vertex_of_.at(array_of(vertex)) != vertex) {
        first.refuse(make_status(status_code::invalid_argument, subsystem::graph,
                                 "an array is defined twice", "'%s'",
                                 name_of_member(vertex).c_str()));
        return false;
      }
    }
    if (like.length == 0) return false;
    if (members_.size() * row_lines < no_index) return true;
    first.refuse(make_status(status_code::too_many, subsystem::graph,
                             "the rows of a fixpoint have more lines than 32 bits can number",
                             "at '%s'", name_of_member(0).c_str()));
    return false;
  }

  /// Terms over members become edges, the others the member's base.
  bool take_terms(std::uint32_t vertex) {
    outside_.clear();
    for (const term_data& given : members_[vertex].terms) {
      term_data one = given;
      if (one.weight_one) {
        one.weight_constant = true;
        one.weight_bits = one_;
      }
      const auto member = data_.owns(one.value) ? vertex_of_.find(index_of(one.value.id))
                                                : vertex_of_.end();
      if (member == vertex_of_.end()) {
        outside_.push_back(one);
      } else if (one.value_broadcast || !one.weight_constant) {
        definer_of(vertex).refuse(make_status(
            status_code::unsupported, subsystem::graph,
            "a term over a member of a fixpoint takes the whole array and a constant weight",
            "'%s' in the definition of '%s'", name_of_member(member->second).c_str(),
            name_of_member(vertex).c_str()));
        return false;
      } else {
        shape_.edges.push_back({member->second, vertex, one.weight_bits});
      }
    }
    shape_.base_rows.push_back(no_index);
    if (outside_.empty()) return true;
    definer other = definer_of(vertex);
    definer& own = vertex == 0 ? *first_ : other;  // it numbers the hidden arrays of its array
    const std::uint32_t base = own.define_outside(semiring_, outside_);
    if (base == no_index) return false;
    shape_.base_rows.back() = static_cast<std::uint32_t>(bases_.size());
    bases_.push_back(base);
    return true;
  }

  static std::uint64_t bits_of_one(semiring_id semiring, dtype type) {
    return visit_semiring(semiring, [type](auto ring) {
      using S = decltype(ring);
      return visit_dtype(type, []<class T>(std::type_identity<T>) -> std::uint64_t {
        if constexpr (S::supports(dtype_of<T>)) return constant_bits(S::template one<T>());
        else return 0;
      });
    });
  }

  declaration_state& state_;
  model_data& data_;
  const semiring_id semiring_;
  const std::span<const fixpoint_member_data> members_;
  std::optional<definer> first_;
  fixpoint_shape shape_;
  std::uint64_t one_ = 0;
  std::unordered_map<std::uint32_t, std::uint32_t> vertex_of_;  ///< by array
  std::vector<std::uint32_t> bases_;
  std::vector<term_data> outside_;
};

}  // namespace

void define_fixpoint_group(declaration_state& state, semiring_id semiring,
                           std::span<const fixpoint_member_data> members,
                           const fixpoint_group_options& options) {
  group_definer(state, semiring, members, options).run();
}

}  // namespace sheaf::inline v0
