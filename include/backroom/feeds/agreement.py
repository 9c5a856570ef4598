"""Where a store sends both files and events: the trips of which they tell differently."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection, Row, text


def disagreements(connection: Connection, *, store_id: str, business_date: date, zone: str) -> list[Row]:
    """Each trip of the day that only one feed has, or whose total or captured amount differ; with both views.

    Amounts are in the order's currency; null: that feed says nothing of it. `zone` is the store's.
    """
    rows = connection.execute(_DIFFERENT, {"store": store_id, "day": business_date, "zone": zone})
    return list(rows.all())


# A cart's items have prices before tax, and their tax. The latest word on a capture counts.
_DIFFERENT = text(
    """
    with files as (
        select shopping_trip_id, sum(order_total) as total, sum(captured) as captured, bool_or(incomplete) as incomplete
        from amazon_order where store_id = :store and business_date = :day group by 1
    ), carts as (
        select distinct on (shopping_trip_id) shopping_trip_id, (
            select sum(cast(i ->> 'priceValue' as numeric) + cast(i ->> 'taxValue' as numeric))
            from jsonb_array_elements(case jsonb_typeof(envelope #> '{detail,items}') when 'array'
                then envelope #> '{detail,items}' else '[]' end) as i
            where pg_input_is_valid(i ->> 'priceValue', 'numeric') and pg_input_is_valid(i ->> 'taxValue', 'numeric')
        ) as total
        from feed_event
        where store_id = :store and detail_type = 'CART' and shopping_trip_id is not null
            and cast(happened_at at time zone :zone as date) between cast(:day as date) and cast(:day as date) + 1
        order by shopping_trip_id, happened_at desc
    ), captures as (
        select distinct on (shopping_trip_id) shopping_trip_id,
            case when pg_input_is_valid(envelope #>> '{detail,amount,amount}', 'numeric')
                then cast(envelope #>> '{detail,amount,amount}' as numeric) end as captured
        from feed_event
        where store_id = :store and subtype = 'CaptureApproved' and shopping_trip_id is not null
            and cast(happened_at at time zone :zone as date) between cast(:day as date) and cast(:day as date) + 3
        order by shopping_trip_id, happened_at desc
    )
    select shopping_trip_id, f.total as file_total, c.total as event_total, f.captured as file_captured,
        p.captured as event_captured,
        case when c.shopping_trip_id is null then 'NO_CART_EVENT' when f.total <> c.total then 'TOTAL'
            else 'CAPTURED' end as difference
    from files f left join carts c using (shopping_trip_id) left join captures p using (shopping_trip_id)
    where not f.incomplete
        and (c.shopping_trip_id is null or f.total <> c.total or f.captured <> coalesce(p.captured, 0))
    union all
    select c.shopping_trip_id, cast(null as numeric), c.total, cast(null as numeric), p.captured, 'NOT_IN_FILES'
    from carts c join feed_event e on e.shopping_trip_id = c.shopping_trip_id and e.detail_type = 'CART'
        and cast(e.happened_at at time zone :zone as date) = :day
    left join captures p on p.shopping_trip_id = c.shopping_trip_id
    where c.total > 0 and not exists (
        select from amazon_order o where o.store_id = :store and o.shopping_trip_id = c.shopping_trip_id)
    group by 1, 2, 3, 4, 5
    order by 1
    """
)
