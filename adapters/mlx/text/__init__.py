"""From words and pictures to tokens, and back to an answer: chat templates, images, JSON schemas, marks in the text."""
