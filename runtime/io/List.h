//===- List.h - A growing array without the C++ library ----------------------*- C++ -*-===//
//
// Executables that raptc writes link these archives and must not need libstdc++, which std::vector
// does (operator new, std::__throw_length_error). Elements may be moved by copying their bytes.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_IO_LIST_H
#define RAPT_IO_LIST_H

#include <new>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

namespace rapt::io {

template <typename T> class List {
public:
  List() = default;
  List(const List &) = delete;
  List &operator=(const List &) = delete;
  ~List() {
    for (size_t i = 0; i < count; ++i)
      items[i].~T();
    free(static_cast<void *>(items));
  }

  /// Appends a default-made element; null when out of memory.
  T *add() {
    if (count == capacity) {
      size_t wanted = capacity ? capacity * 2 : 8;
      if (wanted > SIZE_MAX / sizeof(T))
        return nullptr;
      void *grown = realloc(static_cast<void *>(items), wanted * sizeof(T));
      if (!grown)
        return nullptr;
      items = static_cast<T *>(grown);
      capacity = wanted;
    }
    return new (&items[count++]) T();
  }

  size_t size() const { return count; }
  T &operator[](size_t i) { return items[i]; }
  const T &operator[](size_t i) const { return items[i]; }
  T *begin() { return items; }
  T *end() { return items + count; }
  const T *begin() const { return items; }
  const T *end() const { return items + count; }

private:
  T *items = nullptr;
  size_t count = 0, capacity = 0;
};

} // namespace rapt::io

#endif // RAPT_IO_LIST_H
