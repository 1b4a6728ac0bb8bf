"""Tensors on a GPU. Skipped where torch finds none."""

import pytest

torch = pytest.importorskip("torch")
import diffit  # noqa: E402

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module")
def inputs():
    torch.manual_seed(0)
    return torch.randn(4, 1, 32, 32), torch.tensor([0.1, 0.5, 2.0, 10.0]), torch.tensor([0, 3, 5, 10])


@pytest.fixture(scope="module")
def expected(inputs):
    return diffit.load("fashion-mnist", device="cpu").denoise(*inputs)


def test_denoising_on_the_gpu_takes_and_returns_tensors_there(inputs, expected):
    model = diffit.load("fashion-mnist", device="cuda", dtype="f32")
    given = [tensor.cuda() for tensor in inputs]
    result = model.denoise(*given)
    assert result.is_cuda and result.dtype == torch.float32
    assert (result.cpu() - expected).abs().max() < 1e-4
    assert all(torch.equal(tensor.cpu(), before) for tensor, before in zip(given, inputs))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_tensors_may_be_on_another_device_than_the_model(inputs, expected, device):
    model = diffit.load("fashion-mnist", device=device, dtype="f32")
    x, sigma, labels = inputs
    x = x.cuda() if device == "cpu" else x
    result = model.denoise(x, sigma, labels)
    assert result.device.type == x.device.type
    assert (result.cpu() - expected).abs().max() < 1e-4


def test_a_result_can_be_used_on_another_stream(inputs, expected):
    model = diffit.load("fashion-mnist", device="cuda", dtype="f32")
    given = [tensor.cuda() for tensor in inputs]
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        result = model.denoise(*given)
        doubled = result * 2
    torch.cuda.synchronize()
    assert (doubled.cpu() - 2 * expected).abs().max() < 2e-4


def test_the_network_of_torch_agrees_on_the_gpu(inputs, expected):
    from diffit.torch import load

    network = load("fashion-mnist").cuda()
    with torch.no_grad():
        result = network.denoise(*[tensor.cuda() for tensor in inputs])
    assert (result.cpu() - expected).abs().max() < 1e-3


def test_sampling_on_the_gpu_gives_the_images_of_the_cpu():
    images = [diffit.load("fashion-mnist", device=device, dtype="f32").sample(seeds=range(8), steps=6)
              for device in ("cuda", "cpu")]
    difference = abs(images[0].astype(int) - images[1].astype(int))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_torch_works_as_before_afterwards():
    free = torch.backends.cuda.matmul.allow_tf32, torch.are_deterministic_algorithms_enabled()
    diffit.load("fashion-mnist", device="cuda").sample(seeds=[0], steps=2)
    assert (torch.backends.cuda.matmul.allow_tf32, torch.are_deterministic_algorithms_enabled()) == free
    x = torch.randn(64, 64, device="cuda", requires_grad=True)
    (x @ x).sum().backward()
    assert x.grad.isfinite().all()
