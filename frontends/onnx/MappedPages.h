//===- MappedPages.h - What model files take of the memory ---------*- C++ -*-===//
#ifndef RAPT_FRONTENDS_ONNX_MAPPEDPAGES_H
#define RAPT_FRONTENDS_ONNX_MAPPEDPAGES_H

namespace rapt::onnx {

/// Takes the pages of every MappedFile out of this process's memory. Nobody writes to them, so one
/// that is read again comes back from the file. Called where much of a file has been read once.
void dropMappedPages();

} // namespace rapt::onnx

#endif // RAPT_FRONTENDS_ONNX_MAPPEDPAGES_H
