#include "teamscale/core/partition/partition_name.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "teamscale/core/partition/civil_time.h"

namespace teamscale::core {

namespace {

struct Placeholder {
  std::string_view name;
  // Of which kinds; the others do not have it.
  bool range;
  bool list;
  bool hash;
  // No two siblings have the same.
  bool tells_apart;
};

constexpr std::array<Placeholder, 7> kPlaceholders = {{
    {"table", true, true, true, false},
    {"period", true, true, true, true},
    {"from", true, false, false, true},
    {"to", true, false, false, true},
    {"value", false, true, false, true},
    {"modulus", false, false, true, false},
    {"remainder", false, false, true, true},
}};

bool IsOf(const Placeholder& placeholder, PolicyKind kind) {
  switch (kind) {
    case PolicyKind::kRange:
      return placeholder.range;
    case PolicyKind::kList:
      return placeholder.list;
    case PolicyKind::kHash:
      break;
  }
  return placeholder.hash;
}

// "Use {table}, {period}."
std::string HintOf(std::string text, PolicyKind kind, bool only_what_tells_apart) {
  char separator = ' ';
  for (const Placeholder& placeholder : kPlaceholders) {
    if (!IsOf(placeholder, kind) || (only_what_tells_apart && !placeholder.tells_apart)) continue;
    if (separator == ',') text += separator;
    text.append(" {").append(placeholder.name).append("}");
    separator = ',';
  }
  return text + ".";
}

// A template in pieces: text as it stands, or the name of a placeholder.
struct Piece {
  bool is_placeholder;
  std::string text;
};

// Nothing when a brace stands alone.
std::optional<std::vector<Piece>> Parse(std::string_view name_template) {
  std::vector<Piece> pieces;
  auto add_text = [&](char letter) {
    if (pieces.empty() || pieces.back().is_placeholder) pieces.push_back({false, ""});
    pieces.back().text += letter;
  };
  for (std::size_t i = 0; i < name_template.size(); i++) {
    char letter = name_template[i];
    bool is_brace = letter == '{' || letter == '}';
    if (!is_brace) {
      add_text(letter);
    } else if (i + 1 < name_template.size() && name_template[i + 1] == letter) {
      add_text(letter);
      i++;
    } else {
      std::size_t end = name_template.find('}', i);
      if (letter == '}' || end == std::string_view::npos) return std::nullopt;
      pieces.push_back({true, std::string(name_template.substr(i + 1, end - i - 1))});
      i = end;
    }
  }
  return pieces;
}

const std::string& PartOf(const NameParts& parts, std::string_view placeholder) {
  if (placeholder == "period") return parts.period;
  if (placeholder == "from") return parts.from;
  if (placeholder == "to") return parts.to;
  if (placeholder == "value") return parts.value;
  if (placeholder == "modulus") return parts.modulus;
  return parts.remainder;
}

// The first bytes, without a part of a character at the end.
std::string_view Clip(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) bytes--;
  return text.substr(0, bytes);
}

std::string Fill(const std::vector<Piece>& pieces, std::string_view table, const NameParts& parts) {
  std::string name;
  for (const Piece& piece : pieces) {
    if (!piece.is_placeholder) {
      name += piece.text;
    } else if (piece.text == "table") {
      name += table;
    } else {
      name += PartOf(parts, piece.text);
    }
  }
  return name;
}

// The name with a suffix, in as many bytes as a name may have.
std::string Fit(const std::vector<Piece>& pieces, std::string_view table, const NameParts& parts,
                const std::string& suffix) {
  std::size_t room = kNameBytes - suffix.size();
  std::string name = Fill(pieces, table, parts);
  auto tables =
      static_cast<std::size_t>(std::count_if(pieces.begin(), pieces.end(), [](const Piece& piece) {
        return piece.is_placeholder && piece.text == "table";
      }));
  if (name.size() > room && tables > 0) {
    std::size_t excess = (name.size() - room + tables - 1) / tables;
    name = Fill(pieces, Clip(table, table.size() - std::min(excess, table.size())), parts);
  }
  return std::string(Clip(name, room)) + suffix;
}

std::string TwoDigits(std::int64_t value) {
  return {static_cast<char>('0' + value / 10), static_cast<char>('0' + value % 10)};
}

std::string Underscored(std::string text) {
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

// The time of day down to a unit: _09, _0930, _093015, _093015_25.
std::string ClockText(Point civil, std::int64_t unit) {
  Point time = FloorModulo(civil, kDay);
  std::string text = "_" + TwoDigits(time / kHour);
  if (unit % kHour == 0) return text;
  text += TwoDigits(time % kHour / kMinute);
  if (unit % kMinute == 0) return text;
  text += TwoDigits(time % kMinute / kSecond);
  std::string decimals = DateTimeText(time % kSecond).substr(19);
  return decimals.empty() ? text : text + "_" + decimals.substr(1);
}

std::string NumberText(Point number) {
  std::string text = std::to_string(number);
  if (number < 0) text[0] = 'm';
  return text;
}

// A point as exactly as it is.
std::string PointText(const PartitionCalendar& calendar, Point point) {
  if (!calendar.axis().IsTime()) return NumberText(point);
  Point civil = calendar.CivilTimeOf(point);
  std::string text = Underscored(DateText(civil));
  if (FloorModulo(civil, kDay) == 0) return text;
  return text + ClockText(civil, civil % kMinute == 0 ? kMinute : 1);
}

std::string MonthsText(Point civil, std::int64_t months) {
  std::string date = DateText(civil);  // the year may have more than four digits
  std::string year = date.substr(0, date.size() - 6);
  std::int64_t month = FloorModulo(MonthOf(civil), 12);
  if (months % 12 == 0) return year;
  if (months == 3) return year + "q" + std::to_string(month / 3 + 1);
  return year + "_" + TwoDigits(month + 1);
}

std::string WeekText(Point civil) {
  IsoWeek week = IsoWeekOfDays(FloorDivide(civil, kDay));
  std::string year = DateText(DaysOf({.year = week.year}) * kDay);
  return year.substr(0, year.size() - 6) + "w" + TwoDigits(week.week);
}

std::string PeriodText(const PartitionCalendar& calendar, Point point) {
  const Step& step = calendar.StepAt(point);
  if (step.unit == StepUnit::kNumbers) return NumberText(point);
  Point civil = calendar.CivilTimeOf(point);
  if (step.unit == StepUnit::kMonths) return MonthsText(civil, step.count);
  if (step.unit == StepUnit::kDays && step.count % 7 == 0) return WeekText(civil);
  std::string date = Underscored(DateText(civil));
  if (step.unit == StepUnit::kDays || calendar.axis().format() == KeyFormat::kDate) return date;
  return date + ClockText(civil, step.count);
}

}  // namespace

NameParts NamePartsOf(const PartitionCalendar& calendar, const Range& range) {
  NameParts parts;
  parts.period = range.lower ? PeriodText(calendar, *range.lower) : "min";
  parts.from = range.lower ? PointText(calendar, *range.lower) : "min";
  parts.to = range.upper ? PointText(calendar, *range.upper) : "max";
  return parts;
}

NameParts NamePartsOf(const ListBound& bound) {
  NameParts parts;
  for (const ListValue& value : bound.values) {
    if (!parts.value.empty()) parts.value += "_";
    parts.value += value.value_or("null");
  }
  parts.period = parts.value;
  return parts;
}

NameParts NamePartsOf(const HashBound& bound) {
  NameParts parts;
  parts.modulus = std::to_string(bound.modulus);
  parts.remainder = std::to_string(bound.remainder);
  parts.period = parts.remainder;
  return parts;
}

std::optional<Problem> CheckNameTemplate(std::string_view name_template, PolicyKind kind) {
  std::optional<std::vector<Piece>> pieces = Parse(name_template);
  if (!pieces)
    return Problem{.message = "invalid name template of a partition policy",
                   .detail = "A brace stands alone in \"" + std::string(name_template) + "\".",
                   .hint = "Write a brace that belongs to the name twice."};
  bool tells_apart = false;
  for (const Piece& piece : *pieces) {
    if (!piece.is_placeholder) continue;
    const auto* found = std::find_if(
        kPlaceholders.begin(), kPlaceholders.end(),
        [&](const Placeholder& each) { return each.name == piece.text && IsOf(each, kind); });
    if (found == kPlaceholders.end())
      return Problem{.message = "invalid name template of a partition policy",
                     .detail = "There is no placeholder {" + piece.text + "} for this policy.",
                     .hint = HintOf("Use", kind, false)};
    tells_apart = tells_apart || found->tells_apart;
  }
  if (!tells_apart)
    return Problem{
        .message = "invalid name template of a partition policy",
        .detail = "All partitions would have the name \"" + std::string(name_template) + "\".",
        .hint = HintOf("Use one of", kind, true)};
  return std::nullopt;
}

std::string PartitionName(std::string_view name_template, std::string_view table,
                          const NameParts& parts,
                          const std::function<bool(const std::string&)>& is_taken) {
  std::vector<Piece> pieces = Parse(name_template).value_or(std::vector<Piece>{});
  std::string name = Fit(pieces, table, parts, "");
  for (std::int64_t number = 2; is_taken(name); number++)
    name = Fit(pieces, table, parts, "_" + std::to_string(number));
  return name;
}

}  // namespace teamscale::core
