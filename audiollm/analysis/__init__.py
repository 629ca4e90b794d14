"""What the text of an answer says: cues against reference ranges, claims, composition."""
