"""diffit convert: element types, sharded sets, torch's files; and the same answers from what comes out."""

import json
import shutil

import formats
import numpy as np
import pytest
from conftest import GOLDEN, files_below, refused, run, split_golden

pytestmark = pytest.mark.smoke
TORCH = GOLDEN / "torch"


def weights_and_metadata(path):
    return formats.read_safetensors(path)


@pytest.mark.parametrize("dtype, bits", [("bf16", 8), ("f16", 11)])
def test_narrowed_weights_are_the_nearest_and_integers_stay(latent_model, tmp_path, dtype, bits):
    out = tmp_path / "out.safetensors"
    told = run("convert", latent_model, out, "--dtype", dtype, "--json").json
    before, metadata = weights_and_metadata(latent_model)
    after, kept = weights_and_metadata(out)
    assert told["tensors"] == len(before) == len(after) and told["config"] == "stated"
    assert kept["diffit.config"] == metadata["diffit.config"]
    for name, value in before.items():
        if value.dtype == np.int64:
            np.testing.assert_array_equal(after[name], value)
        else:  # half a unit in the last place, or half the smallest subnormal of f16
            np.testing.assert_allclose(after[name].astype(np.float64), value, rtol=2.0**-bits, atol=2.0**-25)
    assert out.stat().st_size < 0.7 * latent_model.stat().st_size


def test_there_and_back_changes_nothing(latent_model, tmp_path):
    half, back, again = (tmp_path / f"{name}.safetensors" for name in ("half", "back", "again"))
    run("convert", latent_model, half, "--dtype", "bf16")
    run("convert", half, back, "--dtype", "f32")
    run("convert", back, again, "--dtype", "bf16")
    assert again.read_bytes() == half.read_bytes()


def test_a_released_checkpoint_gets_its_configuration(tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    formats.write_safetensors(tmp_path / "in.safetensors", weights)
    told = run("convert", tmp_path / "in.safetensors", tmp_path / "out.safetensors", "--json").json
    _, written = weights_and_metadata(tmp_path / "out.safetensors")
    assert told["config"] == "inferred"
    ours, theirs = json.loads(written["diffit.config"]), json.loads(metadata["diffit.config"])
    assert {key: ours[key] for key in theirs} == theirs


def shard(folder, weights, metadata, parts=3):
    names = sorted(weights)
    files, weight_map = [], {}
    for part in range(parts):
        file = folder / f"model-{part + 1:05d}-of-{parts:05d}.safetensors"
        formats.write_safetensors(file, {name: weights[name] for name in names[part::parts]}, metadata)
        weight_map |= {name: file.name for name in names[part::parts]}
        files.append(file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map}))
    return index, files


def test_a_sharded_set_becomes_one_file_and_is_a_model_itself(tmp_path):
    weights, metadata, inputs, _ = split_golden("latent")
    index, _ = shard(tmp_path, weights, metadata)
    run("convert", index, tmp_path / "one.safetensors")
    after, kept = weights_and_metadata(tmp_path / "one.safetensors")
    assert kept["diffit.config"] == metadata["diffit.config"]
    assert set(after) == set(weights)
    for name, value in weights.items():
        np.testing.assert_array_equal(after[name], value)
    formats.write_safetensors(tmp_path / "in.safetensors", {"x": inputs["x"], "t": inputs["t"], "y": inputs["y"]})
    for model, out in [(index, "a.safetensors"), (tmp_path / "one.safetensors", "b.safetensors")]:
        run("denoise", "-m", model, "-i", tmp_path / "in.safetensors", "-o", tmp_path / out)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_torch_files_become_safetensors(tmp_path):
    expected, _ = formats.read_safetensors(TORCH / "expected.safetensors")
    for kind in ("dtypes", "shared", "module", "nested", "parallel", "optimizer"):
        told = run("convert", TORCH / f"{kind}.pt", tmp_path / f"{kind}.safetensors", "--json").json
        after, _ = weights_and_metadata(tmp_path / f"{kind}.safetensors")
        wanted = {name.split("/", 1)[1]: value for name, value in expected.items() if name.startswith(kind + "/")}
        assert told["from"] == "torch" and told["config"] == "none" and set(after) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_array_equal(after[name], value, err_msg=f"{kind}/{name}")


def test_the_average_and_what_was_trained(tmp_path):
    trained, average = tmp_path / "trained.safetensors", tmp_path / "average.safetensors"
    run("convert", TORCH / "nested.pt", trained, "--no-ema")
    run("convert", TORCH / "nested.pt", average, "--ema")
    a, b = weights_and_metadata(trained)[0], weights_and_metadata(average)[0]
    np.testing.assert_array_equal(a["0.bias"] + 1, b["0.bias"])
    refused("convert", TORCH / "module.pt", tmp_path / "x.safetensors", "--ema", mentions=["module.pt", "average", "0.weight"])
    refused("convert", TORCH / "nested.pt", tmp_path / "x.safetensors", "--ema", "--no-ema")


def refused_and_nothing_left(folder, *command, mentions=()):
    before = files_below(folder)
    line = refused(*command, mentions=mentions)
    assert files_below(folder) == before
    return line


def test_numbers_that_do_not_fit_are_refused_by_name(tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    weights["final_layer.linear.bias"][0] = 70000
    formats.write_safetensors(tmp_path / "in.safetensors", weights, metadata)
    refused_and_nothing_left(tmp_path, "convert", tmp_path / "in.safetensors", tmp_path / "out.safetensors", "--dtype", "f16",
                             mentions=["final_layer.linear.bias", "65504", "bf16"])
    run("convert", tmp_path / "in.safetensors", tmp_path / "out.safetensors", "--dtype", "bf16")
    weights["final_layer.linear.bias"][0] = np.nan
    formats.write_safetensors(tmp_path / "nan.safetensors", weights, metadata)
    refused_and_nothing_left(tmp_path, "convert", tmp_path / "nan.safetensors", tmp_path / "b.safetensors",
                             mentions=["final_layer.linear.bias", "NaN"])


def test_bad_requests(latent_model, tmp_path):
    refused_and_nothing_left(tmp_path, "convert", latent_model, tmp_path / "x.pt", mentions=["x.pt", ".safetensors"])
    refused_and_nothing_left(tmp_path, "convert", latent_model, tmp_path / "x.safetensors", "--dtype", "f8", mentions=["f8", "bf16"])
    refused_and_nothing_left(tmp_path, "convert", tmp_path / "none.pt", tmp_path / "x.safetensors", mentions=["none.pt"])
    refused_and_nothing_left(tmp_path, "convert", TORCH / "old.pt", tmp_path / "x.safetensors", mentions=["old.pt", "torch.save"])
    refused_and_nothing_left(tmp_path, "convert", TORCH / "object.pt", tmp_path / "x.safetensors",
                             mentions=["object.pt", "torch.nn.modules.linear.Linear"])
    (tmp_path / "state.safetensors").write_bytes(formats.safetensors_bytes({}, {"diffit.state": "{}"}))
    refused_and_nothing_left(tmp_path, "convert", tmp_path / "state.safetensors", tmp_path / "x.safetensors",
                             mentions=["--no-ema or --ema"])
    assert run("convert", latent_model, tmp_path / "gone/x.safetensors", code=1).err.startswith("error: cannot write")


def test_a_set_without_one_of_its_files_is_refused(tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    index, files = shard(tmp_path, weights, metadata)
    shutil.copy(files[0], files[1])
    refused("info", index, mentions=["index.json", files[1].name])
    files[1].unlink()
    refused("info", index, mentions=["index.json", files[1].name, "not beside"])
