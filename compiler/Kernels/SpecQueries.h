//===- SpecQueries.h - Questions about kernel specs ----------------------------*- C++ -*-===//
//
// What cost model, recipes and normal forms ask of a KernelSpec. Plain structs in, answers out;
// each distinct node of an expression is visited once, however often it is shared.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_SPECQUERIES_H
#define RAPT_COMPILER_KERNELS_SPECQUERIES_H

#include "compiler/Kernels/KernelSpec.h"

#include <functional>

namespace rapt::kernels {

/// Calls `visit` on each distinct node of `expr` until one answers true, and answers whether one
/// did; false for a null `expr`.
bool anyNode(const ExprRef &expr, const std::function<bool(const Expr &)> &visit);

/// True if `expr` is Loop(loop).
bool isLoop(const ExprRef &expr, int loop);

/// True if Loop(loop) occurs in `expr`.
bool usesLoop(const ExprRef &expr, int loop);

/// True if `expr` is Load(t, [Loop 0, ..., Loop n-1]).
bool isPlainLoad(const ExprRef &expr);

/// How often `expr` loads `tensor`, counting a shared subtree once.
int countLoads(const ExprRef &expr, int tensor);

/// True if `stage` computes each element of its result on its own.
bool isPointwise(const Stage &stage);

} // namespace rapt::kernels

#endif // RAPT_COMPILER_KERNELS_SPECQUERIES_H
