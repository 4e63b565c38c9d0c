"""A family's report for its doctor: one page that sums up, charts, tables, an appendix; PDF/UA, A4.

content   what it says, of the family's records, in one language
charts    where lines, points and bands of a chart are
letters   which texts the fonts can set; what a text of a person may not do
pdf       the document, set by Typst from `report.typ`: texts are its inputs, never its markup
routes    `GET /api/v1/report`
"""
