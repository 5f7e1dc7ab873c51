"""Names that people give to columns that name rows: CustomerID, order_no, Kundennummer. Its cells decide whether such a column does."""

import re

# The last word of such a name, or all of it.
LAST = re.compile(
    r"ids?|uuid|guid|index|idx|no|nr|num|number|nummer|n[uú]mero|key|pk|rowid|objectid|serial|barcode|sku|isbn|ean|imei|ssn"
)
FIRST = ("id", "uuid", "guid", "unnamed")  # id_cliente, IdProducto, Unnamed: 0
# Such a name in one word of small letters: what is named, then what its name is called. "paid" and "grid" are none.
ONE_WORD = re.compile(
    r"(?:account|acct|article|artikel|auftrag|booking|car|case|claim|client|cliente|contract|cust|customer|device|doc|document|emp"
    r"|employee|entry|event|flight|guest|house|image|invoice|item|kunden|listing|loan|member|movie|object|obs|order|passenger|patient"
    r"|person|player|policy|post|product|property|record|row|sample|session|sku|store|student|subject|ticket|track|trans|transaction"
    r"|trip|tweet|txn|user|vehicle|visit)s?(?:id|no|nr|num|number|nummer|key)|\w+nummer"
)
JOINTS = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")


def names_rows(name: str) -> bool:
    """Whether a column's name says that its cells name rows."""
    words = [word.lower() for word in JOINTS.split(name.split(":", maxsplit=1)[0]) if word]
    if not words:
        return name.strip() == "#"
    return words[0] in FIRST or any(known.fullmatch(words[-1]) for known in (LAST, ONE_WORD))
