"""The public conformance suite of the Model Context Protocol, run against the server that is shipped."""
