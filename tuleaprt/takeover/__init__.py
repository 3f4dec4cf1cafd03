"""Swaps Tuleap's ``tuleap-realtime`` service for tuleaprt, and back. ``docs/deploy.rst`` describes it.

::

    machine.py    reads the machine            ─┐
    nginx.py      reads nginx's configuration   ├─▶ checks.py   what is in the way
    managers.py   reads systemd or supervisord ─┘   plan.py     what is to be done, and undone ──▶ swap.py

``checks``, ``plan`` and ``nginx`` take values and return values; the other modules run commands.
"""
