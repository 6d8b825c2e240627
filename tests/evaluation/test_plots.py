from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from legan_tf.data import attributes
from legan_tf.evaluation.plots.confusion import confusion_figure
from legan_tf.evaluation.plots.distributions import distribution_figure, identity_distance_figure
from legan_tf.evaluation.plots.learning import learning_curves_figure, smooth
from legan_tf.evaluation.plots.scatter import correlation_figure, rating_figure
from legan_tf.plotting import drawing

PEOPLE = ("same person", "different people")
NAMES = ["StarGAN", "StarGAN with Q", "StarGAN-v2", "LEGAN", "real images"]
# The published table of LEGAN; the pictures must lead to its correlations.
QUALITY = [5.2, 5.391, 5.172, 5.853, 5.921]
FID = [38.745, 34.045, 54.842, 29.964, 12.931]
LPIPS = [0.126, 0.123, 0.212, 0.12, np.nan]


def pixels(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(np.float64)


def texts(axes):
    return {text.get_text() for text in axes.texts}


def legend(place):
    (found,) = place.legends
    return [text.get_text() for text in found.get_texts()]


def distances(center, count=500):
    return np.clip(np.random.default_rng(0).normal(center, 0.1, count), 0, 2)


def curves(count=200, **centers):
    steps = np.arange(1, count + 1) * 10
    noise = np.random.default_rng(0).normal(0, 0.1, count)
    return {name: (steps, center + noise) for name, center in centers.items()}


def cells(figure, rows, columns):
    """The colour of each cell of a drawn confusion matrix, beside its number."""
    picture = pixels(drawing.as_png(figure))
    axes = figure.axes[0]
    found = np.zeros([rows, columns, 3])
    for row, column in np.ndindex(rows, columns):
        x, y = axes.transData.transform((column - 0.4, row - 0.35))
        found[row, column] = picture[int(picture.shape[0] - y), int(x)]
    return found


@pytest.mark.parametrize(
    "draw",
    [
        lambda: confusion_figure(np.eye(6), list("abcdef"), "Expression"),
        lambda: identity_distance_figure({"LEGAN": distances(0.7)}),
        lambda: distribution_figure({"LEGAN": distances(0.7)}, "quality"),
        lambda: rating_figure([2.0, 6.0], [3.0, 5.5], [0.5, 1.0]),
        lambda: correlation_figure({"FID": (QUALITY, FID)}, NAMES),
        lambda: learning_curves_figure({"run": curves(critic=1.0)}),
    ],
    ids=["confusion", "identity", "distribution", "rating", "correlation", "learning"],
)
def test_every_picture_is_a_png_on_white_that_comes_out_the_same_again(draw):
    png = drawing.as_png(draw())
    picture = pixels(png)
    height, width, _ = picture.shape
    assert 200 <= height <= 1000 and 400 <= width <= 1000
    assert (picture[[0, 0, -1, -1], [0, -1, 0, -1]] == 255).all()
    assert 0.001 < (picture.min(axis=-1) < 200).mean() < 0.6
    assert drawing.as_png(draw()) == png


@pytest.mark.parametrize("size", [6, 20])
def test_a_perfect_confusion_matrix_is_darkest_on_the_diagonal_and_a_uniform_one_is_even(size):
    names = [f"class {index}" for index in range(size)]
    perfect, uniform, mostly = (
        cells(confusion_figure(counts, names, "t"), size, size).mean(axis=-1)
        for counts in (
            np.eye(size) * 9,
            np.ones([size, size]),
            np.ones([size, size]) + np.eye(size),
        )
    )
    diagonal = np.eye(size, dtype=bool)
    assert perfect[diagonal].max() < 100 and perfect[~diagonal].min() > 240
    assert np.ptp(uniform) <= 1
    assert mostly[diagonal].max() < mostly[~diagonal].min()


def test_rows_are_what_was_wanted_and_cells_tell_percent_of_their_row():
    counts = np.array([[0, 30, 10], [0, 7, 0], [1, 0, 999]])
    figure = confusion_figure(counts, ["a", "b", "c"], "t")
    axes = figure.axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel(), axes.get_title()) == ("wanted", "read", "t")
    told = {tuple(text.get_position()): text.get_text() for text in axes.texts}
    numbers = {place: text for place, text in told.items() if not text.startswith("n = ")}
    assert numbers == {(1, 0): "75", (2, 0): "25", (1, 1): "100", (2, 2): "100"}
    assert [told[(2.6, row)] for row in range(3)] == ["n = 40", "n = 7", "n = 1,000"]


