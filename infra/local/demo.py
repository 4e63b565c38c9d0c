"""`python -m infra.local.demo` (`make demo`): a phone's day, told while it happens.

Starts the whole back end on this machine, lets two health workers of one team work offline and
sync, waits for the analysis of the red case, lets a doctor sign it, and checks every step. Then it shows
the day in the console: at a terminal it stays up until Ctrl-C, elsewhere and with `--end` it ends by
itself. That is DermaDetect's day; another product (`PRODUCT`) tells the story that it declares, or shows
its example data. Exit code 0 if the story ends well, 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.cli.local import seed
from infra.cli.members import grant
from infra.local import day, photos
from infra.local.environment import use_stack
from infra.local.phone import Json, Phone, over_http
from infra.local.processes import StartFailed
from infra.local.stack import Stack
from infra.local.stage import OnStack, Unexpected, expect, say
from infra.local.token import token_for
from shared import wiring
from shared.products.known import named
from shared.settings import load

TEAM = day.TEAM

#: The file in the data folder that moves the clock.
CLOCK = "clock"

#: Longest wait for the analysis, seconds. It takes about one.
_PATIENCE_SECONDS = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.demo", description=__doc__)
    parser.add_argument("--end", action="store_true", help="do not stay up at the end")
    product = load(os.environ).product
    stays = not parser.parse_args(arguments).end and sys.stdin.isatty()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    say(f"{named(product).title}, on this machine.\n")
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        try:
            with _running(Path(folder)) as stack:
                if (story := named(product).story) is not None:
                    story(OnStack(stack.url, Path(folder) / CLOCK))
                else:
                    (_day if product == "dermadetect" else _examples)(stack.url, Path(folder))
                if stays:
                    say("    It stays up until you press Ctrl-C.")
                    with suppress(KeyboardInterrupt):
                        stack.wait()
        except (Unexpected, OSError, StartFailed) as error:
            say(f"\nThis is not how it should end: {error}")
            return 1
        except KeyboardInterrupt:
            say("\nThe day was broken off.")
            return 1
    say("\nEverything arrived, once. The day is over.")
    return 0


@contextmanager
def _running(folder: Path) -> Iterator[Stack]:
    say("1. The back end starts: every function, SQLite, the queue, a scripted model.")
    (folder / CLOCK).write_text("0", "ascii")
    environ = {"CLOCK_FILE": str(folder / CLOCK)}
    with Stack(profile="local", data=folder, port=0, sweep_seconds=2.0, environ=environ) as stack:
        say(f"   It answers at {stack.url}")
        yield stack


def _examples(url: str, folder: Path) -> None:
    """What a product without a story of its own shows: its example data, on everybody's phone."""
    use_stack(folder)
    seed("demo", lived=True)
    say(
        "\n2. Example data is stored, and everybody sets up a phone: a first sync brings all of it."
    )
    for user, role in wiring.product().seed("demo").members:
        phone = Phone(over_http(url, token_for(user, role=role)), user, f"{user}-phone")
        phone.sync()
        asked = sum(bool(row.get("questions")) for row in phone.rows.values())
        expect(len(phone.rows) > 0, f"{user} got nothing")
        say(f"   {user} ({role}): {len(phone.rows)} records, {asked} with a question.")


