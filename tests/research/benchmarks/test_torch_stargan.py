from __future__ import annotations

import math

import numpy as np
import pytest

from legan_research.benchmarks import training
from legan_research.benchmarks.torch_stargan import TorchStargan
from legan_tf.data.conditions import of_classes
from legan_tf.errors import UserError
from legan_tf.models.pretrained import pytorch_conversion

SMALL = training.CONFIG.replace(
    image_size=16, batch_size=2, critic_steps=1, width=4, blocks=0, d_width=4, d_depth=1
)
CONDITIONS = of_classes(expression=tuple("abcdefgh"))


@pytest.fixture
def twin():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    from legan_research.benchmarks.torch_networks import Stargan

    return lambda *sizes: Stargan(8, *sizes)


def arrays(network):
    return {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}


def test_it_has_the_published_numbers_of_parameters(twin):
    counts = twin(128, 64, 6, 64, 6).parameters
    assert counts == {"generator": 8_439_936, "discriminator": 44_786_624}


def test_it_gives_what_our_networks_give_of_its_weights(twin):
    stargan = twin(16, 8, 2, 8, 2)
    images, _, targets = stargan.batches(1, 3)[0]
    codes = np.eye(8, dtype=np.float32)[targets.numpy()]
    theirs = stargan.generator(images, stargan._codes(targets)).detach().permute(0, 2, 3, 1)
    weights = arrays(stargan.generator)
    layout = pytorch_conversion.stargan_generator(weights, CONDITIONS, 16)
    layout.fill("", "", weights)
    pictures = images.permute(0, 2, 3, 1).numpy()
    ours = layout.network({"image": pictures, "expression": codes})["image"]
    assert np.ptp(ours) > 0.1
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)

    realness, logits = (x.detach().numpy() for x in stargan.discriminator(images))
    weights = arrays(stargan.discriminator)
    layout = pytorch_conversion.stargan_discriminator(weights, CONDITIONS)
    layout.fill("", "", weights)
    judged = layout.network(pictures)
    np.testing.assert_allclose(judged["realness"], realness[:, 0], atol=1e-4)
    np.testing.assert_allclose(judged["expression"], logits, atol=1e-4)


def test_its_step_trains_both_networks_and_its_forward_pass_neither(twin):
    stargan = twin(16, 4, 1, 4, 2)
    batches = stargan.batches(2, 3)
    states = []
    for call in (lambda: stargan.forward(batches[0]), lambda: stargan.train_step(batches)):
        assert math.isfinite(call())
        networks = (stargan.generator, stargan.discriminator)
        states.append([{k: v.copy() for k, v in arrays(n).items()} for n in networks])
    for before, after in zip(*states):
        # Adam's first steps are as long as the rate; the discriminator makes two.
        moved = np.concatenate([np.abs(after[k] - before[k]).ravel() for k in before])
        assert 0.5e-4 < np.median(moved) < 2.5e-4


def test_its_process_obeys_and_is_timed_in_turn_with_our_training(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(training, "PRECISIONS", ("bfloat16",))
    (result,) = training.benchmark(pairs=1, batch_sizes=[2], config=SMALL)
    assert result.what == "1 updates of D and one of G, 16 x 16, batch 2"
    assert result.first == "legan_tf, bfloat16"
    assert result.second.startswith("PyTorch 2") and result.second.endswith(", float32")
    assert min(result.first_s + result.second_s) > 0.0


def test_a_torch_that_does_not_load_is_reported_in_one_sentence(tmp_path, monkeypatch):
    # On the other stack it is not installed, and this one is found all the same.
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: cannot open')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    reported = r"beside PyTorch needs torch, .* \(libtorch.so: cannot open\): `pip install torch`"
    with pytest.raises(UserError, match=reported):
        TorchStargan(SMALL, 8, 1)
