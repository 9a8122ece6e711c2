"""Checks JSON reports: a dynamic model, a static one, and after the stages kernels and simplify."""

import json
import sys


def load(path):
    with open(path) as file:
        return json.load(file)


dynamic, static, kernels, simplify = map(load, sys.argv[1:])
assert set(simplify) == {"model", "target"}, simplify
assert set(kernels) == {"model", "target", "attention", "recognised", "regions", "assumed", "kernels", "weights"}, kernels
for report in (dynamic, static):
    assert set(report) == set(kernels) | {"weight_bytes", "buffers", "arena_bytes"}, report
    assert len(report["attention"]) == 2
    assert report["recognised"] == {"LayerNormalization": 5, "Gelu": 2}, report["recognised"]
    for site in report["attention"]:
        detail = site["detail"]
        assert site["fused"] and detail["heads"] == 4 and detail["head_dim"] == 8, site
        assert detail["causal"] is False, site
    assert sum(kernel["calls"] for kernel in report["kernels"]) == report["regions"] > 0
    schedules = [kernel["schedule"] for kernel in report["kernels"]]
    for schedule in schedules:
        assert set(schedule) == {"recipe", "parameters"}, schedule
    gemm = next(schedule for schedule in schedules if schedule["recipe"] == "gemm")
    assert isinstance(gemm["parameters"]["tile_rows"], int), gemm
    assert report["weights"] > 0 and report["weight_bytes"] > 0
assert isinstance(static["arena_bytes"], int) and static["arena_bytes"] > 0, static["arena_bytes"]
assert "seq" in dynamic["arena_bytes"]["expression"], dynamic["arena_bytes"]
