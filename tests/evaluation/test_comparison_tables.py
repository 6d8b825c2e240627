import copy
import csv
import json
import math
import re

import pytest

from legan_tf.errors import UserError
from legan_tf.evaluation.comparison_tables import compare

ROWS = {
    "edit": {
        "fid": 12.5,
        "kid": 0.01,
        "lpips": 0.2,
        "ssim": 0.7,
        "psnr": 20.0,
        "l1": 0.05,
        "match": 0.6,
        "person": 0.75,
        "rating": 5.5,
        "natural": 0.9,
        "expression": 0.9,
        "lighting": 0.95,
        "cycle_psnr": 31.0,
        "cycle_ssim": 0.88,
    },
    "copy": {"fid": 4.0, "ssim": 0.5, "match": 1.0, "expression": 0.25},
    "truth": {"fid": 3.0, "ssim": 1.0, "psnr": "inf", "expression": 0.99},
}
INPUT = "64 x 64, bilinear, antialias"
NETWORKS = {
    "classifier": {"name": "attributes", "sha256": "1" * 64, "input": INPUT},
    "face": {"name": "lightcnn", "sha256": "2" * 64, "input": INPUT},
    "quality": {"name": "q", "sha256": "3" * 64, "input": INPUT},
    "features": {"name": "lightcnn", "sha256": "2" * 64, "input": INPUT},
    "lpips": {"name": "LPIPS 0.1, AlexNet", "sha256": "4" * 64, "input": "at their own size"},
}


def report(without=(), **edit):
    made = {
        "format": 2,
        "kind": "editor",
        "model": {"name": "m", "path": "runs/m", "sha256": "0" * 64},
        "data": {
            "name": "rendered/test",
            "people": 50,
            "images": 5700,
            "image_size": 64,
            "seed": 0,
            "sha256": "a" * 64,
            "reference": 1900,
            "crop": "",
            "pictures": "c" * 64,
        },
        "edits": 2000,
        "seed": 0,
        "classes": {"expression": ["neutral", "smile"], "lighting": ["shot00"]},
        "networks": NETWORKS,
        "figures": {**ROWS, "edit": {**ROWS["edit"], **edit}},
        "intervals": {"edit": {"fid": [12.0, 13.0]}},
        "confusion": {"edit": {"expression": [[900, 100], [50, 950]]}},
        "missing": [],
    }
    made = copy.deepcopy(made)
    for key in without:
        del made["figures"]["edit"][key]
    return made


def published(**changes):
    """A report on the poster's data, with its networks but the authors' own."""
    made = report()
    made["data"].update(name="multipie.csv/test", image_size=128)
    made["networks"] = {
        "features": {"name": "TF-GAN Inception pool_3", "sha256": "5" * 64, "input": INPUT},
        "lpips": NETWORKS["lpips"],
        **changes,
    }
    return made


def section(markdown, title):
    """The rows of a table, by the name of the row."""
    text = markdown.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return {line.split(" | ")[0][2:]: line for line in lines}


def rows_of(folder, table):
    with open(folder / "compare.csv", newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["table"] == table]


def test_what_is_doubted_in_a_report_is_told_once(tmp_path):
    doubting = {**report(), "doubts": ["Faces are not told apart."]}
    groups = {"a": [doubting], "b": [doubting], "c": [report()]}
    assert compare(groups, {}, str(tmp_path)).count("Faces are not told apart.") == 1
    assert "told apart" not in compare({"c": [report()]}, {}, str(tmp_path))


