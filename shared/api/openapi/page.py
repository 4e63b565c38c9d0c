"""An OpenAPI document as one HTML page: in groups, with a search, and nothing from elsewhere.

Server-side and small on purpose: it knows the parts of OpenAPI 3.1 and JSON Schema that
`shared.api.openapi.document` writes, reads well on a phone, and works without a network once it is loaded.
Everything is there without its script, which searches and opens what a link leads to.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

Schema = dict[str, Any]

#: A code and its sentence in the description of a refusal.
_CODE = re.compile(r"^- `(\w+)`: (.*)$", re.MULTILINE)


def page(openapi_json: bytes) -> str:
    """A document as one HTML page."""
    said = json.loads(openapi_json)
    info = said["info"]
    groups = [(tag, list(_operations(said, tag["name"]))) for tag in said["tags"]]
    codes, schemas = _codes(said), said["components"]["schemas"]
    index = [(_text(tag["name"]), tag["name"].capitalize(), len(found)) for tag, found in groups]
    index += [
        ("codes", "Error codes", sum(len(found) for _, found in codes.values())),
        ("schemas", "Schemas", len(schemas)),
    ]
    parts = [
        f"<header><h1>{_text(info['title'])}</h1>",
        f"<p class=lead>{_text(info['summary'])} Version {_text(info['version'])}, "
        '<a href="openapi.json">openapi.json</a> for tools.</p></header>',
        f"<nav aria-label=Contents>{_SEARCH}<div class=index>{_index(index)}</div></nav><main>",
        _folded(
            "guide", "<span class=what>How to use it</span>", _prose(info["description"]), "row"
        ),
    ]
    for tag, operations in groups:
        rows = "".join(_operation_part(*each, said) for each in operations)
        parts.append(_group(tag["name"], tag["name"].capitalize(), tag["description"], rows))
    rows = "".join(_status(status, *found) for status, found in codes.items())
    parts.append(_group("codes", "Error codes", "What an error's `code` means, by status.", rows))
    rows = "".join(_schema_part(name, schema) for name, schema in schemas.items())
    parts.append(_group("schemas", "Schemas", "What is sent and answered, by name.", rows, "small"))
    return _FRAME.format(
        title=_text(info["title"]), style=_STYLE, body="\n".join(parts), script=_SCRIPT
    )


def _operations(said: Schema, tag: str) -> Iterable[tuple[str, str, Schema]]:
    for path, methods in said["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield path, method, operation


def _codes(said: Schema) -> dict[str, tuple[str, dict[str, str]]]:
    """By status what it means, and each code with its sentence."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for methods in said["paths"].values():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                if codes := dict(_CODE.findall(answer["description"])):
                    words = answer["description"].partition("\n")[0]
                    found.setdefault(status, (words, {}))[1].update(codes)
    return dict(sorted(found.items()))


def _index(entries: Iterable[tuple[str, str, int]]) -> str:
    return "".join(
        f'<a href="#{name}">{title} <span class=count>{count}</span></a>'
        for name, title, count in entries
    )


def _group(name: str, title: str, description: str, rows: str, kind: str = "") -> str:
    return (
        f'<section id="{_text(name)}"><h2>{_text(title)}</h2><div class=about>{_prose(description)}</div>'
        f'<div class="rows {kind}">{rows}</div></section>'
    )


def _folded(name: str, summary: str, body: str, kind: str = "") -> str:
    """What opens when it is asked for."""
    return (
        f'<details class="item {kind}" id="{_text(name)}"><summary>{summary}</summary>'
        f"<div class=body>{body}</div></details>"
    )


def _status(status: str, words: str, codes: Mapping[str, str]) -> str:
    listed = "".join(
        f'<li id="code-{_text(code)}"><code>{_text(code)}</code><p>{_inline(sentence)}</p>'
        for code, sentence in codes.items()
    )
    summary = f"<b class=bad>{_text(status)}</b><span class=what>{_inline(words)}</span>"
    return _folded(f"status-{status}", summary, f"<ul class=fields>{listed}</ul>")


def _schema_part(name: str, schema: Schema) -> str:
    return _folded(f"schema-{name}", f"<code>{_text(name)}</code>", _shape(schema))


def _text(value: object) -> str:
    return html.escape(str(value))


