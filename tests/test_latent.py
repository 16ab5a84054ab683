"""The latent, and published files turned back into a network."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="export/ needs the extra train: torch is absent")
pytest.importorskip("lightning", reason="export/ needs the extra train: lightning is absent")
pytestmark = pytest.mark.torch

from click.testing import CliRunner  # noqa: E402
from made_up_corpus import write_corpus  # noqa: E402

from export import from_onnx, train_latent  # noqa: E402
from export.dataset import PITCH_COLUMNS, Corpus, Crop, take, to_batch  # noqa: E402
from export.latent import divergence, read_rows  # noqa: E402
from export.model import ModelConfig, RowModel  # noqa: E402
from export.to_onnx import export_fp32, make_sidecar, quantise  # noqa: E402
from export.train import Run, TrainConfig, begin_with, load_model, use_encoder  # noqa: E402
from nesasset import model as runtime  # noqa: E402
from nesasset.errors import ModelMismatchError  # noqa: E402
from nesasset.vocabulary import ONSET_ID  # noqa: E402

SMALL = ModelConfig(width=16, layers=2, heads=2, feed_forward=32, head_width=16, entry_width=4, context=64, latent=4, encoder_width=8)


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Two crops of made-up songs, the second shorter than its room."""
    corpus = Corpus(write_corpus(tmp_path_factory.mktemp("corpus") / "made") / "train")
    return to_batch([take(corpus, Crop(0, 0, 32), 32), take(corpus, Crop(1, 3, 29), 32)])


def network(seed=0, config=SMALL):
    """Return a network with random weights everywhere."""
    torch.manual_seed(seed)
    net = RowModel(config).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return net


def publish(net, folder, quantised=True):
    """Write the files of a network as export.to_onnx does, and return NAME.onnx."""
    rows = folder / ("fp32.onnx" if quantised else "made.onnx")
    export_fp32(net, rows, folder / "made.song.onnx", folder / "made.latent.onnx")
    if quantised:
        quantise(rows, folder / "made.onnx")
    (folder / "made.plans.npz").write_bytes(b"")
    config = asdict(TrainConfig(net.config))
    sidecar = make_sidecar(folder, "made", net.config, np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8), {}, {"config": config})
    (folder / "made.json").write_text(json.dumps(sidecar), encoding="utf-8")
    return folder / "made.onnx"


def said(net, batch, told=None):
    """Return what a network says of a batch."""
    with torch.no_grad():
        return net(batch if told is None else {**batch, "told": torch.tensor(told)})


def test_published_files_turn_back_into_the_network(batch, tmp_path):
    """Of an unquantised graph every number comes back, up to the last digits: the same bits for every cell and instrument."""
    net = network()
    back, _ = from_onnx.load(publish(net, tmp_path, quantised=False))
    for told in ([0.0, 0.0], [1.0, 1.0]):
        before, after = said(net, batch, told), said(back, batch, told)
        for name in before:
            assert torch.allclose(before[name], after[name], atol=2e-4), name


def test_int8_costs_little_on_the_way_back(batch, tmp_path):
    """The command writes a checkpoint that training can start from; its weights are the network's to int8's precision."""
    net = network(1)
    model = publish(net, tmp_path)
    out = tmp_path / "runs" / "made.ckpt"
    result = CliRunner().invoke(from_onnx.main, ["--model", str(model), "-o", str(out)])
    assert result.exit_code == 0, result.output
    back, settings = load_model(out)
    assert settings.model == SMALL
    for name, tensor in net.state_dict().items():
        if name.endswith("up.weight"):
            assert (back.state_dict()[name] - tensor).abs().max() <= tensor.abs().max() / 127
    before, after = said(net, batch)["cells"], said(back, batch)["cells"]
    assert (before - after).abs().mean() < 0.05 * before.mean()


def test_files_of_another_shape_are_refused(tmp_path):
    """A graph that is not what the sidecar says is refused in one sentence."""
    model = publish(network(), tmp_path)
    sidecar = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    sidecar["training"]["config"]["model"]["width"] = 24
    model.with_suffix(".json").write_text(json.dumps(sidecar), encoding="utf-8")
    with pytest.raises(ModelMismatchError, match=r"multiplies by|has no matrix"):
        from_onnx.load(model)
    result = CliRunner().invoke(from_onnx.main, ["--model", str(model), "-o", str(tmp_path / "no.ckpt")])
    assert result.exit_code == 2 and not (tmp_path / "no.ckpt").exists()


def test_a_piece_that_is_not_told_its_latent_is_as_without(batch):
    """Where told is 0 the latent says nothing and costs nothing; where it is 1 it changes what is said and costs its nats."""
    net = network()
    plain, mixed = said(net, batch), said(net, batch, [0.0, 1.0])
    assert torch.equal(plain["cells"][0], mixed["cells"][0])
    assert not torch.allclose(plain["cells"][1], mixed["cells"][1])
    assert mixed["nats"][0] == 0
    with torch.no_grad():
        mean, spread = net.encoder(batch["ids"], batch["cells"], batch["weight"])
    assert mixed["nats"][1] == pytest.approx(float(divergence(mean, spread)[1]))


