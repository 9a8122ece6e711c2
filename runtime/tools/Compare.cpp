//===- Compare.cpp - Outputs against expected arrays -------------------------*- C++ -*-===//
//
// Prints the largest difference and where it is, since that is what one looks for first.
//===------------------------------------------------------------------------------------===//
#include "Compare.h"
#include "Scalar.h"

#include <math.h>
#include <string.h>

using namespace rapt;
using namespace rapt::io;
using namespace rapt::tools;

static void printShape(const rapt_tensor &tensor) {
  printf("%s[", rapt_dtype_name(tensor.dtype));
  for (int32_t i = 0; i < tensor.rank; ++i)
    printf("%s%lld", i ? ", " : "", (long long)tensor.dims[i]);
  printf("]");
}

static int64_t countElements(const rapt_tensor &tensor) {
  return int64_t(rapt_tensor_bytes(&tensor)) / rapt_dtype_bytes(tensor.dtype);
}

void rapt::tools::printSummary(const rapt_tensor &tensor) {
  double least = INFINITY, most = -INFINITY, sum = 0;
  int64_t count = countElements(tensor), numNan = 0;
  for (int64_t i = 0; i < count; ++i) {
    double value = getScalar(tensor.data, tensor.dtype, i);
    if (value != value) {
      ++numNan;
      continue;
    }
    least = fmin(least, value);
    most = fmax(most, value);
    sum += value;
  }
  printf("%s ", tensor.name);
  printShape(tensor);
  if (numNan < count)
    printf(" min %.6g max %.6g mean %.6g", least, most, sum / double(count - numNan));
  if (numNan)
    printf(" nan %lld", (long long)numNan);
  printf("\n");
}

/// `reason` is printed after "differs: ".
static bool differs(const char *reason) {
  printf("differs: %s\n", reason);
  return false;
}

static bool sameShape(const rapt_tensor &a, const rapt_tensor &b) {
  return a.dtype == b.dtype && a.rank == b.rank &&
         memcmp(a.dims, b.dims, size_t(a.rank) * sizeof a.dims[0]) == 0;
}

/// Adds to a line that starts with the name.
static bool compareValues(const rapt_tensor &seen, const rapt_tensor &expected, double rtol,
                          double atol) {
  size_t each = size_t(rapt_dtype_bytes(seen.dtype));
  bool floats = isFloat(seen.dtype);
  double largest = -1;
  int64_t count = countElements(seen), where = 0, numBad = 0;
  for (int64_t i = 0; i < count; ++i) {
    const char *a = static_cast<const char *>(seen.data) + size_t(i) * each;
    const char *b = static_cast<const char *>(expected.data) + size_t(i) * each;
    bool same = memcmp(a, b, each) == 0;
    double x = getScalar(seen.data, seen.dtype, i), y = getScalar(expected.data, seen.dtype, i);
    if (floats && ((x != x && y != y) || x == y))
      same = true;
    double difference = same ? 0 : fabs(x - y);
    // A comparison with NaN is false, so what is not surely within the bound counts as different.
    bool within = same || (floats && isfinite(y) && difference <= atol + rtol * fabs(y));
    numBad += !within;
    if (difference != difference)
      difference = INFINITY;
    if (difference > largest) {
      largest = difference;
      where = i;
    }
  }
  if (count == 0) {
    printf("empty, as expected\n");
    return true;
  }
  printf("largest difference %.3g at element %lld (%.9g, expected %.9g), ", largest,
         (long long)where, getScalar(seen.data, seen.dtype, where),
         getScalar(expected.data, seen.dtype, where));
  if (numBad == 0) {
    printf("ok\n");
    return true;
  }
  printf("%lld of %lld elements differ\n", (long long)numBad, (long long)count);
  return false;
}

static bool compareOne(const List<Array> &outputs, const rapt_tensor &expected, double rtol,
                       double atol) {
  const rapt_tensor *seen = nullptr;
  for (const Array &output : outputs)
    if (strcmp(output.tensor.name, expected.name) == 0 || (!*expected.name && outputs.size() == 1))
      seen = &output.tensor;
  printf("expect %s: ", seen ? seen->name : expected.name);
  if (!seen)
    return differs("the model has no such output");
  if (!sameShape(*seen, expected)) {
    printf("differs: ");
    printShape(*seen);
    printf(", expected ");
    printShape(expected);
    printf("\n");
    return false;
  }
  return compareValues(*seen, expected, rtol, atol);
}

bool rapt::tools::compareOutputs(const List<Array> &outputs, const List<Array> &expected,
                                 double rtol, double atol) {
  bool ok = expected.size() > 0;
  if (!ok)
    printf("expect: the file has no arrays\n");
  for (const Array &array : expected)
    ok &= compareOne(outputs, array.tensor, rtol, atol);
  return ok;
}
