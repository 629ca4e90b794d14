"""What is the owner's alone: who may do what, the login, and the door before a page."""