def test_the_posters_table_has_the_models_the_copy_the_truth_and_the_paper(tmp_path):
    groups = {"LEGAN": [report(fid=11.0, rating=5.25)], "StarGAN": [report(lpips=0.125)]}
    markdown = compare(groups, {"LEGAN": 0.625}, str(tmp_path))
    rows = list(section(markdown, "LEGAN's table").values())
    assert rows[0] == (
        "| model | Fréchet distance (face network) ↓ | LPIPS ↓ | SSIM ↑ | match ↑ | quality ↑ | "
        "preference (%) ↑ |"
    )
    assert rows[1] == "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert rows[2:6] == [
        "| LEGAN | **11.000 [12.000, 13.000]** | 0.200 | **0.700** | **0.600** | 5.250 | 62.5 |",
        "| StarGAN | 12.500 [12.000, 13.000] | **0.125** | **0.700** | **0.600** | **5.500** | – |",
        "| the input, copied | 4.000 | – | 0.500 | 1.000 | – | – |",
        "| the true pictures | 3.000 | – | 1.000 | – | – | – |",
    ]
    assert rows[6:] == [
        "| StarGAN, published † | 38.745 | 0.126 | 0.559 | 0.635 | 5.200 | 22.3 |",
        "| StarGAN w/ L_qual, published † | 34.045 | 0.123 | 0.567 | 0.647 | 5.391 | 34.7 |",
        "| StarGAN-v2, published † | 54.842 | 0.212 | 0.415 | 0.202 | 5.172 | 3.75 |",
        "| LEGAN, published † | 29.964 | 0.120 | 0.649 | 0.649 | 5.853 | 39.3 |",
        "| real images, published † | 12.931 | – | – | 0.739 | 5.921 | – |",
    ]
    assert (
        "† not comparable: on Multi-PIE, here on rendered/test; at 128 pixels, here at 64; FID by "
        "Inception pool3 (inferred), here by lightcnn; match by ResNet-50 on VGGFace2 (inferred), "
        "here by lightcnn; quality by the authors' Q, here by q.\n"
    ) in markdown
    assert (tmp_path / "compare.md").read_text(encoding="utf-8") == markdown


def test_what_was_measured_with_what_stands_above_the_tables(tmp_path):
    told = compare({"A": [report()]}, {}, str(tmp_path)).split("\n## ")[0]
    assert (
        "2000 edits of rendered/test (5700 pictures of 50 people, 64 x 64 pixels), seed 0.\n"
    ) in told
    of_sets = "Fréchet distance (face network), kernel distance (face network)"
    assert f"{of_sets}: of 2000 pictures to 1900 real ones.\n" in told
    assert "95 % intervals of one run, by resampling pictures." in told
    assert f"\n{of_sets}: lightcnn ({INPUT}; sha256 222222222222).\n" in told
    assert f"\naccuracy, expression, lighting: attributes ({INPUT}; sha256 111111111111).\n" in told


def test_published_figures_on_the_same_data_with_the_same_networks_are_not_marked(tmp_path):
    markdown = compare({"A": [published()]}, {}, str(tmp_path))
    table = section(markdown, "LEGAN's table")
    assert table["LEGAN, published"].startswith("| LEGAN, published | 29.964 |")
    rows = rows_of(tmp_path, "legan")
    assert {(row["comparable"], row["reason"]) for row in rows} == {("yes", "")}
    compare({"A": [published(quality=NETWORKS["quality"])]}, {}, str(tmp_path))
    reasons = {row["model"]: row["reason"] for row in rows_of(tmp_path, "legan")}
    assert reasons["A"] == "" and reasons["LEGAN"] == "quality by the authors' Q, here by q"


def test_a_network_that_only_one_model_was_measured_with_still_marks_the_paper(tmp_path):
    groups = {"A": [published()], "B": [published(quality=NETWORKS["quality"])]}
    compare(groups, {}, str(tmp_path))
    paper = [row for row in rows_of(tmp_path, "legan") if row["source"] != "measured"]
    assert {row["reason"] for row in paper} == {"quality by the authors' Q, here by q"}


def test_bodurs_table_has_the_accuracy_over_six_where_the_classes_are_affectnets(tmp_path):
    six = report(expression=0.8, expression_six=0.85)
    six["data"].update(name="affectnet.csv/test", image_size=256)
    markdown = compare({"A": [six]}, {}, str(tmp_path))
    table = section(markdown, "Bodur's table")
    assert table["model"] == (
        "| model | accuracy (%) ↑ | Fréchet distance (face network) ↓ | PSNR of the cycle (dB) ↑ | "
        "SSIM of the cycle ↑ |"
    )
    assert table["A"] == "| A | 85.0 | 12.500 [12.000, 13.000] | 31.00 | 0.880 |"
    assert table["Bodur, depth, penalty (AffectNet), published †"].endswith(
        "| 87.2 | 13.35 | 35.29 | 0.84 |"
    )
    assert table["StarGAN (RaFD), published ‡"].endswith("| 53.1 | 39.45 | 31.19 | 0.75 |")
    assert "Accuracy is over six of AffectNet's eight.\n" in markdown
    assert (
        "† not comparable: accuracy by the authors' classifier, here by attributes; FID by "
        "Inception pool3 (inferred), here by lightcnn.\n"
    ) in markdown
    assert "; accuracy over all expressions, here over six of eight.\n" in markdown


