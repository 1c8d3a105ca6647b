"""What the documents say is true: their commands run, their examples answer, their links lead somewhere."""
