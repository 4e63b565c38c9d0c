"""A hostile patient: whatever stands in a text, nothing of it runs, and no page breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Dialog

from infra.local import photos
from shared.console.page import HOME
from tests.console.browser.conftest import DESK, PHONE, Desk
from tests.console.browser.declared import SHOWN, path, whose
from tests.console.browser.look import sideways

pytestmark = pytest.mark.proof

#: If anything of it runs, it leaves this word in the window, or opens a dialog.
_RUN = "window.ranHostile=1;alert(1)"

SCRIPTS = (
    f"<script>{_RUN}</script>",
    f"\"><img src=x onerror='{_RUN}'>",
    f"'><svg/onload={_RUN}>",
    f"javascript:{_RUN}",
    "{{ 7*7 }}${7*7}#{7*7}%(name)s %s {0}",
    f"</textarea></title></style><script>{_RUN}</script>",
    f'<a href="javascript:{_RUN}">x</a><b hx-get=/console/logout hx-trigger=load>y</b>',
    "\u202eevil\u202c\u2066\u2067 \u200f\u200e\u061c",
    "\U0001f9d1\u200d\u2695\ufe0f" * 40,
    "Z" + "\u0336\u0300\u0489" * 200,
    "\U0001f468\u200d" * 200,
    "مريض " * 30,
    "W" * 10_000,
    "no-break\u00a0" * 200,
)

#: Cases of the list: more than a page of it has.
CASES = 300


def _arrive(desk: Desk) -> None:
    """Texts wherever a phone may write one."""
    phone = desk.phone("amina")
    if phone.row("patients", "hostile-0") is not None:
        return
    data = photos.generated(33, (400, 300))
    for number, text in enumerate(SCRIPTS):
        about: dict[str, Any] = {
            "name": text,
            "age": text,
            "sex": text,
            "village": text,
            text[:60]: text,
        }
        phone.save("patients", f"hostile-{number}", demographics=about)
        phone.save(
            "cases",
            f"hostile-{number}",
            patient_id=f"hostile-{number}",
            risk_level="red",
            triage_data={
                "site": text,
                "bleeding": text,
                text[:60]: text,
                "note": [text, {"deep": text}],
            },
            image_keys=[text[:100]],
        )
    phone.photos = [photos.announced("cases", "hostile-0", "hostile.jpg", data)]
    phone.sync()
    for first in range(0, CASES, 50):
        for number in range(first, first + 50):
            phone.save(
                "cases",
                f"many-{number}",
                patient_id=f"hostile-{number % len(SCRIPTS)}",
                risk_level="red",
                triage_data={"site": SCRIPTS[number % len(SCRIPTS)][:200]},
            )
        phone.sync()
    # what a supervisor sees: refused, lost and deleted texts
    phone.save(
        "cases", "hostile-lost", patient_id="hostile-nobody", triage_data={"note": SCRIPTS[0]}
    )
    phone.sync()
    other = desk.phone("joseph")
    for number, text in enumerate(SCRIPTS[:4]):
        row = f"hostile-{number}"
        phone.save("patients", row, demographics={"name": f"{text}1"})
        phone.sync()
        other.save("patients", row, at=1_772_323_200 + number, demographics={"name": f"{text}2"})
    other.sync()
    phone.delete("patients", f"hostile-{len(SCRIPTS) - 1}")
    phone.sync()


@pytest.fixture
def hostile(crowded: Desk) -> Iterator[Desk]:
    """A desk with all of it; no browser complains."""
    _arrive(crowded)
    crowded.said.clear()
    yield crowded
    assert crowded.said == []


def _closed(dialog: Dialog) -> str:
    dialog.dismiss()
    return f"a dialog: {dialog.message}"


def check(page: Any, where: str) -> list[str]:
    """What is wrong with the page that is open."""
    wrong = [f"{where} ran" for _ in [0] if page.evaluate("() => 'ranHostile' in window")]
    for size in (DESK, PHONE):
        page.set_viewport_size(size)
        wrong += [f"{where} at {size['width']}: {each}" for each in sideways(page)]
    return wrong


@pytest.mark.parametrize("declared", SHOWN, ids=lambda page: page.path)
def test_no_page_runs_or_breaks(hostile: Desk, declared: Any) -> None:
    wrong: list[str] = []
    with hostile.context() as context:
        page = context.new_page()
        page.on("dialog", lambda dialog: wrong.append(_closed(dialog)))
        if user := whose(declared):
            hostile.log_in(page, user)
        answer = page.goto(f"{hostile.url}{path(declared)}")
        assert answer is not None
        assert answer.ok, answer.status
        page.wait_for_load_state("networkidle")
        wrong += check(page, declared.path)
    assert not wrong, "\n".join(wrong)


def test_no_case_runs_or_breaks(hostile: Desk) -> None:
    wrong: list[str] = []
    with hostile.page() as page:
        page.on("dialog", lambda dialog: wrong.append(_closed(dialog)))
        for number, text in enumerate(SCRIPTS):
            answer = page.goto(f"{hostile.url}{HOME}/cases/hostile-{number}")
            assert answer is not None
            assert answer.ok, (number, answer.status)
            # the text is there, as it was written
            start = " ".join(text.split())[:12]
            assert number == len(SCRIPTS) - 1 or start in " ".join(
                page.inner_text("main").split()
            ), text[:40]
            wrong += check(page, f"case {number}")
        # and every page of the list
        page.goto(f"{hostile.url}{HOME}/cases")
        pages = 1
        while page.locator("p.more a[href*='page=']").count():
            page.locator("p.more a[href*='page=']").first.click()
            page.wait_for_load_state()
            wrong += check(page, f"page {pages} of the list")
            pages += 1
        assert pages >= 3
    assert not wrong, "\n".join(wrong)