def test_accuracy_is_over_all_expressions_where_there_are_no_six(tmp_path):
    markdown = compare({"A": [report(expression=0.8)]}, {}, str(tmp_path))
    assert section(markdown, "Bodur's table")["A"].startswith("| A | 80.0 | 12.500 ")
    assert "Accuracy is over all expressions.\n" in markdown


def test_the_truths_table_leaves_out_what_no_report_has(tmp_path):
    groups = {"A": [report(light_error=0.25)], "B": [report(without=["person"])]}
    table = section(compare(groups, {}, str(tmp_path)), "Against the truth")
    assert list(table.values()) == [
        "| model | expression ↑ | lighting ↑ | SSIM ↑ | PSNR (dB) ↑ | L1 ↓ | person found ↑ | "
        "match ↑ | light error ↓ |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| A | **0.900** | **0.950** | **0.700** | **20.00** | **0.050** | 0.750 | **0.600** | "
        "0.250 |",
        "| B | **0.900** | **0.950** | **0.700** | **20.00** | **0.050** | – | **0.600** | – |",
        "| the input, copied | 0.250 | – | 0.500 | – | – | – | 1.000 | – |",
        "| the true pictures | 0.990 | – | 1.000 | ∞ | – | – | – | – |",
    ]


def test_pictures_that_another_program_made_have_no_row_of_copies(tmp_path):
    made = report()
    made["kind"] = "pictures"
    del made["confusion"]
    made["figures"] = {"edit": {"fid": 12.5, "kid": 0.1}, "truth": {"fid": 3.0, "kid": 0.0}}
    markdown = compare({"A": [made]}, {}, str(tmp_path))
    assert "copied" not in markdown and "Against the truth" not in markdown
    assert "Accuracy" not in markdown
    table = section(markdown, "LEGAN's table")
    assert table["A"] == "| A | 12.500 [12.000, 13.000] | – | – | – | – | – |"


def pictures(**figures):
    """A report on pictures of which nobody knows how they were asked for."""
    made = report()
    made["kind"] = "pictures"
    del made["confusion"]
    made["figures"] = {"edit": {"fid": 11.5, "rating": 5.0, **figures}}
    return made


def test_pictures_of_another_program_stand_beside_editors_of_the_same_data(tmp_path):
    table = section(
        compare({"A": [report()], "B": [pictures(fid=10.5)]}, {}, str(tmp_path)), "LEGAN's table"
    )
    assert table["A"].startswith("| A | 12.500 ")
    assert table["B"] == "| B | **10.500 [12.000, 13.000]** | – | – | – | 5.000 | – |"


def test_pictures_before_them_do_not_let_different_editors_stand_together(tmp_path):
    other = report()
    other["confusion"]["edit"]["expression"] = [[2000, 0], [0, 0]]
    groups = {"P": [pictures()], "A": [report()], "B": [other]}
    with pytest.raises(UserError, match="^--models: A and B were not judged on the same edits"):
        compare(groups, {}, str(tmp_path))


@pytest.mark.parametrize("count, told", [(1500, True), (2000, False), (0, False)])
def test_the_number_of_true_pictures_is_told_where_it_is_another(count, told, tmp_path):
    made = report()
    made["data"]["with_truth"] = count
    sentence = (
        f"A true picture is known for {count} of the edits: the row of the true pictures, and "
        "figures that compare an edit with its true picture, are of so many.\n"
    )
    markdown = compare({"P": [pictures()], "A": [made]}, {}, str(tmp_path))
    assert (sentence in markdown) == told


def test_the_copys_figures_come_from_the_first_report_that_has_them(tmp_path):
    other = report()
    other["figures"]["copy"].update(fid=4.001, lpips=0.25)
    markdown = compare({"A": [report()], "B": [other]}, {}, str(tmp_path))
    table = section(markdown, "LEGAN's table")
    assert table["the input, copied"] == (
        "| the input, copied | 4.000 | 0.250 | 0.500 | 1.000 | – | – |"
    )


def test_runs_of_one_model_become_their_mean_and_deviation(tmp_path):
    runs = [report(fid=10.0, psnr=20.0), report(fid=12.0, psnr=21.0), report(fid=14.0, psnr=25.0)]
    markdown = compare({"A": runs, "B": [report(fid=11.0)]}, {}, str(tmp_path))
    table = section(markdown, "LEGAN's table")
    assert table["A (n = 3)"].startswith("| A (n = 3) | 12.000 ± 2.000 | 0.200 ± 0.000 |")
    assert table["B"].startswith("| B | **11.000 [12.000, 13.000]** |")
    first, second = rows_of(tmp_path, "truth")[:2]
    assert (first["runs"], second["runs"]) == ("3", "1")
    assert float(first["psnr"]) == 22.0 and float(first["psnr_std"]) == math.sqrt(7)
    assert float(second["psnr"]) == 20.0 and second["psnr_std"] == ""


