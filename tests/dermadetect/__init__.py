"""What DermaDetect adds to the engine, and stories through the deployed functions, which serve it.

Its analysis and its review have folders of their own: `tests/ai`, `tests/review`.
"""
