"""What charges have not heard yet: news of orders and events that no charge has been asked about, marked as such."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

CAPTURES = "to_hear and detail_type = 'PAYMENT' and subtype in ('CaptureApproved', 'CaptureDeclined')"
ORDER_IS_NEWS = """
    create function order_is_news() returns trigger language plpgsql as $$
    begin
        new.to_hear := true;
        return new;
    end $$
"""
NEWS_OF_ORDER = """
    create trigger order_is_news before update of status, captured, currency, updated_at, incomplete, shopping_trip_id
    on amazon_order for each row execute function order_is_news()
"""


def upgrade() -> None:
    for table in ("feed_event", "amazon_order"):
        op.add_column(
            table,
            sa.Column(
                "to_hear", sa.Boolean(), server_default="true", nullable=False, comment="its charge may not know it yet"
            ),
        )
    op.create_index("ix_feed_event_to_hear", "feed_event", ["shopping_trip_id"], postgresql_where=sa.text(CAPTURES))
    op.create_index(
        "ix_amazon_order_to_hear", "amazon_order", ["shopping_trip_id"], postgresql_where=sa.text("to_hear")
    )
    op.execute(ORDER_IS_NEWS)
    op.execute(NEWS_OF_ORDER)


def downgrade() -> None:
    op.execute("drop trigger order_is_news on amazon_order")
    op.execute("drop function order_is_news()")
    op.drop_index("ix_amazon_order_to_hear", table_name="amazon_order", postgresql_where=sa.text("to_hear"))
    op.drop_index("ix_feed_event_to_hear", table_name="feed_event", postgresql_where=sa.text(CAPTURES))
    for table in ("amazon_order", "feed_event"):
        op.drop_column(table, "to_hear")