def test_a_figure_that_a_run_lacks_is_missing_for_the_group(tmp_path):
    runs = [report(), report(without=["rating"])]
    table = section(compare({"A": runs}, {}, str(tmp_path)), "LEGAN's table")
    assert table["A (n = 2)"].endswith("| 0.600 ± 0.000 | – | – |")


def test_an_infinite_psnr_is_kept_through_every_form(tmp_path):
    runs = [report(psnr="inf"), report(psnr=30.0)]
    markdown = compare({"A": runs, "B": [report(psnr="inf")], "C": [report()]}, {}, str(tmp_path))
    table = section(markdown, "Against the truth")
    assert [table[name].split(" | ")[4] for name in ("A (n = 2)", "B", "C")] == [
        "**∞**",
        "**∞**",
        "20.00",
    ]
    assert [float(row["psnr"]) for row in rows_of(tmp_path, "truth")[:3]] == [
        math.inf,
        math.inf,
        20.0,
    ]
    assert r"\textbf{$\infty$}" in (tmp_path / "compare.tex").read_text(encoding="utf-8")


def test_the_csv_gives_every_number_back_in_full(tmp_path):
    fid = 10 / 3
    groups = {"A, first": [report(fid=fid)], "B": [report()]}
    compare(groups, {"B": 1 / 3}, str(tmp_path))
    first, second, copied, *rest = rows_of(tmp_path, "legan")
    assert first["model"] == "A, first" and first["source"] == "measured"
    assert (float(first["fid"]), float(first["fid_low"]), float(first["fid_high"])) == (fid, 12, 13)
    assert first["preference"] == "" and float(second["preference"]) == 1 / 3
    assert copied["model"] == "the input, copied" and copied["runs"] == ""
    paper = {row["model"]: row for row in rest if row["source"] != "measured"}
    assert float(paper["StarGAN"]["preference"]) == 0.223
    assert float(paper["StarGAN"]["fid"]) == 38.745
    assert paper["StarGAN"]["comparable"] == "no"
    assert "on Multi-PIE, here on rendered/test" in paper["StarGAN"]["reason"]
    assert paper["StarGAN"]["source"] == "Banerjee et al., LEGAN, CVPR Workshops 2021, poster"
    assert float(rows_of(tmp_path, "bodur")[-1]["accuracy"]) == 0.62


def test_the_latex_is_balanced_and_escaped(tmp_path):
    runs = [report(), report()]
    compare({"a_b & 50% #1 {x}": runs, "[c]": [report(kid=-0.1)]}, {}, str(tmp_path))
    text = (tmp_path / "compare.tex").read_text(encoding="utf-8")
    assert (
        r"a\_b \& 50\% \#1 \{x\} (n = 2) & 12.500 $\pm$ 0.000 & \textbf{0.200 $\pm$ 0.000} &"
    ) in text.replace(r"\textbf{12.500 $\pm$ 0.000}", r"12.500 $\pm$ 0.000")
    assert r"{[}c{]} & \textbf{12.500 {[}12.000, 13.000{]}} &" in text
    assert r"StarGAN w/ L\_qual, published $\dagger$ & 34.045" in text
    assert r"accuracy (\%) $\uparrow$" in text
    code = [line for line in text.splitlines() if not line.startswith("%")]
    columns = 0
    for line in code:
        bare = re.sub(r"\\[%&_#${}]", "", line)
        assert not re.search(r"[%#~^±↑↓∞°†‡–]", bare.replace(r"$^\circ$", ""))
        assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
        if line.startswith(r"\begin{tabular}"):
            columns = len(re.search("{(lr+)}", line).group(1))
        elif line.endswith(r" \\"):
            assert bare.count("&") == columns - 1
        else:
            assert "&" not in bare
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 3


