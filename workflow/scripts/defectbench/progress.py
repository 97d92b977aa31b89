"""Progress of long work."""

import sys
import time

PROGRESS_SECONDS = 5


class Progress:
    """Images done, rate and time left, on standard error every few seconds and at the end."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._started = self._shown = time.monotonic()

    def advance(self, images: int) -> None:
        """Count images as done."""
        self.done += images
        now = time.monotonic()
        if self.done == self.total or now - self._shown >= PROGRESS_SECONDS:
            self._shown = now
            rate = self.done / (now - self._started)
            left = (self.total - self.done) / rate
            print(
                f"{self.done}/{self.total} images, {rate:.1f} images/s, {left:.0f} s left",
                file=sys.stderr,
            )
