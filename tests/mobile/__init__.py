"""The mobile kit: what is generated, its own tests, and phones with it against a running back end."""
