"""BuildTrace."""
