"""The contract `ai_analysis`: what an analysis may say, how it is read, finished and shown.

A model writes a *draft*. `draft_reading` reads it in the answer, `draft` merges those of several photos,
`document` adds what only we know and gives the complete document, `which_reading_is_shown` joins the
readings of a case. `schema` is published, and every document is checked against it.

Promises, whatever the model wrote:
- a finished document satisfies `SCHEMA`, or `ContractBroken` is raised;
- an answer that says emergency is an emergency, also where the rest of it cannot be read
  (`urgency_heard`);
- `triage_final` is the worst of device, rules and AI, and `urgency` is never milder than
  `triage_final` asks for: an analysis escalates, it never lowers;
- what a CHW sees before a doctor signed (`who_sees_analysis.py`) comes from closed vocabularies: no drug,
  dose, procedure, percentage or condition can be in it;
- nothing in it diagnoses: a doctor's review is always required.
"""
