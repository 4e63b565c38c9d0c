"""What is deployed beside our own code: a bill of materials, CycloneDX 1.6. `infra.ci.package` writes it.

Made of a product's lock, so it names each package of it at its version, with the hashes of the
files that pip accepts, its licence, and what it asks for. Shared libraries that a package carries in its
wheel stand below it. What is linked into a module (the crates of orjson, OpenSSL in cryptography) cannot
be seen from outside and is missing. The same lock gives the same bytes: no time, and a serial number made
of the lock.

A licence outside `ALLOWED` without a reason in `EXCEPTIONS` raises `LicenceError`: nothing is packed then.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, distribution

from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    XsUri,
)
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from license_expression import (
    ExpressionError,
    LicenseSymbol,
    LicenseWithExceptionSymbol,
    get_spdx_licensing,
)
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from infra.ci import lock

#: Licences that ask for no more than to be named.
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD-3-Clause-Open-MPI",
        "CC0-1.0",
        "FTL",
        "IJG",
        "libpng-2.0",
        "libtiff",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MIT-open-group",
        "OpenSSL",
        "OFL-1.1",  # fonts as they are; it concerns their changes and their sale, not documents
        "PSF-2.0",
        "Unicode-3.0",
        "ZPL-2.1",
        "Zlib",
    }
)

#: Packages with another licence: which, and why we may use it.
EXCEPTIONS: Mapping[str, tuple[frozenset[str], str]] = {
    "certifi": (
        frozenset({"MPL-2.0"}),
        "a list of certificates, used as it is; the licence concerns changes of its files",
    ),
    "numpy": (
        frozenset({"GPL-3.0-or-later WITH GCC-exception-3.1", "LGPL-2.1-or-later"}),
        "its wheel carries GCC's runtime for Fortran, unchanged; the exception allows that with any "
        "program, and who gives an installation away owes the source of libquadmath",
    ),
    "opencv-python-headless": (
        frozenset({"GPL-3.0-or-later WITH GCC-exception-3.1", "LGPL-2.1-or-later"}),
        "its wheel carries FFmpeg's libraries, which drawings never call, and GCC's runtime for Fortran; "
        "who gives an installation away owes their source",
    ),
    "shapely": (
        frozenset({"LGPL-2.1-only"}),
        "its wheel carries GEOS, unchanged and never loaded: rapidocr asks for it and is not imported; "
        "who gives an installation away owes its source",
    ),
    "tqdm": (
        frozenset({"MPL-2.0"}),
        "brought by rapidocr and never loaded; the licence concerns changes of its files",
    ),
    "orjson": (
        frozenset({"MPL-2.0"}),
        "used as it is; the licence concerns changes of its files",
    ),
    "pygal": (
        frozenset({"LGPL-3.0-or-later"}),
        "draws the console's charts, unchanged and as a package of its own; the licence concerns its files",
    ),
    "pillow-heif": (
        frozenset({"LGPL-3.0-only", "GPL-2.0-only"}),
        "its wheel carries libraries under the GNU licences, which `files` and `images` run and hand to "
        "nobody; who gives an installation away owes their source, or builds it without x265",
    ),
}

#: Shared libraries inside wheels, as their packages' licence files say: package → library → licence.
BUNDLED: Mapping[str, Mapping[str, str]] = {
    "google-crc32c": {"libcrc32c": "BSD-3-Clause"},
    "numpy": {
        "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
        "libquadmath": "LGPL-2.1-or-later",
        "libscipy_openblas64_": "BSD-3-Clause AND BSD-3-Clause-Open-MPI",
    },
    "opencv-python-headless": {
        "libaom": "BSD-2-Clause",
        "libavcodec": "LGPL-2.1-or-later",
        "libavformat": "LGPL-2.1-or-later",
        "libavif": "BSD-2-Clause",
        "libavutil": "LGPL-2.1-or-later",
        "libcrypto": "OpenSSL",
        "libdrm": "MIT",
        "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
        "libopenblasp": "BSD-3-Clause",
        "libpng16": "libpng-2.0",
        "libquadmath": "LGPL-2.1-or-later",
        "libssl": "OpenSSL",
        "libswresample": "LGPL-2.1-or-later",
        "libswscale": "LGPL-2.1-or-later",
        "libvpx": "BSD-3-Clause",
    },
    "pillow": {
        "libXau": "MIT-open-group",
        "libavif": "BSD-2-Clause",
        "libbrotlicommon": "MIT",
        "libbrotlidec": "MIT",
        "libfreetype": "FTL",
        "libharfbuzz": "MIT",
        "libjpeg": "IJG AND BSD-3-Clause",
        "liblcms2": "MIT",
        "liblzma": "0BSD",
        "libopenjp2": "BSD-2-Clause",
        "libpng16": "libpng-2.0",
        "libsharpyuv": "BSD-3-Clause",
        "libtiff": "libtiff",
        "libwebp": "BSD-3-Clause",
        "libwebpdemux": "BSD-3-Clause",
        "libwebpmux": "BSD-3-Clause",
        "libxcb": "MIT",
        "libzstd": "BSD-3-Clause",
    },
    "pillow-heif": {
        "libde265": "LGPL-3.0-only",
        "libheif": "LGPL-3.0-only",
        "libx265": "GPL-2.0-only",
    },
    "shapely": {
        "libgeos": "LGPL-2.1-only",
        "libgeos_c": "LGPL-2.1-only",
    },
}

#: Packages whose metadata name no licence by its identifier: what their licence files hold.
_READ: Mapping[str, str] = {
    "pyrage": "MIT",
    # with PDFium and what is in it; Anti-Grain Geometry 2.3 asks for its notice and has no identifier
    "pypdfium2": "BSD-3-Clause AND Apache-2.0 AND BSD-2-Clause AND FTL AND IJG AND MIT AND Unicode-3.0 "
    "AND Zlib AND libpng-2.0 AND libtiff",
    "antlr4-python3-runtime": "BSD-3-Clause",
    "blinker": "MIT",
    "colorlog": "MIT",
    "omegaconf": "BSD-3-Clause",
    "onnxruntime": "MIT",
    "itsdangerous": "BSD-3-Clause",
    "jinja2": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "python-dateutil": "BSD-3-Clause",
    "rfc8785": "Apache-2.0",
    "django-js-lib-htmx": "0BSD",
    "segno": "BSD-3-Clause",
}

#: Other spellings in packages' metadata.
_SPELT: Mapping[str, str] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "GNU LGPL v3+": "LGPL-3.0-or-later",
    "ZPL 2.1": "ZPL-2.1",
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "https://www.apache.org/licenses/LICENSE-2.0": "Apache-2.0",
}

_SPDX = get_spdx_licensing()  # type: ignore[no-untyped-call]


class LicenceError(ValueError):
    """A package has a licence that nobody has looked at; the message says which."""


def licence(found: Distribution) -> str:
    """Licence of an installed package as an SPDX expression. Raises `LicenceError` if it names none."""
    name = canonicalize_name(found.name)
    known = found.metadata
    said = next((known[each] for each in ("License-Expression", "License") if each in known), "")
    text = _READ.get(name) or _SPELT.get(said, said)
    try:
        if text and not _SPDX.unknown_license_keys(text):
            return str(_SPDX.parse(text))
    except ExpressionError:
        pass
    raise LicenceError(f"{name} {found.version}: {said[:60]!r} is no SPDX licence; read its files")


def accepted(expression: str, also: Iterable[str] = ()) -> bool:
    """Can this be used under `ALLOWED` and `also`? Of "or" one side is enough, of "and" all count."""
    names = ALLOWED | set(also)

    def holds(part: object) -> bool:
        if isinstance(part, LicenseWithExceptionSymbol):
            return f"{part.license_symbol.key} WITH {part.exception_symbol.key}" in names
        if isinstance(part, LicenseSymbol):
            return part.key in names
        sides = [holds(each) for each in getattr(part, "args", ())]
        return any(sides) if isinstance(part, _SPDX.OR) else bool(sides) and all(sides)

    return holds(_SPDX.parse(expression))


def _asked_for(found: Distribution) -> Iterator[str]:
    """Names that a package asks for here, with or without an extra."""
    extras = ["", *found.metadata.get_all("Provides-Extra", [])]
    for text in found.requires or ():
        wanted = Requirement(text)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": each}) for each in extras):
            yield canonicalize_name(wanted.name)


def _declared(expression: str) -> list[LicenseExpression]:
    return [LicenseExpression(expression, acknowledgement=LicenseAcknowledgement.DECLARED)]


def _package(name: str, version: str, hashes: Iterable[str], also: Iterable[str]) -> Component:
    """One package of the lock. Raises `LicenceError`, and `ValueError` if another version is installed."""
    found = distribution(name)
    if Version(found.version) != Version(version):  # 2.012 is 2.12
        raise ValueError(f"{name} {found.version} is installed, the lock says {version}")
    expression = licence(found)
    inside = BUNDLED.get(name, {})
    for part in (expression, *inside.values()):
        if not accepted(part, also):
            raise LicenceError(f"{name} {version}: {part} is not among the licences that we use")
    purl = PackageURL("pypi", None, name, version)
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(purl)),
        comment="files that the lock accepts",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=each) for each in hashes],
    )
    return Component(
        name=name,
        type=ComponentType.LIBRARY,
        version=version,
        purl=purl,
        bom_ref=str(purl),
        licenses=_declared(expression),
        external_references=[files],
        components=[
            Component(
                name=library,
                type=ComponentType.LIBRARY,
                bom_ref=f"{purl}#{library}",
                licenses=_declared(under),
            )
            for library, under in inside.items()
        ],
    )


def bill(
    exceptions: Mapping[str, tuple[frozenset[str], str]] = EXCEPTIONS,
    product: str = lock.DEFAULT,
) -> str:
    """The bill of materials of a product's deployment, as JSON. Raises `LicenceError`, `ValueError`."""
    text = (lock.REPOSITORY / lock.deployed(product)).read_text("utf-8")
    entries = re.split(r"^(?=[a-z0-9.-]+==)", text, flags=re.M)[1:]
    packages = {}
    for entry in entries:
        head = Requirement(entry.split("\n", 1)[0].rstrip(" \\"))
        if head.marker is not None and not head.marker.evaluate():
            continue  # for another system: it is not installed
        name, version = re.split("==|[ ;]", entry, maxsplit=2)[:2]
        hashes = re.findall("sha256:([0-9a-f]{64})", entry)
        packages[name] = _package(name, version, hashes, exceptions.get(name, ((), ""))[0])
    name = f"{product}-cloud"
    deployment = Component(name=name, type=ComponentType.APPLICATION, bom_ref=name)
    serial = uuid.uuid5(uuid.NAMESPACE_OID, text)
    bom = Bom(components=packages.values(), serial_number=serial)
    bom.metadata.component = deployment
    asked = lock.wanted(lock.deployed(product))
    direct = (re.split(r"[\[=]", each)[0].lower() for each in asked)
    bom.register_dependency(deployment, [packages[name] for name in direct])
    for name, package in packages.items():
        needs = set(_asked_for(distribution(name))) & packages.keys() - {name}
        bom.register_dependency(package, [packages[each] for each in sorted(needs)])
    said = json.loads(JsonV1Dot6(bom).output_as_string())
    del said["metadata"]["timestamp"]
    return json.dumps(said, indent=2, sort_keys=True) + "\n"
