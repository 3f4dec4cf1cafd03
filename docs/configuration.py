"""Prints docs/configuration.rst, made of etc/tuleaprt.toml and tuleaprt.config::

python docs/configuration.py > docs/configuration.rst
"""

from collections.abc import Iterator
from pathlib import Path

from tuleaprt.configuration.options import LIVE, SECTIONS, environment_name, options, toml

SHIPPED = Path(__file__).parent.parent / "etc" / "tuleaprt.toml"

HEAD = """\
Configuration
=============

.. Made by docs/configuration.py.

``twistd -n tuleaprt --config /etc/tuleaprt/tuleaprt.toml`` reads this file; `etc/tuleaprt.toml
<../etc/tuleaprt.toml>`_ is one with all defaults. A line that is left out, or a file that is, keeps the
default. The environment goes before the file: the variable of an option is named below it. A variable holds
a text as it is, and everything else as TOML writes it (``TULEAPRT_LISTEN__PUBLIC='["tcp:2998"]'``). Times
are in seconds, sizes in bytes.

With anything wrong in it the server does not start. It reports all mistakes together, one line each, and
never shows what was given as a secret::

    tuleaprt does not start:
    /etc/tuleaprt/tuleaprt.toml: [limits] max_outbox: expected a whole number, 1 or more, given "many"
    TULEAPRT_LISTEN__PUBIC: [listen] pubic: there is no such option

The key
-------

Tuleap signs its tokens with a key and writes it into ``[realtime] key_file``; with ``PRIVATE_KEY`` in the
environment, that is the key, and only a restart changes it.

The file is looked at every two seconds. A new key is good at once, and the one before for another
``old_key_seconds``, so that pages keep the tickets that they have. Nobody is disconnected. While the file
is missing, half written or of no use, the present key stays and the log says so once. A file that its group
or others may use is warned of, but for systemd's credentials (``LoadCredential=``).

While the server runs
---------------------

``SIGHUP`` makes it read file and key again. If something is wrong with them, the log says what, and nothing
changes. Else options that are *live* below change at once. Of others that are not as they were at the start
it says, one line each, that they want a restart. Who is connected stays connected: ``max_connections``,
``max_unauthenticated``, ``max_sessions_per_user`` and ``allowed_origins`` are asked of who comes,
``max_message_size`` (WebSocket) and ``requests_per_second`` hold for connections made from then on. An
option of the environment is as it was at the start.
"""

TABLE = """\
.. list-table::
   :header-rows: 1
   :widths: 40 20 40 10

   * - Option
     - Default
     - Meaning
     - Changes
"""


def sentences() -> dict[tuple[str, str], str]:
    """What the shipped file says about each option: the comment above it."""
    found: dict[tuple[str, str], str] = {}
    section, comment = "", list[str]()
    for line in SHIPPED.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            comment.append(line.removeprefix("# "))
            continue
        if line.startswith("["):
            section = line.strip("[]")
        elif line:
            found[section, line.partition(" = ")[0]] = " ".join(comment)
        comment = []
    return found


def page() -> Iterator[str]:
    """The whole page, line by line."""
    said = sentences()
    yield from HEAD.splitlines()
    for section, cls in SECTIONS.items():
        title = f"``[{section}]``"
        yield from ("", title, "-" * len(title), "", (cls.__doc__ or "").strip(), "")
        yield from TABLE.splitlines()
        for its, option in options():
            if its == section:
                yield f"   * - | ``{option.name}``"
                yield f"       | ``{environment_name(section, option.name)}``"
                yield f"     - ``{toml(option.default)}``"
                yield f"     - {said[section, option.name]}"
                yield f"     - {'live' if f'{section}.{option.name}' in LIVE else 'restart'}"


if __name__ == "__main__":
    print("\n".join(page()))