def test_a_row_without_pictures_is_grey_and_has_no_numbers():
    figure = confusion_figure([[2, 2], [0, 0]], ["a", "b"], "t")
    colours = cells(figure, 2, 2)
    np.testing.assert_array_equal(colours[1], np.full([2, 3], 0xD0))
    assert np.ptp(colours[0], axis=-1).min() > 20
    assert texts(figure.axes[0]) == {"50", "n = 4", "n = 0"}


@pytest.mark.parametrize(
    "names",
    [
        attributes.MULTIPIE_EXPRESSIONS,
        attributes.AFFECTNET_EXPRESSIONS,
        attributes.lightings(True),
        attributes.lightings(False),
        [f"a class with a long name, number {index}" for index in range(6)],
    ],
    ids=["6", "8", "19", "20", "long"],
)
def test_class_names_do_not_touch_each_other_nor_leave_the_picture(names):
    figure = confusion_figure(np.eye(len(names)), names, "t")
    figure.canvas.draw()
    axes = figure.axes[0]
    for label in [*axes.get_xticklabels(), *axes.get_yticklabels(), *axes.texts]:
        box = label.get_window_extent()
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
    labels = axes.get_xticklabels()
    places = [axes.transData.transform((index, 0))[0] for index in range(len(labels))]
    for label, near, far in zip(labels, places, places[1:]):
        if label.get_rotation():
            line = label.get_fontsize() * drawing.DPI / 72
            assert (far - near) * np.sin(np.radians(label.get_rotation())) > line
        else:
            assert label.get_window_extent().width < far - near


@pytest.mark.parametrize(
    "counts, message",
    [
        (np.eye(3), r"the 2 classes, not \[3, 3\]"),
        (np.ones(2), r"not \[2\]"),
        (np.array([[1, -1], [0, 1]]), "not negative"),
        (np.array([[1, np.nan], [0, 1]]), "finite"),
    ],
)
def test_counts_that_are_no_confusion_matrix_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        confusion_figure(counts, ["a", "b"], "t")


def test_names_are_shown_as_they_are():
    name = "_run $a$ and $b_c$"
    drawn = {
        "legend": distribution_figure({name: [0.5, 0.25]}, "x", name, (0, 2)),
        "shared": learning_curves_figure({name: curves(critic=1.0)}),
        "ticks": confusion_figure(np.eye(2), [name, "b"], name),
    }
    for figure in drawn.values():
        figure.canvas.draw()
    assert legend(drawn["legend"]) == [f"{name}: median 0.375, n = 2"]
    assert legend(drawn["shared"]) == [name]
    shown = [*drawn["legend"].legends[0].get_texts(), *drawn["shared"].legends[0].get_texts()]
    shown += [drawn["legend"].axes[0].title, drawn["ticks"].axes[0].title]
    shown += drawn["ticks"].axes[0].get_xticklabels()
    assert not any(text.get_parse_math() for text in shown)


def test_distance_curves_are_densities_around_the_values():
    values = distances(0.7, 4000)
    figure = distribution_figure({"LEGAN": values, "other": values + 0.5}, "x", "t", (0, 2))
    axes = figure.axes[0]
    assert axes.get_xlim() == (0, 2)
    for line, center in zip(axes.lines, (0.7, 1.2)):
        places, density = line.get_data()
        step = places[1] - places[0]
        assert density.sum() * step == pytest.approx(1, abs=1e-6)
        assert (places * density).sum() * step == pytest.approx(center, abs=0.01)
        # The height of a normal distribution of this width, a little lowered by smoothing.
        assert density.max() == pytest.approx(1 / (0.1 * np.sqrt(2 * np.pi)), rel=0.06)


