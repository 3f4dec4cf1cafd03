"""Fetches autobahn-js, which the live page needs, with npm. The server needs neither.

If something is missing, one line names it and the command that installs it.
"""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
AUTOBAHN = ROOT / "node_modules" / "autobahn-browser" / "autobahn.min.js"
COMPLETE = ROOT / "node_modules" / ".package-lock.json"
"""npm writes this file when all packages are installed."""

FETCH_SECONDS = 300

NEEDS_NPM = "the live page needs npm; type: apt-get install npm"
NEEDS_NETWORK = "the live page needs autobahn-js, which npm could not fetch; with a network, type: npm ci"


def is_there() -> bool:
    return AUTOBAHN.is_file() and COMPLETE.is_file()


def fetch() -> str:
    """Fetch autobahn-js if it is missing. Returns what is missing then, or an empty text. npm writes its
    errors to stderr.
    """
    if is_there():
        return ""
    npm = shutil.which("npm")
    if npm is None or _run([npm, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        return NEEDS_NPM
    print("npm fetches autobahn-js for the live page", flush=True)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
    failed = _run([npm, "ci", *quiet])
    return NEEDS_NETWORK if failed or not is_there() else ""


def _run(command: list[str], **files: int) -> bool:
    """Whether it has failed."""
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=FETCH_SECONDS, check=False, **files)  # type: ignore[call-overload]
    except (OSError, subprocess.TimeoutExpired):
        return True
    return bool(done.returncode)
