"""Registry of metrics: how each is computed, shown and documented.

A module of this package registers its metrics beside their functions::

    @register("rmse", "RMSE", "lower", "image true_image")
    def rmse(image, true_image):
        'Root mean square error, lower is better.'

Modules are found by their place in the package. Every evaluation whose pictures and networks give
what a metric needs computes it; reports, comparisons and docs/evaluation.md show it.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from legan_tf.evaluation import metrics as package
from legan_tf.evaluation.tables import Column

LAST = 1000
"""Position of a metric after all that name one."""

_MAPS = {
    "map": "predicted map, of depth or normals, uint8 [n,S,S,3]",
    "true_map": "true map, uint8 [n,S,S,3]",
    "silhouette": "silhouette of the predicted map, bool [n,S,S]",
    "true_silhouette": "silhouette of the true map, bool [n,S,S]",
    "correlation_sums": "of maps of depth, as `maps.correlation_sums` returns, [n,6]",
    "map_normals": "of maps of normals, their normals, [n,S,S,3]",
    "true_map_normals": "the same of the true maps, [n,S,S,3]",
}
INPUTS = {
    "editor": {
        # Of a batch of pictures.
        "image": "the picture itself, uint8 [n,S,S,3]",
        "true_image": "picture of the same person with the requested labels, uint8 [n,S,S,3]",
        "lpips_distance": "LPIPS of picture and true picture, float [n]",
        "source_image": "input of an edit, uint8 [n,S,S,3]",
        "cycle_image": "the edit edited back, uint8 [n,S,S,3]",
        **_MAPS,
        # Of edits of one condition, and of relit faces; rendered faces only.
        "light": "nine harmonic coefficients of the light on edits of the expression, [n,9]",
        "true_light": "those of the true pictures, [n,9]",
        "expression_edit_lighting": "lighting predicted in edits of the expression, int [n]",
        "source_lighting": "lighting of their inputs, int [n]",
        "lighting_edit_expression": "expression predicted in edits of the lighting, int [n]",
        "source_expression": "expression of their inputs, int [n]",
        "normals": "normals recovered by photometric stereo from relit faces, [n,S,S,3]",
        "true_normals": "true normals, [n,S,S,3]",
        "depth": "depth integrated from the recovered normals, [n,S,S]",
        "true_depth": "true depth, [n,S,S]",
        "mask": "pixels of the face, bool [n,S,S]",
        # Of all pictures of a row: edits, copied inputs or true pictures.
        "features": "output of the feature network, float [n,D]",
        "reference_features": "the same of real pictures, float [m,D]",
        "predicted_rating": "ratings by Q, float [n]",
        "embedding": "embeddings by the face network, float [n,D]",
        "source_embedding": "the same of the inputs, float [n,D]",
        "probe_embedding": "embeddings of the pictures of known people, float [n,D]",
        "probe_identity": "these people, int [n]",
        "gallery_embedding": "embeddings of one picture of each person, float [m,D]",
        "gallery_identity": "these people, int [m]",
        "expression_logits": "output of the classifier, float [n,C]",
        "lighting_logits": "output of the classifier, float [n,C]",
        "predicted_expression": "class of the largest logit, int [n]",
        "predicted_lighting": "class of the largest logit, int [n]",
        "predicted_attributes": "whether logits are above 0, int [n,N], -1 where not predicted",
        "requested_expression": "requested class, int [n], -1 where unknown",
        "requested_lighting": "requested class, int [n], -1 where unknown",
        "requested_attributes": "requested binary attributes, int [n,N], -1 where unknown",
        "source_attributes": "those of the inputs, int [n,N], -1 where unknown",
        "six_expressions": "of AffectNet's classes, those without contempt and disgust, int [6]",
    },
    "depth": {**_MAPS, "all_correlation_sums": "`correlation_sums` of all pictures"},
    "scorer": {
        "predicted_rating": "ratings by Q, float [n]",
        "mean_rating": "mean ratings by people, float [n]",
        "rating_std": "their standard deviations, float [n]",
    },
}
"""What metrics can need, by the kind of the evaluated model as in ``kind`` of a report. Reports on
folders of pictures have the metrics of editors."""
_NETWORKS = {
    "lpips_distance": "lpips",
    "map": "depth",
    "silhouette": "depth",
    "correlation_sums": "depth",
    "map_normals": "depth",
    "expression_edit_lighting": "classifier",
    "lighting_edit_expression": "classifier",
    "features": "features",
    "predicted_rating": "quality",
    "embedding": "face",
    "probe_embedding": "face",
    "expression_logits": "classifier",
    "lighting_logits": "classifier",
    "predicted_expression": "classifier",
    "predicted_lighting": "classifier",
    "predicted_attributes": "classifier",
}
"""The judge network that computes an input of an editor's metrics, as in ``networks`` of a report;
tables hold no results of different networks."""


@dataclasses.dataclass(frozen=True)
class Metric(Column):
    """A metric as a column of tables, and its computation.

    Attributes:
        function: Takes the inputs named by ``needs``, in that order. Returns a number, or an array
            with one value per picture that is averaged; NaN where the metric is undefined. The
            first line of its docstring is the definition in the docs.
        needs: Names from ``INPUTS``; none for columns of comparisons that no report holds.
        source: The paper, ``standard`` or ``ours``.
        interval: Takes the same inputs, ``seed`` and ``people``, and returns the ends of a 95 %
            interval; None without one.
        by_other_network: Heading where the network is not an Inception, with which alone FID and
            KID are what they are called; empty where the heading is always the same.
        order: Positions in reports and in the comparison's table against the truth; None if it is
            not there.
    """

    function: Callable[..., Any] = float
    needs: tuple[str, ...] = ()
    source: str = "ours"
    interval: Callable[..., tuple[float, float]] | None = None
    by_other_network: str = ""
    order: tuple[int, int | None] = (LAST, LAST)

    @property
    def definition(self) -> str:
        """The first sentence of the function's docstring, without the direction."""
        summary = (self.function.__doc__ or "").split("\n")[0]
        return re.split(r"[,:;] (?:higher|lower) is", summary)[0].rstrip(".")

    def measured_with(self, networks: Mapping[str, Mapping[str, str]]) -> Metric:
        """Returns the metric under the heading that it has with the networks of a report."""
        network = networks.get(self.network, {})
        name = network.get("name", "")
        if not self.by_other_network or "inception" in name.lower():
            return self
        if network and network.get("sha256") == networks.get("face", {}).get("sha256"):
            name = "face network"
        heading = f"{self.by_other_network} ({name})" if name else self.by_other_network
        return dataclasses.replace(self, heading=heading)

    def arguments(self, inputs: Mapping[str, Any]) -> list[Any]:
        """Returns the needed ones of some inputs."""
        return [inputs[name] for name in self.needs]

    def __call__(self, inputs: Mapping[str, Any]) -> Any:
        """Computes the metric from inputs by name."""
        return self.function(*self.arguments(inputs))


