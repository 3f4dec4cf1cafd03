"""The extension in C of tuleaprt.transport.sending. All else is in setup.cfg."""

import os
import sysconfig

from setuptools import Extension, setup

# These options of the Python that builds name its own folder, where no other machine has anything.
linker = [
    it
    for it in (sysconfig.get_config_var("LDSHARED") or "cc -shared").split()
    if not it.startswith(("-L", "-Wl,-rpath"))
]
os.environ.setdefault("LDSHARED", " ".join((*linker, "-s")))

SENDING = Extension(
    "tuleaprt.transport._sending",
    ["tuleaprt/transport/_sending.c"],
    py_limited_api=True,
    # Without a compiler or Python's headers, the installation goes on.
    optional=True,
)
is_wanted = os.environ.get("TULEAPRT_COMPILED") != "0"
# A free-threaded Python has no stable interface, and sends in Python.
is_possible = not sysconfig.get_config_var("Py_GIL_DISABLED")
# The extension uses the stable interface of this version, so one wheel is for all later ones, too.
wheel = {"bdist_wheel": {"py_limited_api": "cp311"}}

if is_wanted and is_possible:
    setup(ext_modules=[SENDING], options=wheel)
else:
    setup()
