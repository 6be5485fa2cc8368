"""A laboratory bench for realtime speech in a notebook."""
