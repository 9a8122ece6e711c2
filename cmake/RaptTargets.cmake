# The kinds of target that Rapt has. Each takes listed sources; none looks for files.

# rapt_mlir_library(name SOURCES... [DEPENDS generated targets...] [LINK libraries...])
# A static library that uses LLVM or MLIR: no RTTI, no exceptions.
function(rapt_mlir_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE -fno-rtti -fno-exceptions)
  target_compile_definitions(${name} PUBLIC ${LLVM_DEFINITIONS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# rapt_mlir_executable(name SOURCES... LINK libraries...): links the shared LLVM and MLIR once.
function(rapt_mlir_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE -fno-rtti -fno-exceptions)
  target_compile_definitions(${name} PRIVATE ${LLVM_DEFINITIONS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} MLIR LLVM)
  if(RAPT_SANITIZE)
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/SanitizerOptions.cpp)
  endif()
endfunction()

# rapt_dialect(name dialect namespace): <name>Ops.td of this folder becomes *.inc files in the build
# tree and a reference page in build/docs/dialects; the target is Rapt<name>IncGen.
function(rapt_dialect name dialect namespace)
  set(LLVM_TARGET_DEFINITIONS ${name}Ops.td)
  mlir_tablegen(${name}Dialect.h.inc -gen-dialect-decls -dialect=${dialect} -I${CMAKE_SOURCE_DIR})
  mlir_tablegen(${name}Dialect.cpp.inc -gen-dialect-defs -dialect=${dialect} -I${CMAKE_SOURCE_DIR})
  mlir_tablegen(${name}Enums.h.inc -gen-enum-decls -I${CMAKE_SOURCE_DIR})
  mlir_tablegen(${name}Enums.cpp.inc -gen-enum-defs -I${CMAKE_SOURCE_DIR})
  mlir_tablegen(${name}Attrs.h.inc -gen-attrdef-decls -attrdefs-dialect=${dialect} -I${CMAKE_SOURCE_DIR})
  mlir_tablegen(${name}Attrs.cpp.inc -gen-attrdef-defs -attrdefs-dialect=${dialect} -I${CMAKE_SOURCE_DIR})
  mlir_tablegen(${name}Ops.h.inc -gen-op-decls -I${CMAKE_SOURCE_DIR})
  mlir_tablegen(${name}Ops.cpp.inc -gen-op-defs -I${CMAKE_SOURCE_DIR})
  add_public_tablegen_target(Rapt${name}IncGen)
  add_mlir_doc(${name}Ops ${name} dialects/ -gen-dialect-doc -dialect=${dialect} -I${CMAKE_SOURCE_DIR})
endfunction()
