"""The product that the engine's own suites run on: notebooks and the notes in them.

It declares what a product can declare, once each: a parent and a child that phones write, a table of the
server, every type of field, every way in which two edits meet, pictures, a job that asks the model.
What a suite finds about the engine here holds for every product.
"""
