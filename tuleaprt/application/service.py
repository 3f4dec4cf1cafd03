"""``twistd tuleaprt``: the options of its command line, and the service that it runs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.python.usage import Options as UsageOptions

from tuleaprt.application.compose import compose
from tuleaprt.application.lifecycle import not_started
from tuleaprt.configuration.loading import load
from tuleaprt.configuration.options import Config
from tuleaprt.errors import ConfigError
from tuleaprt.operations.log_file import survive
from tuleaprt.operations.logs import Log, log_output
from tuleaprt.operations.systemd import Notify


class Options(UsageOptions):
    """The command line of ``twistd tuleaprt``."""

    longdesc = "Real-time server for Tuleap. Every option of the file is explained in etc/tuleaprt.toml."
    optParameters: ClassVar[Any] = [
        ["config", "c", None, "The configuration file (TOML); without it, the defaults."]
    ]


def makeService(  # twistd's name for it
    options: Mapping[str, Any], reactor: Any = None, environment: Mapping[str, str] = os.environ
) -> Service:
    """The server, not listening yet. Exits with one line for each problem of the configuration."""
    if reactor is None:
        from twisted.internet import reactor
    path = options["config"]

    def read() -> Config:
        return load(Path(path) if path else None, environment)

    # Only twistd sets ``parent``.
    twistd = getattr(options, "parent", None)
    try:
        config = read()
        output = None if twistd is None else log_output(twistd)
        log = None if output is None else Log(config.log.format, output)
        made = compose(
            config,
            reactor,
            read=read,
            notify=Notify(environment),
            credentials=environment.get("CREDENTIALS_DIRECTORY"),
            log=log,
        )
    except ConfigError as error:
        raise not_started(error.problems) from None
    except OSError as error:
        raise not_started([f"the log file: {error}"]) from None
    if twistd is not None:
        survive(lambda: reactor.callFromThread(_reopen, log))
    return made


def _reopen(log: Log | None) -> None:
    if log is not None and log.reopen():
        Log.log.info("SIGUSR1: the log file has been opened again")
    else:
        Log.log.info("SIGUSR1: there is no log file to open again")
