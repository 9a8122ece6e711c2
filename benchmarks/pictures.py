"""Pictures of a suite's rows, as SVG: time over size, time relative to the first engine's, and the roofline.
Needs matplotlib."""

import os

# The same colour for an engine in every picture; Rapt with flags takes what is left.
COLORS = {"rapt": "#d62728", "rapt-unfused": "#ff9896", "onnxruntime": "#1f77b4", "openvino": "#2ca02c",
          "pytorch": "#ff7f0e", "inductor": "#8c564b", "iree": "#9467bd"}
OTHERS = ["#e377c2", "#7f7f7f", "#bcbd22", "#17becf"]
MARKERS = {"rapt": "o", "rapt-unfused": "o", "onnxruntime": "s", "openvino": "^", "pytorch": "D", "inductor": "v",
           "iree": "x"}


def _styles(names):
    rest = [name for name in names if name not in COLORS]
    return {name: {"color": COLORS.get(name) or OTHERS[rest.index(name) % len(OTHERS)],
                   "marker": MARKERS.get(name, "*"), "markersize": 3.5, "linewidth": 1.8 if name == names[0] else 1.1,
                   "linestyle": "--" if name == "rapt-unfused" else "-", "zorder": 3 if name == names[0] else 2}
            for name in names}


def draw(rows, names, suite, stem):
    """Writes STEM-time.svg, STEM-ratio.svg and STEM-roofline.svg for the rows that were timed. suite: its module.
    Returns the paths; says so and does nothing without matplotlib."""
    rows = [row for row in rows if any("median_ms" in e for e in row["engines"].values())]
    if not rows:
        return []
    try:
        import matplotlib
    except ImportError:
        print("no pictures: matplotlib is not installed")
        return []
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "rapt", "svg.fonttype": "none", "font.size": 9, "axes.titlesize": 9,
                                "axes.axisbelow": True})
    os.makedirs(os.path.dirname(stem), exist_ok=True)
    paths, styles = [], _styles(names)
    for threads in sorted({row["threads"] for row in rows}):
        mine = [row for row in rows if row["threads"] == threads]
        about = f"{os.path.basename(stem)}, {threads} thread{'s' * (threads > 1)}"
        ending = "" if threads == 1 else f"-{threads}"
        paths.append(_panels(mine, styles, suite, f"{stem}-time{ending}.svg", about + ": time of a run",
                             "median, ms", lambda row, name: row["engines"][name]["median_ms"]))
        if len(names) > 1:
            paths.append(_panels(mine, styles, suite, f"{stem}-ratio{ending}.svg",
                                 f"{about}: time relative to {names[0]}'s (above 1: {names[0]} is faster)",
                                 f"time / time of {names[0]}", lambda row, name: _ratio(row, name, names[0])))
    paths.append(_roofline(rows, styles, stem + "-roofline.svg"))
    return [path for path in paths if path]


def _ratio(row, name, base):
    if name == base:
        return 1.0
    return row["engines"][name].get("against_base", {}).get("ratio")


