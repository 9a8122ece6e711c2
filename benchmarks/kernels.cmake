# rapt-kernel-bench: single kernels against the FMA peak (kernels_bench.cpp).
set(kernel_tests ${CMAKE_SOURCE_DIR}/test/unit/kernels)
add_executable(rapt-kernel-bench kernels_bench.cpp ${kernel_tests}/KernelRunner.cpp ${kernel_tests}/SpecInterpreter.cpp)
set_target_properties(rapt-kernel-bench PROPERTIES ENABLE_EXPORTS ON EXCLUDE_FROM_ALL ON)
target_compile_definitions(rapt-kernel-bench PRIVATE RAPT_TEST_LLD="${RAPT_LLVM_DIR}/bin/ld.lld")
target_include_directories(rapt-kernel-bench PRIVATE ${kernel_tests})
target_include_directories(rapt-kernel-bench SYSTEM PRIVATE ${RAPT_HALIDE_DIR}/include)
target_link_libraries(rapt-kernel-bench PRIVATE RaptHalideKernels gtest ${CMAKE_DL_LIBS})