def test_quality_is_correlated_with_every_other_metric_over_the_models(tmp_path):
    groups = {
        "A": [report(rating=5.0, fid=30.0, ssim=0.1)],
        "B": [report(rating=6.0, fid=20.0, ssim=0.2)],
        "C": [report(rating=7.0, fid=10.0, ssim=0.1), report(rating=7.0, fid=10.0, ssim=0.1)],
        "D": [report(without=["rating"])],
    }
    markdown = compare(groups, {}, str(tmp_path))
    table = section(markdown, "Correlation with quality over the models")
    assert table["metric"] == "| metric | Pearson | Spearman | models |"
    own = "Fréchet distance (face network)"
    assert table[own] == f"| {own} | -1.00 | -1.00 | 3 |"
    assert table["SSIM"] == "| SSIM | 0.00 | 0.00 | 3 |"
    assert table["LPIPS"] == "| LPIPS | – | – | 3 |"
    assert table["FID, published †"] == "| FID, published † | -0.74 | -1.00 | 4 |"
    assert "quality" not in table and "accuracy" not in table
    found = {(r["model"], r["source"]): r for r in rows_of(tmp_path, "correlation")}
    assert float(found[own, "measured"]["pearson"]) == pytest.approx(-1)
    assert float(found[own, "measured"]["models"]) == 3
    assert found["LPIPS", "measured"]["pearson"] == ""


def test_correlations_over_two_models_are_not_shown(tmp_path):
    markdown = compare({"A": [report()], "B": [report(rating=6.0)]}, {}, str(tmp_path))
    assert "## Correlation" not in markdown
    assert "Correlations with quality take 3 models or more that are rated.\n" in markdown


@pytest.mark.parametrize(
    "place, value, told",
    [
        (("edits",), 500, "edits is 2000 and 500"),
        (("seed",), 1, "seed is 0 and 1"),
        (("data", "name"), "faces.csv/test", "data's name is rendered/test and faces.csv/test"),
        (("data", "image_size"), 128, "data's image_size is 64 and 128"),
        (("data", "reference"), 950, "data's reference is 1900 and 950"),
        (("data", "sha256"), "b" * 64, "data's sha256 is aaaaaaaaaaaa… and bbbbbbbbbbbb…"),
        (
            ("confusion", "edit", "expression"),
            [[2000, 0], [0, 0]],
            "edits per class is {'expression': [1000, 1000]} and {'expression': [2000, 0]}",
        ),
        (("data", "crop"), "0,0,1,1", "data's crop is  and 0,0,1,1"),
        (("data", "pictures"), "d" * 64, "data's pictures is cccccccccccc… and dddddddddddd…"),
    ],
)
def test_reports_on_other_edits_are_refused(place, value, told, tmp_path):
    made = report()
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(UserError) as error:
        compare({"A": [report()], "B": [report(), made]}, {}, str(tmp_path))
    assert str(error.value) == (
        "--models: A and B (run 2) were not judged on the same edits, so their figures cannot "
        f"stand in one table: {told}. Evaluate both with the same data, --edits and --seed; models "
        "of different image sizes, or that know different classes, cannot be compared."
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key, value", [("sha256", "9" * 64), ("input", "32 x 32, bilinear")])
@pytest.mark.parametrize(
    "kind, metrics, flags",
    [
        ("features", "FID, KID", "--features (face is the network of --judges or"),
        ("lpips", "LPIPS", "--lpips, --lpips_trunk and --lpips_heads."),
        ("face", "match, person found", "--judges or --identity_model."),
        ("quality", "quality, natural", "--judges or --quality_model."),
        ("classifier", "accuracy, expression, lighting", "--judges or --classifier_model."),
    ],
)
def test_numbers_of_different_networks_are_refused(kind, metrics, flags, key, value, tmp_path):
    made = report()
    made["networks"][kind][key] = value
    with pytest.raises(UserError) as error:
        compare({"A": [report()], "B": [report()], "C": [made]}, {}, str(tmp_path))
    text = str(error.value)
    assert text.startswith(f"--models: {metrics} of A and C come from different networks, so they")
    assert made["networks"][kind]["input"] in text
    assert made["networks"][kind]["sha256"][:12] in text
    assert f"Evaluate both with the same {flags}" in text


def test_one_network_under_two_names_is_the_same(tmp_path):
    made = report()
    made["networks"]["quality"]["name"] = "renamed"
    assert "| B |" in compare({"A": [report()], "B": [made]}, {}, str(tmp_path))


def test_a_network_that_gave_a_figure_to_one_model_only_is_no_reason_to_refuse(tmp_path):
    made = report(without=["lpips"])
    made["networks"]["lpips"]["sha256"] = "9" * 64
    table = section(compare({"A": [report()], "B": [made]}, {}, str(tmp_path)), "LEGAN's table")
    assert table["B"].startswith("| B | **12.500 [12.000, 13.000]** | – |")


@pytest.mark.parametrize("wrong", [{"kind": "scorer"}, {"format": 1}])
def test_reports_that_are_not_on_edits_are_refused(wrong, tmp_path):
    with pytest.raises(UserError, match="^--models: the report of B is not one on edits"):
        compare({"A": [report()], "B": [{**report(), **wrong}]}, {}, str(tmp_path))


@pytest.mark.parametrize(
    "place, value, told",
    [
        (("figures",), None, "no figures"),
        (("figures", "edit"), None, "no edit of figures"),
        (("figures", "copy"), 1, "parts of other forms"),
        (("networks",), [], "parts of other forms"),
        (("networks", "face"), "lightcnn", "no name of face of networks"),
        (("networks", "face", "input"), None, "no input of face of networks"),
        (("model",), None, "no model"),
        (("data",), None, "no data"),
        (("data", "name"), None, "no name of data"),
        (("edits",), None, "no edits"),
        (("seed",), None, "no seed"),
    ],
)
def test_a_part_that_a_report_lacks_is_named(place, value, told, tmp_path):
    made = report()
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    if value is None:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    with pytest.raises(UserError) as error:
        compare({"A": [report()], "B": [made]}, {}, str(tmp_path))
    assert str(error.value) == (
        f"--models: the report of B is damaged: it has {told}; evaluate the model again."
    )


@pytest.mark.parametrize("value", [math.nan, None, "much"])
def test_a_figure_that_is_no_number_is_named(value, tmp_path):
    with pytest.raises(
        UserError, match=f"damaged: it has {value!r} as fid of edit, which is no number;"
    ):
        compare({"A": [report(fid=value)]}, {}, str(tmp_path))


def test_a_preference_for_an_unknown_model_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"^--preferences: B is none of the models compared \(A\)"):
        compare({"A": [report()]}, {"B": 0.5}, str(tmp_path))


