"""Names that people give to columns that name rows: CustomerID, order_no, Kundennummer. Its cells decide whether such a column does."""

import re

# The last word of such a name, or all of it.
LAST = frozenset(
    [
        "id",
        "ids",
        "uuid",
        "guid",
        "index",
        "idx",
        "no",
        "nr",
        "num",
        "number",
        "nummer",
        "numero",
        "número",
        "key",
        "pk",
        "rowid",
        "objectid",
        "serial",
        "barcode",
        "sku",
        "isbn",
        "ean",
        "imei",
        "ssn",
    ]
)
FIRST = frozenset(["id", "uuid", "guid", "unnamed"])  # id_cliente, IdProducto, Unnamed: 0
# What stands before "id" or "no" where both are one word in small letters: "paid" and "grid" are no such names.
THINGS = [
    "account",
    "acct",
    "article",
    "artikel",
    "auftrag",
    "booking",
    "car",
    "case",
    "claim",
    "client",
    "cliente",
    "contract",
    "cust",
    "customer",
    "device",
    "doc",
    "document",
    "emp",
    "employee",
    "entry",
    "event",
    "flight",
    "guest",
    "house",
    "image",
    "invoice",
    "item",
    "kunden",
    "listing",
    "loan",
    "member",
    "movie",
    "object",
    "obs",
    "order",
    "passenger",
    "patient",
    "person",
    "player",
    "policy",
    "post",
    "product",
    "property",
    "record",
    "row",
    "sample",
    "session",
    "sku",
    "store",
    "student",
    "subject",
    "ticket",
    "track",
    "trans",
    "transaction",
    "trip",
    "tweet",
    "txn",
    "user",
    "vehicle",
    "visit",
]
ONE_WORD = re.compile(rf"(?:{'|'.join(THINGS)})s?(?:id|no|nr|num|number|nummer|key)|\w+nummer")
JOINTS = re.compile(r"(?<=[^\W_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")


def names_rows(name: str) -> bool:
    """Whether a column's name says that its cells name rows."""
    words = [word.lower() for word in JOINTS.split(name.split(":", maxsplit=1)[0]) if word]
    if not words:
        return name.strip() == "#"
    return words[0] in FIRST or words[-1] in LAST or bool(ONE_WORD.fullmatch(words[-1]))
