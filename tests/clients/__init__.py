"""Clients that others wrote, against the real server over stdio and HTTP."""
