#include "teamscale/postgres/sharding/travelling_views.h"

#include <cctype>
#include <cstring>

#include "teamscale/postgres/boundary/tree.h"

extern "C" {
#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
}

namespace teamscale {

namespace {

// The comment is "/*teamscale views SCHEMA.NAME=DIGEST ...*/ ". Bytes of names that could end one
// of its parts are written as %XX.
constexpr char kBegin[] = "/*teamscale views";
constexpr char kEnd[] = "*/ ";

// --- What a view is ------------------------------------------------------------------------------

// The definition with every name in its schema, and what else decides which rows are shown to whom.
// Only on the reader's rights do nodes not have to agree: each checks its own.
uint64 Digest(Relation view) {
  OverrideSearchPath nothing{};
  PushOverrideSearchPath(&nothing);
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfoString(&text, pg_get_querydef(CopyTree(get_view_query(view)), false));
  PopOverrideSearchPath();
  appendStringInfo(&text, " %d %d %s", RelationIsSecurityView(view),
                   RelationHasSecurityInvoker(view),
                   quote_identifier(GetUserNameFromId(view->rd_rel->relowner, false)));
  TupleDesc columns = RelationGetDescr(view);
  for (int i = 0; i < columns->natts; ++i)
    appendStringInfo(&text, " %s", quote_identifier(NameStr(TupleDescAttr(columns, i)->attname)));
  return hash_bytes_extended(reinterpret_cast<unsigned char*>(text.data), text.len, 0);
}

bool FindViews(Node* node, List** views);

void AddView(Oid view, List** views) {
  if (list_member_oid(*views, view)) return;
  *views = lappend_oid(*views, view);
  Relation relation = relation_open(view, AccessShareLock);
  FindViews(reinterpret_cast<Node*>(get_view_query(relation)), views);
  relation_close(relation, NoLock);
}

// A view that is expanded begins with two entries of its name that are not in the FROM clause.
bool FindViews(Node* node, List** views) {
  if (!node) return false;
  if (IsA(node, RangeTblEntry)) {
    auto* entry = castNode(RangeTblEntry, node);
    if (entry->rtekind == RTE_RELATION && entry->relkind == RELKIND_VIEW && entry->inFromCl)
      AddView(entry->relid, views);
    return false;
  }
  if (IsA(node, Query))
    return WalkQuery<List*>(castNode(Query, node), FindViews, views, QTW_EXAMINE_RTES_BEFORE);
  return WalkExpression<List*>(node, FindViews, views);
}

// --- How it is written ---------------------------------------------------------------------------

void AppendName(StringInfo text, const char* name) {
  for (; *name; ++name) {
    auto byte = static_cast<unsigned char>(*name);
    if (std::isalnum(byte) || byte == '_')
      appendStringInfoChar(text, *name);
    else
      appendStringInfo(text, "%%%02X", byte);
  }
}

char* ReadName(const char* text, std::size_t length) {
  StringInfoData name;
  initStringInfo(&name);
  for (std::size_t i = 0; i < length; ++i) {
    if (text[i] != '%' || i + 2 >= length) {
      appendStringInfoChar(&name, text[i]);
      continue;
    }
    const char digits[] = {text[i + 1], text[i + 2], '\0'};
    appendStringInfoChar(&name, static_cast<char>(strtol(digits, nullptr, 16)));
    i += 2;
  }
  return name.data;
}

bool IsTheSame(Oid view, uint64 digest) {
  if (!OidIsValid(view) || get_rel_relkind(view) != RELKIND_VIEW) return false;
  Relation relation = relation_open(view, AccessShareLock);
  bool same = Digest(relation) == digest;
  relation_close(relation, NoLock);
  return same;
}

void CheckView(const char* schema, const char* name, uint64 digest) {
  Oid in_schema = get_namespace_oid(schema, true);
  Oid view = OidIsValid(in_schema) ? get_relname_relid(name, in_schema) : InvalidOid;
  if (IsTheSame(view, digest)) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("view \"%s\" is not the same on every node", name),
           errdetail("View %s is defined otherwise on the node that the statement was given to "
                     "than on the one that runs it.",
                     quote_qualified_identifier(schema, name)),
           errhint("Make it the same everywhere: CREATE OR REPLACE VIEW, ALTER VIEW by "
                   "teamscale.run_on_all_nodes().")));
}

}  // namespace

const char* TravellingViews(Query* query) {
  List* views = NIL;
  FindViews(reinterpret_cast<Node*>(query), &views);
  if (views == NIL) return "";
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfoString(&text, kBegin);
  ListCell* cell;
  foreach (cell, views) {
    Relation view = relation_open(lfirst_oid(cell), AccessShareLock);
    appendStringInfoChar(&text, ' ');
    AppendName(&text, get_namespace_name(RelationGetNamespace(view)));
    appendStringInfoChar(&text, '.');
    AppendName(&text, RelationGetRelationName(view));
    appendStringInfo(&text, "=%016llx", static_cast<unsigned long long>(Digest(view)));
    relation_close(view, NoLock);
  }
  appendStringInfoString(&text, kEnd);
  return text.data;
}

void CheckTravellingViews(const char* sql) {
  if (!sql || strncmp(sql, kBegin, strlen(kBegin)) != 0) return;
  const char* at = sql + strlen(kBegin);
  while (*at == ' ') {
    ++at;
    std::size_t schema = strcspn(at, ".* ");
    if (at[schema] != '.') return;
    const char* name = at + schema + 1;
    std::size_t length = strcspn(name, "=* ");
    if (name[length] != '=') return;
    char* end;
    uint64 digest = strtoull(name + length + 1, &end, 16);
    CheckView(ReadName(at, schema), ReadName(name, length), digest);
    at = end;
  }
}

}  // namespace teamscale
