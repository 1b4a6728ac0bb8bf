"""`diffit export`: the ONNX file against the library, in onnxruntime."""

import numpy as np
import pytest

import diffit

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
from diffit import export  # noqa: E402


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    return {name: export.onnx(name, folder / f"{name}.onnx") for name in ("fashion-mnist", "fashion-latent")}


def close(got, reference, exact):
    """The rule of docs/numerics.md: both are float32 evaluations of `exact`."""
    allowed = 8 * (np.abs(reference - exact).max() + np.abs(exact).max() * 6e-8)
    assert np.abs(got - exact).max() <= allowed


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_image_space_model(files, rows):
    session = onnxruntime.InferenceSession(files["fashion-mnist"])
    assert [i.name for i in session.get_inputs()] == ["x", "sigma", "y"]
    assert [o.name for o in session.get_outputs()] == ["forward", "denoised"]
    x = np.random.default_rng(0).standard_normal((rows, 1, 32, 32), np.float32)
    sigma = np.linspace(0.1, 20, rows, dtype=np.float32)
    y = np.arange(rows, dtype=np.int64) + 6
    forward, denoised = session.run(None, {"x": x, "sigma": sigma, "y": y})
    with diffit.load("fashion-mnist", device="cpu") as model:
        library = model.denoise(x, sigma, y)
    network = diffit.torch.load("fashion-mnist").double()
    with torch.no_grad():
        exact = network.denoise(torch.tensor(x).double(), torch.tensor(sigma), torch.tensor(y)).numpy()
    close(denoised, library, exact)
    assert forward.shape == x.shape and np.abs(forward).max() > 0.01


@pytest.mark.parametrize("rows", [1, 3])
def test_latent_model(files, rows):
    session = onnxruntime.InferenceSession(files["fashion-latent"])
    assert [i.name for i in session.get_inputs()] == ["x", "t", "y"]
    x = np.random.default_rng(1).standard_normal((rows, 4, 8, 8), np.float32)
    t, y = np.linspace(3, 900, rows, dtype=np.float32).round(), np.full(rows, 10)
    forward, = session.run(None, {"x": x, "t": t, "y": y})
    network = diffit.torch.load("fashion-latent")
    with torch.no_grad():
        mine = network(torch.tensor(x), torch.tensor(t), torch.tensor(y)).numpy()
        exact = network.double()(torch.tensor(x).double(), torch.tensor(t), torch.tensor(y)).numpy()
    assert forward.shape == (rows, 8, 8, 8)
    close(forward, mine, exact)


def test_the_graph_has_no_col2im_and_a_dynamic_batch(files):
    import onnx
    for path in files.values():
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert model.opset_import[0].version == export.OPSET
        assert not {node.op_type for node in model.graph.node} & {"Col2Im", "Loop", "If", "SequenceConstruct"}
        for value in [*model.graph.input, *model.graph.output]:
            assert value.type.tensor_type.shape.dim[0].dim_param, value.name


def test_requests_that_are_refused(tmp_path, capsys):
    with pytest.raises(diffit.InvalidError, match="onnx") as caught:
        export.onnx("fashion-mnist", tmp_path / "x.safetensors")
    assert caught.value.field == "out"
    assert export.main(["-m", "fashion-mnist", "-o", str(tmp_path / "no/x.onnx")]) == 2
    assert export.main(["-m", "no-such-model", "-o", str(tmp_path / "x.onnx")]) == 2
    err = capsys.readouterr().err
    assert err.count("error:") == 2 and len(err.splitlines()) == 2
    with pytest.raises(diffit.InvalidError):
        export.onnx("fashion-mnist", tmp_path / "x.onnx", opset=11)
    assert not list(tmp_path.iterdir())
