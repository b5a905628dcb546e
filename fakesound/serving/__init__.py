"""Serve detection on this machine: a web page and a JSON endpoint."""
