"""Every step of cloudbuild.yaml runs in a clone that has nothing but what the step declares.

A step at Cloud Build has the files of the commit, its own `env`, the substitutions and the programs of
its image: no INFRA_TOOLS, no folder beside the repository, nobody's settings. Each script runs here like
that, in order. What needs the internet is replaced: packages are those of this session, the registry of
providers is a mirror of the stand-in, and `terraform` is a program that refuses what Terraform refuses.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.ci import leaks
from tests.infra import planned
from tests.infra.hcl import ROOT
from tests.infra.test_cloudbuild import BUILD, STEPS, load

#: `terraform`, as far as the steps use it: state is a file, and nothing comes before what it needs.
TERRAFORM = """\
#!/usr/bin/env bash
set -euo pipefail
here=$(pwd)
while [[ ${1:-} == -chdir=* ]]; do cd "${1#-chdir=}"; shift; done
case $1 in
  fmt | validate | test) [[ $1 == fmt || -e .terraform ]] ;;
  get) mkdir -p .terraform ;;
  providers) [[ $2 == lock && -e .terraform ]] && echo "# made by this build" > .terraform.lock.hcl ;;
  init)
    [[ " $* " != *" -lockfile=readonly "* || -e .terraform.lock.hcl ]]
    for word; do case $word in -backend-config=*) [[ -r ${word#-backend-config=} ]] ;; esac; done
    mkdir -p .terraform ;;
  plan)
    [[ -e .terraform ]] || { echo "run terraform init" >&2; exit 1; }
    for word; do case $word in
      -var-file=*) [[ -r ${word#-var-file=} ]] ;;
      -out=*) cp ../.build/source.zip "${word#-out=}" ;;
      -var=release=) exit 1 ;;
    esac; done ;;
  show) [[ -s $3 ]] && echo '{"resource_changes": []}' ;;
  apply) [[ -s ${@: -1} && -e .terraform ]] && touch applied ;;
  output)
    [[ -e applied ]] || { echo "no outputs" >&2; exit 1; }
    case $3 in
      api_urls) echo '{"/api/sync": "https://sync.example", "/api/v1/auth/*": "https://a.example"}' ;;
      *) echo "https://$3.example" ;;
    esac ;;
  *) echo "unknown: $*" >&2; exit 1 ;;
esac
"""

#: `python3`: makes the environment of this session instead of one from the index.
PYTHON3 = """\
#!/usr/bin/env bash
set -euo pipefail
[[ $1 == -m && $2 == venv ]]
mkdir -p "$3/bin"
cat > "$3/bin/pip" <<'END'
#!/bin/sh
for word; do case $word in *.txt) test -r "$word" || exit 1 ;; esac; done
END
cp "$(dirname "$0")/python" "$3/bin/python"
chmod +x "$3/bin/pip"
"""

#: `.venv/bin/python`: says what it was asked. What takes long, or asks the internet, is shortened.
PYTHON = f"""\
#!/usr/bin/env bash
echo "$*" >> "$ASKED"
case "$*" in
  "-m infra.ci.check") exec {sys.executable} -c "import ${{2}}" ;;
  "-m pip_audit "*) exec {sys.executable} "$@" --dry-run ;;
  "-m infra.ci.smoke "*) exec {sys.executable} -m infra.ci.smoke --help ;;
  "-m pytest"*)
    exec {sys.executable} -m pytest -p no:cacheprovider -m 'not soak' tests/infra/test_tools.py \\
      tests/infra/test_plans.py::test_every_resource_waits_until_the_apis_are_there ;;
esac
exec {sys.executable} "$@"
"""


@dataclass
class Builder:
    """A clone, and the image's programs before all others."""

    clone: Path
    programs: Path
    asked: Path
    mirror: dict[str, str]

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        step = STEPS[name]
        build = load(BUILD)
        substitutions = {
            **build["substitutions"],
            "PROJECT_ID": "clinic",
            "BUILD_ID": "b1",
            "COMMIT_SHA": "abc",
            "SHORT_SHA": "ab",
        }
        declared = dict(each.split("=", 1) for each in step.get("env", ()))
        assert build["options"]["automapSubstitutions"]
        return subprocess.run(
            ["bash", "-c", step["script"]],
            cwd=self.clone / step.get("dir", "."),
            env={
                "PATH": f"{self.programs}:{os.environ['PATH']}",
                "HOME": str(self.clone.parent),
                "ASKED": str(self.asked),
                **self.mirror,
                **substitutions,
                **declared,
            },
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    plugins = planned.stand_in()
    if plugins is None or shutil.which("terraform") is None:
        # in cloudbuild.yaml itself: the steps that run are the test
        pytest.skip("INFRA_TOOLS names no stand-in for the registry of providers")
    folder = tmp_path_factory.mktemp("pipeline")
    clone, programs = folder / "workspace", folder / "bin"
    for path in leaks.files():
        if path.is_file():
            target = clone / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    programs.mkdir()
    for name, text in (("terraform", TERRAFORM), ("python3", PYTHON3), ("python", PYTHON)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (folder / "mirror.tfrc").write_text(
        f'provider_installation {{\n  filesystem_mirror {{ path = "{plugins}" }}\n}}\n'
    )
    tools = (ROOT / os.environ["INFRA_TOOLS"]).resolve()
    mirror = {
        "TF_CLI_CONFIG_FILE": str(folder / "mirror.tfrc"),
        "GOOGLE_PROVIDER_SCHEMA": str(tools / "google-provider-schema.json"),
    }
    return Builder(clone, programs, folder / "asked", mirror)


@pytest.mark.proof
def test_every_step_runs_in_a_clone_with_what_it_declares(builder: Builder) -> None:
    for name in STEPS:
        if name == "tests":
            # pytest asks the real Terraform, which the mirror serves
            (builder.programs / "terraform").rename(builder.programs / "terraform.stand-in")
        done = builder.run(name)
        if name == "tests":
            (builder.programs / "terraform.stand-in").rename(builder.programs / "terraform")
            assert "passed" in done.stdout, done.stdout
        assert done.returncode == 0, (name, done.stdout[-3000:], done.stderr[-3000:])
        if name == "terraform":
            assert "! terraform/.terraform.lock.hcl is not committed" in done.stderr
    asked = builder.asked.read_text("utf-8")
    smoke = "-m infra.ci.smoke https://status_url.example --sync-url https://sync.example"
    assert smoke in asked
    assert "-m infra.ci.guard" in asked
    assert "-m infra.ci.rules" in asked
    said = json.loads((builder.clone / ".build" / "provenance.json").read_text("utf-8"))
    assert said["predicate"]["buildDefinition"]["externalParameters"] == {
        "commit": "abc",
        "product": "dermadetect",
    }


@pytest.mark.proof
def test_a_committed_lock_of_the_provider_is_taken_as_it_is(builder: Builder) -> None:
    lock = builder.clone / "terraform" / ".terraform.lock.hcl"
    lock.write_text("# committed\n")
    done = builder.run("terraform")
    assert (done.returncode, done.stderr) == (0, "")
    assert lock.read_text() == "# committed\n"


@pytest.mark.proof
def test_what_a_build_keeps_is_there_at_its_end(builder: Builder) -> None:
    for path in load(BUILD)["artifacts"]["objects"]["paths"]:
        assert (builder.clone / path).is_file(), path
