"""HemoDay: what it declares, on the engine."""
