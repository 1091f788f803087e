"""Do the arms get the shares they should? A sample ratio check that is valid at every look.

If the counts do not fit the shares, something loses calls or sends them elsewhere, and no comparison of the arms can be
trusted. Lindon and Malek (2022), "Anytime-valid inference for multinomial count data", arXiv:2011.03567, eq. 3: a
Dirichlet prior around the stated shares against the stated shares, worth 1/error with a chance of at most `error`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum, inf, isfinite, lgamma, log

from payoff.errors import BadInput

PRIOR = 100.0  # the prior knows as much as so many calls in the stated shares


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """Calls per arm under the present shares, and the log of the evidence from earlier shares.

    With new shares (a ramp) a new stretch begins: `ramp` closes the present one. The logs of stretches add up. Counts
    of workers under the same shares add up before they come here.
    """

    shares: tuple[float, ...]
    counts: tuple[int, ...]
    log_e_before: float = 0.0

    @classmethod
    def of(cls, shares: Sequence[float]) -> "SampleRatio":
        """Nothing counted yet. BadInput unless the shares are at least 0 and sum to 1."""
        return cls(_shares(shares), (0,) * len(shares))

    def after(self, counts: Sequence[int]) -> "SampleRatio":
        """With so many more calls per arm under the present shares."""
        more = _counts(counts, len(self.shares))
        return replace(self, counts=tuple(a + b for a, b in zip(self.counts, more, strict=True)))

    def ramp(self, shares: Sequence[float]) -> "SampleRatio":
        """From here on with other shares; arms may come or go (a share of 0), in the same order."""
        if len(shares) != len(self.shares):
            raise BadInput(f"{len(shares)} shares for {len(self.shares)} arms; an arm without calls has a share of 0")
        return SampleRatio(_shares(shares), (0,) * len(shares), self.log_e)

    @property
    def log_e(self) -> float:
        """The log of the evidence that the shares are not kept; infinite where an arm with a share of 0 got a call."""
        return self.log_e_before + sample_ratio(self.counts, self.shares)

    def mismatch(self, error: float = 0.001) -> bool:
        """Is it proven? Shares that are kept are called broken at some look with a chance of at most `error`."""
        return self.log_e >= -log(error)


def sample_ratio(counts: Sequence[int], shares: Sequence[float], prior: float = PRIOR) -> float:
    """The log of the e-value against "calls fall to the arms in these shares", from calls per arm.

    ln B(a + n) - ln B(a) - sum of n ln(share), a = prior * share. BadInput for counts below 0, or for what is no
    share.
    """
    arms = [(n, share) for n, share in zip(_counts(counts, len(shares)), _shares(shares), strict=True) if n]
    if any(share == 0 for _, share in arms):
        return inf
    spread = fsum(lgamma(prior * share + n) - lgamma(prior * share) - n * log(share) for n, share in arms)
    return spread - (lgamma(prior + sum(n for n, _ in arms)) - lgamma(prior))


def _shares(shares: Sequence[float]) -> tuple[float, ...]:
    if not all(isfinite(share) and share >= 0 for share in shares) or abs(fsum(shares) - 1) > 1e-6:
        raise BadInput(f"shares of {list(shares)}; say one per arm, at least 0, that sum to 1")
    return tuple(shares)


def _counts(counts: Sequence[int], arms: int) -> Sequence[int]:
    if len(counts) != arms or any(n < 0 for n in counts):
        raise BadInput(f"counts of {list(counts)} for {arms} arms; say one per arm, at least 0")
    return counts
