"""Answers as they are written: one continuous batch for each loaded model that writes."""
