//===- Error.cpp - Status codes with a text per thread -----------------------*- C++ -*-===//
//
// The slot is touched only on failure and by rapt_last_error, so a successful run never causes the
// lazy allocation of thread-local storage in a library that was loaded with dlopen.
//===------------------------------------------------------------------------------------===//
#include "Error.h"

#include <stdarg.h>
#include <stdio.h>

static thread_local char lastError[1024];

rapt_status rapt::fail(rapt_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(lastError, sizeof lastError, format, arguments);
  va_end(arguments);
  return status;
}

const char *rapt_last_error(void) { return lastError; }

const char *rapt_status_name(int32_t status) {
  switch (status) {
  case RAPT_OK:
    return "RAPT_OK";
  case RAPT_ERROR_ARGUMENT:
    return "RAPT_ERROR_ARGUMENT";
  case RAPT_ERROR_FILE:
    return "RAPT_ERROR_FILE";
  case RAPT_ERROR_FORMAT:
    return "RAPT_ERROR_FORMAT";
  case RAPT_ERROR_VERSION:
    return "RAPT_ERROR_VERSION";
  case RAPT_ERROR_CPU:
    return "RAPT_ERROR_CPU";
  case RAPT_ERROR_MEMORY:
    return "RAPT_ERROR_MEMORY";
  case RAPT_ERROR_NAME:
    return "RAPT_ERROR_NAME";
  case RAPT_ERROR_DTYPE:
    return "RAPT_ERROR_DTYPE";
  case RAPT_ERROR_RANK:
    return "RAPT_ERROR_RANK";
  case RAPT_ERROR_SHAPE:
    return "RAPT_ERROR_SHAPE";
  case RAPT_ERROR_WORKSPACE:
    return "RAPT_ERROR_WORKSPACE";
  case RAPT_ERROR_RUN:
    return "RAPT_ERROR_RUN";
  }
  return "unknown";
}
