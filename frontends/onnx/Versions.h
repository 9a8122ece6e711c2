//===- Versions.h - Every supported ONNX operator and its versions -----------------*- C++ -*-===//
//
// One row an operator: since when it exists, for which element types Rapt takes it, and the
// function that upgrades a node of any opset to the one form of the onnx dialect (OnnxOps.td).
//
// Source: ONNX operator schemas, Changelog.md, opset 7 to 29.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_FRONTENDS_ONNX_VERSIONS_H
#define RAPT_FRONTENDS_ONNX_VERSIONS_H

#include "frontends/onnx/NodeBuilder.h"

namespace rapt::onnx {

struct Operator {
  llvm::StringRef name; ///< "Add"; "com.microsoft.BiasGelu" outside of the default domain
  int64_t since;        ///< first opset that has it; 7 for all that are older
  llvm::StringRef types;
  /// Differences between opsets, and what is not supported; for the documentation.
  llvm::StringRef notes;
  void (*upgrade)(NodeBuilder &);
};

/// The operator `name` of `domain` ("" is the default one), or null.
const Operator *findOperator(llvm::StringRef domain, llvm::StringRef name);

/// The table of supported operators as a Markdown page.
std::string onnxCoverageMarkdown();

// The rows, by group.
void addActivations(std::vector<Operator> &table);
void addAttention(std::vector<Operator> &table);
void addElementwise(std::vector<Operator> &table);
void addMath(std::vector<Operator> &table);
void addMicrosoft(std::vector<Operator> &table);
void addMicrosoftAttention(std::vector<Operator> &table);
void addGroupQueryAttention(std::vector<Operator> &table);
void addPositionBias(std::vector<Operator> &table);
void addGridSample(std::vector<Operator> &table);
void addSelection(std::vector<Operator> &table);
void addMovement(std::vector<Operator> &table);
void addSequences(std::vector<Operator> &table);
void addConstants(std::vector<Operator> &table);
void addControlFlow(std::vector<Operator> &table);
void addLoop(std::vector<Operator> &table);
void addRecurrent(std::vector<Operator> &table);
void addWindows(std::vector<Operator> &table);
void addResize(std::vector<Operator> &table);
void addScatter(std::vector<Operator> &table);
void addReductions(std::vector<Operator> &table);
void addNorms(std::vector<Operator> &table);
void addLinearAttention(std::vector<Operator> &table);
void addLosses(std::vector<Operator> &table);
void addEinsum(std::vector<Operator> &table);
void addRearrangements(std::vector<Operator> &table);

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_VERSIONS_H
