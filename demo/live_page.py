"""The substitute for Tuleap as a child process of ``make run``. It ends when its standard input is closed."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


class LivePage:
    """``address`` is that of the page, which works when the substitute knows the server."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.address = address
        self._process = process

    @classmethod
    def start(cls, environment: dict[str, str]) -> "LivePage | None":
        """None: it does not start, and has said why."""
        process = subprocess.Popen(
            [sys.executable, "-m", "demo.server"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        found = _next(process, r"page listens on (\S+)")
        return cls(process, found) if found else None

    @property
    def origins(self) -> list[str]:
        return [self.address, self.address.replace("127.0.0.1", "localhost")]

    def meet(self, key: bytes, private: str, public: str) -> bool:
        """Tell the substitute where the server is. Returns whether the page works; if not, the substitute
        has said why.
        """
        assert self._process.stdin is not None
        try:
            told = {"private": private, "public": public, "key": key.decode()}
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return False
        return bool(_next(self._process, r"page (works)"))

    def stop(self) -> None:
        self._process.communicate()


def _next(process: "subprocess.Popen[str]", pattern: str) -> str:
    """The match in the next line that has one; an empty text if the process ends before."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.match(pattern, line):
            return found[1]
        print(line, end="", flush=True)
    process.wait()
    return ""
