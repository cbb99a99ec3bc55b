"""Invisible characters and typographic quotes, which texts from a chat or a word processor contain."""

import unicodedata


def invisible(text):
    """Returns a description of the first invisible character, or nothing. A plain space is allowed."""
    for character in text:
        kind = unicodedata.category(character)
        if kind in ("Cc", "Cf", "Cs", "Zl", "Zp") or (kind == "Zs" and character != " "):
            return described(character)
    return None


def typographic_quote(text):
    """Returns the typographic quote around a text, or nothing. Inside a text it may be an apostrophe."""
    for character in (text[:1], text[-1:]):
        if character and character != "'" and unicodedata.category(character) in ("Pi", "Pf"):
            return described(character)
        if character in ("\u201a", "\u201e"):
            return described(character)
    return None


def described(character):
    name = unicodedata.name(character, "a control character")
    shown = f"{character} " if character.isprintable() and not character.isspace() else ""
    return f"{shown}(U+{ord(character):04X}, {name.lower()})"
