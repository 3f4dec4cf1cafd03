"""Fetches what the live page needs with npm: autobahn-js and socket.io-client. Builds the client as its npm
package has it. The server needs none of them.

If something is missing, one line names it and the command that installs it.
"""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = ROOT / "node_modules"
LIBRARIES = {
    "autobahn.min.js": MODULES / "autobahn-browser" / "autobahn.min.js",
    "socket.io.esm.min.js": MODULES / "socket.io-client" / "dist" / "socket.io.esm.min.js",
}
"""The file of each library, by its path in the page."""

CLIENT = ROOT / "client" / "dist" / "tuleaprt-client.js"

COMPLETE = MODULES / ".package-lock.json"
"""npm writes this file when all packages are installed."""

FETCH_SECONDS = 300

NEEDS_NPM = "the live page needs npm; type: apt-get install npm"
NEEDS_NETWORK = (
    "the live page needs autobahn-js and socket.io-client, which npm could not fetch; "
    "with a network, type: npm ci"
)

NEEDS_BUILD = "the live page needs its client, which could not be built; type: node client/build.mjs"


def is_there() -> bool:
    return all(file.is_file() for file in (*LIBRARIES.values(), COMPLETE))


def fetch() -> str:
    """Fetch the libraries if one is missing. Returns what is missing then, or an empty text. npm writes its
    errors to stderr.
    """
    if is_there():
        return ""
    npm = shutil.which("npm")
    if npm is None or _run([npm, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        return NEEDS_NPM
    print("npm fetches autobahn-js and socket.io-client for the live page", flush=True)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
    failed = _run([npm, "ci", *quiet])
    return NEEDS_NETWORK if failed or not is_there() else ""


def build() -> str:
    """Build the client, if Node is there. Returns what is missing then, or an empty text."""
    node = shutil.which("node")
    failed = node is not None and _run([node, "client/build.mjs"])
    return NEEDS_BUILD if failed or not CLIENT.is_file() else ""


def _run(command: list[str], **files: int) -> bool:
    """Whether it has failed."""
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=FETCH_SECONDS, check=False, **files)  # type: ignore[call-overload]
    except (OSError, subprocess.TimeoutExpired):
        return True
    return bool(done.returncode)
