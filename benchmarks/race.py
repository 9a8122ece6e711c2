"""Times engines side by side on one case; README.md in this folder tells the method."""

import dataclasses
import time

import machine

MAX_RUNS = 2000


@dataclasses.dataclass
class Pace:
    """How long a race takes. block: seconds of one engine before the next one's turn; rounds: at least, each
    engine having two turns in a round; seconds: at least, for all engines together; patience: how many times as
    many rounds are tried when rounds are dropped; drift: how much the machine may move within a round."""

    block: float = 0.05
    rounds: int = 4
    seconds: float = 2.0
    patience: int = 3
    drift: float = 0.10
    pause: float = 0.01


QUICK = Pace(rounds=3, seconds=0.5)
FULL = Pace(rounds=8, seconds=4.0)


@dataclasses.dataclass
class Race:
    """times: {engine: [[seconds of a run] of each kept round]}. gauges: measurements around the kept rounds.
    dropped: rounds in which the machine moved. steal: percent. idle_share: CPU time that engines used out of
    their turn, in percent of the turns of others."""

    times: dict
    gauges: list
    dropped: int
    steal: float
    idle_share: float


def run_count(worker, pace):
    """How many runs make a block, from a few runs after a warm one."""
    seconds = min(worker.ask("time", 2))
    return max(1, min(MAX_RUNS, round(pace.block / max(seconds, 1e-7))))


def race(workers, gauge, pace):
    """Times `workers`, {engine: Worker} with a case loaded, in turn. Raises WorkerError."""
    counts = {}
    for worker in workers.values():
        worker.sleep()
    for name, worker in workers.items():
        counts[name] = run_count(worker, pace)
        worker.sleep()
    times, gauges, dropped, idle, turns = {name: [] for name in workers}, [], 0, 0.0, 0.0
    ticks, begin, tried = machine.cpu_ticks(), time.monotonic(), 0
    before = gauge.measure()
    while tried < pace.rounds * pace.patience:
        names = list(workers)
        taken = {name: [] for name in names}
        for name in names + names[::-1]:
            others = [w.pid for n, w in workers.items() if n != name]
            used = sum(map(machine.cpu_seconds, others))
            time.sleep(pace.pause)
            turn = time.monotonic()
            taken[name] += workers[name].ask("time", counts[name])
            workers[name].sleep()
            turns += time.monotonic() - turn
            idle += sum(map(machine.cpu_seconds, others)) - used
        after = gauge.measure()
        tried += 1
        if machine.drift(before, after) <= pace.drift:
            gauges += [before, after]
            for name in names:
                times[name].append(taken[name])
        else:
            dropped += 1
        before = after
        if len(gauges) // 2 >= pace.rounds and time.monotonic() - begin >= pace.seconds:
            break
    steal = machine.steal_between(ticks, machine.cpu_ticks())
    return Race(times, gauges, dropped, steal, 100 * idle / max(turns, 1e-9))
