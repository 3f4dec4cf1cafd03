"""Sphinx: these pages as a web site. They are written to be read on a forge, too."""

import re
from importlib.metadata import version as version_of
from typing import Any

from docutils import nodes
from sphinx.util import logging

project = "tuleaprt"
version = release = version_of("tuleaprt")
html_theme = "alabaster"
html_theme_options = {"description": "Real-time server for Tuleap"}
html_show_copyright = False
html_copy_source = False

_PAGE = re.compile(r"([\w-]+)\.rst(#.*)?")


def _link_pages(app: Any, doctree: nodes.document, page: str) -> None:
    """On a forge one page names another by its file (wamp.rst); here the file has another name."""
    for link in doctree.findall(nodes.reference):
        if found := _PAGE.fullmatch(link.get("refuri", "")):
            if found[1] in app.env.found_docs:
                link["refuri"] = app.builder.get_relative_uri(page, found[1]) + (found[2] or "")
            else:
                logging.getLogger(__name__).warning("there is no page %s", found[1], location=link)


def setup(app: Any) -> dict[str, bool]:
    app.connect("doctree-resolved", _link_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
