"""Two revisions go in, what changed comes out: stage by stage, whatever comes first, once."""

from __future__ import annotations

from tests.buildtrace.site import AFTER, BEFORE, Site


def test_two_revisions_go_in_and_what_changed_comes_out(site: Site) -> None:
    assert site.upload(site.old, BEFORE)["state"] == "ready"
    site.upload(site.new, AFTER)
    made = site.compare()
    name = made["record"]["id"]
    assert made["record"]["state"] == "waiting"
    assert [each["stage"] for each in made["parts"]["job_stages"]] == ["ocr", "diff", "summary"]
    site.run()
    found = site.comparison(name)
    assert (found["record"]["state"], found["record"]["fault"]) == ("done", None)
    assert {each["state"] for each in found["parts"]["job_stages"]} == {"done"}
    outcomes = {each["number"]: each["outcome"] for each in found["parts"]["sheet_pairs"]}
    expected = {"A-101": "changed", "A-102": "changed", "E-101": "changed", "A-103": "added"}
    assert outcomes == expected
    assert found["parts"]["sheet_pairs"][0]["title"] == "GROUND FLOOR"
    changes = site.ask("GET", f"/api/v1/comparisons/{name}/changes")["changes"]
    told = {(each["kind"], each["old_text"], each["new_text"]) for each in changes}
    assert ("dimension_changed", "11 000", "11 050") in told
    assert any(each["kind"] == "added" for each in changes)


def test_what_is_asked_before_the_files_come_goes_on_by_itself(site: Site) -> None:
    name = site.compare()["record"]["id"]
    site.run()
    stages = site.comparison(name)["parts"]["job_stages"]
    assert (stages[0]["state"], stages[0]["fault"]) == ("waiting", "file_missing")
    site.upload(site.old, BEFORE)
    site.run()
    assert site.comparison(name)["record"]["state"] in ("waiting", "running")
    site.upload(site.new, AFTER)
    site.run()
    assert site.comparison(name)["record"]["state"] == "done"


def test_a_file_that_cannot_be_read_is_said_in_words(site: Site) -> None:
    site.upload(site.old, BEFORE)
    site.upload(site.new, b"%PDF-1.7\nnothing that one could read\n%%EOF\n")
    name = site.compare()["record"]["id"]
    site.run()
    found = site.comparison(name)["record"]
    assert (found["state"], found["fault"]) == ("failed", "drawing_broken")
    assert "C2" in found["message"]
    assert site.ask("GET", f"/api/v1/revisions/{site.new}")["record"]["state"] == "refused"


def test_the_job_of_a_comparison_shows_its_stages(site: Site) -> None:
    site.upload(site.old, BEFORE)
    site.upload(site.new, AFTER)
    name = site.compare()["record"]["id"]
    before = site.ask("GET", f"/api/v1/jobs/{name}")
    assert (before["kind"], [each["state"] for each in before["stages"]]) == (
        "ocr",
        ["waiting"] * 3,
    )
    site.run()
    after = site.ask("GET", f"/api/v1/jobs/{name}")
    assert (after["kind"], after["state"]) == ("summary", "done")
    assert [(each["done"], each["total"]) for each in after["stages"]][:2] == [(7, 7), (4, 4)]
