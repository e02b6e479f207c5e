#include "teamscale/postgres/sharding/explain_sql.h"

extern "C" {
#include "lib/stringinfo.h"
}

namespace teamscale {

char* OnOneLine(const char* sql) {
  StringInfoData line;
  initStringInfo(&line);
  char quote = '\0';
  for (const char* c = sql; *c; ++c) {
    bool space = *c == ' ' || *c == '\n';
    if (quote != '\0')
      quote = *c == quote ? '\0' : quote;
    else if (*c == '\'' || *c == '"')
      quote = *c;
    else if (space && (line.len == 0 || line.data[line.len - 1] == ' '))
      continue;
    appendStringInfoChar(&line, space && quote == '\0' ? ' ' : *c);
  }
  return line.data;
}

}  // namespace teamscale
