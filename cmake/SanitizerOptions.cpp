//===- SanitizerOptions.cpp - Defaults of a sanitised build ------------------------*- C++ -*-===//
//
// Linked into every program of a build with RAPT_SANITIZE=ON. Rapt's objects are sanitised, the
// shared LLVM and MLIR that they share inline functions and allocators with are not: checks that
// need both sides to be instrumented are off. ASAN_OPTIONS in the environment goes before these.
//
//===-------------------------------------------------------------------------------------===//

extern "C" const char *__asan_default_options();
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0:detect_container_overflow=0:alloc_dealloc_mismatch=0:"
         "detect_odr_violation=0:detect_leaks=0";
}
