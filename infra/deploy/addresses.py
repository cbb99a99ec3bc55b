"""Refuses invalid addresses and example addresses, on standard input, separated by commas.

  addresses.py --mail    mail addresses
  addresses.py --url     webhook URLs; messages never show one, because it may contain a secret

The output completes a sentence that starts with the name of the setting: "has … in it, which …".
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import signs  # noqa: E402

# Azure's limit.
MOST_ADDRESSES = 100
MOST_CHARACTERS = 64
# Example addresses of this project and of others, which have no recipient.
EXAMPLES = re.compile(
    r"@example\.(com|org|net)$|@.*\.example$|^your[-._]|@your-?domain\.|@domain\.tld$", re.IGNORECASE
)
# Letters of every language, plus the other characters that addresses may contain.
ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]+@[\w-]+(\.[\w-]+)+")


def refuse(sentence):
    sys.exit(sentence)


def check_mail(address):
    if not address:
        refuse("has an empty address in it.")
    sign = signs.hidden(address)
    if sign:
        refuse(f"has {address!r} in it with a character that cannot be seen, {sign}. Type the address by hand.")
    sign = signs.quotes(address)
    if sign:
        refuse(f"has {address} in it with a typographic quote, {sign}. Use none, or \" or '.")
    if not ADDRESS.fullmatch(address) or ".." in address or address.startswith("."):
        refuse(f'has "{address}" in it, which is no mail address.')
    if len(address) > MOST_CHARACTERS:
        refuse(f'has "{address}" in it, which is longer than the {MOST_CHARACTERS} characters that Azure takes.')
    if EXAMPLES.search(address):
        refuse(f'is still the example "{address}". Put in the address that shall be mailed.')


def check_url(url):
    if not re.fullmatch(r"https://[!-~]+", url, re.IGNORECASE):
        refuse("must be one or more https:// addresses, separated by commas, without other characters in them.")


def main():
    check, what = {"--mail": (check_mail, "address"), "--url": (check_url, "URL")}[sys.argv[1]]
    text = sys.stdin.read()
    if sys.argv[1] == "--url" and not text.strip():
        return
    addresses = [address.strip(" \t") for address in text.split(",")]
    for address in addresses:
        check(address)
    if len({address.lower() for address in addresses}) < len(addresses):
        refuse(f"must hold each {what} once.")
    if len(addresses) > MOST_ADDRESSES:
        refuse(f"holds {len(addresses)} entries; at most {MOST_ADDRESSES} are possible.")


main()
