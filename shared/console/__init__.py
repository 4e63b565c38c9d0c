"""The console: pages in a browser for those who work beside the phones. Products add pages, not frameworks.

A page is declared (`page.py`) and asks the API in this process (`client.py`): what it may show and do is
decided where it is decided for every other caller.
"""
