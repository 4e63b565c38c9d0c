"""README's way from an empty project works in one shell, against programs that refuse what Google refuses.

The terminal is set up as the runbooks' first block says, then README's commands follow, as they stand.
`gcloud`, `terraform`, `make` and Python are stand-ins that know what must be there before a call works: an
API that is switched on, a bucket for the state, a project to bill questions to, a value of a secret.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.hcl import ROOT, TERRAFORM, resources, variables
from tests.infra.test_plans import bootstrap

pytestmark = pytest.mark.proof

STAND_IN = """\
#!PYTHON
import json, os, pathlib, sys

here = pathlib.Path(os.environ["STATE"])
state = json.loads(here.read_text())
name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]


def need(condition, why):
    if not condition:
        sys.exit(f"{name} {' '.join(words)}: {why}")


def option(wanted):
    return next((w.partition("=")[2] for w in words if w.startswith(wanted + "=")), "")


call = " ".join(w for w in words if not w.startswith("-"))
apis = state["apis"]
if name == "gcloud":
    if call.startswith("auth login"):
        state["account"] = True
    elif call.startswith("config set project"):
        state["project"] = words[-1]
    elif call.startswith("auth application-default login"):
        state["adc"], state["quota"] = True, state.get("project", "")
    elif call.startswith("auth application-default set-quota-project"):
        need(state.get("adc"), "application default credentials have not been set up")
        state["quota"] = words[-1]
    elif call.startswith("services enable"):
        new = [w for w in words if w.endswith(".googleapis.com")]
        need(len(new) <= 20, "at most 20 services")
        apis += new
    elif call.startswith("storage buckets"):
        bucket = words[3]
        need("storage.googleapis.com" in apis, "API not enabled")
        if words[2] == "create":
            state["buckets"].append(bucket)
        need(bucket in state["buckets"], "404 not found")
    elif call.startswith("beta services identity create"):
        need(option("--service") in apis, "API not enabled")
        state["agents"].append(option("--service"))
    elif call.startswith("storage service-agent"):
        need("storage.googleapis.com" in apis, "API not enabled")
    elif call.startswith("org-policies describe"):
        need("orgpolicy.googleapis.com" in apis, "API not enabled")
        restricted = words[2] in os.environ.get("RESTRICTED", "").split()
        rule = "values:\\n      allowedValues: [x]" if restricted else "allowAll: true"
        print("spec:\\n  rules:\\n  - " + rule)
    elif call.startswith("secrets versions access"):
        need(state.get("applied"), "NOT_FOUND: Secret")
        print("a-value-of-the-secret")
    else:
        sys.exit("unknown: " + call)
elif name == "terraform":
    need(state.get("adc"), "could not find default credentials")
    if "init" in words:
        config = pathlib.Path("terraform", option("-backend-config")).read_text()
        bucket = config.split('bucket = "')[1].split('"')[0]
        need("gs://" + bucket in state["buckets"], "storage: bucket doesn't exist")
        state["init"] = True
    elif "apply" in words:
        need(state.get("init"), "Backend initialization required")
        need(state.get("quota"), "requires a quota project")
        need(pathlib.Path(".build/source.zip").exists(), "no file ../.build/source.zip")
        need(pathlib.Path("terraform", option("-var-file")).exists(), "no values")
        need({"iam.googleapis.com", "compute.googleapis.com"} <= set(apis), "API not enabled")
        need("pubsub.googleapis.com" in state["agents"], "Service account does not exist")
        state["applied"] = True
    else:
        sys.exit("unknown: " + call)
elif name == "make":
    need(words == ["deploy-check"], "no such target")
    pathlib.Path(".build").mkdir(exist_ok=True)
    pathlib.Path(".build/source.zip").touch()
elif name == "python":
    stores = os.environ.get("RECORD_STORE"), os.environ.get("KEY_STORE")
    on_cloud = stores == ("firestore", "secret_manager")
    need(state.get("applied"), "NOT_FOUND: the database does not exist")
    need(os.environ.get("GOOGLE_CLOUD_QUOTA_PROJECT"), "requires a quota project")
    if words[:4] == ["-m", "infra.cli", "keys", "rotate"]:
        need(on_cloud, "works on this machine, not on the cloud")
        state["key"] = True
    elif words[:4] == ["-m", "infra.cli", "users", "create"]:
        need(on_cloud and os.environ.get("ACCOUNTS_SECRET"), "ACCOUNTS_SECRET is missing")
        state["user"] = words[4]
    elif words[:2] == ["-m", "infra.ci.smoke"]:
        need(state.get("key"), "log-in: 503 no signing key")
        need(words[words.index("--log-in") + 1] == state.get("user"), "log-in: 401")
        state["smoke"] = words[2:]
    else:
        sys.exit("unknown: " + " ".join(words))
