"""Passkeys in Chromium, with the authenticator that its driver brings: added, used, copied, refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Browser, CDPSession, Page

from infra.local import day
from infra.local.processes import free_port
from infra.local.stack import Stack
from shared.console.page import HOME
from tests.console.browser.conftest import Desk, with_a_day
from tests.console.browser.look import found_by_axe, sideways
from tests.e2e.conftest import Deployment

pytestmark = pytest.mark.proof

FACTOR, LOGIN = f"{HOME}/account/second-factor", f"{HOME}/login"


@pytest.fixture(scope="module")
def named(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk before a host with a name, which passkeys are bound to."""
    port = free_port()
    environ = {"PUBLIC_URL": f"http://localhost:{port}", "PASSKEY_HOST": "localhost"}
    data = tmp_path_factory.mktemp("named")
    with Stack(data=data, port=port, sweep_seconds=3600, environ=environ) as stack:
        deployment = Deployment(stack)
        yield with_a_day(Desk(deployment, chromium))
        deployment.store.close()


def authenticator(page: Page, **more: Any) -> tuple[CDPSession, str]:
    """The driver's own, before a page; its owner is verified at once."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
        **more,
    }
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return session, made["authenticatorId"]


def log_in(page: Page, url: str) -> None:
    """The first step."""
    page.goto(f"{url}{LOGIN}")
    page.fill("#f-email", day.address("doctor"))
    page.fill("#f-password", day.PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_load_state()


def test_a_passkey_is_added_and_logs_in(named: Desk, axe: str) -> None:
    url = named.url.replace("127.0.0.1", "localhost")
    named.said.clear()
    with named.context() as context:
        page = context.new_page()
        session, device = authenticator(page)
        log_in(page, url)
        page.goto(f"{url}{FACTOR}")
        assert not page.get_by_text("Add a passkey").count()
        page.fill("#f-begin", day.PASSWORD)
        page.click("main button.main")
        secret = page.input_value("input[name=secret]")
        page.fill("#f-first", pyotp.TOTP(secret).now())
        page.click("main button.main")
        codes = page.locator("ol.codes code").all_inner_texts()
        # given a code, the browser makes a key
        page.goto(f"{url}{FACTOR}")
        page.fill("#f-key", day.PASSWORD)
        page.fill("#f-key-otp", codes[0])
        page.click("form:has(#f-key) button")
        page.fill("#f-name", "My laptop")
        page.click("form[data-passkey] button")
        page.get_by_text("The passkey is added.").wait_for()
        assert "My laptop" in page.inner_text("main")
        page.click("header form button.plain >> text=Log out")
        # and a log-in is a password and a touch
        log_in(page, url)
        page.get_by_role("button", name="Use a passkey").wait_for()
        held = session.send("WebAuthn.getCredentials", {"authenticatorId": device})["credentials"]
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url("**/console/cases")
        page.click("header form button.plain >> text=Log out")
        # its copy, with a counter that stands, does not
        session.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": device})
        session, copy = authenticator(page)
        said = {**held[0], "signCount": 0}
        session.send("WebAuthn.addCredential", {"authenticatorId": copy, "credential": said})
        log_in(page, url)
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_text("The passkey was not accepted.").wait_for()
        # somebody whom the authenticator does not know is told so, and has the code
        session.send("WebAuthn.setUserVerified", {"authenticatorId": copy, "isUserVerified": False})
        log_in(page, url)
        page.get_by_role("button", name="Use a passkey").click()
        page.get_by_text("That did not work.").wait_for()
        page.fill("#f-otp", codes[1])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/console/cases")
    assert [each for each in named.said if "401 (UNAUTHORIZED)" not in each] == []
    # for everybody: on a phone, dark, from the right
    wrong = []
    with named.context(bypass_csp=True) as context:
        page = context.new_page()
        authenticator(page)
        log_in(page, url)
        page.set_viewport_size({"width": 360, "height": 740})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            wrong += [*found_by_axe(page, axe), *sideways(page)]
        # without what it takes a browser shows the field for the code alone
        page.goto(f"{url}{LOGIN}")
    with named.context(java_script_enabled=False) as context:
        page = context.new_page()
        log_in(page, url)
        assert page.get_by_role("button", name="Use a passkey").is_hidden()
        page.fill("#f-otp", codes[2])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/console/cases")
    assert not wrong, wrong


def test_a_page_of_another_site_gets_no_answer(named: Desk) -> None:
    """The browser itself refuses to sign for our host elsewhere."""
    with named.context() as context:
        page = context.new_page()
        authenticator(page)
        page.goto(f"{named.url}{LOGIN}")  # 127.0.0.1, which is another site than localhost
        said = page.evaluate(
            """() => navigator.credentials.get({publicKey: {
                 challenge: new Uint8Array(32), rpId: "localhost", allowCredentials: []}})
               .then(() => "signed", (error) => error.name)"""
        )
        assert said == "SecurityError"
