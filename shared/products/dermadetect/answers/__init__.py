"""Reads an answer in every form in which a phone in the field writes it.

Yes and no in the languages of `forms.py`; numbers with a decimal comma, in the digits of any script,
with or without a unit; °F, "9/10", ranges; "more than a month", "wiki 3", dates; lists and objects,
of which the worst counts. What is not understood is said to be so: it never reads as "no".

No library of PyPI does this (docs/decisions/0011-answers.md says which were tried). Nothing here
raises, whatever it is given, and no text is read beyond `MOST_CHARS`.
"""
