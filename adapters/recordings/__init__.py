"""Recordings: raw conversations to learn from, one JSON object a line, private, without secrets."""
