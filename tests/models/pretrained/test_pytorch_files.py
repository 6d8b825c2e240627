from __future__ import annotations

import os
import pathlib
import pickle
import runpy
import zipfile

import numpy as np
import pytest

from legan_tf.errors import UserError
from legan_tf.models.pretrained.pytorch_files import read_tensors

WRITER = runpy.run_path(str(pathlib.Path(__file__).parents[2] / "torch_writer.py"))
Built, Call, Name, View = (WRITER[name] for name in ("Built", "Call", "Name", "View"))
saved, pickled = WRITER["saved"], WRITER["pickled"]
FORMS = ("zip", "pickles")
ORDERED = "collections OrderedDict"


@pytest.fixture
def read(tmp_path):
    def read(content: bytes) -> dict[str, np.ndarray]:
        (tmp_path / "net.pth").write_bytes(content)
        return read_tensors(str(tmp_path / "net.pth"))

    return read


@pytest.fixture
def refused(read, tmp_path):
    def refused(content: bytes) -> str:
        with pytest.raises(UserError) as error:
            read(content)
        told = str(error.value)
        assert told.startswith(f"{tmp_path / 'net.pth'}: ") and "\n" not in told
        return told

    return refused


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.normal(size=(2, 3, 2, 2)).astype(np.float32),
        "conv.bias": rng.normal(size=2).astype(np.float32),
    }


class Evil:
    def __init__(self, marker: pathlib.Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_tensors_come_out_as_they_went_in(read, form, protocol):
    tensors = read(saved(weights(), form, protocol))
    assert list(tensors) == ["conv.weight", "conv.bias"]
    for name, wanted in weights().items():
        assert tensors[name].dtype == np.float32
        np.testing.assert_array_equal(tensors[name], wanted)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?"])
def test_every_type_of_number_is_kept(read, form, kind):
    wanted = np.array([[0, 1, 3], [100, 0, 127]]).astype(kind)
    scalar, none = np.array(1, kind), np.zeros((0, 3), kind)
    tensors = read(saved({"a": wanted, "b": scalar, "c": none}, form))
    for name, array in {"a": wanted, "b": scalar, "c": none}.items():
        assert type(tensors[name]) is np.ndarray and tensors[name].dtype == array.dtype
        assert tensors[name].shape == array.shape
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_becomes_float32(read, form):
    # 1, -2, the largest below 1/3 with eight bits, infinity.
    bits = np.array([0x3F80, 0xC000, 0x3EAA, 0x7F80], np.uint16)
    tensor = read(saved({"a": bits, "b": bits[1:2].reshape(())}, form))
    assert tensor["a"].dtype == tensor["b"].dtype == np.float32
    np.testing.assert_array_equal(tensor["a"], [1.0, -2.0, 0.33203125, np.inf])
    assert tensor["b"].shape == () and tensor["b"] == -2.0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["f4", "?", "u2"])
def test_views_of_one_storage_become_arrays_of_their_own(read, form, kind):
    storage = (np.arange(12) % 5).astype(kind)
    views = {
        "turned": View(storage, 0, (4, 3), (1, 4)),
        "part": View(storage, 5, (2, 2), (3, 1)),
        "same": View(storage, 0, (2,), (0,)),
    }
    tensors = read(saved(views, form))
    stored = (storage.astype(np.uint32) << 16).view(np.float32) if kind == "u2" else storage
    np.testing.assert_array_equal(tensors["turned"], stored.reshape(3, 4).T)
    np.testing.assert_array_equal(tensors["part"], stored[5:11].reshape(2, 3)[:, :2])
    np.testing.assert_array_equal(tensors["same"], stored[[0, 0]])
    assert all(tensor.flags.c_contiguous and tensor.flags.writeable for tensor in tensors.values())
    assert not np.shares_memory(tensors["turned"], tensors["part"])


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_gives_its_state_dict_without_the_prefix_of_data_parallel(read, form):
    arrays = weights()
    parameter = Call("torch._utils _rebuild_parameter", (arrays["conv.bias"], True, None))
    state = {"module.conv.weight": arrays["conv.weight"], "module.conv.bias": parameter}
    versions = {"_metadata": Call(ORDERED, ())}
    root = {"epoch": 3, "loss": 0.5, "state_dict": Built(state, versions), "done": [None, (1,)]}
    tensors = read(saved(root, form))
    assert list(tensors) == ["conv.weight", "conv.bias"]
    np.testing.assert_array_equal(tensors["conv.bias"], arrays["conv.bias"])


