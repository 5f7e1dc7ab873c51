"""What a reader sees of a page."""

import re
from html import unescape


def prose(html: str) -> str:
    """Return the text of a page, tags and scripts left out, in one line with ordinary spaces."""
    body = re.sub(r"<(script|style).*?</\1>", " ", html, flags=re.DOTALL)
    text = unescape(re.sub(r"<[^>]+>", " ", body))
    return " ".join(text.split())
