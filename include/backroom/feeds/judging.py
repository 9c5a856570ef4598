"""Staged rows judged in SQL: each bad row gets the first rule that it breaks, and the rest goes on, typed.

Rules are those of the layout, then the expectations that set rows aside (quality/set_aside.py). A few patterns tell the
rows that break none; only the others are asked rule by rule.
"""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Connection, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from backroom.feeds.layout import columns
from backroom.feeds.staged_columns import AMOUNTS, INSTANTS, OURS, SHORT_TEXTS, sql_type
from backroom.quality.set_aside import SetAside, set_aside

_INSTANT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$"
_AMOUNT = r"^\d{1,10}(\.\d{1,4})?$"
_QUANTITY = r"^\d{1,10}(\.\d{1,8})?$"  # as many places as a cart may have


def judge(connection: Connection, *, file_id: int, store_id: str, currency: str, keep: bool) -> int:
    """Quarantine the bad rows unless `keep` is false; the others are in staged_line. Returns how many were bad."""
    if not connection.execute(_AS_TEXT).scalar_one():
        return 0
    bad = connection.execute(_judgement(), {"store": store_id, "currency": currency}).rowcount
    connection.execute(_TYPED)
    if bad and keep:
        connection.execute(
            _QUARANTINE,
            {
                "file": file_id,
                "names": [_theirs(name) for name, _, _ in _RULES] + [_theirs(one.column) for one in _expected()],
                "reasons": [reason for _, _, reason in _RULES] + [one.reason for one in _expected()],
            },
        )
    return bad


def _theirs(ours: str) -> str:
    return next(theirs for theirs, name in columns().items() if name == ours)


def any_unexpected(connection: Connection) -> bool:
    """Whether a row in staged_line, which breaks no rule of the layout, fails an expectation that sets aside."""
    return bool(connection.execute(_unexpected()).scalar_one())


def _rules() -> list[tuple[str, str, str]]:
    """(our column, SQL that is true for a bad row, reason). The first that holds is the row's reason."""
    rules = [("order_id", "torn is not null", "the row is torn")]
    for name in ("order_id", "shopping_trip_id", "store_id", "item_sku"):
        rules += [
            (name, f"r.{name} = ''", "is empty"),
            (name, f"length(r.{name}) > 255", "is longer than 255 characters"),
        ]
    rules += [
        ("shopping_trip_id", "r.shopping_trip_id !~ '^[0-9A-Za-z_-]+$'", "may hold letters, digits, - and _ only"),
        ("store_id", "not exists (select from store s where s.store_id = r.store_id)", "is not a store of ours"),
        ("store_id", "r.store_id <> :store", "is another store than the file's"),
        ("status", "r.status not in ('OPEN','SETTLED','CANCELLED','REFUNDED')", "is not a known status"),
        ("entry_method", "r.entry_method not in ('APP','CREDIT_CARD')", "is not a known entry method"),
        ("line_number", r"r.line_number !~ '^[1-9]\d{0,8}$'", "is not a line number"),
        ("currency", "r.currency <> :currency", "is not the store's currency"),
        ("card_last_four", r"r.card_last_four !~ '^(\d{4})?$'", "is not four digits"),
    ]
    for name in INSTANTS:
        invalid = f"r.{name} !~ '{_INSTANT}' or not pg_input_is_valid(r.{name}, 'timestamptz')"
        rules.append((name, invalid.replace(":", "\\:"), "is not an instant with its time zone"))
    numbers = [(name, _AMOUNT, "four") for name in AMOUNTS] + [("quantity", _QUANTITY, "eight")]
    for name, pattern, places in numbers:
        rules += [
            (name, f"r.{name} like '-%' and pg_input_is_valid(r.{name}, 'numeric')", "is negative"),
            (name, f"r.{name} !~ '{pattern}'", f"is not a number of at most {places} decimal places"),
        ]
    rules += [(name, f"length(r.{name}) > 255", "is longer than 255 characters") for name in SHORT_TEXTS]
    return rules


_RULES = _rules()
# a CASE tries its branches in order, so that a later rule may rely on the earlier ones
_CASES = " ".join(f"when {condition} then {number}" for number, (_, condition, _) in enumerate(_RULES, start=1))