def test_a_prefix_that_not_all_names_have_stays(read):
    tensors = read(saved({"module.a": np.zeros(1), "b": np.zeros(1)}))
    assert list(tensors) == ["module.a", "b"]


def test_ordered_pairs_and_tensors_of_before_0_4_are_read(read):
    array = weights()["conv.bias"]
    old = View(array, 0, (2,), (1,), rebuilt="_rebuild_tensor")
    tensors = read(saved(Call(ORDERED, ([["conv.bias", old]],)), "pickles"))
    np.testing.assert_array_equal(tensors["conv.bias"], array)


@pytest.mark.parametrize("place", ["bare", "zip", "pickles"])
def test_code_is_named_and_not_executed(refused, tmp_path, place):
    marker = tmp_path / "marker"
    evil = pickle.dumps({"weight": Evil(marker)}, protocol=2)
    contents = {
        "bare": evil,
        "zip": WRITER["zipped"](evil, {}, 0),
        "pickles": WRITER["legacy"](evil, {}, 0),
    }
    assert f"'{os.name}.system'" in refused(contents[place])
    assert not marker.exists()
    pickle.loads(evil)
    assert marker.exists()  # It would have worked.


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name",
    [
        "builtins eval",
        "torchvision.models.alexnet AlexNet",
        "torch.nn.modules.conv Conv2d",
        "torch._utils _rebuild_sparse_tensor",
        "collections Counter",
    ],
)
def test_every_other_name_is_refused(refused, form, name):
    told = refused(saved({"a": Call(name, ("1",))}, form))
    assert f"'{name.replace(' ', '.')}'" in told and "state_dict()" in told


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("root", "told"),
    [
        ([np.zeros(2)], "no dictionary of tensors"),
        ({"a": np.zeros(2), "step": 3}, "'step'"),
        ({"generator": {"a": np.zeros(2)}}, "'generator'"),
        ({"a": Name("torch FloatStorage")}, "'a'"),
        ({"a": Built(Name("torch FloatStorage"), {"x": 1})}, "damaged"),
        ({"a": Call("torch FloatStorage", (3,))}, "damaged"),
        ({"a": Call("torch._utils _rebuild_tensor_v2", (1, 0, (2,), (1,)))}, "damaged"),
        ({("a", "b"): np.zeros(2)}, "damaged"),
    ],
)
def test_what_is_no_dictionary_of_tensors_is_refused(refused, form, root, told):
    assert told in refused(saved(root, form))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("view", "told"),
    [
        (View(np.zeros(4, "f4"), 0, (5,), (1,)), "outside its storage, 'a'"),
        (View(np.zeros(4, "f4"), 1, (2, 2), (2, 1)), "outside its storage"),
        (View(np.zeros(4, "f4"), 0, (2,), (2**40,)), "outside its storage"),
        (View(np.zeros(4, "f4"), 0, (2,), (-1,)), "damaged"),
        (View(np.zeros(4, "f4"), -1, (2,), (1,)), "damaged"),
        (View(np.zeros(4, "f4"), 0, (2, 2), (1,)), "damaged"),
        (View(np.zeros(4, "f4"), 0, (2**62, 0), (1, 1)), "damaged"),
        (View(np.zeros(4, "f4"), 0, (10**9, 10**9), (0, 0)), "8 times its size"),
        (View(np.zeros(4, "f4"), 0, (4,), (1,), told=2**40), "more numbers than it holds"),
        (View(np.zeros(4, "f4"), 0, (4,), (1,), told=5), "wrong sizes"),
        (View(np.zeros(4, "f4"), 0, (2,), (1,), told=3), "wrong sizes"),
    ],
)
def test_sizes_that_lie_are_refused(refused, form, view, told):
    assert told in refused(saved({"a": view}, form))


def test_a_zip_that_hides_its_size_is_refused(refused):
    bomb = {"a": np.zeros(2**20, np.float32)}
    content = saved(bomb, compression=zipfile.ZIP_DEFLATED)
    assert len(content) < 10_000
    assert "is compressed" in refused(content)


