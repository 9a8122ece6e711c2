"""How far a run is and how long it may take yet: one line on stderr that changes, or, where stderr is no
terminal, a line now and then."""

import sys
import time

SELDOM = 30.0  # seconds between lines that stay
WIDTH = 118


def duration(seconds):
    """"40 s", "12 min", "3 h 05 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """total: the number of points. The time to go supposes that points take as long as those before."""

    def __init__(self, total, stream=None):
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._total, self._done = total, 0
        self._begin = time.monotonic()
        self._last = self._begin if self._terminal else self._begin - SELDOM
        self._title = ""

    def point(self, title):
        """Another point begins."""
        self._title = title
        self.note("")

    def done(self):
        """The point is over."""
        self._done += 1

    def note(self, text):
        """What happens at this moment; may come often."""
        now = time.monotonic()
        if not self._terminal and now - self._last < SELDOM:
            return
        self._last = now
        gone = now - self._begin
        line = f"[{min(self._done + 1, self._total)}/{self._total}, {duration(gone)} gone"
        if self._done:
            line += f", about {duration(gone / self._done * (self._total - self._done))} to go"
        line += f"] {self._title}" + (f": {text}" if text else "")
        self._stream.write(f"\r\033[K{line[:WIDTH]}" if self._terminal else line + "\n")
        self._stream.flush()

    def say(self, text):
        """Prints to stdout, without the changing line in between."""
        if self._terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()
        print(text, flush=True)