_METRICS: dict[str, dict[str, Metric]] = {kind: {} for kind in INPUTS}


def register(
    key: str, heading: str, better: str, needs: str, *, kind: str = "editor", **fields: Any
) -> Callable[[Any], Any]:
    """Returns a decorator that registers a function as a metric and leaves it as it is.

    Args:
        key: Name in ``report.json`` and CSV files.
        heading: Name in tables.
        better: ``higher`` or ``lower``.
        needs: Names from ``INPUTS[kind]`` of the function's arguments, with spaces between them.
        kind: Kind of model that it evaluates.
        **fields: Other fields of ``Metric``.

    Raises:
        ValueError: A need is unknown, or the key is registered already.
    """
    names = tuple(needs.split())
    unknown = [name for name in names if name not in INPUTS[kind]]
    if unknown:
        raise ValueError(f"metric {key!r} needs {unknown[0]!r}, which no {kind} evaluation has")
    if kind == "editor":
        fields.setdefault("network", next((_NETWORKS[n] for n in names if n in _NETWORKS), ""))

    def add(function: Any) -> Any:
        if key in _METRICS[kind]:
            raise ValueError(f"two metrics of kind {kind!r} have the key {key!r}")
        values = {"decimals": 3, "function": function, "needs": names, **fields}
        _METRICS[kind][key] = Metric(key, heading, better, **values)
        return function

    return add


def registered(
    kind: str = "editor", networks: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Metric]:
    """Returns all metrics of a kind by key, in the order of reports.

    Args:
        kind: A key of ``INPUTS``.
        networks: Those of a report, by which the headings are; None for the metrics as registered.
    """
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    ordered = sorted(_METRICS[kind].values(), key=lambda metric: (metric.order[0], metric.key))
    if networks is not None:
        ordered = [metric.measured_with(networks) for metric in ordered]
    return {metric.key: metric for metric in ordered}


def computable(kind: str, inputs: Collection[str], new: Collection[str] = ()) -> list[Metric]:
    """Returns the metrics whose needs are all among ``inputs``; with ``new``, one among these."""
    return [
        metric
        for metric in registered(kind).values()
        if metric.needs
        and set(metric.needs) <= set(inputs)
        and (not new or set(metric.needs) & set(new))
    ]


def compute(kind: str, inputs: Mapping[str, Any], new: Collection[str] = ()) -> dict[str, Any]:
    """Computes every metric whose needs are all there.

    Args:
        kind: A key of ``INPUTS``.
        inputs: By the names in ``INPUTS[kind]``.
        new: If given, only metrics that need one of these inputs at least.

    Returns:
        By key: a number, or an array with a value per picture.
    """
    return {metric.key: metric(inputs) for metric in computable(kind, inputs, new)}


def average(values: np.ndarray | float) -> float:
    """Returns the mean of a metric over pictures.

    Args:
        values: One per picture, NaN where undefined; or a single one.

    Returns:
        The mean of the finite values, as one infinite PSNR would hide all others; infinity if all
        are infinite, NaN if there are none.
    """
    values = np.asarray(values)
    known = values[~np.isnan(values)]
    finite = known[np.isfinite(known)]
    chosen = finite if len(finite) else known
    return float(np.mean(chosen)) if len(chosen) else float("nan")


def documentation(kind: str) -> str:
    """Returns the metrics of a kind as the Markdown table in docs/evaluation.md."""
    lines = ["| Metric | Key | Definition | Needs | Source |", "|---|---|---|---|---|"]
    for metric in registered(kind).values():
        needs = ", ".join(f"`{name}`" for name in metric.needs) or "–"
        lines.append(
            f"| {metric.title} | `{metric.key}` | {metric.definition} | {needs} | {metric.source} |"
        )
    return "\n".join(lines) + "\n"
