"""`discover`: find the places with the best property, and map it, by measuring few of them.

One frame shows the structure; a policy then chooses, one after the other, the places
where a spectrum is taken. Beside it run the companions that keep it honest: the same
model with the structure shuffled, and a plain Gaussian process where the surrogate is
something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from nanopilot.analysis.hysteresis import LoopFeatures
from nanopilot.analysis.structure import StructureFeatures
from nanopilot.core import registry
from nanopilot.core.capabilities import InstrumentDescription, PointSpectroscopy, Scanner
from nanopilot.core.errors import Unsupported
from nanopilot.core.events import Intent, Note, Outcome
from nanopilot.core.features import FeatureTable
from nanopilot.core.history import History
from nanopilot.core.limits import Budget
from nanopilot.core.requests import ScanRequest, SpectrumRequest
from nanopilot.core.signals import Signal, SignalSet, positions
from nanopilot.core.units import Duration
from nanopilot.core.values import Value
from nanopilot.instruments import Guard, refusal
from nanopilot.policies.candidates import Candidates
from nanopilot.policies.maximise import MaximiseUtility
from nanopilot.policies.rewards.reward import Reward
from nanopilot.policies.stop import Converged, FirstOf, MeasuredEnough, StopRule
from nanopilot.policies.surrogate import GPSurrogate
from nanopilot.policies.survey import Survey
from nanopilot.policies.utilities import Utility
from nanopilot.workflows.engine import Engine, Parts
from nanopilot.workflows.summary import books, maps, model_facts, summarise
from nanopilot.workflows.workflow import Workflow

#: Step number of the frame that is taken before the first decision.
OVERVIEW = -1


class DiscoverSettings(Value):
    """What can be chosen in a `discover` run.

    Parameters
    ----------
    reward : str
        Name of the reward (``nanopilot.rewards``).
    policy : str
        Name of the utility the policy maximises (``nanopilot.policies``).
    budget : float
        Fraction of the candidate sites that may be measured, above 0 and at most 1.
    seed : int
        Decides every draw of the run.
    survey : int
        Sites measured before the surrogate is asked.
    channel : str
        Channel of the frame and of the spectra; empty: the instrument's first.
    window : int
        Edge of the neighbourhood that describes a site, in pixels.
    until_converged : bool
        Stop early when no site left is expected to be better.
    shuffled : bool
        Carry out the control: every site gets the neighbourhood of another one.
    max_seconds : float, optional
        Instrument time the run may take; the guard holds it.
    reward_settings, policy_settings : dict
        Parameters of the reward and of the utility.
    """

    reward: str = "loop-area"
    policy: str = "ucb"
    budget: float = Field(default=0.1, gt=0, le=1)
    seed: int = Field(default=0, ge=0)
    survey: int = Field(default=20, ge=3)
    channel: str = ""
    window: int = Field(default=7, ge=3)
    until_converged: bool = False
    shuffled: bool = False
    max_seconds: Duration | None = Field(default=None, gt=0)
    reward_settings: dict[str, Any] = {}
    policy_settings: dict[str, Any] = {}

    @model_validator(mode="after")
    def _odd_window(self) -> Self:
        if self.window % 2 == 0:
            raise ValueError(f"`window` is {self.window}; it must be odd, to have a centre")
        return self

    def sites(self, candidates: int) -> int:
        """Return how many of the candidate sites the budget pays for."""
        return max(1, round(self.budget * candidates))


@dataclass(frozen=True, slots=True)
class Discovery:
    """The parts of a `discover` run over one structure image."""

    settings: DiscoverSettings
    reward: Reward
    candidates: Candidates
    surrogate: GPSurrogate
    policy: MaximiseUtility
    stop: StopRule


def make_reward(settings: DiscoverSettings) -> Reward:
    """Return the reward that the settings name."""
    reward: Reward = registry.build("rewards", settings.reward, **settings.reward_settings)
    return reward


def make_utility(settings: DiscoverSettings) -> Utility:
    """Return the utility that the settings name."""
    utility: Utility = registry.build("policies", settings.policy, **settings.policy_settings)
    return utility


def plan_discovery(structure: Signal, settings: DiscoverSettings) -> Discovery:
    """Wire policy, surrogate and stop rule over the sites of a structure image."""
    reward = make_reward(settings)
    utility = make_utility(settings)
    features = StructureFeatures(window=settings.window)(structure)
    if settings.shuffled:
        features = shuffled(features, settings.seed)
    usable = np.flatnonzero(np.isfinite(structure.to_numpy().ravel()))
    candidates = Candidates(features, positions(structure)).only(usable)
    surrogate = GPSurrogate(features)
    sites = settings.sites(len(candidates))
    policy = MaximiseUtility(
        candidates,
        surrogate,
        utility,
        settings.seed,
        survey=Survey(min(settings.survey, max(3, sites // 2))),
        direction=reward.direction,
    )
    rules: tuple[StopRule, ...] = (MeasuredEnough(sites),)
    if settings.until_converged:
        rules = (*rules, Converged(candidates, surrogate, direction=reward.direction))
    return Discovery(settings, reward, candidates, surrogate, policy, FirstOf(rules))


def shuffled(features: FeatureTable, seed: int) -> FeatureTable:
    """Return the control's features: what is known of the structure, at the wrong sites."""
    return features.shuffled(np.random.default_rng([seed, 1]))


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
    found = maps(structure, plan.surrogate, history, reward.unit)
    references = engine.run.signals.put("map", found)
    candidates = int(plan.candidates.left.size)
    facts = summarise(history, plan.candidates.features, reward, candidates, seed)
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


discover = Workflow(settings=DiscoverSettings, check=check, carry_out=carry_out)
