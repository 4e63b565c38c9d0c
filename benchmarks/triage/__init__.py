"""How good is the triage? A labelled folder of cases goes through the real path and is counted.

    python -m benchmarks.triage --cases FOLDER

A folder holds one JSON file a case, named by a pseudonym, with its photos beside it:

    {
      "origin": "consented",
      "seen_on": "2026-03-01",
      "patient": {"demographics": {"age": 34, "sex": "female"}},
      "case": {"risk_level": "yellow", "triage_data": {"site": "foot", "bleeding": true}},
      "photos": ["k017-a.jpg"],
      "labels": {
        "triage": "red",
        "diagnosis": {"names": ["Melanoma", "Malignant melanoma"], "icd": ["C43"]},
        "skin_type": "V-VI"
      }
    }

`patient` and `case` are columns as a phone pushes them, checked by the same declarations. `origin` is
`synthetic` (made up: proves this harness, never a model) or `consented` (real, de-identified, with
consent for this use); a folder holds one kind. `seen_on` is needed only with a birth date. `photos`
(JPEG, PNG, WebP, upright) and `diagnosis` may be absent. `skin_type` is Fitzpatrick's: I-II, III-IV,
V-VI or unknown.

Promises:
- every file is read and checked before the first question; a bad one stops the run, exit code 2, with
  file and field and nothing of their content;
- a case goes the way that it goes in service: rules, redaction, prompt, repair, contract, worst of
  phone, rules and model; the adapter is the one that the settings choose;
- a case without an answer stays in every number: for the model it counts as wrong, for the final
  triage what phone and rules say counts;
- no number stands without its count and interval; small groups are marked, never hidden.

What differs from service: the model is asked about every case, while the server asks about those that
phone or rules call red; the day's cap is not kept; a busy model is asked once a run.
"""
