// PostgreSQL's tree walkers with types. Their callbacks are declared without parameters, which in
// C++ means that they take none: the cast is made here, once. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

#include <type_traits>

extern "C" {
#include "nodes/nodeFuncs.h"
}

namespace teamscale {

template <typename Context>
using Walker = bool (*)(Node*, Context*);

template <typename Context>
using Mutator = Node* (*)(Node*, Context*);

namespace tree_internal {

// By way of void*: g++ warns of a direct cast between function types.
template <typename Result, typename Function>
Result (*WithoutParameters(Function function))() {
  return reinterpret_cast<Result (*)()>(reinterpret_cast<void*>(function));
}

// The walkers hand the context on and never look at it.
template <typename Context>
void* Untyped(Context* context) {
  return const_cast<std::remove_const_t<Context>*>(context);
}

}  // namespace tree_internal

template <typename Context>
bool WalkExpression(Node* node, Walker<Context> walker, Context* context) {
  return expression_tree_walker(node, tree_internal::WithoutParameters<bool>(walker),
                                tree_internal::Untyped(context));
}

template <typename Context>
bool WalkQuery(Query* query, Walker<Context> walker, Context* context, int flags = 0) {
  return query_tree_walker(query, tree_internal::WithoutParameters<bool>(walker),
                           tree_internal::Untyped(context), flags);
}

template <typename Context>
Node* MutateExpression(Node* node, Mutator<Context> mutator, Context* context) {
  return expression_tree_mutator(node, tree_internal::WithoutParameters<Node*>(mutator), context);
}

template <typename Context>
Query* MutateQuery(Query* query, Mutator<Context> mutator, Context* context, int flags = 0) {
  return query_tree_mutator(query, tree_internal::WithoutParameters<Node*>(mutator), context,
                            flags);
}

// copyObject with the type kept: PostgreSQL's macro needs GNU's typeof.
template <typename T>
T* CopyTree(const T* tree) {
  return static_cast<T*>(copyObjectImpl(tree));
}

}  // namespace teamscale
