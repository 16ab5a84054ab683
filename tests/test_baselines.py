"""The counting baselines: codes that are normalised, counts that are right, contexts that pay; and the LSTM's shape."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="export/ needs torch")

from made_up_corpus import write_corpus

from export.baselines import ngram, unigram
from export.baselines.music import Music, cell_contexts, mix
from export.baselines.unigram import PULSE_FIELDS, EntryCode, PaletteCode
from export.prepare import load_rows
from nesasset.vocabulary import HOLD_ID, N_CELLS, N_NOISE_CELLS, ONSET_ID, PALETTE_SLOTS

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("made_up") / "corpus")


@pytest.fixture(scope="module")
def music(corpus):
    """Training and valid songs."""
    return Music.of(load_rows(corpus / "train")), Music.of(load_rows(corpus / "valid"))


def changed(music, row, voice, cell):
    """Return the music with one cell replaced; what depends on it later is not looked at."""
    cells = music.cells.copy()
    cells[row, voice] = cell
    return replace(music, cells=cells)


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("voice", range(4))
def test_cell_probabilities_sum_to_one(music, voice, cache):
    """The probabilities of all cells that one place of a song could hold sum to one."""
    train, valid = music
    for row in (0, 40):
        total = 0.0
        for cell in range(N_NOISE_CELLS if voice == 3 else N_CELLS):
            chain = ngram.Chain(train, changed(valid, row, voice, cell), voice)
            chain.run(chain.static, ngram.STATIC_PRIORS[voice])
            if cache:
                chain.run(chain.cached, ngram.CACHE_PRIORS[voice])
            total += chain.p[row]
        assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("column", range(3))
def test_slot_probabilities_sum_to_one(music, column, cache):
    """The probabilities of all slots that a note could have in the song's palette sum to one."""
    train, valid = music
    onsets = np.flatnonzero(valid.slots[:, column] >= 0)
    for place in (0, len(onsets) // 2):
        total = 0.0
        for slot in range(3):
            slots = valid.slots.copy()
            slots[onsets[place], column] = slot
            chain = ngram.Chain(train, replace(valid, slots=slots), 4 + column)
            chain.run(chain.static, ngram.STATIC_PRIORS[4 + column])
            if cache:
                chain.run(chain.cached, ngram.CACHE_PRIORS[4 + column])
            total += chain.p[place]
        assert total == pytest.approx(1.0, abs=1e-9)


def test_counts_are_counts():
    """Occurrences, totals and distinct symbols agree with a count by hand over dictionaries."""
    rng = np.random.default_rng(0)
    contexts, symbols = rng.integers(0, 9, 300).astype(np.uint64), rng.integers(0, 5, 300)
    where, what = rng.integers(0, 12, 100).astype(np.uint64), rng.integers(0, 5, 100)
    pairs = Counter(zip(contexts.tolist(), symbols.tolist(), strict=True))
    found, total, distinct = ngram.counts(contexts, symbols, where, what)
    for place, (context, symbol) in enumerate(zip(where.tolist(), what.tolist(), strict=True)):
        own = {key: count for key, count in pairs.items() if key[0] == context}
        assert (found[place], total[place], distinct[place]) == (own.get((context, symbol), 0), sum(own.values()), len(own))


def test_counts_so_far_are_counts():
    """The cache sees what came before in the same text, and nothing that comes later."""
    rng = np.random.default_rng(1)
    contexts, symbols = rng.integers(0, 9, 300).astype(np.uint64), rng.integers(0, 5, 300)
    found, total, distinct = ngram.counts_so_far(contexts, symbols)
    pairs: Counter = Counter()
    for place, (context, symbol) in enumerate(zip(contexts.tolist(), symbols.tolist(), strict=True)):
        own = {key: count for key, count in pairs.items() if key[0] == context}
        assert (found[place], total[place], distinct[place]) == (own.get((context, symbol), 0), sum(own.values()), len(own))
        pairs[context, symbol] += 1


def test_nothing_later_is_looked_at(music):
    """Changing the rest of a song changes no price before it."""
    train, valid = music
    rows = int((valid.song == 0).sum())
    cut = rows // 2
    later = valid.cells.copy()
    later[cut:rows] = HOLD_ID
    slots = valid.slots.copy()
    slots[cut:rows] = -1
    before = ngram.score(train, valid, cache=True)
    after = ngram.score(train, replace(valid, cells=later, slots=slots), cache=True)
    assert np.array_equal(before[0][:cut], after[0][:cut])
    assert np.array_equal(before[1][:cut], after[1][:cut])


def test_songs_do_not_share_a_cache(music):
    """A song costs the same alone and behind another one."""
    train, valid = music
    second = valid.song == 1
    alone = Music(*(getattr(valid, name)[second] for name in ("cells", "slots")), np.zeros(int(second.sum()), dtype=np.int64), valid.row[second], valid.used[1:2], valid.history[second])
    together = ngram.score(train, valid, cache=True)[0][second]
    assert np.allclose(together, ngram.score(train, alone, cache=True)[0])


def test_the_first_row_of_a_song_has_no_past(music):
    """No context of a first row holds anything of the song before it."""
    _, valid = music
    starts = np.flatnonzero(valid.row == 0)
    silent = replace(valid, cells=np.where((valid.row == 0)[:, None], valid.cells, HOLD_ID))
    for name, columns in cell_contexts(valid, 2).items():
        other = cell_contexts(silent, 2)[name]
        assert np.array_equal(mix(*columns)[starts], mix(*other)[starts]), name


def test_contexts_and_cache_pay(music):
    """On songs that repeat themselves: unigram worse than the cache, which knows what this song repeats."""
    train, valid = music
    plain = unigram.score(train, valid)[0].sum()
    cached = ngram.score(train, valid, cache=True)[0].sum()
    assert cached < 0.9 * plain


def test_prices_are_finite_and_positive(music):
    """Nothing is free and nothing impossible, even symbols that training never had."""
    train, valid = music
    strange = changed(valid, 3, 0, N_CELLS - 1)
    cells, slots = ngram.score(train, strange, cache=True)
    assert np.isfinite(cells).all()
    assert (cells >= 0).all()
    assert (slots[strange.slots < 0] == 0).all()


def test_no_note_no_instrument_price(music):
    """Rows without an onset cost no instrument, rows with one do."""
    train, valid = music
    slots = unigram.score(train, valid)[1]
    assert ((slots > 0) == (valid.slots >= 0)).all()
    assert (valid.cells[:, 0] >= ONSET_ID).tolist() == (valid.slots[:, 0] >= 0).tolist()


def test_entry_code_sums_to_one():
    """The probabilities of all entries a palette could have sum to one, and so do those of its sizes."""
    rng = np.random.default_rng(0)
    palettes = np.full((20, PALETTE_SLOTS, 4), -1)
    palettes[:, :3] = np.stack([rng.integers(0, size, (20, 3)) for size in (4, 1, 128, 16)], axis=-1)
    code = EntryCode.fit(palettes, PULSE_FIELDS)
    total = sum(
        code.probability((timbre, 0, shape, peak)) for timbre in range(4) for shape in range(128) for peak in range(16)
    )
    assert total == pytest.approx(1.0)
    assert (2.0**-code.sizes).sum() == pytest.approx(1.0)


def test_known_entries_cost_less(corpus):
    """An instrument that many training songs have is cheaper than one that none has; an empty palette costs its size."""
    rows = load_rows(corpus / "train")
    code = PaletteCode.fit(rows.pulse_palette, rows.noise_palette)
    empty = np.full((PALETTE_SLOTS, 4), -1)
    known, strange = empty.copy(), empty.copy()
    known[0] = rows.pulse_palette[0, 0]
    strange[0] = (3, 0, 127, 15)
    assert code.bits(known, empty) < code.bits(strange, empty) < 100
    assert code.bits(empty, empty) == pytest.approx(code.pulse.sizes[0] + code.noise.sizes[0])


def test_lstm_takes_the_transformers_batches(corpus):
    """The LSTM reads a training batch with future rows and gives finite bits of the right shapes."""
    import torch

    from export.baselines.lstm import RowLSTM
    from export.dataset import Corpus, CropConfig, Crops
    from export.model import ModelConfig

    config = ModelConfig(width=32, heads=2, head_width=32, entry_width=16)
    torch.manual_seed(0)
    net = RowLSTM(config).eval()
    batch = Crops(Corpus(corpus / "train"), CropConfig(rows=48, batch=2)).batch(np.random.default_rng(1))
    out = net(batch)
    assert out["cells"].shape == (2, 48, 4)
    assert out["slots"].shape == (2, 48, 3)
    assert torch.isfinite(out["cells"]).all()
    assert not any("qkv" in name for name, _ in net.named_parameters())


def test_lstm_sees_the_past_only(corpus):
    """A later row changes no earlier row's bits, an earlier one changes later bits: order is read, and not backwards."""
    import torch

    from export.baselines.lstm import RowLSTM
    from export.dataset import Corpus, Crop, take, to_batch
    from export.model import ModelConfig
    from nesasset.features import COLUMN
    from nesasset.vocabulary import UNKNOWN_CLASS

    torch.manual_seed(0)
    net = RowLSTM(ModelConfig(width=32, heads=2, head_width=32, entry_width=16)).eval()
    split = Corpus(corpus / "train")
    batch = to_batch([take(split, Crop(0, 0, 40), 40)])
    batch["ids"][:, :, COLUMN["class_P1"] : COLUMN["class_P1"] + 4] = UNKNOWN_CLASS  # no row is the plan's
    with torch.inference_mode():
        plain = net(batch)["cells"]
        batch["ids"][0, 20, 0] = (batch["ids"][0, 20, 0] + 1) % N_CELLS
        moved = net(batch)["cells"]
    assert torch.equal(plain[0, :20], moved[0, :20])
    assert not torch.equal(plain[0, 21:], moved[0, 21:])


@pytest.mark.parametrize(("name", "kind", "plan"), [("main", "RowModel", True), ("no_plan", "RowModel", False), ("lstm", "RowLSTM", False)])
def test_configurations_build_what_they_say(name, kind, plan):
    """Each shipped configuration loads, builds its network, and says whether that is told the plan."""
    from pathlib import Path

    from export.train import build, load_config

    config = load_config(Path(__file__).parent.parent / "export" / "configs" / f"{name}.toml")
    net = build(config.model)
    assert type(net).__name__ == kind
    assert config.crops.plan is plan
    assert 4e6 < sum(parameter.numel() for parameter in net.parameters()) < 9e6


def test_an_lstm_checkpoint_loads_as_one(tmp_path):
    """What training saves of an LSTM comes back as an LSTM with the averaged weights."""
    import torch

    from export.baselines.lstm import RowLSTM
    from export.model import ModelConfig
    from export.train import Run, TrainConfig, load_model

    run = Run(TrainConfig(ModelConfig(kind="lstm", width=32, heads=2, head_width=32, entry_width=16)))
    saved = {"state_dict": run.state_dict()}
    run.on_save_checkpoint(saved)
    torch.save(saved, tmp_path / "best.ckpt")
    net, settings = load_model(tmp_path / "best.ckpt")
    assert isinstance(net, RowLSTM)
    assert settings.model.kind == "lstm"
    assert torch.equal(net.norm.weight, run.average.module.norm.weight)
