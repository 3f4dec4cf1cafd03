"""twistd that collects its garbage on SIGUSR1: its memory is then what it keeps.

Connections that have ended leave cycles of objects, and Python looks for those in all that it has only when
it has a quarter more: without this, memory would say how long ago that was.
"""

import gc
import signal

from twisted.scripts.twistd import run

signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
run()
