"""A processor's port as refunds use it: what its answer to a refund means here."""

from __future__ import annotations

from backroom.amazon import outcomes
from backroom.amazon.outcomes import Answer, Outcome
from backroom.money import Money
from backroom.processors.port import PaymentState, Processor, Result
from backroom.refunds.channels import ProcessorAnswer


class ProcessorRefunds:
    """`backroom.refunds.channels.RefundPort` over one processor."""

    def __init__(self, processor: Processor) -> None:
        self._processor = processor

    def refund(self, reference: str, processor_reference: str, amount: Money) -> ProcessorAnswer:
        """One attempt; see the port."""
        return meaning(self._processor.refund(reference, processor_reference, amount))


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
