"""What a page of the console is: where it stands, who may open it, what it shows, what one can do there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from flask import Response
from msgspec import Struct

__all__ = ["HOME", "KEPT", "N_", "Act", "Page", "Pages", "Response"]

#: Where the console stands on its host.
HOME = "/console"


#: The act of a form that only brings back what was typed before somebody had to log in again.
KEPT = "kept"


#: Marks a text for translation where it is declared; what shows it translates it.
def N_(text: str) -> str:
    """The text itself."""
    return text


@dataclass(frozen=True, slots=True)
class Act:
    """A form: what it takes, and who does it.

    `does` is called with the visit, the page's arguments if it asks for some, and the form. It answers with
    `visit.go(…)`. A fault that it raises shows the page again, with the words that were typed.
    """

    does: Callable[..., Response]
    takes: type[Struct] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Page:
    """One page. `shows` is called with the visit, and with the arguments if it `asks` for some.

    Forms of the page are posted to its own path; their field `act` names one of `acts`.
    """

    path: str  #: below `HOME`, with `{name}` for one segment
    shows: Callable[..., Response]
    title: str  #: a message (`N_`)
    asks: type[Struct] | None = None  #: arguments of path and query
    acts: Mapping[str, Act] = field(default_factory=dict)
    right: Enum | None = None  #: needed in at least one scope; None: whoever is logged in
    menu: str = (
        ""  #: the group of the navigation in which it stands (`N_`); empty: it stands in none
    )
    open: bool = False  #: for people who are not logged in, too
    sets_up: bool = False  #: also for those who have yet to set up their second factor
    takes_file: bool = False  #: its forms may carry a file, `file`: `Visit.file`
    quiet: bool = False  #: asked by a clock: it does not keep a session alive


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The pages of one package.

    `folder` holds `templates/`, of which pages name files as `NAME/file.html`, and where there are some
    `locales/LANGUAGE.po` and `static/`. `home` is where a log-in leads those who may open it. `actions`
    says in words (`N_`) what the audit trail's words for what people do mean. `instead` words messages of
    the frame anew (each `N_`): where the frame says team, a product of families says family.
    """

    name: str
    folder: Path
    pages: Sequence[Page]
    home: str = ""
    actions: Mapping[str, str] = field(default_factory=dict)
    instead: Mapping[str, str] = field(default_factory=dict)
