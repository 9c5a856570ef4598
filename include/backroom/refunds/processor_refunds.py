"""The retailer's own processors as refunds use them: what their answers to a refund mean here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Engine

from backroom.amazon import outcomes
from backroom.amazon.outcomes import Answer, Outcome
from backroom.money import Money
from backroom.processors.port import PaymentState, Result
from backroom.processors.refund_port import RecordedRefunds, refunds_by_processor
from backroom.refunds.channels import ProcessorAnswer, RefundPort
from backroom.settings import Settings


@contextmanager
def refund_ports(engine: Engine, config: Settings, *, now: datetime) -> Iterator[Mapping[str, RefundPort]]:
    """Every processor that is set up, by name, at one business time."""
    with refunds_by_processor(engine, config, now=now) as recorded:
        yield _Ports(recorded)


class _Ports(Mapping[str, RefundPort]):
    def __init__(self, recorded: Mapping[str, RecordedRefunds]) -> None:
        self._recorded = recorded

    def __getitem__(self, name: str) -> RefundPort:
        return ProcessorRefunds(self._recorded[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._recorded)

    def __len__(self) -> int:
        return len(self._recorded)


class ProcessorRefunds:
    """`backroom.refunds.channels.RefundPort` over one processor, each call on record."""

    def __init__(self, recorded: RecordedRefunds) -> None:
        self._recorded = recorded

    def refund(self, reference: str, processor_reference: str, amount: Money) -> ProcessorAnswer:
        """One attempt; see the port."""
        return meaning(self._recorded.refund(reference, processor_reference, amount))

    def became(self, reference: str, processor_reference: str) -> bool | None:
        """What a look-up says; see the port. A refund that is not known there, or was not asked about, says nothing."""
        told = self._recorded.lookup(reference, processor_reference).refund
        if told is None:
            return None
        return {PaymentState.CAPTURED: True, PaymentState.DECLINED: False}.get(told.state)


def meaning(result: Result) -> ProcessorAnswer:
    """PENDING has begun, CAPTURED is done, DECLINED is a no; a yes that says nothing of these has begun."""
    told = result.refund
    outcome, problem = result.outcome, None
    if result.problem is not None:
        known = result.problem.value in outcomes.Problem.__members__
        problem = outcomes.Problem(result.problem.value) if known else outcomes.Problem.BAD_REQUEST
    if outcome is Outcome.SUCCEEDED and told is not None and told.state is PaymentState.DECLINED:
        outcome, problem = Outcome.REFUSED, outcomes.Problem.BAD_REQUEST
    answer = Answer(
        outcome,
        problem,
        result.status,
        body=result.for_the_record(),
        message=result.message,
        retry_after=outcomes.DEFAULT_RETRY_AFTER if problem is outcomes.Problem.THROTTLED else None,
        latency_seconds=result.latency_seconds,
    )
    final = told is not None and told.state is PaymentState.CAPTURED
    return ProcessorAnswer(answer, final, told.processor_reference if told is not None else None)
