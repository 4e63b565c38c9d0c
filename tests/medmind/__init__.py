"""MedMind: plans, doses, a care circle."""
