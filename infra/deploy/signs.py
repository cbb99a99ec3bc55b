"""Characters that a reader does not see or takes for others: what copying from a chat or a word processor leaves."""

import unicodedata


def hidden(text):
    """The first character that cannot be seen, as a message names it, or nothing. A plain space is one that is."""
    for character in text:
        kind = unicodedata.category(character)
        if kind in ("Cc", "Cf", "Cs", "Zl", "Zp") or (kind == "Zs" and character != " "):
            return named(character)
    return None


def quotes(text):
    """The typographic quote around a text, or nothing. Within one it may be an apostrophe."""
    for character in (text[:1], text[-1:]):
        if character and character != "'" and unicodedata.category(character) in ("Pi", "Pf"):
            return named(character)
        if character in ("\u201a", "\u201e"):
            return named(character)
    return None


def named(character):
    name = unicodedata.name(character, "a control character")
    shown = f"{character} " if character.isprintable() and not character.isspace() else ""
    return f"{shown}(U+{ord(character):04X}, {name.lower()})"
