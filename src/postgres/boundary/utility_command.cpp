#include "teamscale/postgres/boundary/utility_command.h"

namespace teamscale {

bool NamesNoTable(const Node* command) {
  switch (nodeTag(command)) {
    case T_TransactionStmt:
    case T_VariableSetStmt:
    case T_VariableShowStmt:
    case T_FetchStmt:
    case T_ClosePortalStmt:
    case T_PrepareStmt:
    case T_ExecuteStmt:
    case T_DeallocateStmt:
    case T_ExplainStmt:
    case T_DeclareCursorStmt:
    case T_NotifyStmt:
    case T_ListenStmt:
    case T_UnlistenStmt:
    case T_LoadStmt:
    case T_CheckPointStmt:
    case T_DiscardStmt:
    case T_ConstraintsSetStmt:
    case T_CallStmt:
    case T_DoStmt:
      return true;
    default:
      return false;
  }
}

}  // namespace teamscale
