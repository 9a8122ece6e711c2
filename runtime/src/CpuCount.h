//===- CpuCount.h - How many CPUs this process may use -----------------------*- C++ -*-===//
//
// The affinity mask says which CPUs, the cgroup's quota how much of them (containers often see 64
// CPUs and may use 2). Both versions of cgroups are read, with every limit from the process's group
// up.
//===------------------------------------------------------------------------------------===//
#ifndef RAPT_RUNTIME_CPUCOUNT_H
#define RAPT_RUNTIME_CPUCOUNT_H

namespace rapt {

/// CPUs in the affinity mask, limited by the cgroup quota rounded up; at least 1.
int numUsableCpus();

/// The smallest CPU quota (rounded up to whole CPUs) among the groups that `procCgroup` (the text
/// of /proc/self/cgroup) names below the mount point `root` (/sys/fs/cgroup) and their parents; 0
/// when none is set or readable.
int cgroupCpuLimit(const char *procCgroup, const char *root);

} // namespace rapt

#endif // RAPT_RUNTIME_CPUCOUNT_H
