"""twistd that collects garbage on SIGUSR1, so that its memory is what it keeps.

Closed connections leave cycles of objects. Python collects them only when it has a quarter more objects,
so memory would otherwise depend on when that was.
"""

import gc
import signal

from twisted.scripts.twistd import run

signal.signal(signal.SIGUSR1, lambda *_: gc.collect())
run()