def _grid(rows, suite):
    """{(row, column): rows} of the panels, and the titles of rows and columns in order."""
    panels, high, wide = {}, [], []
    for row in rows:
        place = suite.panel(row["dims"])
        panels.setdefault(place, []).append(row)
        high += [place[0]] * (place[0] not in high)
        wide += [place[1]] * (place[1] not in wide)
    if len(high) == 1 and len(wide) > 4:  # one long row becomes several
        count = -(-len(wide) // -(-len(wide) // 4))
        places = {(high[0], title): divmod(i, count) for i, title in enumerate(wide)}
        return panels, places, -(-len(wide) // count), count
    places = {(r, c): (i, j) for i, r in enumerate(high) for j, c in enumerate(wide)}
    return panels, places, len(high), len(wide)


def _panels(rows, styles, suite, path, title, label, value):
    """Small multiples over the suite's COLUMN, both axes logarithmic. value(row, name): what is drawn, or None."""
    import matplotlib.pyplot as plt

    panels, places, high, wide = _grid(rows, suite)
    figure, axes = plt.subplots(high, wide, figsize=(max(3.2 * wide, 6.5), 2.7 * high + 0.9), squeeze=False,
                                sharex="col", layout="constrained")
    for axis in axes.flat:
        axis.set_visible(False)
    handles, used = {}, {places[place] for place in panels}
    for place, mine in panels.items():
        axis = axes[places[place]]
        axis.set_visible(True)
        for name, style in styles.items():
            points = sorted((row["dims"][suite.COLUMN], value(row, name)) for row in mine
                            if "median_ms" in row["engines"].get(name, {}) and value(row, name))
            if points:
                (handles[name],) = axis.plot(*zip(*points), label=name, **style)
        axis.set(xscale="log", yscale="log", title=", ".join(filter(None, place)))
        i, j = places[place]
        axis.set_xlabel("" if (i + 1, j) in used else suite.AXIS)
        axis.set_ylabel("" if (i, j - 1) in used else label)
        axis.tick_params(labelbottom=True)
        _ticks(axis, sorted({row["dims"][suite.COLUMN] for row in mine}))
        axis.grid(alpha=0.3)
    figure.suptitle(title, fontsize=10)
    return _finish(figure, handles, path)


def _finish(figure, handles, path):
    """Writes a figure with one legend for all of its panels; returns the path."""
    import matplotlib.pyplot as plt

    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(4, len(handles)),
                  frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def _ticks(axis, sizes):
    """Plain numbers at both axes; of sizes that crowd, some stay without."""
    from matplotlib import ticker

    shown, last = [], 0
    for size in sizes:
        if size >= 1.8 * last:
            shown.append(size)
            last = size
    axis.set_xticks(shown, [str(size) for size in shown], rotation=0 if len(shown) < 6 else 45)
    axis.set_xticks([], minor=True)
    low, high = axis.get_ylim()
    steps = (1, 2, 5) if high / low < 200 else (1,)
    if high / low < 5:
        steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    axis.yaxis.set_major_locator(ticker.LogLocator(subs=steps, numticks=12))
    axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda number, _: f"{number:g}"))
    axis.yaxis.set_minor_formatter(ticker.NullFormatter())


def _roofline(rows, styles, path):
    """GFLOP/s over operations per byte of compulsory traffic, a panel for each number of threads."""
    import matplotlib.pyplot as plt

    rows = [row for row in rows if row["machine"].get("peak")]
    counts = sorted({row["threads"] for row in rows})
    if not counts:
        return None
    figure, axes = plt.subplots(1, len(counts), figsize=(max(5.2 * len(counts), 6.5), 4.4), squeeze=False,
                                layout="constrained")
    handles = {}
    for axis, threads in zip(axes.flat, counts):
        mine = [row for row in rows if row["threads"] == threads]
        peak = max(row["machine"]["peak"] for row in mine)
        bandwidth = max(row["machine"]["bandwidth"] for row in mine)
        bend = peak / bandwidth
        intensities = [row["flops"] / row["traffic"] for row in mine] + [bend]
        ends = [min(intensities) / 2, max(intensities) * 2]
        axis.plot([ends[0], bend, ends[1]], [ends[0] * bandwidth, peak, peak], color="black", linewidth=1)
        for name, style in styles.items():
            points = [(row["flops"] / row["traffic"], row["engines"][name]["gflops"]) for row in mine
                      if "gflops" in row["engines"].get(name, {})]
            if points:
                (handles[name],) = axis.plot(*zip(*points), label=name, **{**style, "linestyle": "none"}, alpha=0.75)
        axis.set(xscale="log", yscale="log", xlabel="floating point operations per byte that must move",
                 ylabel="GFLOP/s",
                 title=f"{threads} thread{'s' * (threads > 1)}: {peak:.0f} GFLOP/s, {bandwidth:.0f} GB/s from memory")
        axis.yaxis.set_major_formatter(lambda number, _: f"{number:g}")
        axis.xaxis.set_major_formatter(lambda number, _: f"{number:g}")
        axis.grid(alpha=0.3, which="both")
    return _finish(figure, handles, path)
