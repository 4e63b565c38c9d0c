"""What is told of a patient's days: a text, a report for the doctor.

sentences  each fact as a fixed sentence, in the languages of `locales`
told       the text that a language model made of the facts, if it says these and nothing else
"""
