#include "teamscale/postgres/sharding/scatter.h"

#include <cctype>
#include <cstring>
#include <new>

#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "access/tupdesc.h"
#include "lib/stringinfo.h"
#include "storage/buffile.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

// One node's rows. The lines file has the input line of each row, so that an error of the node,
// which counts the rows of the COPY at hand, can name the line that the client knows.
struct Destination {
  core::NodeId node;
  BufFile* lines;
  uint64 rows;
  uint64 rows_before;  // those of earlier COPYs
};

}  // namespace

struct Scatter {
  MemoryContext context;
  MemoryContextCallback on_reset;
  char* relation_name;
  CopyRowWriter* writer;
  StringInfoData row;
  RemoteCopy* copy;
  List* destinations;
};

namespace {

void DestroyCopy(void* argument) {
  auto* scatter = static_cast<Scatter*>(argument);
  delete scatter->copy;
  scatter->copy = nullptr;
}

TupleDesc DescribeColumns(Relation parent, List* columns) {
  TupleDesc all = RelationGetDescr(parent);
  TupleDesc chosen = CreateTemplateTupleDesc(list_length(columns));
  for (int i = 0; i < list_length(columns); ++i) {
    Form_pg_attribute attribute = TupleDescAttr(all, list_nth_int(columns, i) - 1);
    TupleDescInitEntry(chosen, i + 1, NameStr(attribute->attname), attribute->atttypid,
                       attribute->atttypmod, attribute->attndims);
    TupleDescInitEntryCollation(chosen, i + 1, attribute->attcollation);
  }
  return chosen;
}

char* CopyCommand(Relation parent, TupleDesc columns, bool binary) {
  StringInfoData command;
  initStringInfo(&command);
  appendStringInfo(&command, "COPY %s (",
                   quote_qualified_identifier(get_namespace_name(RelationGetNamespace(parent)),
                                              RelationGetRelationName(parent)));
  for (int i = 0; i < columns->natts; ++i)
    appendStringInfo(&command, "%s%s", i ? ", " : "",
                     quote_identifier(NameStr(TupleDescAttr(columns, i)->attname)));
  appendStringInfo(&command, ") FROM STDIN (FORMAT %s)", binary ? "binary" : "text");
  return command.data;
}

Destination* FindDestination(Scatter* scatter, core::NodeId node) {
  ListCell* cell;
  foreach (cell, scatter->destinations) {
    auto* destination = static_cast<Destination*>(lfirst(cell));
    if (destination->node == node) return destination;
  }
  return nullptr;
}

Destination* AddDestination(Scatter* scatter, core::NodeId node) {
  MemoryContext caller = MemoryContextSwitchTo(scatter->context);
  auto* destination = static_cast<Destination*>(palloc0(sizeof(Destination)));
  destination->node = node;
  scatter->destinations = lappend(scatter->destinations, destination);
  MemoryContextSwitchTo(caller);
  return destination;
}

void RememberLine(Scatter* scatter, Destination* destination, uint64 line) {
  if (!destination->lines) {
    MemoryContext caller = MemoryContextSwitchTo(scatter->context);
    destination->lines = BufFileCreateTemp(false);
    MemoryContextSwitchTo(caller);
  }
  BufFileWrite(destination->lines, &line, sizeof(line));
}

// The input line of the row-th row of the node's COPY at hand, counted from 1; 0 when it is not
// known.
uint64 RecallLine(Destination* destination, uint64 row) {
  constexpr uint64 kPerBlock = BLCKSZ / sizeof(uint64);
  uint64 lines[kPerBlock];
  if (!destination->lines || row == 0) return 0;
  uint64 index = destination->rows_before + row - 1;
  if (index >= destination->rows) return 0;
  if (BufFileSeekBlock(destination->lines, static_cast<long>(index / kPerBlock)) != 0) return 0;
  std::size_t read = BufFileRead(destination->lines, lines, sizeof(lines)) / sizeof(uint64);
  return index % kPerBlock < read ? lines[index % kPerBlock] : 0;
}

// A node's CONTEXT says "COPY t, line 2" in its language, where 2 counts the rows that it was sent.
// Puts the client's line there; or drops the remark when the client sent no COPY.
char* RewriteContext(Scatter* scatter, Destination* destination, char* context) {
  char* prefix = psprintf("COPY %s, ", scatter->relation_name);
  char* remark = strstr(context, prefix);
  if (!remark || (remark != context && remark[-1] != '\n')) return context;
  char* digits = remark + strlen(prefix);
  while (*digits && *digits != '\n' && !isdigit(static_cast<unsigned char>(*digits))) ++digits;
  char* rest;
  uint64 row = strtou64(digits, &rest, 10);
  uint64 line = RecallLine(destination, row);
  if (line == 0) {
    char* end = strchr(remark, '\n');
    return psprintf("%.*s%s", static_cast<int>(remark - context), context, end ? end + 1 : "");
  }
  return psprintf("%.*s" UINT64_FORMAT "%s", static_cast<int>(digits - context), context, line,
                  rest);
}

void NameLine(Scatter* scatter, const RemoteError& error) {
  ErrorData* data = error.data();
  Destination* destination = FindDestination(scatter, error.node());
  if (!destination || !data->context) return;
  data->context = CallPostgres([&] { return RewriteContext(scatter, destination, data->context); });
}

template <typename F>
auto CallRemote(Scatter* scatter, F&& f) {
  return EnterFromPostgres([&] {
    try {
      return f();
    } catch (const RemoteError& error) {
      NameLine(scatter, error);
      throw;
    }
  });
}

}  // namespace

Scatter* MakeScatter(Relation parent, List* columns) {
  auto* scatter = static_cast<Scatter*>(palloc0(sizeof(Scatter)));
  scatter->context = CurrentMemoryContext;
  scatter->relation_name = pstrdup(RelationGetRelationName(parent));
  TupleDesc descriptor = DescribeColumns(parent, columns);
  scatter->writer = CopyRowWriter::Make(descriptor);
  char* command = CopyCommand(parent, descriptor, scatter->writer->binary());
  initStringInfo(&scatter->row);
  scatter->writer->Begin(&scatter->row);
  EnterFromPostgres([&] {
    std::string header(scatter->row.data, static_cast<std::size_t>(scatter->row.len));
    scatter->copy = new RemoteCopy(command, std::move(header));
  });
  scatter->on_reset.func = DestroyCopy;
  scatter->on_reset.arg = scatter;
  MemoryContextRegisterResetCallback(CurrentMemoryContext, &scatter->on_reset);
  return scatter;
}

void ScatterRow(Scatter* scatter, core::NodeId node, const Datum* values, const bool* nulls,
                std::uint64_t line) {
  Destination* destination = FindDestination(scatter, node);
  if (!destination) destination = AddDestination(scatter, node);
  resetStringInfo(&scatter->row);
  scatter->writer->Append(&scatter->row, values, nulls);
  if (line != 0) RememberLine(scatter, destination, line);
  bool first = CallRemote(scatter, [&] {
    return scatter->copy->Put(
        node, std::string_view(scatter->row.data, static_cast<std::size_t>(scatter->row.len)));
  });
  if (first) destination->rows_before = destination->rows;
  ++destination->rows;
}

std::uint64_t FinishScatter(Scatter* scatter) {
  std::uint64_t rows = CallRemote(scatter, [&] { return scatter->copy->Finish(); });
  ListCell* cell;
  foreach (cell, scatter->destinations)
    if (BufFile* lines = static_cast<Destination*>(lfirst(cell))->lines) BufFileClose(lines);
  scatter->destinations = NIL;
  return rows;
}

}  // namespace teamscale