def _day(url: str, folder: Path) -> None:
    use_stack(folder)
    day.workers()
    amina = Phone(over_http(url, token_for("amina")), "amina", "aminas-phone")
    joseph = Phone(over_http(url, token_for("joseph")), "joseph", "josephs-phone")

    say("\n2. Amina works in the village, without network: 3 patients, 5 cases, one of them red.")
    day.morning(amina)
    say(f"   On her phone: {len(amina.dirty)} records that nobody else has.")

    say("\n3. One bar of signal. Her phone syncs.")
    request = amina.request()
    answer = amina.sync()
    stored = {table: len(ids) for table, ids in answer["accepted"].items()}
    expect(stored == {"patients": 3, "cases": 5}, f"stored was {stored}")
    red = _case(amina, "case-red")
    expect(red["status"] == "PENDING_DIAGNOSIS", "the red case was not queued")
    say(
        f"   Stored: {stored['patients']} patients, {stored['cases']} cases. Nothing is left to send."
    )
    say(f"   The red case is now {red['status']}: its analysis was queued in the same commit.")

    say(
        "\n4. Was the answer lost on the way? Her phone sends the same again: nothing happens twice."
    )
    again = amina.send(request, amina)
    expect(again["receipt"] == answer["receipt"], "the replay got another answer")
    expect(not again["conflicts"] and not again["rejected"], "the replay was not harmless")
    say(f"   The same receipt comes back: {again['receipt']['id'][:16]}…")

    say("\n5. Offline again, she corrects a patient's age. The next sync takes it along.")
    amina.save("patients", "patient-2", demographics={"name": "Juma O.", "age": 9, "sex": "male"})
    amina.sync()

    say("\n6. The photos go after the records. On this network every connection breaks soon.")
    _photos(amina, url)

    say("\n7. Its photo is there, so the model reads the red case …")
    red = _await_analysis(amina)
    analysis = red["ai_analysis"]
    say("   … and the next sync brings what a health worker may see before a doctor has signed:")
    for name in ("urgency", "triage_final", "suggested_next_steps", "requires_human_review"):
        say(f"     {name:<22} {analysis[name]}")
    expect(analysis["triage_final"] == "red", "the triage was lowered")
    expect("differential" not in analysis, "a health worker sees an unsigned diagnosis")
    expect(red["image_urls"] is not None, "the photo is not in the case")

    say("\n8. Joseph, of the same team, opens his phone for the first time today.")
    joseph.sync()
    held = {table: sum(1 for t, _ in joseph.rows if t == table) for table in ("patients", "cases")}
    expect(held == {"patients": 3, "cases": 5}, f"he holds {held}")
    age = _row(joseph, "patients", "patient-2")["demographics"]["age"]
    expect(age == 9, "he does not see the correction")
    say(
        f"   He holds {held['patients']} patients and {held['cases']} cases, the correction included,"
    )
    say(f"   and sees that the red case is {_case(joseph, 'case-red')['status']}.")

    say("\n9. A doctor opens her list: the red case is on top. She takes it, reads it and signs.")
    _diagnosis(url)
    amina.sync()
    red = _case(amina, "case-red")
    expect(red["status"] == "DIAGNOSED", "the diagnosis did not arrive")
    signed = next(row for (table, _), row in amina.rows.items() if table == "diagnoses")
    say(f"   Amina's phone has it with the next sync: {signed['diagnosis_text']}")
    joseph.sync()

    say("\n10. Nothing new: a sync that has nothing to say says nothing.")
    idle = joseph.sync()
    expect(not any(idle["server_updates"].values()), "an idle sync brought rows")

    say("\n11. In the evening four more cases arrive. People look at all of it in a browser.")
    _evening(amina, joseph, url)
    say("    Open this, and log in:\n")
    say(f"      {url.replace('127.0.0.1', 'localhost')}/console")
    for user, name, role in day.PEOPLE:
        say(f"      {day.address(user):<22} {name} ({role})")
    say(f"      password               {day.PASSWORD}\n")


def _evening(amina: Phone, joseph: Phone, url: str) -> None:
    taken = day.evening(amina)
    amina.sync()
    day.send_photos(amina, url, token_for("amina"), taken)
    day.trouble(amina, joseph)
    day.people()
    shown = day.page(url, "/console/cases", "doctor")
    expect("Baraka M." in shown, "the console's list does not show the emergency")


def _photos(phone: Phone, url: str) -> None:
    """Send the photos by the tickets that came with the sync."""
    token = token_for("amina")
    for key, data in day.PHOTOS.items():
        ticket = phone.tickets[key]
        found, sent = photos.send(url, token, ticket, data, breaks_every=90_000)
        expect(found["state"] == "ready", f"the photo is {found['state']}")
        expect(sent <= 1.1 * len(data), f"{sent} bytes were sent for {len(data)}")
        advice = found["quality"]
        say(
            f"   {key}: {len(data) // 1000} kB; sent {sent / len(data):.2f} times its size, "
            f"quality: {', '.join(advice['reasons']) or advice['verdict']}"
        )
    links = photos.look(url, token, phone.tickets[day.KEY]["id"])["links"]
    small = photos.fetch(url, links["896"])
    expect(b"A camera" not in small, "the camera's data got out")
    say(
        f"   A link for some minutes shows it in {len(small) // 1000} kB, without the camera's data."
    )


def _diagnosis(url: str) -> None:
    """What a doctor's screen does: list, claim, sign; she looks at the photo too."""
    grant("doctor", TEAM, "doctor")
    base, token = f"{url}/api/v1/review/cases", token_for("doctor", role="doctor")

    def ask(path: str, body: Json | None = None, seen: int = 0) -> Json:
        request = urllib.request.Request(  # noqa: S310  our own server
            f"{base}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {token}",
                "Idempotency-Key": "demo-1",
                "If-Match": f'"{seen}"',
            },
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            answer: Json = json.loads(response.read())
            return answer

    first = ask("")["cases"][0]
    expect(first["id"] == "case-red", "the red case is not the first of the list")
    (image,) = ask("/case-red")["case"]["image_urls"]
    shown = photos.look(url, token, image.rpartition("/")[2])
    expect(
        photos.fetch(url, shown["links"]["original"]) == day.PHOTOS[day.KEY], "it is another photo"
    )
    ask("/case-red/claim", {})
    body = {
        "diagnosis_text": "Infected ulcer. Refer to the district hospital today.",
        "prescription": "Clean and cover the wound.",
        "verdict": "agree",
    }
    ask("/case-red/diagnosis", body, seen=ask("/case-red")["version"])


def _await_analysis(phone: Phone) -> Json:
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        phone.sync()
        red = _case(phone, "case-red")
        if red["ai_analysis"] is not None:
            return red
        time.sleep(0.2)
    raise Unexpected("the analysis did not arrive")


def _row(phone: Phone, table: str, record_id: str) -> Json:
    row = phone.row(table, record_id)
    if row is None:
        raise Unexpected(f"{table}/{record_id} is not on the phone")
    return row


def _case(phone: Phone, record_id: str) -> Json:
    return _row(phone, "cases", record_id)


if __name__ == "__main__":
    sys.exit(main())
