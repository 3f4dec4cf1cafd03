"""autobahn-js, which the live page needs: npm fetches it. The server needs neither.

What is missing is said in one line, with what to type.
"""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
AUTOBAHN = ROOT / "node_modules" / "autobahn-browser" / "autobahn.min.js"
COMPLETE = ROOT / "node_modules" / ".package-lock.json"
"""npm writes it when all packages are there."""

FETCH_SECONDS = 300

NEEDS_NPM = "the live page needs npm; type: apt-get install npm"
NEEDS_NETWORK = "the live page needs autobahn-js, which npm could not fetch; with a network, type: npm ci"


def is_there() -> bool:
    return AUTOBAHN.is_file() and COMPLETE.is_file()


def fetch() -> str:
    """Fetch it, if it is not there; what is missing then, or nothing. npm writes its errors to stderr."""
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
