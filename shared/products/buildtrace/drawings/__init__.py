"""What happens to drawings: read, matched, compared, drawn over each other.

Pure functions over bytes, arrays and frozen values: nothing here knows a store, a job or a
request. What opens
a file that somebody sent (`document`, `child`) does so in a process of its own, with bounds.

Coordinates of all modules: points (1/72 inch) of the sheet as it is shown, from its top left corner, y
down; a `Rect` is (left, top, right, bottom). Pixels are named as such.
"""
