"""The session meta API: who is here, and who is to go (WAMP: Session Meta API).

================================= ========================== ============================
wamp.session.count                [authroles]?               how many
wamp.session.list                 [authroles]?               their ids
wamp.session.get                  session                    ``meta.session_details``
wamp.session.kill                 session; reason, message
wamp.session.kill_by_authid       authid; reason, message    the ids that were killed
wamp.session.kill_by_authrole     authrole; reason, message  how many were killed
wamp.session.kill_all             ; reason, message          how many were killed
================================= ========================== ============================

Nobody kills his own session. A kill is a GOODBYE.
"""

from collections.abc import Callable, Sequence

from tuleaprt.errors import NoSuchSession
from tuleaprt.wamp.calls import Arguments, Procedure, Result, a_short_text, a_text, a_uri, an_id, texts
from tuleaprt.wamp.meta import session_details
from tuleaprt.wamp.outlet import End
from tuleaprt.wamp.realm import Member, Realm

KILLED = "wamp.close.killed"


def session_procedures(realm: Realm) -> dict[str, Procedure]:
    api = _SessionApi(realm)
    return {
        "wamp.session.count": api.count,
        "wamp.session.list": api.list,
        "wamp.session.get": api.get,
        "wamp.session.kill": api.kill,
        "wamp.session.kill_by_authid": api.kill_by_authid,
        "wamp.session.kill_by_authrole": api.kill_by_authrole,
        "wamp.session.kill_all": api.kill_all,
    }


class _SessionApi:
    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    def count(self, caller: Member, arguments: Arguments, now: float) -> Result:
        return Result(args=[len(self._of_roles(arguments))])

    def list(self, caller: Member, arguments: Arguments, now: float) -> Result:
        return Result(args=[self._of_roles(arguments)])

    def get(self, caller: Member, arguments: Arguments, now: float) -> Result:
        session = self._session(arguments)
        arguments.done()
        return Result(args=[session_details(session)])

    def kill(self, caller: Member, arguments: Arguments, now: float) -> Result:
        session = self._session(arguments)
        killed = self._kill(caller, arguments, now, lambda it: it is session, str(session.id))
        if not killed:
            raise NoSuchSession("a session cannot kill itself")
        return Result()

    def kill_by_authid(self, caller: Member, arguments: Arguments, now: float) -> Result:
        authid = arguments.next("authid", a_text)
        killed = self._kill(
            caller, arguments, now, lambda it: it.identity.authid == authid, f"authid {authid}"
        )
        return Result(args=[killed])

    def kill_by_authrole(self, caller: Member, arguments: Arguments, now: float) -> Result:
        role = arguments.next("authrole", a_text)
        killed = self._kill(caller, arguments, now, lambda it: it.identity.role == role, f"authrole {role}")
        return Result(args=[len(killed)])

    def kill_all(self, caller: Member, arguments: Arguments, now: float) -> Result:
        with self._realm.meta.silence():
            killed = self._kill(caller, arguments, now, lambda it: True, "all")
        return Result(args=[len(killed)])

    def _of_roles(self, arguments: Arguments) -> Sequence[int]:
        roles = arguments.next_if_any("authroles", texts)
        arguments.done()
        return [
            id
            for id, session in self._realm.sessions.items()
            if roles is None or session.identity.role in roles
        ]

    def _session(self, arguments: Arguments) -> Member:
        session = self._realm.sessions.get(arguments.next("session", an_id))
        if session is None:
            raise NoSuchSession("there is no such session")
        return session

    def _kill(
        self,
        caller: Member,
        arguments: Arguments,
        now: float,
        is_meant: Callable[[Member], bool],
        whom: str,
    ) -> Sequence[int]:
        reason = arguments.keyword("reason", a_uri) or KILLED
        message = arguments.keyword("message", a_short_text)
        arguments.done()
        victims = [it for it in self._realm.sessions.values() if it is not caller and is_meant(it)]
        self._realm.audit(caller, "kill", f"{whom}: {len(victims)} ended")
        for victim in victims:
            victim.dismiss(End.KILLED, reason, message, now)
        return [it.id for it in victims]
