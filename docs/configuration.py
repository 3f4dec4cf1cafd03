"""Prints docs/configuration.rst from etc/tuleaprt.toml and configuration/options.py::

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

``twistd -n tuleaprt --config /etc/tuleaprt/tuleaprt.toml`` reads this file. `etc/tuleaprt.toml
<../etc/tuleaprt.toml>`_ has all options with their defaults; its first line names a schema by which editors
complete and check it. A missing line, or a missing file, means the
default. The environment overrides the file: the variable of each option is named below the option. A
variable has a text without quotes, and any other value as TOML
(``TULEAPRT_LISTEN__PUBLIC='["tcp:2998"]'``). Times are in seconds, sizes in bytes.

If there is a problem, the server does not start. It reports all problems together, one line each, and never
shows a secret::

    tuleaprt does not start:
    /etc/tuleaprt/tuleaprt.toml: [limits] max_outbox: expected a whole number, 1 or more, given "many"
    TULEAPRT_LISTEN__PUBIC: [listen] pubic: there is no such option

The key
-------

Tuleap writes the key with which it signs tokens to ``[realtime] key_file``. The variable ``PRIVATE_KEY``
replaces the file; then only a restart changes the key.

The server checks the file every two seconds. A new key is used at once. The former key is accepted for
``old_key_seconds``, for the tokens that pages already have, and no client is disconnected. While the file is
missing, incomplete or wrong, the present key stays in use, and the log reports the problem once. The log
warns if other users can read the file, except for systemd's credentials (``LoadCredential=``).

While the server runs
---------------------

``SIGHUP`` reads the configuration and the key again. If there is a problem, it is logged and nothing
changes. Otherwise the options that are *live* below change at once, and the log names each other option that
has changed and needs a restart. Open connections stay open: ``max_connections``, ``max_unauthenticated``,
``max_sessions_per_user`` and ``allowed_origins`` apply to new connections and sessions, and so do
``max_message_size`` (WebSocket) and ``requests_per_second``. Variables of the environment keep the values
that they had at the start.
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
    """The comment above each option in the shipped file, by section and name."""
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
