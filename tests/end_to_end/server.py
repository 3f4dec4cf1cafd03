"""A real twistd, and what Tuleap and an administrator do with it."""

import http.client
import json
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.threads import deferToThread

from tests.end_to_end.processes import ROOT, TWISTD, Process
from tests.fakes import FIXTURES
from tests.web.requests import Answer

ANY_PORT = '["tcp:0:interface=127.0.0.1"]'


class Server:
    """``twistd -n tuleaprt`` on ports of its own, with the key of the fixtures."""

    def __init__(
        self, process: Process, private: int, public: int, rawsocket: int = 0, debug: int = 0
    ) -> None:
        self.process = process
        self.private = private
        self.public = public
        self.rawsocket = rawsocket
        self.debug = debug
        self.url = f"ws://127.0.0.1:{public}/ws"

    @classmethod
    async def start(
        cls, config: Path | None = None, twistd: str = TWISTD, folder: Path = ROOT, **environment: str
    ) -> "Server":
        arguments = [twistd, "-n", "--pidfile=", "tuleaprt"]
        process = Process.start(
            arguments if config is None else [*arguments, "--config", str(config)],
            {
                "TULEAPRT_REALTIME__KEY_FILE": str(FIXTURES / "tuleap-realtime-key"),
                "TULEAPRT_LISTEN__PRIVATE": ANY_PORT,
                "TULEAPRT_LISTEN__PUBLIC": ANY_PORT,
                **environment,
            },
            folder=folder,
        )
        await process.written(r"tuleaprt is ready($|\")")
        private = await process.written(r"private site listens on 127\.0\.0\.1:(\d+)($|\")")
        public = await process.written(r"public site listens on 127\.0\.0\.1:(\d+)($|\")")
        others = [
            int((await process.written(rf"{name} listens on 127\.0\.0\.1:(\d+)$"))[1])
            if f"TULEAPRT_LISTEN__{name.upper()}" in environment
            else 0
            for name in ("rawsocket", "debug")
        ]
        return cls(process, int(private[1]), int(public[1]), *others)

    async def request(
        self, method: str, path: str, body: bytes | None = None, port: int | None = None, **headers: str
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await deferToThread(_request, port or self.private, method, path, body, named)  # type: ignore[no-any-return]

    async def post(self, body: bytes | dict[str, Any], **headers: str) -> Answer:
        """As Tuleap does."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.request("POST", "/message", raw, **{"Content_Type": "application/json"} | headers)

    async def metric(self, name: str) -> float:
        """The sum of a metric over its labels."""
        page = (await self.request("GET", "/metrics")).body.decode()
        samples = [it for family in text_string_to_metric_families(page) for it in family.samples]
        return sum(it.value for it in samples if it.name == f"tuleaprt_{name}")

    def tracebacks(self) -> list[str]:
        return [line for line in self.process.lines if "Traceback" in line]


def _request(port: int, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer_headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, answer_headers, response.read())
    finally:
        connection.close()