def test_a_group_without_a_report_is_the_callers_mistake(tmp_path):
    for groups in ({}, {"A": []}):
        with pytest.raises(ValueError, match="a report in each"):
            compare(groups, {}, str(tmp_path))


def test_a_report_survives_json(tmp_path):
    read = json.loads(json.dumps(report(psnr="inf")))
    assert "∞" in compare({"A": [read]}, {}, str(tmp_path))


def with_maps(sha256, l1):
    made = report(map_l1=l1, map_correlation=0.9)
    made["figures"]["truth"]["map_l1"] = 0.03
    made["networks"]["depth"] = {"name": "depth", "sha256": sha256, "input": INPUT}
    return made


def test_maps_that_one_network_read_stand_in_the_table(tmp_path):
    groups = {
        "StarGAN": [report()],
        "depth 0.1": [with_maps("6" * 64, 0.05), with_maps("6" * 64, 0.07)],
    }
    markdown = compare(groups, {}, str(tmp_path))
    table = section(markdown, "Against the truth")
    header = next(iter(table.values()))
    assert "| map error ↓ | map correlation ↑ |" in header
    assert table["depth 0.1 (n = 2)"].endswith("| 0.0600 ± 0.0141 | 0.900 ± 0.000 |")
    assert table["StarGAN"].endswith("| – | – |")
    assert table["the true pictures"].endswith("| 0.0300 | – |")
    assert "Maps are read in the edits by a depth network" in markdown
    assert "are left out" not in markdown


def test_maps_that_each_run_read_itself_are_left_out(tmp_path):
    groups = {"A": [with_maps("6" * 64, 0.05)], "B": [with_maps("7" * 64, 0.06)]}
    markdown = compare(groups, {}, str(tmp_path))
    assert "map error" not in markdown
    assert "evaluate with --depth_model to have them." in markdown
    assert "map_l1" in groups["A"][0]["figures"]["edit"]


def test_the_papers_weights_of_depth_stand_beside_ours(tmp_path):
    six = report(expression_six=0.861)
    markdown = compare({"depth 0.2": [six]}, {}, str(tmp_path))
    table = section(markdown, "Bodur's table")
    assert table["depth 0.2"].startswith("| depth 0.2 | 86.1 ")
    row = "Bodur, depth weight 0.3, no penalty (AffectNet), published †"
    assert table[row] == f"| {row} | 86.3 | – | – | – |"
    assert "Table 1 (AffectNet), Table 3 (AffectNet, by depth weight) and Table 2" in markdown
