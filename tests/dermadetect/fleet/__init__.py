"""A fleet of simulated phones behind a bad network, and an auditor who looks at what came of it.

    python -m tests.dermadetect.fleet --seed 7 --phones 3 --ops 60 --seeds 40

`ledger` keeps what every user wrote and what the server said to it, `phones` are the two dialects'
clients, `proxy` is the bad network, `server` the back end that may be killed, `campaign` plays one
seed, `checks` compares. Nothing here asks the server's sync code what is right.
"""
