"""From text to values, by what they are about.

Each reader takes the text of a setting and returns its value, or raises ValueError with what the
setting may be.
"""
