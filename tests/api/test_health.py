"""What `/health` says of a deployment: names of its parts, and nothing that leads to them."""

from __future__ import annotations

import pytest

from tests.api.conftest import StartApi


@pytest.mark.parametrize("product", ["dermadetect", "buildtrace"])
def test_it_is_up_and_names_its_parts(start_api: StartApi, product: str) -> None:
    said = start_api(product=product).ask("GET", "/health")
    assert said.status_code == 200
    assert said.json is not None
    assert said.json["status"] == "ok"
    found = said.json["configuration"]
    assert found.pop("version")
    assert found == {
        "product": product,
        "record_store": "sqlite",
        "job_queue": "sqlite",
        "file_store": "folder",
        "model": "scripted",
    }