def test_divergence_is_that_of_gaussians():
    """Beside torch.distributions."""
    torch.manual_seed(0)
    mean, spread = torch.randn(3, 5), torch.rand(3, 5) + 0.1
    other = torch.distributions.kl_divergence(torch.distributions.Normal(mean, spread), torch.distributions.Normal(0.0, 1.0)).sum(-1)
    assert torch.allclose(divergence(mean, spread), other, atol=1e-5)


def test_the_encoder_hears_the_rows_that_count_and_no_others(batch):
    """What stands in the padding changes nothing."""
    net = network()
    cells = batch["cells"].clone()
    cells[1, 28:] = ONSET_ID + 20  # behind the last beat of the shorter crop
    with torch.no_grad():
        first, second = (net.encoder(batch["ids"], each, batch["weight"])[0] for each in (batch["cells"], cells))
    assert torch.equal(first, second)


def test_moves_and_intervals_do_not_know_the_key(batch):
    """Transposed by a fifth, only the octaves read otherwise."""
    ids, cells = batch["ids"].clone(), batch["cells"].clone()
    for array, columns in ((ids, PITCH_COLUMNS), (cells, (0, 1, 2))):
        part = array[..., columns]
        array[..., columns] = torch.where((part >= ONSET_ID) & (part < ONSET_ID + 80), part + 7, part)
    before, after = read_rows(batch["ids"], batch["cells"]), read_rows(ids, cells)
    octaves = (9, 10, 11)
    keep = [column for column in range(before.shape[-1]) if column not in octaves]
    assert torch.equal(before[..., keep], after[..., keep])
    assert not torch.equal(before[..., octaves], after[..., octaves])


def test_the_runtime_encodes_as_training_does(batch, tmp_path):
    """ONNX beside PyTorch, rows that are no whole beats included; and the song graph is told the point."""
    net = network()
    model = publish(net, tmp_path)
    sidecar = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    loaded = runtime.load_model(model)
    assert loaded.latent == sidecar["latent"]["numbers"] == 4
    rows = slice(0, 26)
    mean, spread = loaded.encode(batch["ids"][1, rows].numpy(), batch["cells"][1, rows].numpy())
    with torch.no_grad():
        expected = net.encoder(batch["ids"], batch["cells"], batch["weight"])
    assert np.allclose(mean, expected[0][1], atol=1e-4) and np.allclose(spread, expected[1][1], atol=1e-4)
    told = [batch[name][:1].numpy() for name in ("controls", "pulse", "noise")]
    here, none = loaded.song(*told, mean[None]).arrays["song"], loaded.song(*told).arrays["song"]
    with torch.no_grad():
        assert np.allclose(here - none, net.point(torch.from_numpy(mean[None])), atol=1e-5)


def test_an_older_network_begins_with_an_encoder_that_nobody_hears(batch):
    """Weights without a latent say the same in a network with one, and the encoder is not all zeros: it has to learn."""
    old = network(config=replace(SMALL, latent=0))
    new = RowModel(SMALL).eval()
    begin_with(new, dict(old.state_dict()))
    assert torch.allclose(said(old, batch)["cells"], said(new, batch, [1.0, 1.0])["cells"])
    assert new.encoder.table.weight.abs().sum() > 0 and new.point.weight.abs().sum() == 0


def test_a_new_encoder_has_points_worth_listening_to(batch):
    """Its points lie about the origin with a spread of one, and each is known well."""
    net = network()
    told = [batch[name].repeat(4, *[1] * (batch[name].dim() - 1)) for name in ("ids", "cells", "weight")]
    torch.manual_seed(1)
    told[1] = torch.where(torch.rand(told[1].shape) < 0.3, ONSET_ID + torch.randint(20, 40, told[1].shape), told[1])
    net.encoder.spread_out(*told)
    with torch.no_grad():
        mean, spread = net.encoder(*told)
    assert torch.allclose(mean.mean(0), torch.zeros(4), atol=1e-4) and torch.allclose(mean.std(0), torch.ones(4), atol=1e-3)
    assert torch.allclose(spread, torch.full_like(spread, 0.3), atol=1e-3)


def test_an_encoder_trained_by_itself_is_taken_as_it_is(tmp_path):
    """Its command writes what a run takes with --encoder; the run has its very weights and does not train them."""
    corpus = write_corpus(tmp_path / "corpus")
    config = tmp_path / "run.toml"
    sizes = "\n".join(f"{name} = {getattr(SMALL, name)}" for name in SMALL.__slots__ if name != "kind")
    config.write_text(f"[model]\n{sizes}\n[crops]\nrows = 32\nbatch = 2\n", encoding="utf-8")
    out = tmp_path / "encoder.ckpt"
    told = ["--corpus", str(corpus), "--config", str(config), "-o", str(out), "--steps", "3", "--batch", "4"]
    result = CliRunner().invoke(train_latent.main, told)
    assert result.exit_code == 0, result.output
    weights = torch.load(out, weights_only=True)["encoder"]
    run = Run(TrainConfig(SMALL))
    use_encoder(run, weights)
    for net in (run.net, run.average.module):
        assert all(torch.equal(tensor, weights[name]) for name, tensor in net.encoder.state_dict().items())
        assert not any(parameter.requires_grad for parameter in net.encoder.parameters())
