"""diffit convert: element types, sharded sets, torch's files; and the same answers from what comes out."""

import json
import shutil

import formats
import numpy as np
import pytest
import torch_files
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
    refused("convert", TORCH / "module.pt", tmp_path / "x.safetensors", "--ema", mentions=["module.pt", "EMA weights", "0.weight"])
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
    assert "does not exist" in run("convert", latent_model, tmp_path / "gone/x.safetensors", code=2).err


def test_a_set_without_one_of_its_files_is_refused(tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    index, files = shard(tmp_path, weights, metadata)
    shutil.copy(files[0], files[1])
    refused("info", index, mentions=["index.json", files[1].name])
    files[1].unlink()
    refused("info", index, mentions=["index.json", files[1].name, "not in the same folder"])


def test_a_bundled_autoencoder_and_feature_network_are_converted(tmp_path):
    for model, kind in [("fashion-latent-vae", "autoencoder"), ("fashion-net", "feature network"), ("fashion-latent", "model"),
                        ("fashion-mnist", "model")]:
        out = tmp_path / f"{model}-16.safetensors"
        told = run("convert", model, out, "--dtype", "f16", "--json").json
        assert told["config"] == "stated"
        weights, metadata = weights_and_metadata(out)
        assert {value.dtype for value in weights.values()} <= {np.dtype("float16"), np.dtype("int64")}
        before = weights_and_metadata(GOLDEN.parents[1] / "models" / f"{model}.safetensors")[1]
        assert {key: metadata[key] for key in before if key != "format"} == {key: before[key] for key in before if key != "format"}
        assert run("info", out, "--json").json["kind"] == kind


def test_a_rounded_autoencoder_decodes_for_the_model_of_the_whole_one(tmp_path):
    run("convert", "fashion-latent-vae", tmp_path / "vae16.safetensors", "--dtype", "f16")
    run("sample", "-m", "fashion-latent", "--vae", tmp_path / "vae16.safetensors", "-n", 1, "--classes", 0, "--steps", 2,
        "--sampler", "dpmpp2m", "-o", tmp_path / "x.png")
    run("convert", "fashion-latent-vae", tmp_path / "vae32.safetensors")
    weights, metadata = weights_and_metadata(tmp_path / "vae32.safetensors")
    weights["quant_conv.bias"] = weights["quant_conv.bias"] + 1
    formats.write_safetensors(tmp_path / "other.safetensors", weights, metadata)
    refused("sample", "-m", "fashion-latent", "--vae", tmp_path / "other.safetensors", "-n", 1, "--classes", 0, "--steps", 2,
            "-o", tmp_path / "y.png", mentions=["identity"])


def test_snapshots_of_every_kind_of_training_are_converted(small_data, tmp_path):
    common = ["--data", small_data, "--set", "train.images=16", "--set", "train.batch=8"]
    run("train", "smoke", *common, "--out", tmp_path / "image", "--set", "sample.pictures=0")
    run("train", "smoke", *common, "--out", tmp_path / "ddpmpp", "--set", "sample.pictures=0", "--set", "model.encoder=ddpmpp",
        "--set", "model.decoder=ddpmpp")
    run("train", "fashion-net", *common, "--out", tmp_path / "net", "--set", "data.test=", "--set", "data.size=16")
    run("train", "fashion-vae", *common, "--out", tmp_path / "vae", "--set", "data.size=16", "--set", "sample.pictures=0")
    for name in ("image", "ddpmpp", "net", "vae"):
        snapshots = sorted((tmp_path / name).glob("snapshot-*.safetensors"))
        assert len(snapshots) >= 2, name
        for snapshot in snapshots:
            out = tmp_path / name / "out.safetensors"
            assert run("convert", snapshot, out, "--dtype", "bf16", "--json").json["config"] == "stated"
            assert weights_and_metadata(out)[1]["diffit.images"] == "16"
            assert run("info", out, "--json").json["kind"] == {"net": "feature network", "vae": "autoencoder"}.get(name, "model")
        state = next((tmp_path / name).glob("state-*.safetensors"))
        assert run("info", state, "--json").json["kind"] == "training state"
        run("convert", state, tmp_path / "of_state.safetensors", "--ema")
        refused("convert", tmp_path / name, tmp_path / "x.safetensors", mentions=["got a folder", "give one of its files", "snapshot-"])


def test_statistics_and_archives_are_named_and_not_converted(tmp_path):
    np.savez(tmp_path / "ref.npz", mu=np.zeros(4), sigma=np.eye(4))
    refused_and_nothing_left(tmp_path, "convert", tmp_path / "ref.npz", tmp_path / "x.safetensors", mentions=["ref.npz", "statistics", "eval"])
    np.savez(tmp_path / "pictures.npz", arr_0=np.zeros((1, 8, 8, 3), np.uint8))
    refused_and_nothing_left(tmp_path, "convert", tmp_path / "pictures.npz", tmp_path / "x.safetensors",
                             mentions=["pictures.npz", "an .npz archive of NumPy arrays"])


@pytest.mark.parametrize("prefix", ["module.", "model.", "ema.", "_orig_mod.", "state_dict.model.", "ema.module."])
def test_prefixes_of_training_code_are_taken_off(prefix, tmp_path):
    weights, metadata, inputs, _ = split_golden("latent")
    wrapped = {prefix + name: value for name, value in weights.items()}
    formats.write_safetensors(tmp_path / "wrapped.safetensors", wrapped)
    tensors = torch_files.state_dict({name: value for name, value in wrapped.items() if value.dtype == np.float32})
    torch_files.save(tmp_path / "wrapped.pt", {"state_dict": {"model": tensors}, "optimizer": {"state": {}, "lr": 0.1}}, [tensors])
    formats.write_safetensors(tmp_path / "plain.safetensors", weights, metadata)
    formats.write_safetensors(tmp_path / "in.safetensors", {"x": inputs["x"], "t": inputs["t"], "y": inputs["y"]})
    outputs = []
    for name in ("plain.safetensors", "wrapped.safetensors", "wrapped.pt"):
        run("denoise", "-m", name, "-i", "in.safetensors", "-o", "out.safetensors", cwd=tmp_path)
        outputs.append((tmp_path / "out.safetensors").read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]
    assert run("info", tmp_path / "wrapped.safetensors", "--json").json["prefix"] == prefix


def test_another_prefix_is_named_with_what_to_do(tmp_path):
    weights, metadata, _, _ = split_golden("latent")
    other = {f"my.net.{name}": value for name, value in weights.items()}
    formats.write_safetensors(tmp_path / "m.safetensors", other)
    refused("info", tmp_path / "m.safetensors", mentions=["m.safetensors", "'my.net.'", "without the prefix"])
    formats.write_safetensors(tmp_path / "m.safetensors", other, metadata)
    refused("info", tmp_path / "m.safetensors", mentions=["m.safetensors", "'my.net.'"])


def test_of_two_sets_in_one_file_one_is_chosen(tmp_path):
    weights, _, _, _ = split_golden("latent")
    both = {f"model.{name}": value for name, value in weights.items()} | {
        f"ema.{name}": value + 1 if value.dtype == np.float32 else value for name, value in weights.items()}
    formats.write_safetensors(tmp_path / "both.safetensors", both | {"step": np.array(3, np.int64)})
    for option, added in (("--no-ema", 0), ("--ema", 1)):
        run("convert", tmp_path / "both.safetensors", tmp_path / "one.safetensors", option)
        after, _ = weights_and_metadata(tmp_path / "one.safetensors")
        assert set(after) == set(weights)
        np.testing.assert_array_equal(after["final_layer.linear.bias"], weights["final_layer.linear.bias"] + np.float32(added))


def test_a_checkpoint_with_a_trainer_s_objects_is_read_and_one_that_runs_programs_is_not(tmp_path):
    class Runs:
        def __reduce__(self):
            import os
            return os.system, (f"touch {tmp_path}/ran",)

    arrays = {"0.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    for protocol in (2, 4, 5):
        tensors = torch_files.state_dict(arrays)
        torch_files.save(tmp_path / "good.ckpt", {"state_dict": tensors, "callbacks": {"x": torch_files.ModelCheckpoint()},
                                                  "when": complex(1, 2), "path": tmp_path}, [tensors], protocol)
        run("convert", tmp_path / "good.ckpt", tmp_path / "good.safetensors")
        np.testing.assert_array_equal(weights_and_metadata(tmp_path / "good.safetensors")[0]["0.weight"], arrays["0.weight"])
    torch_files.save(tmp_path / "bad.ckpt", {"state_dict": tensors, "x": Runs()}, [tensors])
    refused("convert", tmp_path / "bad.ckpt", tmp_path / "x.safetensors", mentions=["bad.ckpt", "system", "do not trust"])
    assert not (tmp_path / "ran").exists()


def test_a_label_table_without_a_row_for_the_null_label(tmp_path):
    weights, metadata, inputs, _ = split_golden("latent")
    table = weights["y_embedder.embedding_table.weight"]
    weights["y_embedder.embedding_table.weight"] = table[:-1]
    formats.write_safetensors(tmp_path / "m.safetensors", weights, metadata)
    formats.write_safetensors(tmp_path / "in.safetensors", {"x": inputs["x"][:2], "t": inputs["t"][:2], "y": np.array([1, 9])})
    refused("denoise", "-m", tmp_path / "m.safetensors", "-i", tmp_path / "in.safetensors", "-o", tmp_path / "x.safetensors",
            mentions=["y_embedder.embedding_table.weight", "10 rows", "null label", "--null-row"])
    run("convert", tmp_path / "m.safetensors", tmp_path / "with.safetensors", "--null-row")
    weights["y_embedder.embedding_table.weight"] = table
    formats.write_safetensors(tmp_path / "whole.safetensors", weights, metadata)
    outputs = []
    for model in ("with", "whole"):
        run("denoise", "-m", tmp_path / f"{model}.safetensors", "-i", tmp_path / "in.safetensors", "-o", tmp_path / "out.safetensors")
        outputs.append((tmp_path / "out.safetensors").read_bytes())
    assert outputs[0] == outputs[1]
    refused("sample", "-m", tmp_path / "with.safetensors", "-n", 1, "--guidance", 2, "-o", tmp_path / "x.safetensors",
            mentions=["--guidance", "label dropout"])
    run("sample", "-m", tmp_path / "with.safetensors", "-n", 1, "--guidance", 1, "--steps", 2, "-o", tmp_path / "y.safetensors")
    refused("convert", tmp_path / "whole.safetensors", tmp_path / "z.safetensors", "--null-row", mentions=["--null-row", "already"])
    weights["y_embedder.embedding_table.weight"] = np.zeros((1000, table.shape[1]), np.float32)
    formats.write_safetensors(tmp_path / "thousand.safetensors", weights)
    refused("info", tmp_path / "thousand.safetensors", mentions=["1000 rows", "null label", "--null-row"])
    assert run("convert", tmp_path / "thousand.safetensors", tmp_path / "t.safetensors", "--null-row", "--json").json["config"] == "inferred"
    assert run("info", tmp_path / "t.safetensors", "--json").json["config"]["classes"] == 1000
