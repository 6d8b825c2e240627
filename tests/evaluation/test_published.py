import pytest

from legan_tf.evaluation.metrics.correlation import correlations
from legan_tf.evaluation.metrics.registry import registered
from legan_tf.evaluation.published import (
    AFFECTNET,
    DEPTH_WEIGHTS,
    POSTER,
    RAFD,
    differences,
    value,
)
from legan_tf.models import FidInception, Vggface2ResNet50


def report(name, size, **networks):
    return {
        "data": {"name": name, "image_size": size},
        "networks": {kind: {"name": network} for kind, network in networks.items()},
    }


def test_percentages_are_kept_as_shares_and_all_else_as_printed():
    assert value("preference", "34.7") == 0.347
    assert value("accuracy", "87.2") == 0.872
    assert value("fid", "38.745") == 38.745


def test_every_published_figure_belongs_to_a_column():
    for table in (POSTER, AFFECTNET, DEPTH_WEIGHTS, RAFD):
        for figures in {**table.models, **table.real}.values():
            assert set(figures) <= set(registered())
            assert all(value(key, text) > 0 for key, text in figures.items())


def test_preferences_are_of_one_choice_among_the_four_models():
    shares = [value("preference", row["preference"]) for row in POSTER.models.values()]
    assert sum(shares) == pytest.approx(1, abs=0.001)


def test_quality_ranks_the_four_models_as_every_other_metric_does():
    values = {
        key: [value(key, row[key]) for row in POSTER.models.values()]
        for key in POSTER.models["LEGAN"]
    }
    found = correlations(values, "rating")
    signs = {"fid": -1, "lpips": -1, "ssim": 1, "match": 1, "preference": 1}
    assert {key: r["spearman"] for key, r in found.items()} == pytest.approx(signs)
    pearson = {"fid": -0.740, "lpips": -0.537, "ssim": 0.803, "match": 0.511, "preference": 0.785}
    assert {key: r["pearson"] for key, r in found.items()} == pytest.approx(pearson, abs=5e-4)


def test_the_gains_that_bodur_names_are_those_of_the_tables():
    star, ours = AFFECTNET.models["StarGAN"], AFFECTNET.models["Bodur, depth, penalty"]
    assert float(ours["accuracy"]) - float(star["accuracy"]) == pytest.approx(5.1)
    assert float(ours["cycle_psnr"]) - float(star["cycle_psnr"]) == pytest.approx(2.33)
    star, ours = RAFD.models["StarGAN"], RAFD.models["Bodur, depth, penalty"]
    assert float(ours["accuracy"]) - float(star["accuracy"]) == pytest.approx(8.9)
    assert float(ours["fid"]) - float(star["fid"]) == pytest.approx(-4.31)


def test_the_weights_of_depth_begin_with_the_rows_of_table_1():
    weighed = [row["accuracy"] for row in DEPTH_WEIGHTS.models.values()]
    assert weighed[0] == AFFECTNET.models["StarGAN"]["accuracy"]
    assert weighed[1] == AFFECTNET.models["Bodur, depth, no penalty"]["accuracy"]
    assert weighed == sorted(weighed)
    assert DEPTH_WEIGHTS.protocol is AFFECTNET.protocol


def test_the_same_data_size_and_networks_can_be_compared():
    same = report(
        "multi_pie.csv/test", 128, features="TF-GAN Inception pool_3", lpips="LPIPS 0.1, AlexNet"
    )
    assert differences(POSTER.protocol, same) == []


def test_the_papers_networks_in_this_packages_form_are_no_difference():
    inception, resnet = FidInception().name, Vggface2ResNet50(0.1).name
    same = report("multipie.csv/test", 128, features=inception, face=resnet)
    assert differences(POSTER.protocol, same) == []
    swapped = report("multipie.csv/test", 128, features=resnet, face=inception)
    assert differences(POSTER.protocol, swapped) == [
        "FID by Inception pool3 (inferred), here by vggface2_resnet50",
        "match by ResNet-50 on VGGFace2 (inferred), here by fid_inception",
    ]


def test_every_difference_in_data_size_and_network_is_told():
    other = report(
        "rendered/test", 64, features="face", lpips="LPIPS 0.1, VGG16", face="LightCNN", quality="Q"
    )
    assert differences(POSTER.protocol, other) == [
        "on Multi-PIE, here on rendered/test",
        "at 128 pixels, here at 64",
        "FID by Inception pool3 (inferred), here by face",
        "LPIPS by LPIPS alex (inferred), here by LPIPS 0.1, VGG16",
        "match by ResNet-50 on VGGFace2 (inferred), here by LightCNN",
        "quality by the authors' Q, here by Q",
    ]


def test_accuracy_over_other_classes_is_a_difference():
    rafd = report("RaFD.csv/test", 256)
    assert differences(RAFD.protocol, rafd, "expression") == []
    assert differences(RAFD.protocol, rafd, "expression_six") == [
        "accuracy over all expressions, here over six of eight"
    ]
    assert differences(RAFD.protocol, rafd) == []
