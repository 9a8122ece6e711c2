"""Times engines side by side on one case; README.md in this folder tells the method."""

import collections
import dataclasses
import time

import machine
import stats

MAX_RUNS = 2000
LONG = 0.5  # seconds of a run after which none is spent on warming up


@dataclasses.dataclass
class Pace:
    """How long a race takes. block: seconds of one engine before the next one's turn; rounds: at least, each
    engine having two turns in a round; seconds: at least, for all engines together; most: seconds after which as
    many rounds as an interval needs are enough, and after three times as many the race ends; patience: how many
    times as many rounds are tried when rounds are dropped; drift: how much the machine may move within a round, and
    the share of it that an engine may wait for its cores; pause: seconds of rest before a turn; slow, times: an
    engine whose run takes `slow` seconds and `times` as long as the fastest one's is not raced."""

    block: float = 0.05
    rounds: int = stats.LEAST_ROUNDS
    seconds: float = 2.0
    most: float = 60.0
    patience: int = 3
    drift: float = 0.10
    pause: float = 0.01
    slow: float = 2.0
    times: float = 8.0


QUICK = Pace(block=0.025, seconds=0.5, most=15.0)
FULL = Pace(rounds=8, seconds=4.0)


@dataclasses.dataclass
class Race:
    """times: {engine: [[seconds of a run] of each kept round]}. gauges: measurements around the kept rounds.
    dropped: {why: rounds} of those not kept. slow: {engine: seconds of a run} of those not raced. In percent:
    steal, of all CPU time; idle, CPU time that engines used out of their turn, of the turns of others; waited,
    time that a thread of the engines was kept from its core, of their turns."""

    times: dict
    gauges: list
    dropped: dict
    slow: dict
    steal: float
    idle: float
    waited: float


def single_runs(workers):
    """{engine: seconds of a run}, of several where they are short."""
    seconds = {}
    for worker in workers.values():
        worker.sleep()
    for name, worker in workers.items():
        seconds[name] = min(worker.ask("time", 1, False))
        if seconds[name] < LONG:
            seconds[name] = min(seconds[name], *worker.ask("time", 2))
        worker.sleep()
    return seconds


class Turns:
    """Lets workers run in turn and keeps account of their cores."""

    def __init__(self, workers, pace):
        self._workers, self._pace = workers, pace
        self.seconds = self.idle = 0.0
        self.waited = collections.Counter()

    def take(self, name, count, warm):
        """Seconds of each of `count` runs of an engine while the others sleep."""
        worker = self._workers[name]
        others = [w.pid for n, w in self._workers.items() if n != name]
        used = sum(map(machine.cpu_seconds, others))
        time.sleep(self._pace.pause)
        waited, begin = machine.waiting_seconds(worker.pid), time.monotonic()
        taken = worker.ask("time", count, warm)
        self.seconds += time.monotonic() - begin
        self.waited[name] += (machine.waiting_seconds(worker.pid) - waited) / worker.threads
        worker.sleep()
        self.idle += sum(map(machine.cpu_seconds, others)) - used
        return taken


def race(workers, gauge, pace):
    """Times `workers`, {engine: Worker} with a case loaded, in turn. Raises WorkerError."""
    single = single_runs(workers)
    limit = max(pace.slow, pace.times * min(single.values()))
    slow = {name: seconds for name, seconds in single.items() if seconds > limit}
    counts = {name: max(1, min(MAX_RUNS, round(pace.block / max(seconds, 1e-7))))
              for name, seconds in single.items() if name not in slow}
    times, gauges, waited, turns = {name: [] for name in counts}, [], [], Turns(workers, pace)
    dropped = collections.Counter()
    ticks, begin, tried = machine.cpu_ticks(), time.monotonic(), 0
    before = gauge.measure()
    while tried < pace.rounds * pace.patience:
        first = tried % len(counts)
        names = list(counts)[first:] + list(counts)[:first]  # which meets the caches as the gauge left them
        earlier = turns.waited.copy(), turns.seconds
        taken = {name: [] for name in names}
        for name in names + names[::-1]:
            taken[name] += turns.take(name, counts[name], single[name] < LONG)
        after = gauge.measure()
        tried += 1
        kept_from = {name: turns.waited[name] - earlier[0][name] for name in names}
        share = sum(kept_from.values()) / max(turns.seconds - earlier[1], 1e-9)
        why = ["the machine moved"] * (machine.drift(before, after) > pace.drift)
        if share > pace.drift:
            why.append(f"{max(kept_from, key=kept_from.get)} waited for its cores")
        if not why:
            gauges += [before, after]
            waited.append(share)
            for name in names:
                times[name].append(taken[name])
        else:
            dropped[" and ".join(why)] += 1
        before, gone, kept = after, time.monotonic() - begin, len(gauges) // 2
        if (kept >= pace.rounds and gone >= pace.seconds) or \
                (kept >= stats.LEAST_ROUNDS and gone >= pace.most) or gone >= 3 * pace.most:
            break
    return Race(times, gauges, dict(dropped), slow, machine.steal_between(ticks, machine.cpu_ticks()),
                100 * turns.idle / max(turns.seconds, 1e-9), 100 * sum(waited) / max(1, len(waited)))
