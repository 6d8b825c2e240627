"""Every figure that a report can hold, and how tables show it."""

from __future__ import annotations

import dataclasses
import math

MISSING = "–"
"""What stands in a cell without a figure."""
PERCENT = "%"


@dataclasses.dataclass(frozen=True)
class Column:
    """A figure as a column of a table.

    Attributes:
        key: Its name in reports and in CSV files.
        heading: Its name in tables.
        better: ``higher`` or ``lower``; empty where neither is.
        decimals: How many are shown.
        unit: What it is counted in; empty for plain numbers. Figures in percent are kept as shares
            of 1 wherever they are not shown.
        network: The kind of network that measures it, as in ``networks`` of a report; empty where
            none does.
    """

    key: str
    heading: str
    better: str
    decimals: int
    unit: str = ""
    network: str = ""

    @property
    def title(self) -> str:
        """The heading with unit and direction, such as ``PSNR (dB) ↑``."""
        unit = f" ({self.unit})" if self.unit else ""
        return self.heading + unit + {"higher": " ↑", "lower": " ↓", "": ""}[self.better]

    def text(self, value: float | None) -> str:
        """Returns a figure as a table shows it, or a dash where there is none."""
        if value is None:
            return MISSING
        if math.isinf(value):
            return "∞" if value > 0 else "-∞"
        shown = round(100 * value if self.unit == PERCENT else value, self.decimals)
        return f"{shown + 0.0:.{self.decimals}f}"  # The sum is never -0, which reads as an error.

    def best(self, values: list[float]) -> float:
        """Returns the best of some figures, at least one."""
        return max(values) if self.better == "higher" else min(values)


COLUMNS = {
    column.key: column
    for column in (
        Column("fid", "FID", "lower", 3, network="features"),
        Column("kid", "KID", "lower", 4, network="features"),
        Column("lpips", "LPIPS", "lower", 3, network="lpips"),
        Column("ssim", "SSIM", "higher", 3),
        Column("psnr", "PSNR", "higher", 2, "dB"),
        Column("l1", "L1", "lower", 3),
        Column("match", "match", "higher", 3, network="face"),
        Column("person", "person found", "higher", 3, network="face"),
        Column("rating", "quality", "higher", 3, network="quality"),
        Column("natural", "natural", "higher", 3, network="quality"),
        Column("preference", "preference", "higher", 1, PERCENT),
        Column("accuracy", "accuracy", "higher", 1, PERCENT, network="classifier"),
        Column("expression", "expression", "higher", 3, network="classifier"),
        Column("expression_six", "expression (six of eight)", "higher", 3, network="classifier"),
        Column("lighting", "lighting", "higher", 3, network="classifier"),
        Column("cycle_psnr", "PSNR of the cycle", "higher", 2, "dB"),
        Column("cycle_ssim", "SSIM of the cycle", "higher", 3),
        Column("light_error", "light error", "lower", 3),
        Column("light_kept", "light kept", "higher", 3, network="classifier"),
        Column("expression_kept", "expression kept", "higher", 3, network="classifier"),
        Column("normal_error", "normal error", "lower", 2, "°"),
        Column("depth_error", "depth error", "lower", 3),
        Column("map_l1", "map error", "lower", 4, network="depth"),
        Column("map_correlation", "map correlation", "higher", 3, network="depth"),
        Column("map_angle", "map angle", "lower", 2, "°", network="depth"),
    )
}
"""By key. All but two are figures of a report: ``preference`` comes from people, and ``accuracy``
is what Bodur et al. call the expression generation rate: ``expression_six`` where there is one,
else ``expression``."""