else:
    sys.exit("unknown: " + name)
here.write_text(json.dumps(state))
"""


def block(path: Path, having: str) -> str:
    """The one block of a page that has a text."""
    [found] = [
        part
        for part in re.findall(r"^```sh\n(.*?)^```", path.read_text("utf-8"), re.S | re.M)
        if having in part
    ]
    return found


TERMINAL = block(ROOT / "infra" / "runbooks" / "README.md", "gcloud auth login")
COMMANDS = block(ROOT / "README.md", "infra/bootstrap.sh").splitlines()


def walk(
    tmp_path: Path, script: str, restricted: str = ""
) -> tuple[subprocess.CompletedProcess[str], dict[str, object]]:
    """Run a script in an empty project; what is there then."""
    programs = tmp_path / "bin"
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    programs.mkdir()
    text = STAND_IN.replace("PYTHON", sys.executable, 1)
    for program in (programs / "gcloud", programs / "terraform", programs / "make"):
        program.write_text(text)
        program.chmod(0o755)
    (tmp_path / ".venv" / "bin" / "python").write_text(text)
    (tmp_path / ".venv" / "bin" / "python").chmod(0o755)
    for name in ("infra", "terraform"):
        (tmp_path / name).symlink_to(ROOT / name)
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"apis": [], "buckets": [], "agents": []}))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "STATE": str(state),
            "HOME": str(tmp_path),
            "RESTRICTED": restricted,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done, json.loads(state.read_text())


def test_readme_s_commands_lead_from_an_empty_project_to_a_read_case(tmp_path: Path) -> None:
    assert len(COMMANDS) == 5
    done, state = walk(tmp_path, "\n".join([TERMINAL, *COMMANDS]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert state["smoke"] == ["--terraform", "terraform", "--log-in", state["user"], "--red-case"]
    assert state["quota"] == state["project"] == "dermadetect-dev"
    assert "!" not in done.stderr


@pytest.mark.parametrize("left_out", range(4))
def test_none_of_them_can_be_left_out(left_out: int, tmp_path: Path) -> None:
    rest = [each for number, each in enumerate(COMMANDS) if number != left_out]
    done, _ = walk(tmp_path, "\n".join([TERMINAL, *rest]))
    assert done.returncode != 0


def test_credentials_before_the_project_have_nobody_to_bill(tmp_path: Path) -> None:
    # the order in which the page once stood, without the line that names the project
    order = "gcloud auth login\ngcloud auth application-default login\ngcloud config set project x"
    exports = "\n".join(line for line in TERMINAL.splitlines() if line.startswith("export"))
    done, _ = walk(tmp_path, "\n".join([exports, order, *COMMANDS]))
    assert "requires a quota project" in done.stderr


def test_a_region_that_cloud_build_may_refuse_is_named(tmp_path: Path) -> None:
    terminal = TERMINAL.replace("europe-west1", "europe-west4")
    done, _ = walk(tmp_path, "\n".join([terminal, COMMANDS[0]]))
    assert done.returncode == 0
    assert "! Cloud Build may be restricted in europe-west4" in done.stderr


@pytest.mark.parametrize("policy", ["iam.allowedPolicyMemberDomains", "gcp.resourceLocations"])
def test_a_policy_of_the_organisation_that_would_stop_an_apply_is_named(
    policy: str, tmp_path: Path
) -> None:
    done, _ = walk(tmp_path, "\n".join([TERMINAL, COMMANDS[0]]), restricted=policy)
    assert done.returncode == 0, done.stderr
    [warned] = [line for line in done.stderr.splitlines() if line.startswith("! ")]
    assert policy in warned


def test_readme_names_what_stops_an_apply_and_every_wait() -> None:
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    before = readme.partition("**Before.**")[2].partition("From there")[0]
    asked = re.findall(r"org-policies describe (\S+)", (ROOT / "infra/bootstrap.sh").read_text())
    assert len(asked) == 2
    assert all(f"`{policy}`" in before for policy in asked)
    region = variables(TERRAFORM / "variables.tf")["region"]["default"]
    assert f"`{region}`" in before
    assert "20 vCPU" in before
    assert "L4" in before
    waits = readme.partition("**Waits.**")[2]
    seconds = {
        int(body["provisioner"][0]["local-exec"]["command"].removeprefix("sleep "))
        for kind, _, body in resources()
        if kind == "terraform_data"
    }
    said = {"a minute for APIs": 60, "two for grants": 120, "ten until alerts": 600}
    assert set(said.values()) == seconds
    assert all(each in waits for each in said)


def test_bootstrap_calls_are_known_to_the_stand_in() -> None:
    assert {" ".join(words[1:3]) for words in bootstrap()} >= {"services enable", "beta services"}
