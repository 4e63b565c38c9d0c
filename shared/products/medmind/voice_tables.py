"""Tables of what patients say to their device: what was heard and answered, symptoms, questions.

The server writes them, phones of the circle pull them. They hang on the patient, so that they go when the
patient's data is erased.
"""

from __future__ import annotations

from shared.records.collection import Collection, Field, Owner, Type

CONVERSATIONS = "conversations"
INTERACTIONS = "interaction_logs"
SYMPTOMS = "symptom_logs"
QUESTIONS = "medication_question_logs"

#: The kind of job that hears an utterance, one an utterance.
VOICE = "voice"

#: What became of an utterance.
HEARD, ANSWERED, NOT_UNDERSTOOD = "heard", "answered", "not_understood"
STATES = (HEARD, ANSWERED, NOT_UNDERSTOOD)

#: What somebody wants who speaks.
TAKEN, SKIPPED, SYMPTOM, QUESTION = "dose_taken", "dose_skipped", "symptom", "medication_question"
NEXT, HELP, YES, NO, DANGER, OTHER = "what_is_next", "help", "yes", "no", "danger", "other"
INTENTS = (TAKEN, SKIPPED, SYMPTOM, QUESTION, NEXT, HELP, YES, NO, DANGER, OTHER)

#: Longest text that is kept of one utterance, characters.
MOST_TEXT = 4000


def _own(name: str, kind: Type, doc: str, choices: tuple[str, ...] = ()) -> Field:
    return Field(name, kind, doc, Owner.SERVER, choices=choices, max_length=MOST_TEXT)


def _of(name: str, table: str, doc: str) -> Field:
    return Field(name, Type.STRING, doc, Owner.SERVER, references=table)


TABLES: tuple[Collection, ...] = (
    Collection(
        CONVERSATIONS,
        "What a device and a patient said to each other on one day (UTC).",
        (
            _of("patient_id", "patients", "The patient: the circle's id."),
            _own("device_id", Type.STRING, "The device: its user id."),
            _own("last_at", Type.TIME, "When something was said last."),
        ),
        pushable=False,
    ),
    Collection(
        INTERACTIONS,
        "One utterance, and what was answered.",
        (
            _of("conversation_id", CONVERSATIONS, "The conversation."),
            _own("device_id", Type.STRING, "The device: its user id."),
            _own("at", Type.TIME, "When it was said."),
            _own("state", Type.STRING, "What became of it.", STATES),
            _own("language", Type.STRING, "In which it was said, as `en`."),
            _own("heard", Type.STRING, "What was understood; null: nothing, or it was forgotten."),
            _own("intent", Type.STRING, "What was wanted.", INTENTS),
            _own(
                "danger", Type.STRINGS, "Dangers that were named (`danger_words.py`); null: none."
            ),
            _own("said", Type.STRING, "What the device says."),
            _own(
                "dose_id",
                Type.STRING,
                "The dose that the device asks about; null: it asks nothing.",
            ),
            _own("confirms", Type.STRING, "What a yes would mean of it.", ("taken", "skipped")),
            _own("confirmed", Type.BOOLEAN, "A yes was said to what an earlier answer asked."),
            _own("by", Type.STRING, "Who understood it.", ("words", "model")),
        ),
        pushable=False,
    ),
    Collection(
        SYMPTOMS,
        "What a patient said of how they are, in their own words.",
        (
            _of("interaction_id", INTERACTIONS, "The utterance."),
            _own("at", Type.TIME, "When it was said."),
            _own("what", Type.STRING, "What it is, in the patient's words."),
            _own("severity", Type.STRING, "How bad, in the patient's words; null: not said."),
            _own("since", Type.STRING, "Since when, in the patient's words; null: not said."),
            _own("quote", Type.STRING, "What was said of it, to the letter."),
            _own("said_before", Type.JSON, "Earlier ones that are alike: `id`, `at`; null: none."),
        ),
        pushable=False,
    ),
    Collection(
        QUESTIONS,
        "What a patient asked about medicines.",
        (
            _of("interaction_id", INTERACTIONS, "The utterance."),
            _own("at", Type.TIME, "When it was asked."),
            _own("question", Type.STRING, "What was asked, to the letter."),
            _own("answered_from", Type.STRING, "Where the answer came from.", ("plan", "carer")),
            _own("said", Type.STRING, "What the device said."),
        ),
        pushable=False,
    ),
)
