"""A week on a building site, told on a running back end: what `make demo PRODUCT=buildtrace` shows."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from shared.products.buildtrace.example import issue
from shared.products.product import Stage

_OUTCOMES = {"same": "the same", "changed": "changed", "added": "new", "removed": "gone"}


def story(stage: Stage) -> None:
    """An architect, a foreman and a client. Raises what `stage.expect` raises."""
    password = secrets.token_urlsafe(16)
    stage.say(
        "\n2. Ada registers. That makes a project; she invites Finn to work in it, and Carl to look."
    )
    architect = _register(stage, "ada", password, scope_name="House on the hill")
    [project] = _asked(stage, "GET", "/api/v1/auth/me", architect)["scopes"]
    scope, people = project["scope_id"], {}
    for name, role in (("finn", "member"), ("carl", "viewer")):
        asked = {"scope_id": scope, "role": role}
        code = _asked(stage, "POST", "/api/v1/auth/invites", architect, asked)["invite_code"]
        people[name] = _register(stage, name, password, invite_code=code)
    finn, carl = people["finn"], people["carl"]

    stage.say(
        "\n3. Finn's phone has no network. He asks what is new in C2 before either file is there."
    )
    phone = stage.phone(finn, "finn")
    phone.save("drawings", "house", name="House on the hill", discipline="Architecture")
    for label, day in (("C1", "2026-10-05"), ("C2", "2026-11-16")):
        name = f"house-{label.lower()}"
        phone.save("revisions", name, drawing_id="house", label=label, issued_on=day)
    sides = {"old_revision_id": "house-c1", "new_revision_id": "house-c2"}
    phone.save("comparisons", "whats-new", drawing_id="house", **sides)
    phone.sync()
    stage.say("   A bar of signal: his question waits for the files, and says so.")

    stage.say("\n4. Ada uploads both issues, from the office.")
    for label in ("C1", "C2"):
        fields = {"table": "revisions", "record_id": f"house-{label.lower()}"}
        status, said = stage.send(architect, issue(label), f"house-{label}.pdf", **fields)
        stage.expect(status == 200 and said["state"] == "ready", f"{label} was not taken")
    comparison: dict[str, Any] = {}

    def over() -> bool:
        comparison.update(_asked(stage, "GET", "/api/v1/comparisons/whats-new", carl))
        return comparison["record"]["state"] in ("done", "failed")

    stage.wait(over, "the comparison")
    stage.expect(comparison["record"]["state"] == "done", str(comparison["record"]["message"]))
    for each in comparison["parts"]["job_stages"]:
        took = (each["ended_at"] - each["started_at"]) / 1000
        stage.say(f"   {each['stage']:8} {each['done']} of {each['total']}, {took:.1f} s")

    stage.say("\n5. What changed, by sheet.")
    outcomes = {}
    for pair in comparison["parts"]["sheet_pairs"]:
        outcomes[pair["number"]] = pair["outcome"]
        stage.say(f"   {pair['number']:6} {_OUTCOMES.get(pair['outcome'], pair['outcome'])}")
    expected = {"A-101": "changed", "A-102": "changed", "E-101": "changed", "A-103": "added"}
    stage.expect(set(outcomes) == set(expected), "a sheet is missing")
    stage.expect(outcomes["A-103"] == "added", "the roof is not new")
    for each in comparison["parts"]["summaries"]:
        if each["about"] in ("all", "sheet"):
            stage.say(f"   {each['text']}")

    stage.say(
        "\n6. Finn's phone has it all with the next sync; he checks a change and comments, offline."
    )
    phone.sync()
    changes = [row for (table, _), row in phone.rows.items() if table == "changes"]
    stage.expect(len(changes) >= 4, "changes are not on the phone")
    new_size = next(each for each in changes if "11 050" in str(each.get("new_text")))
    phone.save("remarks", "r1", change_id=new_size["id"], checked=True, comment="Ask the surveyor")
    phone.sync()
    listed = _asked(stage, "GET", "/api/v1/comparisons/whats-new/changes", carl)["changes"]
    remarked = [each for each in listed if each["remarks"]]
    stage.expect(len(remarked) == 1, "the remark is not there")

    stage.say("\n7. Carl looks, and may change nothing.")
    status, _ = stage.ask("POST", "/api/v1/drawings", {"name": "Mine"}, carl)
    stage.expect(status in (403, 404), "a viewer made a drawing")
    ground = next(each for each in comparison["parts"]["sheet_pairs"] if each["number"] == "A-101")
    links = _asked(stage, "GET", ground["overlay_url"], carl)["links"]
    status, overlay = stage.ask("GET", links["original"])
    stage.expect(status == 200 and overlay.startswith(b"%PDF"), "there is no overlay")
    stage.say(f"   The overlay of A-101: {stage.keep('overlay-A-101.pdf', overlay)}")
    stage.say("   Orange was there before, blue is new.")
    status, summary = stage.ask("GET", "/api/v1/comparisons/whats-new/summary.pdf", None, carl)
    stage.expect(status == 200 and summary.startswith(b"%PDF"), "there is no summary")
    stage.say(
        f"   All of it to be printed, with Finn's comment: {stage.keep('summary.pdf', summary)}"
    )
    stage.say("\n8. The project's pages. Open this, and log in:\n")
    stage.say(f"      {stage.url.replace('127.0.0.1', 'localhost')}/console")
    for name, role in (("ada", "owner"), ("finn", "member"), ("carl", "viewer")):
        stage.say(f"      {name + '@example.org':<22} {role}")
    stage.say(f"      password               {password}")


def _register(stage: Stage, name: str, password: str, **more: str) -> str:
    """Somebody's access token."""
    body = {"email": f"{name}@example.org", "password": password, "name": name.title(), **more}
    return str(_asked(stage, "POST", "/api/v1/auth/register", "", body)["access_token"])


def _asked(
    stage: Stage, method: str, path: str, token: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    status, said = stage.ask(method, path, body, token)
    stage.expect(status < 300, f"{method} {path} was answered {status}: {said}")
    return dict(said)
