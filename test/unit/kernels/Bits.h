//===- Bits.h - A row's bits depend on nothing around it -----------------------*- C++ -*-===//
#ifndef RAPT_TEST_UNIT_KERNELS_BITS_H
#define RAPT_TEST_UNIT_KERNELS_BITS_H

#include "Specs.h"

#include <algorithm>
#include <cstring>

namespace rapt::kernels::test {

/// What rows [begin, begin + count) of dim 0, of `rows`, have of a tensor that is outermost in it.
inline Values takeRows(const Values &values, int64_t rows, int64_t begin, int64_t count) {
  int64_t width = values.size() / rows;
  return Values(values.begin() + begin * width, values.begin() + (begin + count) * width);
}

inline bool sameBits(const Values &a, const Values &b) {
  return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

/// Runs `kernel` at `dims` and compares, bit for bit: the same again; 2, 3, 4 and 7 threads; each
/// row of dim 0 alone; and the last 2, 3, ... rows alone. Every output is outermost in dim 0, and
/// so are the inputs that name it.
inline void checkBits(LoadedKernel &kernel, const KernelSpec &spec,
                      const std::vector<int64_t> &dims) {
  std::vector<Values> inputs = randomInputs(spec, dims, 1, 2), whole = kernel.run(dims, inputs);
  auto compare = [&](int64_t begin, int64_t count, int threads) {
    std::vector<int64_t> partDims = dims;
    partDims[0] = count;
    std::vector<Values> part = inputs;
    for (int t = 0; t < spec.numInputs; ++t) {
      const std::vector<Extent> &shape = spec.tensors[t].shape;
      if (!shape.empty() && std::count(shape[0].dims.begin(), shape[0].dims.end(), 0))
        part[t] = takeRows(inputs[t], dims[0], begin, count);
    }
    std::vector<Values> outputs = kernel.run(partDims, part, threads);
    for (size_t o = 0; o < outputs.size(); ++o)
      EXPECT_TRUE(sameBits(outputs[o], takeRows(whole[o], dims[0], begin, count)))
          << "rows " << begin << " to " << begin + count - 1 << " of " << dims[0] << ", " << threads
          << " threads, output " << o << ": differ by up to "
          << difference(outputs[o], takeRows(whole[o], dims[0], begin, count));
  };
  for (int threads : {1, 2, 3, 4, 7})
    compare(0, dims[0], threads);
  for (int64_t row = 0; row < dims[0]; ++row)
    compare(row, 1, 1);
  for (int64_t count = 2; count < dims[0]; ++count)
    compare(dims[0] - count, count, 2);
}

inline void checkBits(const KernelSpec &spec, const Schedule &schedule,
                      const std::vector<std::vector<int64_t>> &dims) {
  LoadedKernel kernel(spec, schedule, hostCpu(schedule.vector <= 8));
  ASSERT_TRUE(kernel.ok()) << kernel.error << "\n" << spec.print();
  for (const std::vector<int64_t> &values : dims)
    checkBits(kernel, spec, values);
}

} // namespace rapt::kernels::test

#endif // RAPT_TEST_UNIT_KERNELS_BITS_H
