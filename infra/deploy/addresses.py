"""Refuses invalid addresses and example addresses, on standard input, separated by commas.

  addresses.py --mail    mail addresses
  addresses.py --url     webhook URLs; messages never show one, because it may contain a secret

The message continues a sentence that begins with the name of the setting: "contains …, which …".
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import characters  # noqa: E402

# Azure's limit.
MAX_ADDRESSES = 100
MAX_CHARACTERS = 64
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
        refuse("contains an empty address.")
    found = characters.invisible(address)
    if found:
        refuse(f"contains {address!r} with an invisible character, {found}. Type the address by hand.")
    found = characters.typographic_quote(address)
    if found:
        refuse(f"contains {address} with a typographic quote, {found}. Use none, or \" or '.")
    if not ADDRESS.fullmatch(address) or ".." in address or address.startswith("."):
        refuse(f'contains "{address}", which is not a mail address.')
    if len(address) > MAX_CHARACTERS:
        refuse(f'contains "{address}", which is longer than the {MAX_CHARACTERS} characters that Azure accepts.')
    if EXAMPLES.search(address):
        refuse(f'is still the example "{address}". Replace it with your address.')


def check_url(url):
    if not re.fullmatch(r"https://[!-~]+", url, re.IGNORECASE):
        refuse("must contain URLs that begin with https://, of ASCII characters without spaces, separated by commas.")


def main():
    check, what = {"--mail": (check_mail, "address"), "--url": (check_url, "URL")}[sys.argv[1]]
    text = sys.stdin.read()
    if sys.argv[1] == "--url" and not text.strip():
        return
    addresses = [address.strip(" \t") for address in text.split(",")]
    for address in addresses:
        check(address)
    if len({address.lower() for address in addresses}) < len(addresses):
        refuse(f"must contain each {what} only once.")
    if len(addresses) > MAX_ADDRESSES:
        refuse(f"contains {len(addresses)} entries; at most {MAX_ADDRESSES} are allowed.")


main()
