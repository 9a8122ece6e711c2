//===- EmitTest.cpp - Determinism, threads and errors of the bridge ------------*- C++ -*-===//
#include "compiler/Kernels/halide/Emit.h"
#include "Specs.h"

#include <thread>

namespace rapt::kernels::test {

using Recipe = Schedule::Recipe;

static KernelSpec gelu() {
  Builder b(2);
  int x = b.input({dim(0), dim(1), fixed(96)});
  ExprRef v = b.at(x, {loop(0), loop(1), loop(2)});
  b.spec.outputs = {b.map({dim(0), dim(1), fixed(96)}, v * op(UnaryOp::Erf, v))};
  return b.spec;
}

TEST(Emit, SameArgumentsGiveTheSameBytes) {
  KernelObject first, second, other;
  std::string error;
  ASSERT_TRUE(halide::emitKernel(gelu(), schedule(Recipe::Pointwise), hostCpu(), "k", first, error))
      << error;
  ASSERT_TRUE(halide::emitKernel(gelu(), schedule(Recipe::Loops), hostCpu(), "k2", other, error))
      << error;
  ASSERT_TRUE(
      halide::emitKernel(gelu(), schedule(Recipe::Pointwise), hostCpu(), "k", second, error))
      << error;
  EXPECT_EQ(first.object, second.object);
  EXPECT_NE(first.object, other.object);
}

TEST(Emit, ThreadsMayCompileAtOnce) {
  KernelObject objects[4];
  std::string errors[4];
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      halide::emitKernel(gelu(), schedule(Recipe::Pointwise), hostCpu(), "k", objects[i],
                         errors[i]);
    });
  for (std::thread &thread : threads)
    thread.join();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(errors[i], "");
    EXPECT_FALSE(objects[i].object.empty());
    EXPECT_EQ(objects[i].object, objects[0].object);
  }
}

TEST(Emit, ErrorsAreTexts) {
  Builder b(1);
  int x = b.input({dim(0)}, ScalarType::F64);
  b.spec.outputs = {b.map({dim(0)}, op(UnaryOp::Exp, b.at(x, {loop(0)})))};
  KernelObject object;
  std::string error;
  EXPECT_FALSE(
      halide::emitKernel(b.spec, schedule(Recipe::Pointwise), hostCpu(), "k", object, error));
  EXPECT_NE(error.find("f32 only"), std::string::npos) << error;
}

TEST(Emit, MachinesWithoutAvx) {
  TargetCpu cpu{"x86-64-v2", {"sse4.1"}, 16, 16};
  Schedule s = schedule(Recipe::Gemm);
  s.vector = 4, s.tileRows = 4, s.tileCols = 8;
  Builder b(1);
  int x = b.input({dim(0), fixed(20)}),
      w = b.input({fixed(20), fixed(24)}, ScalarType::F32, s.tileCols);
  b.spec.outputs = {b.reduce(Reduction::Sum, {dim(0), fixed(24), fixed(20)}, 2,
                             b.at(x, {loop(0), loop(2)}) * b.at(w, {loop(2), loop(1)}))};
  LoadedKernel kernel(b.spec, s, cpu);
  ASSERT_TRUE(kernel.ok()) << kernel.error;
  for (int64_t rows : {1, 3, 4, 9})
    check(kernel, b.spec, {rows}, 1e-5);
}

TEST(Emit, TextNamesEverythingOnce) {
  KernelSpec spec = gelu();
  EXPECT_EQ(spec.print(), "kernel dims=2 inputs=1\n"
                          "  t0: f32[d0, d1, 96]\n"
                          "  t1: f32[d0, d1, 96]\n"
                          "  map0: t1 = map [d0, d1, 96]\n"
                          "    %0 = t0[i0, i1, i2]\n"
                          "    = (%0 * erf(%0))\n"
                          "  outputs t1\n");
}

TEST(Emit, IndexArithmeticFolds) {
  ExprRef x = loop(0);
  EXPECT_EQ(x * whole(1), x);
  EXPECT_EQ(x + whole(0), x);
  EXPECT_EQ((x * whole(0))->integer, 0);
  EXPECT_EQ(op(BinaryOp::FloorDiv, whole(-7), whole(2))->integer, -4);
  EXPECT_EQ(op(BinaryOp::FloorMod, whole(-7), whole(2))->integer, 1);
  EXPECT_EQ(substituteLoops(loop(0) + loop(1), {whole(3), whole(4)})->integer, 7);
}

} // namespace rapt::kernels::test
