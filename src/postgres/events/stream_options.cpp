#include "teamscale/postgres/events/stream_options.h"

#include <new>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/events/stream_catalog.h"

extern "C" {
#include "commands/defrem.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
}

namespace teamscale {

namespace {

[[noreturn]] void RefuseValue(const DefElem* option, const char* expected) {
  const char* value = option->arg ? defGetString(const_cast<DefElem*>(option)) : "";
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("invalid value for option \"%s\" of an event stream", option->defname),
                  errdetail("The value is \"%s\".", value), errhint("%s", expected)));
  pg_unreachable();
}

const char* ValueOf(DefElem* option) {
  if (!option->arg) RefuseValue(option, "Give a value.");
  return defGetString(option);
}

bool BooleanOf(DefElem* option) {
  bool value;
  if (!parse_bool(ValueOf(option), &value)) RefuseValue(option, "true or false.");
  return value;
}

core::NumberForm NumberFormOf(DefElem* option) {
  if (strcmp(ValueOf(option), "number") == 0) return core::NumberForm::kNumber;
  if (strcmp(ValueOf(option), "string") == 0) return core::NumberForm::kString;
  RefuseValue(option, "number or string.");
}

EventFormat FormatOf(DefElem* option) {
  if (strcmp(ValueOf(option), "cloudevents") == 0) return EventFormat::kCloudEvents;
  if (strcmp(ValueOf(option), "debezium") == 0) return EventFormat::kDebezium;
  if (strcmp(ValueOf(option), "row") == 0) return EventFormat::kRow;
  RefuseValue(option, "cloudevents, debezium or row.");
}

bool LocalOnly(DefElem* option) {
  if (strcmp(ValueOf(option), "any") == 0) return false;
  if (strcmp(ValueOf(option), "none") == 0) return true;
  RefuseValue(option, "any, or none for changes that no replication origin brought.");
}

using SelectionPart =
    std::optional<std::string> (core::TableSelection::*)(std::string_view patterns);

void Select(DefElem* option, core::TableSelection* selection, SelectionPart part,
            const char* expected) {
  const char* value = ValueOf(option);
  bool accepted = EnterFromPostgres([&] { return !(selection->*part)(value); });
  if (!accepted) RefuseValue(option, expected);
}

core::StreamPoint PointOf(DefElem* option) {
  std::string_view text = ValueOf(option);
  std::size_t colon = text.find(':');
  auto lsn = core::ParseLsn(text.substr(0, colon));
  if (!lsn || colon == std::string_view::npos)
    RefuseValue(option, "LSN:ORDINAL, such as 16/B374D848:0.");
  char* end;
  std::uint64_t ordinal = strtoull(text.data() + colon + 1, &end, 10);
  if (*end != '\0' || end == text.data() + colon + 1)
    RefuseValue(option, "LSN:ORDINAL, such as 16/B374D848:0.");
  return {.lsn = *lsn, .ordinal = ordinal};
}

constexpr char kKnown[] =
    "The options are stream, start, format, tables, exclude_tables, columns, exclude_columns, "
    "row_filter, bigint_as, numeric_as, transactions, ddl, events, messages, origin, partitions "
    "and schemas.";
constexpr char kTablePatterns[] =
    "Patterns of schema.table, separated by commas, such as public.*, sales.order.";
constexpr char kColumnPatterns[] =
    "Patterns of schema.table.column, separated by commas, such as public.team.secret*.";
constexpr char kRowFilter[] = "Like public.team WHERE region = 'eu'.";

