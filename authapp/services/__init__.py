"""The use cases: sequences of steps over the domain's rules and ports, one file a subject."""
