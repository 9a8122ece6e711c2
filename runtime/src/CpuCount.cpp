//===- CpuCount.cpp - How many CPUs this process may use ---------------------*- C++ -*-===//
//
// Files that are missing or unreadable mean "no limit": a wrong guess costs speed, never results.
//===------------------------------------------------------------------------------------===//
#include "CpuCount.h"
#include "rapt.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static constexpr long maxThreads = 1024;

/// Reads up to size - 1 bytes and ends them with a zero; false when the file cannot be read.
static bool readText(const char *path, char *text, size_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return false;
  size_t length = 0;
  ssize_t got = 0;
  while (length + 1 < size && (got = read(file, text + length, size - 1 - length)) > 0)
    length += size_t(got);
  close(file);
  text[length] = 0;
  return got >= 0;
}

static int wholeCpus(long long quota, long long period) {
  if (quota <= 0 || period <= 0)
    return 0;
  long long cpus = (quota - 1) / period + 1;
  return cpus > maxThreads ? int(maxThreads) : int(cpus);
}

/// The limit of one group folder: version 2 "max 100000" or "150000 100000" in cpu.max, version 1
/// two files with the quota (-1: none) and the period.
static int groupLimit(const char *folder) {
  char path[1200], text[64];
  long long quota, period;
  snprintf(path, sizeof path, "%s/cpu.max", folder);
  if (readText(path, text, sizeof text))
    return sscanf(text, "%lld %lld", &quota, &period) == 2 ? wholeCpus(quota, period) : 0;
  snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
  if (!readText(path, text, sizeof text) || sscanf(text, "%lld", &quota) != 1)
    return 0;
  snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
  if (!readText(path, text, sizeof text) || sscanf(text, "%lld", &period) != 1)
    return 0;
  return wholeCpus(quota, period);
}

static int smaller(int a, int b) { return a == 0 || (b != 0 && b < a) ? b : a; }

/// The smallest limit of <root>/<controller>/<group> and the groups above it.
static int limitUpwards(const char *root, const char *controller, const char *group) {
  char folder[1100];
  int rootLength = snprintf(folder, sizeof folder, "%s%s", root, controller);
  if (rootLength < 0 || size_t(rootLength) + strlen(group) >= sizeof folder)
    return 0;
  strcpy(folder + rootLength, group);
  int limit = 0;
  for (;;) {
    limit = smaller(limit, groupLimit(folder));
    char *slash = strrchr(folder + rootLength, '/');
    if (!slash)
      return limit;
    *slash = 0;
  }
}

/// Whether the comma-separated list [list, end) has the entry "cpu".
static bool listsCpu(const char *list, const char *end) {
  while (list < end) {
    const char *comma = static_cast<const char *>(memchr(list, ',', size_t(end - list)));
    const char *stop = comma ? comma : end;
    if (stop - list == 3 && memcmp(list, "cpu", 3) == 0)
      return true;
    list = stop + 1;
  }
  return false;
}

int rapt::cgroupCpuLimit(const char *procCgroup, const char *root) {
  int limit = 0;
  // Lines are "4:cpu,cpuacct:/group" (version 1) and "0::/group" (version 2).
  for (const char *line = procCgroup; *line;) {
    const char *newline = strchr(line, '\n');
    const char *end = newline ? newline : line + strlen(line);
    const char *list = static_cast<const char *>(memchr(line, ':', size_t(end - line)));
    const char *colon =
        list ? static_cast<const char *>(memchr(list + 1, ':', size_t(end - list - 1))) : nullptr;
    char group[1000];
    if (colon && size_t(end - colon) <= sizeof group) {
      size_t length = size_t(end - colon) - 1;
      memcpy(group, colon + 1, length);
      group[length] = 0;
      if (colon == list + 1) {
        limit = smaller(limit, limitUpwards(root, "", group));
      } else if (listsCpu(list + 1, colon)) {
        // In a container the group's path often is the host's, and only the mount point exists.
        limit = smaller(limit, limitUpwards(root, "/cpu", group));
        limit = smaller(limit, limitUpwards(root, "/cpu,cpuacct", group));
      }
    }
    line = newline ? newline + 1 : end;
  }
  return limit;
}

/// The kernel refuses masks smaller than its own, so the size grows until one fits.
static int affinityCount() {
  for (int cpus = 1024; cpus <= 1024 * 64; cpus *= 4) {
    cpu_set_t *set = CPU_ALLOC(cpus);
    if (!set)
      break;
    size_t bytes = CPU_ALLOC_SIZE(cpus);
    int failed = sched_getaffinity(0, bytes, set);
    int error = errno;
    int count = failed ? 0 : CPU_COUNT_S(bytes, set);
    CPU_FREE(set);
    if (!failed || error != EINVAL)
      return count;
  }
  return 0;
}

int rapt::numUsableCpus() {
  int count = affinityCount();
  char text[8192];
  if (readText("/proc/self/cgroup", text, sizeof text))
    count = smaller(count, cgroupCpuLimit(text, "/sys/fs/cgroup"));
  return count < 1 ? 1 : count;
}

int32_t rapt_default_num_threads(void) {
  if (const char *text = getenv("RAPT_NUM_THREADS")) {
    char *end;
    long value = strtol(text, &end, 10);
    if (end != text && *end == 0 && value >= 1 && value <= maxThreads)
      return int32_t(value);
  }
  int cpus = rapt::numUsableCpus();
  return cpus > maxThreads ? int32_t(maxThreads) : cpus;
}
