"""A local page to drop recordings on, and a JSON endpoint for other programs."""
