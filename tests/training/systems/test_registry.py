"""A system is one module: registered, it has flags, a default configuration and a training."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import pytest
from absl import flags

from legan_tf.command_line.options import POSITIVE, Options, group, option
from legan_tf.data.rendered import rendered_faces
from legan_tf.errors import UserError
from legan_tf.models import LeganGenerator
from legan_tf.training import systems
from legan_tf.training.system import SYSTEMS, register
from legan_tf.training.systems.legan import Legan
from legan_tf.training.train import train


@dataclasses.dataclass(frozen=True)
class NarrowOptions(Options):
    """How narrow it is."""

    divisor: int = option(2, "Factor by which hourglasses are narrower.", limit=POSITIVE)


@pytest.fixture
def narrow():
    """A system of a test's own: LEGAN with hourglasses of a fraction of the width."""

    @register
    @dataclasses.dataclass(frozen=True)
    class Narrow(Legan):
        """LEGAN with narrower hourglasses."""

        model: ClassVar[str] = "narrow"
        narrow: NarrowOptions = group(NarrowOptions)

        def network(self, faces):
            width = self.hourglass.width // self.narrow.divisor
            options = {**self.generator_options(faces), "width": width}
            return LeganGenerator(**options, mask_channels=self.masks.mask_channels)

    yield Narrow
    del SYSTEMS["narrow"]


def test_a_registered_system_has_its_flags_and_is_trained(narrow, runs, tmp_path):
    values = flags.FlagValues()
    values(systems.select_flags(["train", "--model=narrow", "--divisor=4"], values))
    assert systems.from_flags(values) == systems.make("narrow", divisor=4)
    assert "Factor by which hourglasses are narrower." in values.get_help()
    faces = rendered_faces("train", 1, ("neutral", "smile"), ("shot00",), 16, seed=0)
    assert systems.make("narrow", divisor=4, width=8).network(faces).width == 2
    weights = {"quality_weight": 0.0, "identity_weight": 0.0}
    steps = {"train_steps": 1, "log_every": 1, "critic_steps": 1}
    assert train(runs.config(tmp_path / "run", model="narrow", **weights, **steps)) == 0
    assert "--model=narrow\n" in (tmp_path / "run/flags.txt").read_text()
    assert (tmp_path / "run/model.keras").exists()


def test_its_flags_are_no_other_system_s(narrow):
    with pytest.raises(UserError, match="--divisor belongs to narrow, not to legan"):
        systems.select_flags(["train", "--model=legan", "--divisor=2"], flags.FlagValues())
    with pytest.raises(UserError, match="divisor=0: must be more than 0"):
        systems.make("narrow", workdir="x", divisor=0).check()


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="there is a system 'legan' already"):
        register(type("Other", (), {"model": "legan"}))