def _prose(text: str) -> str:
    """The Markdown that our descriptions use: paragraphs, lists, `code` and **bold**."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = block.split("\n")
        for mark, tag in ((r"- ", "ul"), (r"\d+\. ", "ol")):
            if all(re.match(mark, line) for line in lines):
                items = "".join(f"<li>{_inline(re.sub(mark, '', line, count=1))}" for line in lines)
                found.append(f"<{tag}>{items}</{tag}>")
                break
        else:
            found.append(f"<p>{_inline(' '.join(lines))}</p>")
    return "".join(found)


def _inline(text: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", _text(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)


def _operation_part(path: str, method: str, operation: Schema, said: Schema) -> str:
    summary = (
        f"<b class={_text(method)}>{_text(method.upper())}</b> <code>{_text(path)}</code>"
        f" <span class=what>{_inline(operation['summary'])}</span>"
    )
    token = "Needs no token." if operation.get("security") == [] else "Needs a bearer token."
    parts = [f"<div class=about>{_prose(operation['description'])}</div><p class=kind>{token}</p>"]
    parameters = [_resolved(item, said) for item in operation["parameters"]]
    for place, title in (("path", "Path"), ("query", "Query"), ("header", "Headers")):
        listed = [item for item in parameters if item["in"] == place]
        if listed:
            items = "".join(_field(item["name"], item, "", item["schema"]) for item in listed)
            parts.append(f"<h3>{title}</h3><ul class=fields>{items}</ul>")
    if "requestBody" in operation:
        parts.append(f"<h3>Body</h3>{_content(operation['requestBody']['content'])}")
    parts.append("<h3>Answers</h3>")
    refusals = []
    for status, answer in operation["responses"].items():
        if codes := _CODE.findall(answer["description"]):
            refusals.append((status, [code for code, _ in codes]))
            continue
        parts.append(f"<p><b class=good>{_text(status)}</b> {_inline(answer['description'])}</p>")
        names = [name for name in answer["headers"] if name != "X-Request-Id"]
        if names:
            words = ", ".join(f"<code>{_text(name)}</code>" for name in names)
            parts.append(f"<p class=kind>Headers: {words}</p>")
        if status == "200":
            parts.append(_content(answer["content"]))
    parts.append(_refusals(refusals))
    return _folded(f"op-{operation['operationId']}", summary, "".join(parts))


def _refusals(refusals: Iterable[tuple[str, Iterable[str]]]) -> str:
    """What each status may say, with links to what that means."""
    items = "".join(
        f"<dt><b class=bad>{_text(status)}</b><dd>"
        + ", ".join(
            f'<a href="#code-{_text(code)}"><code>{_text(code)}</code></a>' for code in codes
        )
        for status, codes in refusals
    )
    return f"<dl>{items}</dl>"


def _resolved(item: Schema, said: Schema) -> Schema:
    if "$ref" not in item:
        return item
    found: Any = said
    for step in item["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def _content(content: Schema) -> str:
    parts = []
    for kind, media in content.items():
        schema = media["schema"]
        shape = "" if "$ref" in schema else _shape(schema)
        parts.append(f"<p class=kind>{_text(kind)}: {_kind(schema)}</p>{shape}")
        for example in media.get("examples", {}).values():
            value = json.dumps(example["value"], indent=2, ensure_ascii=False)
            parts.append(
                f"<details><summary>Example: {_inline(example['summary'])}</summary>"
                f"<pre>{_text(value)}</pre></details>"
            )
    return "".join(parts)


def _shape(schema: Schema) -> str:
    """A schema's description and its fields, nested."""
    inner = schema.get("items", schema) if schema.get("type") == "array" else schema
    said = _prose(schema["description"]) if "description" in schema else ""
    fields = _fields(inner)
    return said + (fields or f"<p class=kind>{_kind(schema)}</p>")


def _fields(schema: Schema) -> str:
    properties = schema.get("properties", {})
    if not properties:
        return ""
    required = schema.get("required", [])
    everything = set(required) == set(properties)
    items = "".join(
        _field(
            name,
            item,
            "<span class=need>required</span>" if name in required and not everything else "",
            item,
        )
        for name, item in properties.items()
    )
    note = "<p class=kind>Every field is always there.</p>" if everything else ""
    return f"{note}<ul class=fields>{items}</ul>"


