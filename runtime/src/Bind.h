//===- Bind.h - Callers' tensors meet the model's tables ---------------------*- C++ -*-===//
//
// Matches tensors with inputs and outputs by name or place, checks dtype, rank and dims, and finds
// the value of each symbolic dim. Everything here treats the caller's structs as unchecked data.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_BIND_H
#define RAPT_RUNTIME_BIND_H

#include "Context.h"
#include "Model.h"

namespace rapt {

/// The values of one call, in the order of the model's tables; one allocation, made by `create`.
struct Binding {
  int64_t *dims;       ///< [num_symbols]; -1: not bound yet
  int64_t *outputDims; ///< [sum of output ranks] for which the caller has room
  int64_t *resultDims; ///< [sum of output ranks] that the last run gave
  const void **inputs; ///< [num_inputs] data
  void **outputs;      ///< [num_outputs] data
  int32_t *boundInput; ///< [num_symbols] the input that bound it
  int32_t *boundDim;   ///< [num_symbols] and which of its dims
  bool *seen;          ///< [max(num_inputs, num_outputs)]

  /// False when out of memory.
  bool create(const rapt_model *model);
  void destroy();
};

/// Fills binding.dims and, when `withData`, binding.inputs. Errors: RAPT_ERROR_ARGUMENT, _NAME,
/// _DTYPE, _RANK, _SHAPE.
rapt_status bindInputs(const rapt_model *model, const rapt_tensor *tensors, int32_t count,
                       bool withData, Binding &binding);

/// Asks the model for its output dims and memory needs under binding.dims. Errors: RAPT_ERROR_SHAPE
/// when the graph does not allow these dims.
rapt_status planFor(const rapt_model *model, Binding &binding, rapt_abi_plan &plan);

/// Checks outputs against binding.outputDims and fills binding.outputs. Errors as bindInputs.
rapt_status bindOutputs(const rapt_model *model, const rapt_tensor *tensors, int32_t count,
                        Binding &binding);

/// Writes name, dtype, rank and `dims` (all of them one after the other) of every output, no data.
void describeOutputs(const rapt_model *model, const int64_t *dims, rapt_tensor *outputs);

} // namespace rapt

#endif // RAPT_RUNTIME_BIND_H
