"""JSON schemas: where schemas stand within one another, what a draft means, what a grammar can hold, how a value is checked."""