void Apply(DefElem* option, StreamOptions* result) {
  const char* name = option->defname;
  auto is = [name](const char* known) { return strcmp(name, known) == 0; };
  core::TableSelection* selection = result->selection;
  if (is("stream_id"))
    result->stream_id = pstrdup(ValueOf(option));
  else if (is("start"))
    result->start = PointOf(option);
  else if (is("format"))
    result->format = FormatOf(option);
  else if (is("tables"))
    Select(option, selection, &core::TableSelection::IncludeTables, kTablePatterns);
  else if (is("exclude_tables"))
    Select(option, selection, &core::TableSelection::ExcludeTables, kTablePatterns);
  else if (is("columns"))
    Select(option, selection, &core::TableSelection::IncludeColumns, kColumnPatterns);
  else if (is("exclude_columns"))
    Select(option, selection, &core::TableSelection::ExcludeColumns, kColumnPatterns);
  else if (is("row_filter"))
    Select(option, selection, &core::TableSelection::FilterRows, kRowFilter);
  else if (is("bigint_as"))
    result->style.bigint = NumberFormOf(option);
  else if (is("numeric_as"))
    result->style.numeric = NumberFormOf(option);
  else if (is("transactions"))
    result->transactions = BooleanOf(option);
  else if (is("ddl"))
    result->ddl = BooleanOf(option);
  else if (is("events"))
    result->events = BooleanOf(option);
  else if (is("messages"))
    result->prefixes = lappend(result->prefixes, pstrdup(ValueOf(option)));
  else if (is("origin"))
    result->local_only = LocalOnly(option);
  else if (is("partitions"))
    result->leaf_names = BooleanOf(option);
  else if (is("schemas"))
    result->schemas = BooleanOf(option);
  else
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("unknown option \"%s\" of an event stream", name), errhint("%s", kKnown)));
}

// Those that may be given several times.
bool MayRepeat(const char* name) {
  return strcmp(name, "row_filter") == 0 || strcmp(name, "messages") == 0;
}

DefElem* FindOption(List* options, const char* name) {
  ListCell* cell;
  foreach (cell, options) {
    auto* option = static_cast<DefElem*>(lfirst(cell));
    if (strcmp(option->defname, name) == 0) return option;
  }
  return nullptr;
}

void CheckRepetition(List* options) {
  for (int i = 0; i < list_length(options); ++i) {
    auto* option = static_cast<DefElem*>(list_nth(options, i));
    if (!MayRepeat(option->defname) && FindOption(options, option->defname) != option)
      ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
                      errmsg("option \"%s\" of an event stream is given twice", option->defname)));
  }
}

// The options that the stream was made with, and the starting point of this reader.
List* OptionsOfStream(DefElem* stream, List* given) {
  List* options = ReadStreamOptions(ValueOf(stream));
  ListCell* cell;
  foreach (cell, given) {
    auto* option = static_cast<DefElem*>(lfirst(cell));
    if (option == stream) continue;
    if (strcmp(option->defname, "start") != 0)
      ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                      errmsg("option \"%s\" contradicts option \"stream\"", option->defname),
                      errdetail("The stream \"%s\" has its own options.", ValueOf(stream)),
                      errhint("Besides the stream only start may be given; "
                              "teamscale.alter_event_stream() changes a stream.")));
    options = lappend(options, option);
  }
  return options;
}

core::TableSelection* NewSelection() {
  auto* selection = EnterFromPostgres([] { return new core::TableSelection; });
  auto* callback = static_cast<MemoryContextCallback*>(palloc(sizeof(MemoryContextCallback)));
  callback->func = [](void* object) { delete static_cast<core::TableSelection*>(object); };
  callback->arg = selection;
  MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
  return selection;
}

}  // namespace

StreamOptions ParseStreamOptions(List* options) {
  CheckRepetition(options);
  if (FindOption(options, "stream_id"))  // the catalog's alone
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("unknown option \"%s\" of an event stream", "stream_id"),
                    errhint("%s", kKnown)));
  if (DefElem* stream = FindOption(options, "stream")) options = OptionsOfStream(stream, options);
  StreamOptions result = {};
  result.style.numeric = core::NumberForm::kString;
  result.events = true;
  result.selection = NewSelection();
  ListCell* cell;
  foreach (cell, options) Apply(static_cast<DefElem*>(lfirst(cell)), &result);
  result.style.json_as_string = result.format == EventFormat::kDebezium;
  if (result.schemas && result.format != EventFormat::kDebezium)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("option \"schemas\" is for the format debezium"),
                    errhint("Leave it out, or choose that format.")));
  return result;
}

}  // namespace teamscale