def _field(name: str, said: Schema, need: str, schema: Schema) -> str:
    text = _prose(said["description"]) if "description" in said else ""
    if schema.get("deprecated"):
        need = "<span class=need>deprecated</span>"
    inner = schema.get("items", {}) if "items" in schema else schema
    return (
        f"<li><code>{_text(name)}</code> {need} <span class=kind>{_kind(schema)}</span>"
        f"{text}{_fields(inner)}"
    )


_WORDS = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}


def _kind(schema: Schema) -> str:
    """What a value is, in a few words."""
    if "$ref" in schema:
        name = _text(schema["$ref"].split("/")[3])  # a part of a schema is shown with its whole
        return f'<a href="#schema-{name}">{name}</a>'
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " or ".join(_kind(item) for item in schema[word])
    if "const" in schema:
        return f"<code>{_text(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return "one of " + ", ".join(
            f"<code>{_text('null' if word is None else word)}</code>" for word in schema["enum"]
        )
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(_typed(kind, schema) for kind in kinds) or "anything"


def _typed(kind: str, schema: Schema) -> str:
    if kind == "array":
        most = f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list{most}: {_kind(schema['items'])}" if "items" in schema else f"list{most}"
    limits = []
    if kind == "string" and "maxLength" in schema:
        limits.append(f"at most {schema['maxLength']} characters")
    if kind == "string" and "pattern" in schema:
        limits.append(f"<code>{_text(schema['pattern'])}</code>")
    if kind in ("number", "integer"):
        words = (("minimum", "from"), ("maximum", "to"), ("exclusiveMaximum", "below"))
        limits += [f"{word} {schema[name]}" for name, word in words if name in schema]
    return _WORDS[kind] + (f" ({', '.join(limits)})" if limits else "")


_SEARCH = (
    "<label hidden><span>Search</span><input type=search autocomplete=off spellcheck=false "
    'placeholder="Path, field, code, word"><output></output></label>'
)

#: Without it everything is there; it searches, and opens what a link leads to.
_SCRIPT = """
const label = document.querySelector("nav label"), field = label.querySelector("input");
const texts = (item, parts) =>
  [...item.querySelectorAll(parts)].map(part => part.textContent.toLowerCase());
const items = [...document.querySelectorAll("main .item")].map(item => [item,
  texts(item, "summary, .about, :not(dd a) > code").join(" "), texts(item, "dd code")]);
function search() {
  const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let found = 0;
  for (const [item, text, codes] of items) {
    item.hidden = !words.every(word => text.includes(word) || codes.includes(word));
    found += !item.hidden;
  }
  for (const group of document.querySelectorAll("main > section"))
    group.hidden = !group.querySelector(".item:not([hidden])");
  label.querySelector("output").value = words.length ? `${found} found` : "";
}
function open() {
  let part = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!part) return;
  field.value = "";
  search();
  for (let each = part; each; each = each.parentElement) if (each.tagName === "DETAILS") each.open = true;
  part.scrollIntoView();
}
label.hidden = false;
field.addEventListener("input", search);
addEventListener("hashchange", open);
open();
"""

