"""Everything that can be configured, from the environment (`BACKROOM_…`). Listed in docs/settings.md.

A secret comes from the environment only. A wrong value ends the program with one line that names it.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from backroom.errors import ConfigurationError

CHECKOUT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """One object for the whole back office; each app reads the part that it needs."""

    model_config = SettingsConfigDict(env_prefix="BACKROOM_", env_ignore_empty=True, extra="ignore", frozen=True)

    env: Literal["development", "production"] = Field(
        "development", description="production forbids the unauthenticated mode of the connector"
    )
    home: Path = Field(CHECKOUT / ".backroom", description="where local state lives: embedded database, reports, logs")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least severe log line written")

    # --- database
    database_url: SecretStr | None = Field(
        None,
        description="postgresql://… of this process's own role; unset: the embedded server that `make up` started",
    )
    db_pool_size: int = Field(8, ge=1, le=100, description="connections kept per process")
    db_port: int = Field(8432, ge=1, le=65535, description="port of the embedded PostgreSQL")

    # --- addresses (all on 127.0.0.1 when run by `make up`)
    connector_port: int = Field(8000, ge=1, le=65535, description="the connector that Amazon calls")
    portal_port: int = Field(8001, ge=1, le=65535, description="the portal that the shoppers' app calls")
    console_port: int = Field(8002, ge=1, le=65535, description="the console where staff work")
    sandbox_port: int = Field(8010, ge=1, le=65535, description="Amazon's side, played by the sandbox")
    aws_port: int = Field(8011, ge=1, le=65535, description="the AWS stand-in")
    airflow_port: int = Field(8080, ge=1, le=65535, description="Airflow's UI and REST API")

    # --- the connector
    connector_auth: Literal["gateway", "sigv4", "off"] = Field(
        "sigv4", description="who may call: gateway (API Gateway has checked IAM), sigv4 (checked here), off"
    )
    connector_gateway_secret: SecretStr | None = Field(
        None, description="the secret that API Gateway adds to each call (`gateway` mode)"
    )
    connector_identity_arns: list[str] = Field(
        default_factory=list, description="ARNs of Amazon's Identity Gateway roles (`gateway` mode), as a JSON list"
    )
    connector_ordering_arns: list[str] = Field(
        default_factory=list, description="ARNs of Amazon's Ordering Gateway roles (`gateway` mode), as a JSON list"
    )
    connector_authorization_arns: list[str] = Field(
        default_factory=list,
        description="ARNs of Amazon's roles for shopper authorization (`gateway` mode), as a JSON list",
    )
    connector_access_key_id: str = Field("AKIDBACKROOMSANDBOX", description="the caller's access key id (`sigv4` mode)")
    connector_secret_access_key: SecretStr | None = Field(
        None, description="the caller's secret key (`sigv4` mode); `make up` makes one"
    )
    connector_host: str = Field("127.0.0.1", description="address that the connector listens on")
    connector_workers: int = Field(2, ge=1, le=64, description="processes that serve the connector")
    connector_gate_calls: int = Field(12, ge=1, le=100, description="gate calls worked on at once per process")
    connector_purchases_calls: int = Field(12, ge=1, le=100, description="carts worked on at once per process")
    connector_connections: int = Field(
        4, ge=1, le=50, description="database connections per process, for the gate and for carts each"
    )
    connector_waiting: int = Field(
        100, ge=0, le=1000, description="calls of each kind that may wait for a place; more are turned away at once"
    )
    connector_gate_seconds: float = Field(
        1.6,
        gt=0,
        le=2,
        description="longest a gate call takes: a quarter to wait for a place, a quarter for its turn, half for the "
        "database; Amazon waits 2 s",
    )
    connector_purchases_seconds: float = Field(10.0, gt=0, le=30, description="longest a cart takes, in the same parts")
    refused_spool: str = Field(
        "", description="folder for refused carts while the database is away; unset: `refused-carts` in the home"
    )
    refused_spool_max_bytes: int = Field(
        200_000_000, ge=1_000, description="bytes that the folder of refused carts may hold; more is counted and logged"
    )
    refused_unauthenticated_carts: int = Field(
        200, ge=0, description="carts answered 403 that a process keeps of each hour and reason; more are counted"
    )
    refused_unauthenticated_bytes: int = Field(
        50_000_000, ge=1_000, description="bytes of carts answered 403 that may wait, of each reason"
    )
    metrics_token: SecretStr | None = Field(
        None, description="bearer token for GET /metrics; unset: readable in development only"
    )
    connector_clock_skew_seconds: int = Field(
        300, ge=1, le=3600, description="how far a signature's time may be from ours"
    )
    connector_max_body_bytes: int = Field(2_000_000, ge=1_000, description="larger bodies are answered 413")
    scan_code_prefix: str = Field(
        "IMAG", pattern="^[A-Z0-9]{4}$", description="the retailer's four characters in a scan key code"
    )
    scan_code_freshness_seconds: int = Field(60, ge=30, le=90, description="how old a scan key code may be at the gate")
    auth_event_locations: list[str] = Field(
        default_factory=lambda: ["ENTRY", "MANUAL_IN_STORE", "EXIT"],
        description="values of authEvent.location that are accepted, as a JSON list",
    )
    key_channels: list[str] = Field(
        default_factory=lambda: ["OPTICAL", "RADIO", "NFC", "CAMERA"],
        description="values of keyChannel that are accepted, as a JSON list",
    )

    # --- the portal
    portal_host: str = Field("127.0.0.1", description="address that the portal listens on")
    portal_workers: int = Field(1, ge=1, le=64, description="processes that serve the portal")
    portal_threads: int = Field(4, ge=1, le=100, description="calls at once per process; at most the pool's size")
    portal_max_body_bytes: int = Field(10_000, ge=1_000, description="larger bodies are answered 413")
    portal_app_public_key: str | None = Field(
        None,
        description="PEM of the public key by which the identity provider's tokens are checked; line ends may be "
        "written as `\\n`",
    )
    portal_app_issuer: str = Field("", description="`iss` of the identity provider's tokens")
    portal_app_audience: str = Field("", description="`aud` of the tokens that are meant for the portal")
    portal_app_leeway_seconds: int = Field(
        30, ge=0, le=300, description="how far the identity provider's clock may be from ours"
    )
    recognition_token_minutes: int = Field(
        10, ge=2, le=1440, description="life of the recognition token in an issued scan key code"
    )
    recognition_tokens_live: int = Field(
        40, ge=1, le=1000, description="live recognition tokens of one shopper; beyond them the app is answered 429"
    )

    # --- the portal's pages for shoppers, receipts, privacy
    privacy_keys: SecretStr | None = Field(
        None,
        description="Fernet keys that seal addresses and loyalty ids at rest, the newest first, separated by commas; "
        "the last one also makes the indexes by which they are found, so that it stays the last; `make up` makes one",
    )
    portal_public_url: str = Field(
        "http://127.0.0.1:8001", description="where shoppers reach the portal; links in e-mails begin so"
    )
    portal_trusted_proxies: int = Field(
        0, ge=0, le=5, description="proxies before the portal that set X-Forwarded-For; 0: the caller is the shopper"
    )
    portal_link_minutes: int = Field(15, ge=1, le=60, description="life of a sign-in link")
    portal_session_minutes: int = Field(20, ge=1, le=240, description="a session ends after so long without a call")
    portal_session_hours: int = Field(4, ge=1, le=24, description="a session ends so long after sign-in in any case")
    portal_payment_page: Literal["NONE", "SANDBOX", "STRIPE"] = Field(
        "NONE",
        description="whose hosted page takes payments of debts where the store itself charges through Amazon; NONE: "
        "they are paid in the store",
    )
    mail_sender: str = Field("", description="address that shoppers' e-mails come from, verified in SES")
    mail_bounce_queue: str = Field(
        "", description="SQS queue with SES's notices of bounces and complaints; empty: none is read"
    )
    receipt_data_hours: int = Field(
        6, ge=1, le=72, description="how long a receipt waits for the card's data before it goes without"
    )
    retention_sign_in_days: int = Field(30, ge=1, description="how long sign-ins and counted attempts are kept")
    retention_mail_days: int = Field(90, ge=1, description="how long it is kept where a receipt was sent to")
    retention_card_days: int = Field(
        400, ge=31, description="how long a trip's card data (brand, last four, EMV) is kept after it was fetched"
    )
    retention_contact_days: int = Field(
        400, ge=31, description="how long the address of a card is kept that has not been used since"
    )

    # --- the point of sale (stores that price by it)
    point_of_sale_secret: SecretStr | None = Field(
        None, description="sent as a bearer token to every store's point of sale; unset: none is sent"
    )
    point_of_sale_connect_seconds: float = Field(0.25, gt=0, le=5, description="time-out of a connection to it")
    point_of_sale_read_seconds: float = Field(
        1.0, gt=0, le=10, description="longest silence while it prices a cart; then the price book prices it"
    )
    point_of_sale_total_seconds: float = Field(
        1.5, gt=0, le=20, description="longest time for one cart, a repeat after a cut connection included"
    )
    point_of_sale_failures: int = Field(
        5, ge=1, le=100, description="failures in a row after which a store's point of sale is left alone for a while"
    )
    point_of_sale_reset_seconds: float = Field(
        30.0, gt=0, le=3600, description="how long it is left alone; then one cart tries it"
    )
    risk_fallback: Literal["recommendation", "deny", "unavailable"] = Field(
        "recommendation",
        description="answer to a shopper authorization while our risk data does not answer: Amazon's recommendation, a "
        "denial, or 503 (also where there is no recommendation); never remembered",
    )
    authorization_heeded_risks: list[str] = Field(
        default_factory=lambda: ["InvalidCard", "CustomerFraud"],
        description="risks for which a denial that Amazon recommends is followed at a RETAILER_MANAGED store, as a "
        "JSON list",
    )
    authorization_repeat_offender_debts: int = Field(
        2, ge=1, description="debts, paid or not, from which on a card is a repeat offender's"
    )
    authorization_repeat_offender_amount: Decimal | None = Field(
        None,
        gt=0,
        description="most that is authorized for a repeat offender's card, in the store's currency; unset: no limit",
    )

    # --- stock, as the point of sale is told of it
    stock_export: Literal["auto", "http", "file", "both", "off"] = Field(
        "auto",
        description="how each store's point of sale is told what moved: auto is over HTTP where the store has a "
        "`point_of_sale_url`, else as a file",
    )
    stock_export_files: str = Field(
        "", description="folder, or s3://bucket/prefix, for the files; unset: `stock-exports` in the home"
    )
    stock_export_seconds: float = Field(
        10.0, gt=0, le=60, description="longest silence of a point of sale that is told; then it is unknown"
    )
    stock_export_movements: int = Field(5_000, ge=1, le=100_000, description="movements in one export at most")

    # --- Amazon's APIs (outbound)
    amazon_payments_url: str = Field("http://127.0.0.1:8010", description="base URL of the payment service")
    amazon_catalog_url: str = Field("http://127.0.0.1:8010", description="base URL of the catalog API")
    amazon_region: str = Field("us-east-1", description="region that calls are signed for")
    amazon_real_money: bool = Field(
        False, description="true allows a payment host without `.test`: calls there move real money"
    )
    amazon_access_key_id: str | None = Field(None, description="key id for Amazon's APIs; unset: boto3's own chain")
    amazon_secret_access_key: SecretStr | None = Field(None, description="secret key for Amazon's APIs")
    amazon_session_token: SecretStr | None = Field(None, description="session token of temporary credentials")
    amazon_timeout_seconds: float = Field(10.0, gt=0, le=60, description="read time-out of a call; then it is unknown")
    catalog_requests_per_second: int = Field(
        10, ge=1, le=10, description="all catalog calls together, across all workers"
    )
    catalog_batch_items: int = Field(10_000, ge=1, le=10_000, description="items in one upload request")
    sandbox_auth: Literal["sigv4", "off"] = Field("sigv4", description="whether the sandbox checks signatures")

    # --- AWS
    aws_endpoint_url: str | None = Field(None, description="endpoint of the AWS stand-in; unset: AWS itself")
    aws_region: str = Field("us-east-1", description="region of our buckets and queues")
    feeds_bucket: str = Field("backroom-feeds", description="our bucket: byte-for-byte copies of Amazon's files")
    intraday_queue: str = Field("backroom-intraday", description="SQS queue that announces intra-day files")
    events_queue: str = Field("backroom-events", description="SQS queue that EventBridge fills")
    catalog_queue: str = Field(
        "backroom-catalog", description="SQS queue of Amazon's news of catalog uploads; empty: polling alone"
    )
    intraday_bell_queue: str = Field(
        "",
        description="URL of a second SQS queue of the same topic; each message starts a run; empty: by the clock alone",
    )
    events_bell_queue: str = Field(
        "",
        description="URL of a second SQS queue of the same rule; each message starts a run; empty: by the clock alone",
    )
    intraday_max_receives: int = Field(5, ge=1, le=1000, description="tries before a message is a dead letter")
    intraday_gap_alert_minutes: int = Field(
        60, ge=15, le=2880, description="how long after its end a window may be missing before an alert"
    )
    order_without_purchase_minutes: int = Field(
        30, ge=1, le=60, description="how long after a trip its purchase may be missing before an alert"
    )
    orders_prefix: str = Field(
        "orders", min_length=1, description="where in our bucket the orders lie as Parquet, by business date and store"
    )

    # --- Airflow
    schedules: Literal["on", "off"] = Field(
        "on", description="off: DAGs run only when they are asked to, with their business time in logical_date"
    )

    # --- business rules
    catalog_source: str = Field(
        "",
        description="folder or s3://bucket/prefix of the catalog's files, or `sql`; unset: `world/catalog` in the home",
    )
    catalog_mapping: str = Field(
        "", description="JSON file that says which column is what (docs/catalog.md); unset: the columns have our names"
    )
    catalog_database_url: SecretStr | None = Field(
        None, description="URL of the database that the source `sql` asks, of a role that may only read"
    )
    catalog_archive_percent: int = Field(
        5, ge=0, le=100, description="a source that lacks more of a store's products than that waits for a person"
    )
    catalog_change_percent: int = Field(
        25, ge=0, le=100, description="a source that changes more of a store's products than that waits for a person"
    )
    catalog_guard_items: int = Field(
        20, ge=0, description="so many products of a store may always be gone or changed, whatever their share"
    )
    catalog_deadline_minutes: int = Field(
        90, ge=1, description="how long Amazon may work on a batch before an alert says so"
    )
    catalog_unknown_minutes: float = Field(
        10, ge=0, description="how long news may tell what became of a call without an answer; then it goes again"
    )
    catalog_archive_retry_days: int = Field(
        7, ge=1, description="days until an archive that Amazon rejected is asked for again"
    )
    catalog_concurrency: int = Field(8, ge=1, le=32, description="catalog calls at once by one task")
    price_source: str = Field(
        "",
        description="folder or s3://bucket/prefix of prices.csv, promotions.csv, taxes.csv; unset: `world` in the home",
    )
    price_drop_percent: int = Field(
        20,
        ge=0,
        le=100,
        description="a source that would take the price from more of a store's products, or end more of its tax rates, "
        "waits for a person",
    )
    promotion_drop_percent: int = Field(
        50,
        ge=0,
        le=100,
        description="a file of promotions that no longer names more of a store's running ones waits for a person",
    )
    token_life_hours: int = Field(46, ge=1, description="life of a payment token from the trip's start")
    capture_evidence_hours: int = Field(
        3, ge=1, description="how long an initiated or unknown capture may lack evidence before a person is asked"
    )
    charge_max_attempts: int = Field(3, ge=1, le=9, description="card tries per trip before its decline is a debt")
    charge_retry_minutes: int = Field(30, ge=1, le=1440, description="between two card tries of one trip")
    charge_margin_hours: int = Field(
        6,
        ge=6,
        le=24,
        description="how long before the token's end an undecided authorization or an unanswered capture goes to a "
        "person",
    )
    bad_cart_margin_hours: int = Field(
        8,
        ge=1,
        description="how long before the token's end a cart that nobody has resolved is charged for its known lines",
    )
    bad_cart_warning_hours: int = Field(
        12, ge=0, description="how long before that moment an alert tells of the carts that still wait"
    )
    charge_concurrency: int = Field(64, ge=1, le=256, description="trips charged at once by one task")
    charge_trips_a_share: int = Field(500, ge=1, description="due trips of a store for each task that works on it")
    charge_shares_a_store: int = Field(4, ge=1, le=64, description="most tasks that work on one store side by side")
    charge_lease_seconds: int = Field(120, ge=2, description="lease on a trip; longer than every time-out inside it")
    day_complete_margin_minutes: int = Field(
        60, ge=0, description="windows after a business day's end that its files must cover"
    )
    day_release_cutoff_hours: int = Field(
        48, ge=2, description="hours after a business day's end when it is released though windows are missing"
    )
    catalog_poll_seconds: float = Field(5.0, gt=0, le=600, description="pause between two questions for a status")
    booking_due_minutes: int = Field(
        60, ge=1, description="how long the ledger or a debt may be behind its charge before that is a break"
    )

    # --- reconciliation and its reports
    payout_due_days: int = Field(
        5, ge=1, le=60, description="how long after its capture a processor's payout is due, in days"
    )
    reconciliation_work_mem_mb: int = Field(
        256, ge=4, le=8192, description="memory of each sort and hash join while a day is reconciled, in MB"
    )
    report_workbook_rows: int = Field(
        50_000,
        ge=1,
        le=1_000_000,
        description="rows of trips, or of lines, up to which the workbook holds each one; beyond, it holds those that "
        "do not match and the sum of the rest, and CSV and Parquet hold all",
    )
    reports_bucket: str = Field("", description="S3 bucket that reports are copied to; empty: they stay in the folder")
    reports_sender: str = Field("", description="address that e-mails of new reports come from, verified in SES")
    reports_recipients: str = Field("", description="addresses that are told of new reports, separated by commas")

    # --- reviews
    review_poll_seconds: float = Field(
        10.0,
        gt=0,
        le=600,
        description="how often Airflow's waiting tasks look whether their case was decided elsewhere",
    )

    # --- the console
    console_host: str = Field("127.0.0.1", description="address that the console listens on")
    console_workers: int = Field(1, ge=1, le=16, description="processes that serve the console")
    console_threads: int = Field(4, ge=1, le=100, description="calls at once per process; at most the pool's size")
    console_idle_minutes: int = Field(30, ge=1, le=480, description="a session without a click ends after so long")
    console_session_hours: int = Field(10, ge=1, le=24, description="a session ends after so long, whatever is done")
    console_max_body_bytes: int = Field(50_000, ge=1_000, description="larger forms are answered 413")
    console_behind_proxy: bool = Field(
        False, description="true: one proxy stands before it, and the last X-Forwarded-For is the caller's address"
    )
    console_airflow_url: str = Field(
        "", description="address of Airflow's web page, for links; unset: no links to runs are shown"
    )
    console_url: str = Field("", description="address of the console, for links from Airflow's page; unset: none")

    # --- debts
    amazon_payment_status_url: str | None = Field(
        None, description="base URL of Report Payment Status; unset: that of the payment service"
    )
    payment_status_rejections: int = Field(
        3, ge=1, le=100, description="times that Amazon may reject one report of a trip before a person is asked"
    )
    payoff_lookup_minutes: int = Field(
        5, ge=1, le=1440, description="how long a payoff may be open before its outcome is looked up, then again"
    )
    payoff_unknown_hours: int = Field(
        24, ge=1, description="how long its outcome may stay unknown before a person is asked"
    )
    debt_escalation_days: int = Field(60, ge=1, description="age from which on an open debt is handed to a person")
    debt_escalation_amount: Decimal | None = Field(
        None, gt=0, description="outstanding amount from which on it is, in the debt's currency; unset: by age alone"
    )

    # --- refunds
    amazon_refund_url: str | None = Field(None, description="base URL of Refund; unset: that of the payment service")
    amazon_transactional_data_url: str | None = Field(
        None, description="base URL of Get Transactional Data; unset: that of the payment service"
    )
    amazon_shopper_identity_url: str | None = Field(
        None, description="base URL of Get Shopper Identity; unset: that of the payment service"
    )
    refund_approval_above: Decimal = Field(
        Decimal(50),
        ge=0,
        description="what a trip gets back beyond it without a second person's word waits for one, in the store's "
        "currency; for stores that name no limit of their own",
    )
    refund_unknown_hours: int = Field(
        24, ge=1, description="how long a refund whose outcome is unknown is repeated before a person is asked"
    )
    refund_evidence_hours: int = Field(
        48, ge=1, description="how long an initiated refund may lack evidence before a person is asked"
    )
    refund_concurrency: int = Field(4, ge=1, le=64, description="refunds worked on at once by one task")

    # --- the retailer's own payment processor (stores whose `payment_processor` is not AMAZON)
    stripe_port: int = Field(8012, ge=1, le=65535, description="the Stripe stand-in, where `make up` is asked for it")
    stripe_url: str = Field("https://api.stripe.com", description="base URL of Stripe's API, or of a stand-in")
    stripe_secret_key: SecretStr | None = Field(None, description="Stripe's secret or restricted key")
    stripe_live: bool = Field(False, description="true allows a live key: calls with it move real money")
    stripe_incremental: bool = Field(
        False, description="true asks for holds that can be raised; Stripe has to have granted that to the account"
    )
    stripe_webhook_secret: SecretStr | None = Field(
        None, description="signing secret of Stripe's webhooks; unset: they are turned away"
    )
    sandbox_processor_url: str = Field("http://127.0.0.1:8010", description="base URL of the sandbox's card processor")
    sandbox_processor_key: SecretStr | None = Field(None, description="bearer key of the sandbox's card processor")
    sandbox_webhook_secret: SecretStr | None = Field(
        None, description="signing secret of its webhooks; unset: they are turned away"
    )
    processor_timeout_seconds: float = Field(
        10.0, gt=0, le=60, description="read time-out of a call to the processor; then it is unknown"
    )
    processor_concurrency: int = Field(4, ge=1, le=64, description="holds and look-ups worked on at once by one task")
    webhook_tolerance_seconds: int = Field(
        300, ge=1, le=3600, description="how old a webhook's signature may be; older ones may be replays"
    )
    webhook_max_body_bytes: int = Field(100_000, ge=1_000, description="larger webhooks are answered 413")
    preauthorization_void_hours: int = Field(
        48, ge=1, description="how long the gate's hold waits for a cart that is charged; then it is voided"
    )
    no_instrument: Literal["case", "flag", "nothing"] = Field(
        "case",
        description="what follows when a shopper without a payment instrument enters: a person is asked, the shopper "
        "is flagged, or nothing",
    )
    card_tries_below_networks: int = Field(
        1, ge=0, le=9, description="how far below the card networks' limits our own stay (docs/processors.md)"
    )

    @model_validator(mode="after")
    def _safe(self) -> Settings:
        if self.connector_auth == "off" and self.env != "development":
            raise ValueError("BACKROOM_CONNECTOR_AUTH=off is for BACKROOM_ENV=development only; use gateway or sigv4")
        if self.charge_lease_seconds <= 3 * self.amazon_timeout_seconds:
            raise ValueError(
                "BACKROOM_CHARGE_LEASE_SECONDS must be longer than three times BACKROOM_AMAZON_TIMEOUT_SECONDS, "
                "so that no lease ends while its call is under way"
            )
        if self.recognition_tokens_live * self.scan_code_freshness_seconds < 120 * self.recognition_token_minutes:
            raise ValueError(
                "BACKROOM_RECOGNITION_TOKENS_LIVE is too low: an app that asks for a new code whenever half of "
                "BACKROOM_SCAN_CODE_FRESHNESS_SECONDS is over has more live tokens, each for "
                "BACKROOM_RECOGNITION_TOKEN_MINUTES"
            )
        tries = (self.charge_max_attempts - 1) * self.charge_retry_minutes / 60
        if not self.charge_margin_hours + tries <= self.bad_cart_margin_hours < self.token_life_hours:
            raise ValueError(
                "BACKROOM_BAD_CART_MARGIN_HOURS must leave a charge its time (BACKROOM_CHARGE_MARGIN_HOURS and the "
                f"card tries: {self.charge_margin_hours + tries:g} hours) and be less than BACKROOM_TOKEN_LIFE_HOURS"
            )
        if self.connector_auth == "gateway" and self.connector_gateway_secret is None:
            raise ValueError("BACKROOM_CONNECTOR_AUTH=gateway needs BACKROOM_CONNECTOR_GATEWAY_SECRET")
        return self

    @property
    def catalog_source_place(self) -> str:
        """Where the nightly catalog comes from: a folder, s3://bucket/prefix, or `sql`."""
        return self.catalog_source or str(self.home / "world" / "catalog")

    @property
    def refused_spool_folder(self) -> Path:
        """Where refused carts wait while the database is away."""
        return Path(self.refused_spool) if self.refused_spool else self.home / "refused-carts"

    @property
    def stock_export_target(self) -> str:
        """Where files for the point of sale go: a folder or an S3 URL."""
        return self.stock_export_files or str(self.home / "stock-exports")

    @property
    def reports_folder(self) -> Path:
        """Where reports and Data Docs are written."""
        return self.home / "reports"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once. Raises ConfigurationError, one line per wrong value."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(explain(error)) from error


def explain(error: ValidationError) -> str:
    """What is wrong with which setting, without showing the value of a secret."""
    parts = []
    for item in error.errors():
        name = "BACKROOM_" + "_".join(str(part) for part in item["loc"]).upper() if item["loc"] else "settings"
        shown = "" if "SECRET" in name or "URL" in name or not item["loc"] else f" (it is {item['input']!r})"
        parts.append(f"{name}: {item['msg'].removeprefix('Value error, ')}{shown}")
    return "; ".join(parts)
