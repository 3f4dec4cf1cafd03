"""``tuleaprt post``: as Tuleap would."""

import re
from pathlib import Path

import pytest_twisted

from tests.cli.conftest import Tuleaprt, place
from tests.end_to_end.server import Server
from tests.fakes import FIXTURES

ensure = pytest_twisted.ensureDeferred
CREATE = str(FIXTURES / "wire" / "kanban_item_create.body")


@ensure
async def test_the_answer_is_shown(tuleaprt: Tuleaprt) -> None:
    process = tuleaprt("post", CREATE)
    assert await process.ended() == 0
    assert process.lines[0] == "200 OK"
    assert re.fullmatch(r'\{"publication":\d+\}', process.lines[1])


@ensure
async def test_it_needs_no_key(tuleaprt: Tuleaprt, server: Server, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.private}"
    process = tuleaprt("post", CREATE, "--url", url, TULEAPRT_REALTIME__KEY_FILE=str(tmp_path / "none"))
    assert await process.ended() == 0


@ensure
async def test_stdin_is_posted_too_and_what_is_refused_is_shown(tuleaprt: Tuleaprt) -> None:
    process = tuleaprt("post", "-")
    process.transport.write(b"{}")  # type: ignore[union-attr]
    process.transport.closeStdin()  # type: ignore[union-attr]
    assert await process.ended() == 1
    assert process.lines[0] == "400 Bad Request"
    assert "invalid_envelope" in process.lines[1]


@ensure
async def test_a_file_that_is_not_there_is_said(tuleaprt: Tuleaprt, tmp_path: Path) -> None:
    process = tuleaprt("post", str(tmp_path / "none"))
    assert await process.ended() == 1
    assert process.lines == [f"tuleaprt: {tmp_path / 'none'}: No such file or directory"]


@ensure
async def test_the_secret_goes_with_it(alone: Tuleaprt, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open-sesame\n")
    with_secret = {"TULEAPRT_REALTIME__POST_SECRET": f"file:{secret}"}
    server = await Server.start(**with_secret)
    try:
        for arguments, environment, status in (
            ([], {}, 1),
            ([], with_secret, 0),
            (["--secret-file", str(secret)], {}, 0),
        ):
            process = alone("post", CREATE, *arguments, **place(server), **environment)
            assert await process.ended() == status
            assert process.lines[0] == ("401 Unauthorized" if status else "200 OK")
            assert "sesame" not in "".join(process.lines)
    finally:
        await server.process.stop("KILL")
