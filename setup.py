"""The extension in C of tuleaprt.transport.sending. All else is in setup.cfg."""

import os

from setuptools import Extension, setup

# The linker's options of the Python that builds may name its own folder, where no other machine has anything.
os.environ.setdefault("LDSHARED", f"{os.environ.get('CC', 'cc')} -shared -s")

SENDING = Extension(
    "tuleaprt.transport._sending",
    ["tuleaprt/transport/_sending.c"],
    py_limited_api=True,
    # Without a compiler or Python's headers, the installation goes on.
    optional=True,
)

setup(ext_modules=[] if os.environ.get("TULEAPRT_COMPILED") == "0" else [SENDING])
