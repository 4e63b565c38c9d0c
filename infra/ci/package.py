"""`python -m infra.ci.package`: the functions' source as one archive, for Terraform to deploy.

The archive holds what runs, and nothing else: a broken test must not break a build in the cloud. It is
of one product (`PRODUCT`): its `requirements.txt` is that product's lock, and the others' packages are
left out, so a deployment that is set to another product does not start. It
is reproducible (sorted names, one fixed time, one mode), so the same commit has the same hash: then
a plan after an apply is empty, and dev and prod run the same bytes.

Beside it stands `provenance.json`: an in-toto statement (predicate slsa.dev/provenance/v1) that says
which commit and which build the archive came from. It is not signed; Cloud Build keeps its own
signed provenance of the images that are built from the archive. `bom.json` is the bill of materials
of the packages that are installed with it (`infra/ci/bom.py`); the statement names its hash.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from infra.ci import bom, lock
from shared.products.known import names
from shared.settings import current

REPOSITORY = Path(__file__).resolve().parents[2]

#: What runs in the cloud beside the packages' lock: files, and folders with everything below them.
INCLUDED = ("main.py", "functions", "shared", "infra/openapi.json")

#: What Google's builder installs from, and where products are.
_LOCK, _PRODUCTS = Path("requirements.txt"), Path("shared/products")

#: Never, wherever it is.
EXCLUDED_FOLDERS = {"__pycache__"}

#: Zip knows no time before 1980, and no time zone.
_TIME = (1980, 1, 1, 0, 0, 0)

#: A plain file, readable by all: the archive does not depend on who packs it.
_MODE = 0o100644 << 16


def files(product: str = lock.DEFAULT) -> dict[Path, Path]:
    """Path in a product's archive → file, sorted. Raises `FileNotFoundError`."""
    folders = (each.relative_to(REPOSITORY) for each in (REPOSITORY / _PRODUCTS).iterdir())
    others = {each for each in folders if each.suffix != ".py" and each.name != product}
    found = {_LOCK: REPOSITORY / lock.deployed(product)}
    for name in INCLUDED:
        path = REPOSITORY / name
        if not path.exists():
            raise FileNotFoundError(name)
        for each in path.rglob("*") if path.is_dir() else (path,):
            inside = each.relative_to(REPOSITORY)
            hidden = EXCLUDED_FOLDERS & set(inside.parts) or others & set(inside.parents)
            if each.is_file() and not hidden:
                found[inside] = each
    return dict(sorted(found.items()))


def pack(target: Path, product: str = lock.DEFAULT) -> str:
    """Write a product's archive; returns its SHA-256 in hex."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path, source in files(product).items():
            entry = zipfile.ZipInfo(path.as_posix(), _TIME)
            entry.external_attr = _MODE
            entry.create_system = 3  # Unix, also when packed elsewhere
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, source.read_bytes())
    return hashlib.sha256(target.read_bytes()).hexdigest()


def statement(
    digest: str, materials: str, commit: str, build: str, product: str = lock.DEFAULT
) -> dict[str, object]:
    """Where an archive comes from, as an in-toto statement; `materials` is its bill of materials."""
    locked = lock.deployed(product)
    requirements = hashlib.sha256((REPOSITORY / locked).read_bytes()).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": f"functions/{digest}.zip", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "python -m infra.ci.package",
                "externalParameters": {"commit": commit, "product": product},
                "resolvedDependencies": [
                    {"uri": "git", "digest": {"gitCommit": commit}},
                    {"uri": locked, "digest": {"sha256": requirements}},
                ],
            },
            "runDetails": {
                "builder": {"id": "cloudbuild.yaml"},
                "metadata": {"invocationId": build},
                "byproducts": [
                    {
                        "name": "bom.json",
                        "mediaType": "application/vnd.cyclonedx+json",
                        "digest": {"sha256": hashlib.sha256(materials.encode()).hexdigest()},
                    }
                ],
            },
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack, and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m infra.ci.package", description=__doc__)
    parser.add_argument("--commit", default="", help="the commit that is packed")
    parser.add_argument("--build", default="", help="the build that packs it")
    parser.add_argument("--product", default=current().product, choices=names())
    parser.add_argument("--to", type=Path, default=REPOSITORY / ".build", help="folder")
    chosen = parser.parse_args(arguments)
    target = chosen.to / "source.zip"
    digest = pack(target, chosen.product)
    materials = bom.bill(product=chosen.product)
    (chosen.to / "bom.json").write_text(materials, encoding="utf-8")
    said = statement(digest, materials, chosen.commit, chosen.build, chosen.product)
    (chosen.to / "provenance.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    print(f"{target}: {len(files(chosen.product))} files, sha256 {digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
