"""Timers that are left running do not hold up the exit."""

import threading

from defectbench.timers import cancel_timers


def test_a_timer_that_runs_ends():
    timer = threading.Timer(10_000, lambda: None)
    timer.start()
    cancel_timers()
    timer.join()
    assert not timer.is_alive()
