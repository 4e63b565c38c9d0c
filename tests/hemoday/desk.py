"""The example family's back end, started as a user starts it, with accounts for its people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.cli.local import seed
from infra.local.phone import wall_ms
from infra.local.stack import Stack
from tests.console.at_desk import accounts, in_place_of

#: Pages of the product, with what the example family has on them.
PAGES = (
    "family",
    "family?table=reminders",
    "family?table=analysis_templates",
    "search",
    "reminders/settings",
    "charts",
    "report",
    "child",
    "records/transfusions/demo-transfusion-1",
    "records/blood_tests/demo-test-1",
    "records/blood_tests/new?template=demo-template-1",
    "records/documents/demo-document-1",
    "records/reminders/demo-reminder-1",
    "bring-in",
)


@contextmanager
def family_at_home(folder: Path) -> Iterator[Stack]:
    """It runs until the end; `PRODUCT=hemoday` must stand in this process's environment."""
    with (
        Stack(
            profile="local",
            data=folder,
            workers=2,
            sweep_seconds=2.0,
            environ={"PRODUCT": "hemoday"},
        ) as stack,
        in_place_of(folder),
    ):
        seed("demo")
        accounts(("mother", "granny"), wall_ms())
        yield stack
