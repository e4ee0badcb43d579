import os
import signal
import threading

import pytest

from i3d_tf.system.signals import STOP_SIGNALS, stop_signals_deferred


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_signal_waits_for_the_end_of_the_block(number):
    came = []
    handler = signal.signal(number, lambda *_: came.append(number))
    try:
        with stop_signals_deferred():
            os.kill(os.getpid(), number)
            assert came == []
        assert came == [number]
        os.kill(os.getpid(), number)
        assert came == [number] * 2
    finally:
        signal.signal(number, handler)


def test_other_threads_may_defer_nothing():
    done = []

    def run():
        with stop_signals_deferred():
            done.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [True]
