"""Rights of owner and visitors: the identity behind a request, sessions, and the login."""