def test_density_does_not_leak_over_the_ends_of_the_range():
    (line,) = distribution_figure({"a": np.zeros(10)}, "x", "t", (0, 2)).axes[0].lines
    places, density = line.get_data()
    assert density.sum() * (places[1] - places[0]) == pytest.approx(1)
    assert density.argmax() == 0 and density[places > 0.1].max() == 0


def test_references_are_grey_and_filled_and_the_models_keep_their_colours():
    models = {"LEGAN": distances(0.7), "StarGAN": distances(0.9)}
    people = {PEOPLE[0]: distances(0.5), PEOPLE[1]: distances(1.4)}
    alone = distribution_figure(models, "x", "t", (0, 2)).axes[0]
    figure = distribution_figure({**people, **models}, "x", "t", (0, 2), PEOPLE)
    axes = figure.axes[0]
    colours = [to_rgb(line.get_color()) for line in axes.lines]
    assert [np.ptp(colour) > 0 for colour in colours] == [False, False, True, True]
    assert len(axes.collections) == 2 and not alone.collections
    assert colours[2:] == [to_rgb(line.get_color()) for line in alone.lines]
    assert legend(figure)[0].startswith("same person: median 0.4")
    with pytest.raises(ValueError, match="nobody"):
        identity_distance_figure(models, ["nobody"])


def test_distances_that_are_not_finite_do_not_count():
    values = np.array([0.5, np.nan, 0.7, np.inf, 0.6])
    figure = distribution_figure({"a": values, "b": [], "c": [np.nan]}, "x", "t", (0, 2))
    assert legend(figure) == ["a: median 0.600, n = 3", "b: no values", "c: no values"]
    assert [line.get_xdata().size > 0 for line in figure.axes[0].lines] == [True, False, False]
    empty = distribution_figure({"b": []}, "x", "t", None)
    assert texts(empty.axes[0]) == {"nothing to show"}
    drawing.as_png(empty)


def test_distances_that_unit_vectors_cannot_have_are_refused():
    with pytest.raises(ValueError, match="LEGAN: values must be from 0 to 2"):
        identity_distance_figure({"LEGAN": [0.5, 2.1]})
    with pytest.raises(ValueError, match="no label"):
        identity_distance_figure({})
    identity_distance_figure({"LEGAN": np.array([0.5, 2.0000005], np.float32)})


def test_a_curve_of_equal_values_does_not_flatten_the_others():
    figure = distribution_figure({"copy": np.zeros(9), "a": distances(0.7)}, "x", "t", (0, 2))
    spike, other = (line.get_ydata().max() for line in figure.axes[0].lines)
    assert figure.axes[0].get_ylim()[1] == pytest.approx(8.4 * other) and spike > 10 * other


def test_without_limits_the_axis_has_room_for_all_values():
    axes = distribution_figure({"a": [4.0, 6.0], "b": [9.0]}, "x", "t", None).axes[0]
    assert axes.get_xlim() == pytest.approx((3.75, 9.25))
    single = distribution_figure({"a": [5.0]}, "x", "t", None).axes[0]
    assert single.get_xlim() == pytest.approx((4.75, 5.25))


def test_ratings_within_a_standard_deviation_are_filled_and_counted():
    mean = np.array([2.0, 5.0, 5.0, 9.0, np.nan])
    predicted = np.array([2.5, 5.9, 7.0, 14.0, 3.0])
    figure = rating_figure(predicted, mean, np.ones(5))
    axes = figure.axes[0]
    band, within, beyond = axes.collections
    np.testing.assert_allclose(within.get_offsets(), [[2, 2.5], [5, 5.9]])
    # A rating off the scale is at its end.
    np.testing.assert_allclose(beyond.get_offsets(), [[5, 7], [9, 10]])
    assert within.get_facecolors().size and not beyond.get_facecolors().size
    assert legend(figure)[2:] == ["within it: 50.0% of 4", "beyond it: 50.0%"]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1, 1], [10, 10]])
    edge = band.get_paths()[0].vertices
    np.testing.assert_allclose(np.abs(edge[:, 1] - edge[:, 0]), 1, atol=1e-9)
    assert axes.get_xlim() == axes.get_ylim() == (0.7, 10.3)


