#include "teamscale/core/partition/bound.h"

#include "teamscale/core/partition/quote.h"

namespace teamscale::core {

namespace {

struct ClauseOf {
  std::string operator()(const DefaultBound&) const { return "DEFAULT"; }

  std::string operator()(const RangeBound& bound) const {
    return "FOR VALUES FROM (" +
           (bound.range.lower ? QuoteLiteral(bound.lower_text) : std::string("MINVALUE")) +
           ") TO (" +
           (bound.range.upper ? QuoteLiteral(bound.upper_text) : std::string("MAXVALUE")) + ")";
  }

  std::string operator()(const ListBound& bound) const {
    std::string values;
    for (const ListValue& value : bound.values) {
      if (!values.empty()) values += ", ";
      values += value ? QuoteLiteral(*value) : "NULL";
    }
    return "FOR VALUES IN (" + values + ")";
  }

  std::string operator()(const HashBound& bound) const {
    return "FOR VALUES WITH (MODULUS " + std::to_string(bound.modulus) + ", REMAINDER " +
           std::to_string(bound.remainder) + ")";
  }
};

}  // namespace

RangeBound RangeBoundOf(const KeyAxis& axis, const Range& range) {
  RangeBound bound{.range = range};
  if (range.lower) bound.lower_text = axis.Literal(*range.lower);
  if (range.upper) bound.upper_text = axis.Literal(*range.upper);
  return bound;
}

std::string BoundClause(const Bound& bound) { return std::visit(ClauseOf{}, bound); }

}  // namespace teamscale::core
