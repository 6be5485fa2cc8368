"""The Realtime protocol: its vocabulary, its codec and its two machines, sans-I/O."""