def test_the_band_follows_the_deviation_of_the_pictures_nearby():
    mean = np.repeat([1.0, 10.0], 50)
    band = rating_figure(mean, mean, np.repeat([0.5, 2.0], 50)).axes[0].collections[0]
    edge = band.get_paths()[0].vertices
    upper = edge[edge[:, 1] > edge[:, 0]]
    places, widths = upper[np.argsort(upper[:, 0])].T
    widths = widths - places
    assert (places[0], places[-1]) == (1, 10)
    assert (widths[0], widths[-1]) == pytest.approx((0.5, 2.0))
    assert (np.diff(widths) >= -1e-9).all()


def test_ratings_that_cannot_be_are_refused_and_none_are_told():
    assert texts(rating_figure([], [], []).axes[0]) == {"nothing to show"}
    assert texts(rating_figure([np.nan], [2], [1]).axes[0]) == {"nothing to show"}
    for arguments, message in [
        (([1.0], [11.0], [1.0]), "from 1 to 10"),
        (([1.0], [5.0], [-1.0]), "negative"),
        (([1.0, 2.0], [5.0], [1.0]), r"must be \[n\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            rating_figure(*arguments)


def test_the_published_table_gives_the_published_correlations():
    figure = correlation_figure({"FID": (QUALITY, FID), "LPIPS": (QUALITY, LPIPS)}, NAMES)
    fid, lpips = figure.axes
    assert fid.get_title() == "Spearman −1.00, Pearson −0.86"
    assert lpips.get_title() == "Spearman −1.00, Pearson −0.54"
    assert (fid.get_ylabel(), lpips.get_ylabel()) == ("FID", "LPIPS")
    assert fid.get_xlim() == lpips.get_xlim()
    np.testing.assert_allclose(fid.collections[3].get_offsets(), [[5.853, 29.964]])
    assert legend(figure) == NAMES
    shapes = {
        (tuple(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes())
        for points in fid.collections
    }
    assert len(shapes) == len(NAMES)


def test_models_of_equal_quality_share_their_rank():
    points = {"l1": ([1.0, 2.0, 2.0, 5.0], [4.0, 3.0, 1.0, 0.5])}
    (axes,) = correlation_figure(points, list("abcd")).axes
    # Ranks 1, 2.5, 2.5, 4 and 4, 3, 2, 1: -4.5 / sqrt(4.5 * 5).
    assert axes.get_title().startswith("Spearman −0.95, ")


def test_a_correlation_that_is_not_defined_is_a_dash():
    one = [np.nan, np.nan, np.nan, 1.0, np.nan]
    points = {"one": (QUALITY, one), "equal": (QUALITY, [2] * 5), "none": (QUALITY, [np.nan] * 5)}
    axes = correlation_figure(points, NAMES).axes
    assert [panel.get_title() for panel in axes] == ["Spearman –, Pearson –"] * 3
    assert [texts(panel) for panel in axes] == [set(), set(), {"nothing to show"}]
    correlation_figure(points, NAMES)
    with pytest.raises(ValueError, match="FID: quality and values must be"):
        correlation_figure({"FID": (QUALITY, FID[:4])}, NAMES)
    with pytest.raises(ValueError, match="no metric"):
        correlation_figure({}, NAMES)


def test_a_run_has_one_look_in_all_panels_and_one_place_in_the_legend():
    runs = {"a": curves(critic=1.0, identity=0.5), "b": curves(identity=0.2), "c": curves(l1=3.0)}
    figure = learning_curves_figure(runs)
    assert [axes.get_title() for axes in figure.axes] == ["critic", "identity", "l1"]
    assert legend(figure) == ["a", "b", "c"]
    looks = [[(x.get_color(), x.get_linestyle()) for x in p.lines[1::2]] for p in figure.axes]
    key = [(x.get_color(), x.get_linestyle()) for x in figure.legends[0].get_lines()]
    assert looks == [key[:1], key[:2], key[2:]] and len(set(key)) == 3
    raw, smoothed = figure.axes[0].lines
    np.testing.assert_array_equal(raw.get_ydata(), runs["a"]["critic"][1])
    assert raw.get_alpha() < 0.5 and smoothed.get_alpha() is None
    assert np.std(np.diff(smoothed.get_ydata())) < 0.3 * np.std(np.diff(raw.get_ydata()))


def test_smoothing_averages_a_twentieth_of_the_points_and_keeps_gaps():
    values = np.arange(100.0)
    np.testing.assert_allclose(smooth(values)[:98], values[:98])
    assert smooth(values)[99] == pytest.approx(98.0)
    values[50] = np.nan
    smoothed = smooth(values)
    assert np.isnan(smoothed[50]) and np.isfinite(np.delete(smoothed, 50)).all()
    assert smoothed[49] == pytest.approx((47 + 48 + 49 + 51) / 4)
    short = np.array([3.0, 1.0, 2.0])
    np.testing.assert_array_equal(smooth(short), short)
    assert smooth(np.zeros(0)).shape == (0,)


def test_a_spike_leaves_the_panel_and_a_steep_beginning_stays():
    spiked, steep = curves(500, critic=1.0), curves(500, critic=1.0)
    spiked["critic"][1][3] = 400.0
    steep["critic"][1][:50] = np.linspace(40, 1, 50)
    low, high = learning_curves_figure({"a": spiked}).axes[0].get_ylim()
    assert 0 < low < 0.8 and 1.2 < high < 2
    assert learning_curves_figure({"a": steep}).axes[0].get_ylim()[1] > 40


def test_gaps_single_points_and_empty_curves_are_drawn_as_what_they_are():
    steps = np.array([10, 20, 30])
    runs = {
        "a": {
            "gap": (steps, np.array([1.0, np.inf, 2.0])),
            "one": (steps[:1], np.array([5.0])),
            "none": (steps[:0], np.zeros(0)),
            "nan": (steps, np.full(3, np.nan)),
        }
    }
    gap, one, none, nan = learning_curves_figure(runs).axes
    np.testing.assert_array_equal(gap.lines[1].get_ydata(), [1, np.nan, 2])
    assert (gap.lines[1].get_marker(), one.lines[1].get_marker()) == ("None", "o")
    assert [texts(axes) for axes in (one, none, nan)] == [
        set(),
        {"nothing to show"},
        {"nothing to show"},
    ]
    learning_curves_figure(runs)


def test_curves_that_do_not_fit_are_refused():
    for runs, message in [
        ({}, "no metric"),
        ({"a": {}}, "no metric"),
        ({"a": {"critic": ([1, 2], [1.0])}}, "critic: steps and values"),
    ]:
        with pytest.raises(ValueError, match=message):
            learning_curves_figure(runs)


def test_28_lines_and_markers_all_look_different():
    lines = {(drawing.style(i)["color"], drawing.style(i)["linestyle"]) for i in range(28)}
    markers = {(drawing.marker(i)["color"], drawing.marker(i)["marker"]) for i in range(28)}
    assert len(lines) == len(markers) == 28


def test_seven_lines_are_told_apart_without_colour():
    def lightness(index):
        return np.dot(to_rgb(drawing.style(index)["color"]), [0.299, 0.587, 0.114])

    for first in range(7):
        for second in range(first):
            if drawing.style(first)["linestyle"] == drawing.style(second)["linestyle"]:
                assert abs(lightness(first) - lightness(second)) > 0.1


def test_a_long_text_loses_its_middle():
    assert drawing.shortened("runs/legan", 10) == "runs/legan"
    assert drawing.shortened("abcdefghijk", 10) == "abcde…hijk"