def _sound() -> str:
    """SQL that is true only for rows that break no rule, and for nearly all of those; the rest is asked rule by rule.

    Few patterns, without counted repeats, which PostgreSQL is slow at.
    """
    digit = "[0-9]"
    amount = rf"{digit}+(\.{digit}{digit}?{digit}?{digit}?)?"
    numbers = (*AMOUNTS, "quantity")
    filled = [f"length(r.{name}) between 1 and 255" for name in ("order_id", "shopping_trip_id", "item_sku")]
    short = [f"length(r.{name}) <= 255" for name in SHORT_TEXTS] + [
        f"length(r.{name}) <= {10 if name in numbers else 9}" for name in (*numbers, "line_number")
    ]
    instants = [
        f"r.{name} like '____-__-__T__\\:__\\:__Z' and pg_input_is_valid(r.{name}, 'timestamptz')" for name in INSTANTS
    ]
    return " and ".join(
        [
            "r.torn is null and r.store_id = :store and r.currency = :currency",
            "r.status in ('OPEN','SETTLED','CANCELLED','REFUNDED') and r.entry_method in ('APP','CREDIT_CARD')",
            *filled,
            *short,
            _joined("shopping_trip_id", "line_number", "card_last_four")
            + rf" ~ '^[0-9A-Za-z_-]+\|[1-9]{digit}*\|({digit * 4})?$'",
            _joined(*numbers) + rf" ~ '^{amount}(\|{amount})*$'",
            _joined(*INSTANTS) + r" ~ '^[0-9TZ\:|-]+$'",
            *instants,
        ]
    )


def _joined(*names: str) -> str:
    return "(" + " || '|' || ".join(f"r.{name}" for name in names) + ")"


@lru_cache(maxsize=1)
def _expected() -> tuple[SetAside, ...]:
    """What is set aside beyond the layout's rules: the expectations that say so."""
    amounts = dict.fromkeys(AMOUNTS, "numeric")
    return set_aside({name: sql_type(name) for name in OURS} | amounts)


def _judgement() -> TextClause:
    expected = _expected()
    cases = " ".join(f"when {one.failing} then {number}" for number, one in enumerate(expected, len(_RULES) + 1))
    failing = " or ".join(one.failing for one in expected) or "false"
    return text(
        "insert into staged_bad select line, rule from"  # noqa: S608 - from the rules above and the release's suites
        f" (select line, case {_CASES} {cases} end as rule from staged_order r"
        f" where (case when {_sound()} then not ({failing}) else false end) is not true) judged where rule is not null"
    )


def _unexpected() -> TextClause:
    failing = " or ".join(one.failing for one in _expected()) or "false"
    return text(f"select exists (select from staged_line r where {failing})")  # noqa: S608 - the release's suites


_QUARANTINE = text(
    f"""
    insert into feed_quarantine (file_id, line, column_name, reason, raw)
    select :file, line, (:names)[rule], coalesce(torn, (:reasons)[rule]),
        jsonb_strip_nulls(jsonb_build_object({", ".join(f"'{theirs}', {ours}" for theirs, ours in columns().items())}))
        || case when length(card_last_four) > 4 then jsonb_build_object('cardLastFourDigits', '(masked)')
            else '{{}}' end
    from staged_order join staged_bad using (line)
    on conflict (file_id, line) do update set column_name = excluded.column_name, reason = excluded.reason,
        raw = excluded.raw, state = case feed_quarantine.state when 'DISMISSED' then 'DISMISSED' else 'WAITING' end
    """.replace("'{{}}'", "'{}'\\:\\:jsonb")  # noqa: S608 - names from our own layout file
).bindparams(bindparam("names", type_=ARRAY(Text)), bindparam("reasons", type_=ARRAY(Text)))
_TYPED = text(
    f"insert into staged_line select {', '.join(f'cast({name} as {sql_type(name)})' for name in OURS)}"  # noqa: S608
    " from staged_order where line not in (select line from staged_bad) order by line"
)
_AS_TEXT = text("select exists (select from staged_order)")
