"""What changed between two revisions as a PDF, to be printed and handed round."""
