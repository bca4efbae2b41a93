"""`discover`: find the places with the best property, and map it, by measuring few of them.

One frame shows the structure; a policy then chooses, one after the other, the places
where a spectrum is taken. Beside it run the companions that keep it honest: the same
model with the structure shuffled, and a plain Gaussian process where the surrogate is
something else.
"""

from __future__ import annotations

import numpy as np

from nanopilot.analysis.hysteresis import LoopFeatures
from nanopilot.core.capabilities import InstrumentDescription, PointSpectroscopy, Scanner
from nanopilot.core.errors import Unsupported
from nanopilot.core.events import Intent, Note, Outcome
from nanopilot.core.history import History
from nanopilot.core.limits import Budget, Estimate
from nanopilot.core.requests import ScanRequest, SpectrumRequest
from nanopilot.core.signals import Signal, SignalSet
from nanopilot.instruments import Guard, refusal
from nanopilot.workflows.discovery import (
    DiscoverSettings,
    Discovery,
    make_reward,
    make_utility,
    plan_discovery,
)
from nanopilot.workflows.engine import Engine, Parts
from nanopilot.workflows.summary import books, maps, model_facts, summarise
from nanopilot.workflows.workflow import Workflow

#: Step number of the frame that is taken before the first decision.
OVERVIEW = -1


def check(scope: Guard, settings: DiscoverSettings) -> None:
    """Refuse what cannot work before anything is measured.

    Raises
    ------
    UnknownName
        Reward or policy is not registered.
    Unsupported
        The instrument cannot scan, or cannot take bias spectra.
    OutOfRange
        The frame or the bias sweep would break a limit.
    """
    make_reward(settings)
    make_utility(settings)
    described = scope.describe()
    channel = _channel(described, settings)
    spectrum = SpectrumRequest(position=described.area.centre, channels=(channel,))
    found = scope.capability(Scanner).validate(overview_request(described, channel))
    found += [
        violation
        for violation in scope.capability(PointSpectroscopy).validate(spectrum)
        if violation.parameter != "position"  # the centre may be a gap; other places are not
    ]
    if found:
        raise refusal(found)


def estimate(scope: Guard, settings: DiscoverSettings) -> Estimate:
    """Return what the run will cost: one frame, and the spectra that the budget pays for.

    Every spectrum is taken to cost as much as one in the middle of the area, with the way there
    from where the tip is now; a stop rule may end the run before.
    """
    described = scope.describe()
    channel = _channel(described, settings)
    frame = scope.capability(Scanner).estimate(overview_request(described, channel))
    middle = SpectrumRequest(position=described.area.centre, channels=(channel,))
    one = scope.capability(PointSpectroscopy).estimate(middle)
    rows, columns = described.grid
    sites = settings.sites(rows * columns)
    costs = ("seconds", "bytes", "electrons", "bias_seconds", "wear")
    total = {name: getattr(frame, name) + sites * getattr(one, name) for name in costs}
    return Estimate(frames=frame.frames, spectra=sites * one.spectra, **total)


def carry_out(engine: Engine, settings: DiscoverSettings) -> None:
    """Carry out the run, or what is left of it; every step lands in the engine's run folder."""
    described = engine.scope.describe()
    channel = _channel(described, settings)
    rows, columns = described.grid
    allowance = max(5, settings.sites(rows * columns) // 10)
    spectra = settings.sites(rows * columns) + allowance
    engine.open_books(Budget(spectra=spectra, seconds=settings.max_seconds))
    structure = overview(engine, channel)[channel]
    plan = plan_discovery(structure, settings)
    sites = settings.sites(plan.candidates.left.size)
    loop = LoopFeatures()
    parts = Parts(
        policy=plan.policy,
        stop=plan.stop,
        analyse=lambda signals: loop(signals[channel]),
        reward=plan.reward,
        channel=channel,
        capacity=sites,
    )
    engine.record(
        Note(
            topic="planned",
            text=f"{sites} of {plan.candidates.left.size} sites",
            data={"sites": sites, "candidates": int(plan.candidates.left.size)},
        )
    )
    history = engine.loop(parts)
    conclude(engine, plan, structure, history)


def conclude(engine: Engine, plan: Discovery, structure: Signal, history: History) -> None:
    """Keep the maps and the summary of a run whose last measurement has been made."""
    reward, seed = plan.reward, plan.settings.seed
    found = maps(structure, plan.surrogate, history, plan.unit)
    references = engine.run.signals.put("map", found)
    candidates = int(plan.candidates.left.size)
    facts = summarise(history, plan.candidates.features, reward, candidates, seed)
    facts["unit"] = plan.unit
    facts |= books(list(engine.run.journal.events()))
    if np.isfinite(history.rewards).sum() >= 2:
        facts |= model_facts(plan.surrogate.fit(history))
    facts["signals"] = [reference.model_dump() for reference in references]
    engine.record(
        Note(topic="summary", text="what the run found", data=facts),
        Note(topic="finished", text="the run is complete"),
    )


def overview_request(described: InstrumentDescription, channel: str) -> ScanRequest:
    """Return the request for one frame of all the instrument can reach, on its own grid."""
    area = described.area
    return ScanRequest(
        centre=area.centre,
        field_of_view=(area.x[1] - area.x[0], area.y[1] - area.y[0]),
        shape=described.grid,
        channels=(channel,),
    )


def overview(engine: Engine, channel: str) -> SignalSet:
    """Return the frame that shows the structure; measured once, kept with the run."""
    for event in engine.run.journal.events():
        if isinstance(event, Outcome) and event.step == OVERVIEW:
            return engine.run.signals.get("structure", refs=event.signals)
    request = overview_request(engine.scope.describe(), channel)
    asked = request.model_dump(mode="json")
    engine.record(Intent(step=OVERVIEW, capability="Scanner", request=asked))
    signals = engine.scope.capability(Scanner).start(request).result()
    references = engine.run.signals.put("structure", signals)
    now, spent = engine.scope.clock.now(), engine.scope.spent
    engine.record(Outcome(step=OVERVIEW, signals=references, time=now, spent=spent))
    return signals


def _channel(described: InstrumentDescription, settings: DiscoverSettings) -> str:
    if PointSpectroscopy.__name__ not in described.capabilities or described.sweep is None:
        raise Unsupported(
            f"`{described.name}` records no bias spectra here, and `discover` needs them; it has "
            f"{', '.join(described.capabilities)}. Choose a sample with hysteresis loops."
        )
    both = [name for name in described.spectrum_channels if name in described.scan_channels]
    if settings.channel and settings.channel not in both:
        raise Unsupported(
            f"`channel` is {settings.channel!r}; recorded as frame and as spectra are "
            f"{', '.join(both) or 'none'}."
        )
    if not both:
        raise Unsupported(f"`{described.name}` has no channel in both frames and spectra.")
    return settings.channel or both[0]


discover = Workflow(settings=DiscoverSettings, check=check, estimate=estimate, carry_out=carry_out)