_STYLE = """
:root { color-scheme: light dark; --ink: #1b2330; --soft: #5a6678; --paper: #fff; --card: #f6f8fb;
  --line: #dde3ea; --link: #0b57b7; --get: #0a6a4b; --post: #6b2fd0; --put: #8a5300; --bad: #a4262c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9f0; --soft: #a1adbf; --paper: #11151b;
  --card: #181e27; --line: #2d3643; --link: #7ab7ff; --get: #5fd3a8; --post: #c3a6ff; --put: #f0b860;
  --bad: #ff9a9a; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { scroll-padding-top: 7.5rem; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .35rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .1rem; }
h3 { font-size: .8rem; margin: 1.4rem 0 .35rem; color: var(--soft); text-transform: uppercase;
  letter-spacing: .06em; }
p, ul, ol { margin: .4rem 0; } ul, ol { padding-left: 1.4rem; }
a { color: var(--link); } .lead, .kind, h2 + .about { color: var(--soft); }
code, pre { font: .88em/1.5 ui-monospace, Menlo, Consolas, monospace; }
p code, li code, dd code { background: color-mix(in srgb, var(--line) 45%, transparent);
  border-radius: 3px; padding: .1em .3em; }
pre { overflow-x: auto; overflow-wrap: normal; padding: .75rem; border: 1px solid var(--line);
  border-radius: 6px; background: var(--paper); }
nav { position: sticky; top: 0; z-index: 1; margin: 1rem -1rem 1.25rem; padding: .6rem 1rem;
  background: var(--paper); border-bottom: 1px solid var(--line); }
nav label { display: flex; align-items: center; gap: .75rem; margin-bottom: .5rem; }
nav label span { position: absolute; clip-path: inset(50%); }
input { flex: 1; min-width: 0; padding: .5rem .8rem; font: inherit; color: inherit;
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 1px; }
output { color: var(--soft); font-size: .9rem; white-space: nowrap; } output:empty { display: none; }
.index { display: flex; gap: .25rem 1.1rem; overflow-x: auto; white-space: nowrap; font-size: .92rem; }
.index a { padding: .2rem 0; text-decoration: none; } .index a:hover { text-decoration: underline; }
.count { color: var(--soft); font-size: .85em; }
.rows { margin-top: .75rem; border: 1px solid var(--line); border-radius: 10px; overflow: clip; }
.rows > .item + .item { border-top: 1px solid var(--line); }
.row { border: 1px solid var(--line); border-radius: 10px; overflow: clip; }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.small > .item { margin: -1px 0 0 -1px; border: 1px solid var(--line); min-width: 0; }
.small > .item > summary { padding: .5rem .7rem; } .small > .item > summary code { font-size: .78rem; }
.small > .item:not([open]) > summary::after { display: none; }
.small > [open] { grid-column: 1 / -1; }
summary { cursor: pointer; }
.item > summary { display: grid; grid-template-columns: auto 1fr auto; gap: .1rem .75rem;
  align-items: baseline; padding: .6rem .9rem; list-style: none; }
.item > summary::-webkit-details-marker { display: none; }
.item > summary:hover, .item[open] > summary { background: var(--card); }
.item > summary::after { content: ""; grid-area: 1 / 3; width: .45rem; height: .45rem; margin: .2rem;
  border: solid var(--soft); border-width: 0 1.5px 1.5px 0; transform: rotate(45deg); }
.item[open] > summary::after { transform: rotate(225deg); }
.item > summary code { font-weight: 600; grid-column: 2; } .small summary code { grid-column: 1 / 3; }
.what { grid-column: 2 / 4; color: var(--soft); font-size: .95rem; line-height: 1.45; }
.row .what { grid-column: 1 / 3; color: var(--ink); }
.item > summary b + .what { color: var(--ink); }
.body { padding: .35rem .9rem 1.1rem; border-top: 1px solid var(--line); }
b { font-weight: 650; }
.item > summary b { min-width: 2.9rem; grid-column: 1; font-size: .8rem; letter-spacing: .03em; }
.get, .good { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); }
.bad { color: var(--bad); }
.fields { list-style: none; padding-left: 0; }
.fields > li { padding: .5rem 0; border-top: 1px solid var(--line); }
.fields > li:first-child { border-top: 0; } .fields p { margin: .2rem 0; }
.fields .fields { margin-left: .4rem; padding-left: .8rem; border-left: 2px solid var(--line); }
.kind { font-size: .92em; }
.need { color: var(--bad); font-size: .8em; border: 1px solid; border-radius: 3px;
  padding: 0 .35em; white-space: nowrap; font-weight: normal; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .35rem .75rem; margin: .75rem 0 0; }
dd { margin: 0; } dd a { text-decoration: none; }
:target > code { outline: 2px solid var(--link); }
@media (min-width: 48rem) {
  html { scroll-padding-top: 7rem; }
  .rows:not(.small) > .item > summary { grid-template-columns: auto minmax(0, 4fr) minmax(0, 5fr) auto; }
  .rows:not(.small) > .item > summary::after { grid-area: 1 / 4; }
  .rows:not(.small) > .item > summary .what { grid-column: 3; }
  #codes .rows > .item > summary .what { grid-column: 2 / 4; }
}
"""

_FRAME = """<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8>
<meta name=viewport content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</main>
<script>{script}</script>
</body>
</html>
"""
