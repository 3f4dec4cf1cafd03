"""Makes ``twistd tuleaprt`` known to Twisted."""

from twisted.application.service import ServiceMaker

tuleaprt = ServiceMaker(
    "tuleaprt",
    "tuleaprt.application.service",
    "Real-time server for Tuleap: HTTP posts in, WAMP events out.",
    "tuleaprt",
)
