"""Pictures of a suite's rows, as SVG: time over size for each engine, and the roofline. Needs matplotlib."""

import os


def _groups(rows, column):
    """{(threads, title): rows} where the title names all dims but `column`; single points make no curve."""
    groups = {}
    for row in rows:
        if "machine" in row:
            others = " ".join(f"{k} {v}" for k, v in row["dims"].items()
                              if k != column and v != row["dims"][column])
            groups.setdefault((row["threads"], others), []).append(row)
    return groups


def draw(rows, names, column, stem):
    """Writes STEM-time.svg and STEM-roofline.svg; says so and does nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print("no pictures: matplotlib is not installed")
        return
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "rapt", "font.size": 8})
    groups = _groups(rows, column)
    if groups:
        os.makedirs(os.path.dirname(stem), exist_ok=True)
        colors = {name: f"C{i}" for i, name in enumerate(names)}
        _times(groups, colors, column, stem + "-time.svg")
        _roofline([row for group in groups.values() for row in group], colors, stem + "-roofline.svg")


def _times(groups, colors, column, path):
    """Small multiples: milliseconds over `column`, both logarithmic."""
    import matplotlib.pyplot as plt

    wide = min(3, len(groups))
    high = -(-len(groups) // wide)
    figure, axes = plt.subplots(high, wide, figsize=(4 * wide, 3 * high), squeeze=False, layout="constrained")
    for axis in axes.flat[len(groups):]:
        axis.set_visible(False)
    for axis, ((threads, title), rows) in zip(axes.flat, groups.items()):
        for name, color in colors.items():
            points = sorted((row["dims"][column], row["engines"][name]["median_ms"]) for row in rows
                            if "median_ms" in row["engines"].get(name, {}))
            if points:
                axis.plot(*zip(*points), marker="o", markersize=3, color=color, label=name)
        axis.set(xscale="log", yscale="log", xlabel=column, ylabel="ms (median)",
                 title=f"{title}, {threads} thread{'s' * (threads > 1)}")
        ticks = sorted({row["dims"][column] for row in rows})
        axis.set_xticks(ticks, [str(tick) for tick in ticks], rotation=90)
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes.flat[0].legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _roofline(rows, colors, path):
    """GFLOP/s over operations per byte of compulsory traffic, a panel for each number of threads."""
    import matplotlib.pyplot as plt

    counts = sorted({row["threads"] for row in rows})
    figure, axes = plt.subplots(1, len(counts), figsize=(5 * len(counts), 4), squeeze=False, layout="constrained")
    for axis, threads in zip(axes.flat, counts):
        mine = [row for row in rows if row["threads"] == threads]
        peak = max(row["machine"].get("peak", 0) for row in mine)
        bandwidth = max(row["machine"].get("bandwidth", 0) for row in mine)
        intensities = [row["flops"] / row["traffic"] for row in mine]
        if not peak or not bandwidth:
            continue
        ends = [min(intensities + [peak / bandwidth]) / 2, max(intensities + [peak / bandwidth]) * 2]
        bend = peak / bandwidth
        axis.plot([ends[0], bend, ends[1]], [ends[0] * bandwidth, peak, peak], color="black", linewidth=1)
        for name, color in colors.items():
            points = [(row["flops"] / row["traffic"], row["engines"][name]["gflops"]) for row in mine
                      if "gflops" in row["engines"].get(name, {})]
            if points:
                axis.scatter(*zip(*points), s=10, color=color, label=name)
        axis.set(xscale="log", yscale="log", xlabel="operations per byte that must move", ylabel="GFLOP/s",
                 title=f"{threads} thread{'s' * (threads > 1)}: {peak:.0f} GFLOP/s, {bandwidth:.0f} GB/s")
        axis.grid(alpha=0.3)
    axes.flat[0].legend()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
