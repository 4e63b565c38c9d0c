"""A family's report for its doctor: one page that sums up, charts, tables, an appendix; PDF/UA, A4.

content   what it says, of the family's records, in one language
charts    where lines, points and bands of a chart are
routes    `GET /api/v1/report`

`shared.export.pdf` sets it from `report.typ`: texts are inputs of that, never its markup.
"""
