#include "teamscale/postgres/events/output_plugin.h"

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/events/careful_transactions.h"
#include "teamscale/postgres/events/event_writer.h"
#include "teamscale/postgres/events/plugin_state.h"
#include "teamscale/postgres/events/stream_catalog.h"
#include "teamscale/postgres/events/uri.h"

extern "C" {
#include "access/timeline.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "commands/dbcommands.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "replication/output_plugin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks* callbacks);
}

namespace teamscale {

namespace {

PluginState* StateOf(LogicalDecodingContext* context) {
  return static_cast<PluginState*>(context->output_plugin_private);
}

// Types without a class of their own have the text that their output functions write under these
// settings, whatever the session's are.
constexpr const char* kPinnedSettings[][2] = {
    {"DateStyle", "ISO, YMD"},     {"IntervalStyle", "iso_8601"}, {"TimeZone", "UTC"},
    {"extra_float_digits", "1"},   {"bytea_output", "hex"},       {"lc_monetary", "C"},
    {"search_path", "pg_catalog"},
};

// Until the nest level is left, or for the session of a walsender, which has no transaction.
int PinSettings() {
  bool transaction = IsTransactionState();
  int level = transaction ? NewGUCNestLevel() : 0;
  for (const auto& [name, value] : kPinnedSettings)
    set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
                      transaction ? GUC_ACTION_SAVE : GUC_ACTION_SET, true, 0, false);
  return level;
}

void CheckEncoding() {
  if (GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII) return;
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("event streams need a database in UTF-8"),
           errdetail("The encoding of this database is %s.", GetDatabaseEncodingName()),
           errhint("JSON is UTF-8. Make a database with ENCODING 'UTF8'.")));
}

void DescribeServer(PluginState* state) {
  char* database = nullptr;
  bool own = !IsTransactionState();
  MemoryContext context = CurrentMemoryContext;
  if (own) StartTransactionCommand();
  database = MemoryContextStrdup(context, get_database_name(MyDatabaseId));
  if (own) CommitTransactionCommand();
  MemoryContextSwitchTo(context);
  state->database = PercentEncode(database);
  std::string_view piece = MakeFieldName(database);  // ,"name":
  state->database_json = piece.substr(1, piece.size() - 2);
  state->timelines = readTimeLineHistory(GetWALInsertionTimeLine());
}

void Start(LogicalDecodingContext* context, OutputPluginOptions* output, bool is_init) {
  auto* state =
      static_cast<PluginState*>(MemoryContextAllocZero(context->context, sizeof(PluginState)));
  context->output_plugin_private = state;
  state->context = context;
  output->output_type = OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
  CheckEncoding();
  if (is_init) return;
  MemoryContext caller = MemoryContextSwitchTo(context->context);
  state->options = ParseStreamOptions(context->output_plugin_options);
  state->secret = ReadMessageSecret();
  DescribeServer(state);
  switch (state->options.format) {
    case EventFormat::kCloudEvents:
      state->formatter = &kCloudEventsFormatter;
      break;
    case EventFormat::kDebezium:
      state->formatter = &kDebeziumFormatter;
      break;
    case EventFormat::kRow:
      state->formatter = &kRowFormatter;
      break;
  }
  state->plans.Init(context->context, &state->options);
  state->arena = AllocSetContextCreate(context->context, "teamscale event", ALLOCSET_DEFAULT_SIZES);
  state->settings = PinSettings();
  MemoryContextSwitchTo(caller);
}

void Stop(LogicalDecodingContext* context) {
  PluginState* state = StateOf(context);
  if (state && state->settings != 0) AtEOXact_GUC(true, state->settings);
}

void Begin(LogicalDecodingContext* context, ReorderBufferTXN* transaction) {
  BeginTransaction(StateOf(context), transaction);
}

void Commit(LogicalDecodingContext* context, ReorderBufferTXN*, XLogRecPtr) {
  EndTransaction(StateOf(context));
}

void Change(LogicalDecodingContext* context, ReorderBufferTXN*, Relation relation,
            ReorderBufferChange* change) {
  WriteChange(StateOf(context), relation, change);
}

void Truncate(LogicalDecodingContext* context, ReorderBufferTXN*, int count, Relation relations[],
              ReorderBufferChange* change) {
  WriteTruncate(StateOf(context), count, relations, change);
}

void Message(LogicalDecodingContext* context, ReorderBufferTXN* transaction, XLogRecPtr lsn,
             bool transactional, const char* prefix, Size size, const char* message) {
  WriteMessage(StateOf(context), transactional ? transaction : nullptr, lsn, prefix,
               {message, size});
}

}  // namespace

void RequireTrustedPlugin() {
  const char* trusted = GetConfigOption("output_plugin_libraries", true, false);
  if (!trusted) return;
  char* copy = pstrdup(trusted);
  List* names;
  if (SplitDirectoriesString(copy, ',', &names)) {
    ListCell* cell;
    foreach (cell, names)
      if (strcmp(static_cast<char*>(lfirst(cell)), "teamscale") == 0) return;
  }
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("the server does not trust teamscale as an output plugin"),
                  errdetail("output_plugin_libraries is \"%s\".", trusted),
                  errhint("Add teamscale to output_plugin_libraries and reload the server's "
                          "configuration.")));
}

}  // namespace teamscale

void _PG_output_plugin_init(OutputPluginCallbacks* callbacks) {
  // No stream and no prepare callbacks: the commit LSN, a part of each event's id, is known at the
  // commit only. No filter by origin: changes are counted before they are filtered.
  callbacks->startup_cb = teamscale::Start;
  callbacks->begin_cb = teamscale::Begin;
  callbacks->change_cb = teamscale::Change;
  callbacks->truncate_cb = teamscale::Truncate;
  callbacks->commit_cb = teamscale::Commit;
  callbacks->message_cb = teamscale::Message;
  callbacks->shutdown_cb = teamscale::Stop;
}