def test_instructions_that_swell_are_refused(refused):
    # One list of pairs made into a dictionary again and again.
    pairs = b"](" + b"".join(b"(K%cK\x01t" % c for c in range(100)) + b"eq\x01"
    again = b"ccollections\nOrderedDict\nh\x01\x85R"
    for times, told in ((2, "no dictionary"), (200, "damaged")):
        body = b"\x80\x02](" + pairs + again * times + b"e."
        assert told in refused(WRITER["zipped"](body, {}, 0))


def test_a_place_far_out_in_the_memo_costs_nothing(read):
    # The standard Unpickler would make room for 2**32 objects.
    encoder = WRITER["Encoder"]()
    far = encoder.pickle(weights())[:-1] + b"r\xff\xff\xff\xff."
    assert list(read(WRITER["zipped"](far, encoder.storages, 0))) == list(weights())


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_short_anywhere_is_refused(refused, form):
    content = saved(weights(), form)
    for end in range(0, len(content), 7):
        refused(content[:end])


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_file_is_refused_or_read_but_never_breaks(read, form):
    content = saved({"state_dict": weights(), "epoch": 1}, form)
    rng = np.random.default_rng(1)
    told = 0
    for _ in range(300):
        bad = bytearray(content)
        for at in rng.integers(0, len(bad), rng.integers(1, 4)):
            bad[at] = rng.integers(256)
        try:
            tensors = read(bytes(bad))
        except UserError as error:
            assert "net.pth: " in str(error)
            told += 1
        else:
            assert all(type(tensor) is np.ndarray for tensor in tensors.values())
    assert told > 100


def test_what_goes_on_after_the_last_tensor_is_refused(refused):
    assert "goes on" in refused(saved(weights(), "pickles") + b"x")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not a file that torch.save wrote"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a file that torch.save wrote"),
        (b"\x89HDF\r\n\x1a\n", "not a file that torch.save wrote"),
        (b"sys_info".ljust(257, b"\0") + b"ustar" + bytes(300), "before 2017"),
        (pickled({"a": 1}), "not one that torch.save wrote"),
        (pickled(119547037146038801333356) + pickled(1002), "unknown version"),
        (pickled(119547037146038801333356) + pickled(1001) + pickled(7), "damaged"),
    ],
)
def test_other_files_are_told_apart(refused, content, told):
    assert told in refused(content)


def test_a_zip_of_something_else_is_refused(refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", b"no tensors")
    assert "damaged" in refused((tmp_path / "other.zip").read_bytes())


def test_big_endian_files_are_refused(refused):
    content = saved(weights()).replace(b"little", b"big\0\0\0")
    # The checksums of the zip notice first; PyTorch writes the right ones.
    assert "damaged" in refused(content)
    info = pickled({"little_endian": False})
    start = pickled(119547037146038801333356) + pickled(1001) + info
    assert "big-endian" in refused(start)


def test_a_missing_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(UserError, match=r"none.pth: cannot be read \(No such file"):
        read_tensors(str(tmp_path / "none.pth"))
    with pytest.raises(UserError, match="cannot be read"):
        read_tensors(str(tmp_path))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_pytorch_itself_wrote_is_read(read, tmp_path, form, protocol):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    state = dict(network.state_dict())
    base = torch.arange(24.0).reshape(4, 6)
    state |= {
        "turned": base.t(),
        "part": base[1:3, 2:5],
        "half": base.half(),
        "brain": base.bfloat16() / 3,
        "mask": base > 3,
        "long": base.long(),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "parameter": torch.nn.Parameter(base),
    }
    wrapped = torch.nn.DataParallel(network).state_dict()
    for root, wanted in ((state, state), ({"state_dict": wrapped, "epoch": 2}, None)):
        options = {"_use_new_zipfile_serialization": form == "zip", "pickle_protocol": protocol}
        torch.save(root, tmp_path / "saved.pth", **options)
        tensors = read((tmp_path / "saved.pth").read_bytes())
        wanted = wanted or network.state_dict()
        assert list(tensors) == list(wanted)
        for name, tensor in wanted.items():
            tensor = tensor.detach()
            numbers = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
            assert tensors[name].dtype == numbers.dtype
            np.testing.assert_array_equal(tensors[name], numbers)
    torch.save(network, tmp_path / "saved.pth", _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UserError, match=r"'torch\.nn\.modules\.container\.Sequential'"):
        read((tmp_path / "saved.pth").read_bytes())
