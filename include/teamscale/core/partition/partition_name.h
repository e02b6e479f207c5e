// Names of new partitions, out of a policy's template.
//
//   {table}      the parent's name               {from} {to}   a range's bounds, as 2024_01_15_0930
//   {period}     what tells a partition from     {value}       a list's values, joined by _
//                its siblings, see below         {modulus} {remainder}
//
// A brace is written twice. The period of a range is named by its step and where it begins, in the
// policy's zone: 2024, 2024q1, 2024_01, 2024w05 (weeks as ISO 8601 has them), 2024_01_15,
// 2024_01_15_09, 2024_01_15_0930, 2024_01_15_093015; of numbers, 1000, m1000 below zero, min where
// there is no bound; of a list its values, of a hash its remainder.
//
// A name has at most 63 bytes: the table's name gives way, at a boundary of UTF-8 characters, then
// the end. A name that is taken gets _2, _3 and so on. Anything may be in a name, as names are
// always quoted.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "teamscale/core/partition/bound.h"
#include "teamscale/core/partition/partition_calendar.h"
#include "teamscale/core/partition/problem.h"

namespace teamscale::core {

constexpr std::size_t kNameBytes = 63;
constexpr std::string_view kDefaultNameTemplate = "{table}_{period}";
constexpr std::string_view kDefaultPartitionNameTemplate = "{table}_default";

enum class PolicyKind { kRange, kList, kHash };

// What the placeholders but {table} stand for; those that a kind does not have are empty.
struct NameParts {
  std::string period = {};
  std::string from = {};
  std::string to = {};
  std::string value = {};
  std::string modulus = {};
  std::string remainder = {};
};

NameParts NamePartsOf(const PartitionCalendar& calendar, const Range& range);
NameParts NamePartsOf(const ListBound& bound);
NameParts NamePartsOf(const HashBound& bound);

// What is wrong with a template: a brace alone, a placeholder that the kind does not have, nothing
// that tells one partition from another.
std::optional<Problem> CheckNameTemplate(std::string_view name_template, PolicyKind kind);

// A name that is not taken. The template is one that CheckNameTemplate() lets pass.
std::string PartitionName(std::string_view name_template, std::string_view table,
                          const NameParts& parts,
                          const std::function<bool(const std::string&)>& is_taken);

}  // namespace teamscale::core
