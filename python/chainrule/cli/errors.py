"""What goes wrong with a user's input, as one line in the words of the command line."""

from __future__ import annotations

# What the library tells Python programmers to write.
_IN_OPTIONS = (
    ("retrain=False gives", "--no-retrain gives"),
    ("set decimal=','", "write --decimal ,"),
    ("set header=false", "write --no-header"),
    (
        "add the word to `missing`, or name the column in `text`",
        "name the word with --na, or the column with --text",
    ),
    ('use task="classification"', "write --task classification"),
    ('use missing="fill" or missing="drop"', "write --missing fill or --missing drop"),
)


class UserError(Exception):
    """Input that cannot be used: shown as one line."""


def in_options(message: str) -> str:
    """The message on one line, with options in place of Python's arguments."""
    for words, option in _IN_OPTIONS:
        message = message.replace(words, option)
    return " ".join(message.split())
