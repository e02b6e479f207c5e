#include "teamscale/postgres/partition/key_values.h"

#include <limits>

#include "teamscale/core/partition/civil_time.h"
#include "teamscale/core/partition/time_ordered_id.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace teamscale {

namespace {

// Points count from 1970, the server's times from 2000.
constexpr std::int64_t kDaysTo2000 = POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE;
constexpr core::Point kBeforeAll = std::numeric_limits<core::Point>::min();
constexpr core::Point kAfterAll = std::numeric_limits<core::Point>::max();

core::Point PointOfMicroseconds(Timestamp value) {
  if (TIMESTAMP_IS_NOBEGIN(value)) return kBeforeAll;
  core::Point point;
  if (TIMESTAMP_IS_NOEND(value) || __builtin_add_overflow(value, kDaysTo2000 * core::kDay, &point))
    return kAfterAll;
  return point;
}

core::Point PointOfDate(DateADT value) {
  if (DATE_IS_NOBEGIN(value)) return kBeforeAll;
  if (DATE_IS_NOEND(value)) return kAfterAll;
  return (value + kDaysTo2000) * core::kDay;
}

core::Point PointOfUlidText(Datum value) {
  text* ulid = DatumGetTextPP(value);
  return core::PointOfUlid({VARDATA_ANY(ulid), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(ulid))});
}

core::Point PointOfUuidValue(Datum value) {
  core::UuidBytes bytes;
  memcpy(bytes.data(), DatumGetUUIDP(value)->data, bytes.size());
  return core::PointOfUuid(bytes);
}

std::optional<core::IntegerWidth> WidthOf(Oid type) {
  switch (type) {
    case INT2OID:
      return core::IntegerWidth::kSmallint;
    case INT4OID:
      return core::IntegerWidth::kInteger;
    case INT8OID:
      return core::IntegerWidth::kBigint;
    default:
      return std::nullopt;
  }
}

std::optional<core::KeyFormat> FormatOf(Oid type) {
  switch (type) {
    case DATEOID:
      return core::KeyFormat::kDate;
    case TIMESTAMPOID:
      return core::KeyFormat::kTimestamp;
    case TIMESTAMPTZOID:
      return core::KeyFormat::kTimestampTz;
    case UUIDOID:
      return core::KeyFormat::kUuidV7;
    case TEXTOID:
    case VARCHAROID:
    case BPCHAROID:
      return core::KeyFormat::kUlid;
    default:
      return std::nullopt;
  }
}

core::Problem WrongColumn(const KeyColumn& column, std::string detail, std::string hint) {
  return {"column \"" + std::string(column.name) + "\" cannot be the key of range partitions",
          std::move(detail), std::move(hint)};
}

}  // namespace

KeyColumn ReadKeyColumn(Oid relation, AttrNumber column) {
  HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relation), Int16GetDatum(column));
  auto* attribute =
      HeapTupleIsValid(tuple) ? reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple)) : nullptr;
  if (!attribute || attribute->attisdropped)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("the column of the partition policy of \"%s\" does not exist any more",
                           get_rel_name(relation)),
                    errhint("End the policy with teamscale.drop_partition_policy().")));
  Oid collation = attribute->attcollation;
  KeyColumn result{
      getBaseType(attribute->atttypid), OidIsValid(collation) && lc_collate_is_c(collation), {}};
  strlcpy(result.name, NameStr(attribute->attname), NAMEDATALEN);
  ReleaseSysCache(tuple);
  return result;
}

std::variant<RangeKey, core::Problem> RangeKeyOf(const KeyColumn& column,
                                                 const std::string& epoch) {
  std::optional<core::IntegerWidth> width = WidthOf(column.type);
  if (width) {
    if (epoch.empty())
      return RangeKey{core::KeyAxis(core::KeyFormat::kNumber, *width), column.type};
    if (epoch == "seconds")
      return RangeKey{core::KeyAxis(core::KeyFormat::kEpochSeconds, *width), column.type};
    return RangeKey{core::KeyAxis(core::KeyFormat::kEpochMilliseconds, *width), column.type};
  }
  if (!epoch.empty())
    return WrongColumn(column, "It is no integer column, and epoch says that it is.",
                       "Leave epoch out.");
  std::optional<core::KeyFormat> format = FormatOf(column.type);
  if (!format)
    return WrongColumn(column, "Its type has no order in time or number that is known here.",
                       "A key is a date, timestamp, timestamp with time zone, integer, UUIDv7, or "
                       "ULID as text.");
  if (*format == core::KeyFormat::kUlid && !column.sorts_by_bytes)
    return WrongColumn(column,
                       "Text sorts by its bytes, as times in ULIDs do, under collation C only.",
                       "Declare the column with COLLATE \"C\".");
  return RangeKey{core::KeyAxis(*format), column.type};
}

core::Point PointOfValue(const RangeKey& key, Datum value) {
  switch (key.type) {
    case DATEOID:
      return PointOfDate(DatumGetDateADT(value));
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
      return PointOfMicroseconds(DatumGetTimestamp(value));
    case INT2OID:
      return key.axis.PointOfInteger(DatumGetInt16(value));
    case INT4OID:
      return key.axis.PointOfInteger(DatumGetInt32(value));
    case INT8OID:
      return key.axis.PointOfInteger(DatumGetInt64(value));
    case UUIDOID:
      return PointOfUuidValue(value);
    default:
      return PointOfUlidText(value);
  }
}

}  // namespace teamscale
