"""lit configuration of the GoogleTest programs: each test of each program counts as one."""

import lit.formats

config.name = "rapt-unit"
config.test_format = lit.formats.GoogleTest(".", "Tests")
config.suffixes = []
config.test_source_root = config.rapt_build_dir + "/test/unit"
config.test_exec_root = config.test_source_root
