//===- PipeIo.h - Bytes between a process and its child ----------------------------*- C++ -*-===//
//
// Kernels are compiled and measured in children, which answer through a pipe.
//
//===-------------------------------------------------------------------------------------===//
#ifndef RAPT_COMPILER_KERNELS_HALIDE_PIPEIO_H
#define RAPT_COMPILER_KERNELS_HALIDE_PIPEIO_H

#include <cerrno>
#include <string>
#include <string_view>
#include <unistd.h>

namespace rapt::kernels::halide {

/// Writes `bytes` to `file`; stops where nobody reads any more, which the reader sees as an answer
/// that is too short.
inline void writeAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR)
      return;
    bytes.remove_prefix(count > 0 ? count : 0);
  }
}

/// All bytes of `file` up to its end, or up to an error.
inline std::string readAll(int file) {
  std::string bytes;
  char block[65536];
  for (;;) {
    ssize_t count = read(file, block, sizeof block);
    if (count > 0)
      bytes.append(block, count);
    else if (count == 0 || errno != EINTR)
      return bytes;
  }
}

} // namespace rapt::kernels::halide

#endif // RAPT_COMPILER_KERNELS_HALIDE_PIPEIO_H
