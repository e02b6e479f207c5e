// SET CONSTRAINTS within a transaction over several nodes: whatever the transaction has said until
// now holds on every connection of it, those that are opened later among them. The commands are
// kept in their order, with their subtransactions; each session follows before its next statement.
// Guarded dialect.
#pragma once

#include <string>
#include <vector>

namespace teamscale {

struct ConstraintMode {
  std::string command;  // fit to be run on another node
  int level;            // of the subtransaction that it belongs to
};

// Of the current transaction, and not rolled back.
const std::vector<ConstraintMode>& ConstraintModes();

// The command has been run on this node.
void NoteConstraintMode(std::string command);

// What becomes of them at the end of a subtransaction, and of the transaction.
void CommitConstraintModes(int level) noexcept;
void AbortConstraintModes(int level) noexcept;
void ForgetConstraintModes() noexcept;

}  // namespace teamscale
