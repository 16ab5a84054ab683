"""Composing with the stand-in model: the guarantees that hold whatever the notes are."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nesasset.certificate import certify
from nesasset.chords import chord_tones
from nesasset.compose import _harmony, compose, compose_bars
from nesasset.compose.assemble import shift_for
from nesasset.compose.calibration import DEFAULT
from nesasset.compose.controls import Controls
from nesasset.compose.given import Given
from nesasset.compose.judge import is_lifeless
from nesasset.compose.key import find_key, key_profile, mode_profile, pitch_class_weights
from nesasset.compose.plan import draw_form, draw_plan
from nesasset.compose.request import generator, resolve
from nesasset.compose.writer import control_classes, write
from nesasset.driver import drive
from nesasset.errors import ControlError, UnknownThemeError
from nesasset.formats import score_json
from nesasset.model import Model, load_model
from nesasset.render import render
from nesasset.score import HOLD, REST, Note, Score
from nesasset.themes import THEMES, theme
from nesasset.units import VOICES
from nesasset.vocabulary import EXACT, HOLD_ID, LOWEST_PITCH, NEW, ONSET_ID, REST_ID, SILENT, VARIED

STANDIN = Path(__file__).parent / "standin" / "standin.json"


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(STANDIN)


@pytest.mark.parametrize("name", sorted(THEMES))
def test_every_theme_composes(name: str, model: Model) -> None:
    """Each theme gives a valid score of its own length that drives, loops or not as the theme says."""
    score = compose(name, 3, Controls(candidates=1), model)
    assert score.n_rows == THEMES[name].bars * score.bar_rows
    assert (score.loop == (0, score.n_rows)) if THEMES[name].loops else score.loop is None
    assert score.theme == name
    assert drive(score).n_frames == score.n_frames


def test_same_seed_gives_the_same_bytes(model: Model) -> None:
    """Theme, seed and controls fix the score; another seed gives another one."""
    first, second, other = (score_json.dumps(compose("castle", seed, Controls(bars=4), model)) for seed in (7, 7, 8))
    assert first == second
    assert first != other


@pytest.mark.parametrize("bars", [1, 2, 3, 7, 16])
def test_bars_are_exact(bars: int, model: Model) -> None:
    """A piece has the number of bars that was asked for."""
    assert compose("overworld", 1, Controls(bars=bars, candidates=1), model).n_bars == bars


def test_longer_than_any_plan(model: Model) -> None:
    """A length that no training song has gets a plan of several songs, and outgrows the model's context."""
    score = compose("overworld", 2, Controls(bars=40, candidates=1), model)
    assert score.n_bars == 40


@pytest.mark.parametrize("bars", [65, 150, 512])
def test_a_long_form_goes_on_to_say_new_things(bars: int) -> None:
    """Its last quarter has about as many new bars as the others, and none is all repeats."""
    library = load_model().plans
    fresh = []
    for seed in range(8):
        request = resolve(theme("overworld"), seed, Controls(bars=bars), load_model().sidecar["sampling"])
        plan = draw_form(library, request, generator(("a form", seed)))
        assert plan.n_bars == len(plan.classes) == len(plan.shifts) == bars
        assert (plan.lags <= np.arange(bars)).all() and (plan.lags == 0).sum() > 1
        new = ~(np.isin(plan.classes, (EXACT, SILENT)).all(axis=1) & (plan.lags > 0))
        fresh.append([part.mean() for part in np.array_split(new, 4)])
    quarters = np.mean(fresh, axis=0)
    assert quarters.min() > 0.25 and quarters[3] > 0.6 * quarters[0]


def test_a_long_progression_stays_in_its_key() -> None:
    """Of 32 bars each most are in the key of the piece, however long it is."""
    shipped = load_model()
    inside = []
    for seed in range(4):
        request = resolve(theme("castle"), seed, Controls(bars=256), shipped.sidecar["sampling"])
        plan = draw_plan(shipped.plans, _harmony(shipped), request, generator(("a long plan", seed)))
        for first in range(0, 256, 32):
            weights = chord_tones()[plan.chords[first : first + 32]].sum(axis=(0, 1)).astype(float)
            inside.append(find_key(weights)[:2] == (plan.tonic, "minor"))
    assert np.mean(inside) > 0.65


@pytest.mark.parametrize("tempo", [60.0, 97.5, 120.0, 150.0, 233.0])
def test_tempo_is_met_within_a_frame_a_bar(tempo: float, model: Model) -> None:
    """The length of a bar differs from the asked tempo's by no more than half a frame."""
    score = compose("boss", 1, Controls(bars=2, tempo_bpm=tempo, candidates=1), model)
    frames = score.row_frame(score.bar_rows)
    assert abs(frames - score.bar_rows * 900 / tempo) <= 0.5


@pytest.mark.parametrize("key", ["C", "F#", "Bb"])
def test_key_is_the_one_asked_for(key: str, model: Model) -> None:
    """The key found in the notes is the key that was asked for."""
    score = compose("town", 5, Controls(bars=4, key=key, candidates=1), model)
    weights = np.zeros(12)
    for voice in ("P1", "P2", "TR"):
        sounding = None
        for cell in score.voices[voice]:
            if isinstance(cell, Note):
                sounding = cell.pitch
            elif cell is REST:
                sounding = None
            if sounding is not None:
                weights[sounding % 12] += 1
    assert find_key(weights)[0] == Controls(key=key).tonic
    assert str(score.provenance["key"]).startswith(("C ", "F# ", "A# "))


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", [0, 5, 11])
def test_what_tells_a_mode_pulls_towards_it(tonic: int, mode: str) -> None:
    """Weights between a key and the two it is taken for become the key's own as its mode's profile is added."""
    other, relative = ("minor", (tonic + 9) % 12) if mode == "major" else ("major", (tonic + 3) % 12)
    for rival in (tonic, relative):
        between = 10 + key_profile(tonic, mode) + 1.1 * key_profile(rival, other)
        assert find_key(between)[:2] == (rival, other)
        assert find_key(between + 0.5 * mode_profile(tonic, mode))[:2] == (tonic, mode)


def test_a_piece_that_drifts_is_pulled_back(model: Model) -> None:
    """The pull towards the theme's mode grows with how much what stands is taken for a key of the other mode, up to a limit."""
    module = importlib.import_module("nesasset.compose.steering")
    request = resolve(theme("castle"), 4, Controls(bars=4), model.sidecar["sampling"])
    plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    given = Given.nothing(plan.n_bars * plan.bar_rows)
    steering = module.Steering(request, plan, given, control_classes(plan, request), DEFAULT)
    assert steering.mode == "minor"
    cells = np.zeros((2, 48, 4), dtype=np.int64)
    profile = mode_profile(plan.tonic, "minor")
    scales = {"minor": (0, 2, 3, 5, 7, 8, 10, 0, 3, 7), "major": (0, 2, 4, 5, 7, 9, 11, 0, 4, 7)}
    for piece, mode in enumerate(scales):
        steps = (np.resize(scales[mode], 48) + plan.tonic) % 12
        cells[piece, :, 0] = ONSET_ID + 60 - LOWEST_PITCH + steps
    least = module.THEME_MODE * profile[(np.arange(88) + LOWEST_PITCH) % 12]
    none = np.zeros(2)
    at_first, later, pulled = (steering.pitch_bias(stands, pull) for stands, pull in ((cells[:, :0], none), (cells, none), (cells, none + 0.5)))
    assert at_first.shape == later.shape == (2, 2, 1, 3, 88)
    at_first, later, pulled = (bias[:, :, 0, 2] - steering.fixed[bar, :, None, 2] for bias, bar in ((at_first, 0), (later, 3), (pulled, 3)))
    assert np.allclose(at_first, least, atol=1e-5)
    assert np.allclose(later[:, 0], least, atol=1e-5)  # it is minor as it stands
    strength = later[0, 1] @ least / (least @ least)
    assert 2 < strength <= 1 + module.MODE_LIMIT / module.THEME_MODE + 1e-5
    assert np.allclose(pulled - later, 0.5 / module.THEME_MODE * least, atol=1e-4)


def test_an_early_bar_in_the_other_mode_is_written_again(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, with a stronger pull, of those drafts alone whose notes are taken for the other mode; later and copied bars are not."""
    writer = importlib.import_module("nesasset.compose.writer")
    request = resolve(theme("castle"), 4, Controls(bars=8), model.sidecar["sampling"])
    plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    assert plan.lags[0] == 0 and NEW in plan.classes[0, :3]
    written: list[tuple[int, list[bool], list[float]]] = []
    write_again = writer._Desk.write_again

    def spy(desk: object, first: int, good: np.ndarray) -> None:
        written.append((first, good.all(axis=1).tolist(), desk.pull.tolist()))
        write_again(desk, first, good)

    monkeypatch.setattr(writer._Desk, "write_again", spy)
    monkeypatch.setattr(writer._Desk, "obedient", lambda desk, first: (np.ones((desk.count, 4), dtype=bool), np.zeros((desk.count, 4))))
    monkeypatch.setattr(writer.Steering, "mode_fits", lambda steering, stands: (np.array([0.5, 0.5]), np.array([0.4, 0.6])))
    writer.write(model, request, plan, [generator(("chance", number)) for number in range(2)])
    new = [bar for bar in range(writer.MODE_BARS) if NEW in plan.classes[bar, :3] and np.isin(plan.classes[bar, :3], (NEW, SILENT)).all()]
    assert written == [(bar * plan.bar_rows, [True, False], [0, writer.MODE_PULL]) for bar in new]


def test_first_row_holds_nothing(model: Model) -> None:
    """No voice begins a piece in a hold: the loop's start depends on nothing before it."""
    score = compose("dungeon", 9, Controls(bars=4), model)
    assert all(score.voices[voice][0] is not HOLD for voice in VOICES)


def test_plan_is_obeyed(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exact parts repeat the referenced bar cell by cell, silent ones have no note, where no other end is looked for."""
    monkeypatch.setattr(importlib.import_module("nesasset.compose"), "_short_of_home", lambda *_: 0.0)
    controls = Controls(bars=12, candidates=1)
    request = resolve(theme("castle"), 4, controls, model.sidecar["sampling"])
    rng = generator(("plan", "castle", 4, [("bars", 12)], 0))
    plan = draw_plan(model.plans, _harmony(model), request, rng)
    score = compose("castle", 4, controls, model)
    assert (plan.classes == EXACT).any()
    rows = plan.bar_rows
    for bar in range(plan.n_bars):
        for column, voice in enumerate(VOICES):
            part = score.voices[voice][bar * rows : (bar + 1) * rows]
            if plan.classes[bar, column] == SILENT:
                assert not any(isinstance(cell, Note) for cell in part)
            elif plan.classes[bar, column] == EXACT and bar - plan.lags[bar] > 0:
                first = (bar - int(plan.lags[bar])) * rows
                model_part = score.voices[voice][first : first + rows]  # instruments may differ: repeated notes are set off
                assert [getattr(cell, "pitch", cell) for cell in part] == [getattr(cell, "pitch", cell) for cell in model_part]


def test_jingle_ends_in_silence(model: Model) -> None:
    """A one-shot is silent at its end and has no loop."""
    score = compose("victory", 2, None, model)
    assert certify(score, render(drive(score))).passed


def test_unknown_theme_offers_the_nearest(model: Model) -> None:
    """A misspelt theme is refused with the name that was probably meant."""
    with pytest.raises(UnknownThemeError, match="castle"):
        compose("castel", 0, None, model)


@pytest.mark.parametrize("seed", [-1, 2**63, "3"])
def test_seed_out_of_range(seed: object, model: Model) -> None:
    """A seed is a whole number from 0 to 2**63 - 1."""
    with pytest.raises(ControlError, match="seed"):
        compose("castle", seed, None, model)  # type: ignore[arg-type]


def test_shift_moves_to_the_tonic() -> None:
    """A C major scale asked into E goes up four semitones, into A down three."""
    scale = np.array([60, 62, 64, 65, 67, 69, 71, 72, 60, 64, 67, 60]) - LOWEST_PITCH + ONSET_ID
    cells = np.zeros((12, 4), dtype=np.int64)
    cells[:, 0] = scale
    assert find_key(pitch_class_weights(cells))[:2] == (0, "major")
    assert shift_for(cells, 4)[0] == 4
    assert shift_for(cells, 9)[0] == -3


def test_density_changes_the_class(model: Model) -> None:
    """Density 0 asks for the sparsest fifth, 1 for the busiest."""
    defaults = model.sidecar["sampling"]
    assert resolve(theme("castle"), 0, Controls(density=0.0), defaults).density == 1
    assert resolve(theme("castle"), 0, Controls(density=1.0), defaults).density == 5


def test_score_is_lossless_as_json(model: Model) -> None:
    """A composed score comes back from JSON as it was, provenance included."""
    score: Score = compose("sky", 6, Controls(bars=2), model)
    assert score_json.loads(score_json.dumps(score)) == score
    assert score.provenance["model"] == "standin"


def test_the_writer_sees_what_training_saw(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tokens of a written piece are the features that training computes for its rows."""
    from nesasset.compose import writer
    from nesasset.features import forget_recall, song_features
    from nesasset.recall import recall_song

    desks = []
    finish = writer._Desk.drafts
    monkeypatch.setattr(writer._Desk, "drafts", lambda desk: desks.append(desk) or finish(desk))
    request = resolve(theme("castle"), 4, Controls(bars=12), model.sidecar["sampling"])
    plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    drafts = writer.write(model, request, plan, [generator(("chance", n)) for n in range(2)])
    rows = plan.bar_rows
    starts = np.arange(0, 12 * rows + 1, rows)
    for piece, draft in enumerate(drafts):
        recall = recall_song(draft.cells, rows)
        form = (plan.lags, plan.classes, plan.shifts, plan.chords)
        ids, seen = song_features(draft.cells, draft.slots, starts, *form, rows, recall, 0)
        forget_recall(ids, seen)
        assert (desks[0].ids[piece] == ids).all()
        assert (desks[0].seen[piece] == seen).all()


def test_a_long_piece_forgets_its_middle_only(model: Model) -> None:
    """A piece longer than the context still ends in sight of its beginning, within the cache's bounds."""
    from nesasset.compose import writer

    request = resolve(theme("castle"), 4, Controls(bars=16), model.sidecar["sampling"])
    plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    desk = writer._Desk(model, request, plan, [generator(("chance",))])
    assert plan.bar_rows * 16 > model.context
    assert desk.turn == (desk.n_rows - model.context // 2) // plan.bar_rows * plan.bar_rows
    writer.write(model, request, plan, [generator(("chance",))])


def test_lifeless_pieces_are_known() -> None:
    """Too few notes, or one note through eight bars, over the seam as well, is no music."""
    few = np.zeros((64, 4), dtype=np.int64)
    few[::16, 0] = ONSET_ID + 30
    assert is_lifeless(few, 16)
    lively = np.zeros((16 * 16, 4), dtype=np.int64)
    lively[::4, 0] = ONSET_ID + 30
    assert not is_lifeless(lively, 16)
    drone = lively.copy()
    drone[100, 2] = ONSET_ID
    assert is_lifeless(drone, 16)
    drone[200, 2] = ONSET_ID
    assert is_lifeless(drone, 16)  # from row 200 round to row 100 are 156 rows
    drone[[10, 100], 2] = ONSET_ID
    assert not is_lifeless(drone, 16)
    silent = lively.copy()
    silent[100, 2] = 1
    assert not is_lifeless(silent, 16)


def test_bars_come_one_by_one(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Composed bar by bar, a piece has its bars in order, all with the same instruments, and the notes of its one draft."""
    monkeypatch.setattr(importlib.import_module("nesasset.compose"), "_short_of_home", lambda *_: 0.0)  # a whole piece may get another end
    controls = Controls(bars=5, intro_bars=1, chords="I vi IV V", key="C", mode="major", candidates=1, ornaments=False)
    bars = list(compose_bars("overworld", 3, controls, model))
    assert [bar.n_bars for bar in bars] == [1] * 6
    assert len({bar.instruments for bar in bars}) == 1
    whole = compose("overworld", 3, controls, model)  # its chords are given, so that it is not moved
    for voice in VOICES:
        line = [cell for bar in bars for cell in bar.voices[voice]]
        assert [getattr(cell, "pitch", cell) for cell in line] == [getattr(cell, "pitch", cell) for cell in whole.voices[voice]]


def test_bars_come_as_they_are_written(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first bar is there before the second one is begun."""
    from nesasset.compose import writer

    begun: list[int] = []
    write_bar = writer._Desk.write_bar
    monkeypatch.setattr(writer._Desk, "write_bar", lambda desk, first, keep=None: begun.append(first) or write_bar(desk, first, keep))
    next(compose_bars("overworld", 3, Controls(bars=8), model))
    assert set(begun) == {0}


def test_an_intro_leads_into_the_loop(model: Model) -> None:
    """The loop begins after the intro's bars, on a row that holds nothing, and the loop passes its certificate."""
    score = compose("castle", 2, Controls(bars=4, intro_bars=2, candidates=1), model)
    assert score.loop == (2 * score.bar_rows, 6 * score.bar_rows)
    assert all(score.voices[voice][score.loop[0]] is not HOLD for voice in VOICES)
    checks = {check.name: check.passed for check in certify(score, render(drive(score))).checks}
    assert checks["held notes"]
    assert checks["whole bars"]


def test_a_section_comes_back_as_silent_as_it_began(model: Model) -> None:
    """What rings from the section before does not sound in a copy of bars in which that voice began with silence."""
    request = resolve(theme("castle"), 4, Controls(bars=3, form="ABA"), model.sidecar["sampling"])
    drawn = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    classes = np.array([NEW, NEW, EXACT])[:, None].repeat(4, axis=1)
    plan = replace(drawn, lags=np.array([0, 0, 2]), classes=classes, shifts=np.zeros(3, dtype=np.int64))
    rows = plan.bar_rows
    cells = np.full((3 * rows, 4), -1)
    cells[:rows, 1] = HOLD_ID  # pulse 2 has no note at all in A …
    cells[rows : 2 * rows, 1] = HOLD_ID
    cells[2 * rows - 2, 1] = ONSET_ID + 40  # … and one that rings at the end of B
    draft = write(model, request, plan, [generator(("chance",))], Given(cells, np.where(cells[:, [0, 1, 3]] >= ONSET_ID, 0, -1), own=True))[0]
    assert draft.cells[2 * rows, 1] == REST_ID and (draft.cells[2 * rows + 1 :, 1] == HOLD_ID).all()


def test_a_written_form_is_what_comes(model: Model) -> None:
    """Sections of one letter have the same notes, and a section that was moved has them two semitones higher."""
    score = compose("castle", 2, Controls(bars=8, form="A B A A+2", candidates=1), model)
    rows = score.n_rows // 4

    def part(section: int, voice: str, first: int = 1) -> list[object]:
        cells = score.voices[voice][section * rows + first : (section + 1) * rows]
        return [getattr(cell, "pitch", cell) for cell in cells]

    for voice in VOICES:
        assert part(0, voice) == part(2, voice)
    for voice in ("P1", "P2", "TR"):
        low, high = part(0, voice), part(3, voice)
        moves = {b - a for a, b in zip(low, high, strict=True) if isinstance(a, int)}
        assert moves <= {2, 14, -10}  # an octave back where a voice would leave its range


def test_bars_that_disobey_are_written_again(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variation that varies nothing is taken back: the model reads on from where it was, and knows what stands now."""
    from nesasset.compose import writer
    from nesasset.features import forget_recall, song_features
    from nesasset.recall import recall_song

    desks = []
    again = []
    write_again, finish = writer._Desk.write_again, writer._Desk.drafts
    monkeypatch.setattr(writer._Desk, "write_again", lambda desk, *told: again.append(told[0]) or write_again(desk, *told))
    monkeypatch.setattr(writer._Desk, "drafts", lambda desk: desks.append(desk) or finish(desk))
    request = resolve(theme("castle"), 4, Controls(bars=6, form="A A' A A A' A"), model.sidecar["sampling"])
    plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
    drafts = writer.write(model, request, plan, [generator(("chance", n)) for n in range(2)])
    assert again
    starts = np.arange(0, 6 * plan.bar_rows + 1, plan.bar_rows)
    for piece, draft in enumerate(drafts):
        recall = recall_song(draft.cells, plan.bar_rows)
        form = (plan.lags, plan.classes, plan.shifts, plan.chords)
        ids, seen = song_features(draft.cells, draft.slots, starts, *form, plan.bar_rows, recall, 0)
        forget_recall(ids, seen)
        assert (desks[-1].ids[piece] == ids).all()
        assert (desks[-1].seen[piece] == seen).all()


def test_a_bar_leans_on_its_reference(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written again, a part that should vary becomes likelier to have its reference's cells; voices spoken before it stay."""
    from nesasset.compose import writer
    from nesasset.vocabulary import HEAD_ORDER

    agree = {}
    for lean in (-2.0, 2.0):
        request = resolve(theme("castle"), 4, Controls(bars=2), model.sidecar["sampling"])
        plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
        plan = replace(plan, lags=np.array([0, 1]), classes=np.array([[NEW] * 4, [VARIED] * 4]), shifts=np.zeros(2, dtype=np.int64))
        desk = writer._Desk(model, request, plan, [generator(("chance", n)) for n in range(12)])
        desk.write_bar(0)
        desk.write_bar(plan.bar_rows)
        before = desk.cells.copy()
        good = np.ones((12, 4), dtype=bool)
        good[:, HEAD_ORDER[1]] = False
        desk.write_again(plan.bar_rows, good, np.where(good, 0, lean).astype(np.float32))
        assert (desk.cells[:, :, HEAD_ORDER[0]] == before[:, :, HEAD_ORDER[0]]).all()
        own, other = desk.cells[:, plan.bar_rows :, HEAD_ORDER[1]], desk.cells[:, : plan.bar_rows, HEAD_ORDER[1]]
        agree[lean] = float((own == other).mean())
    assert agree[2.0] > agree[-2.0] + 0.2


def test_what_nobody_asked_for_is_the_form_s_own(model: Model) -> None:
    """Density, drums and register that the model is told are those of the song whose form is drawn; wishes go before."""
    from nesasset.vocabulary import CONTROLS

    names = ("density", "noise_density", "register")
    at = [list(CONTROLS).index(name) for name in names]
    told = []
    for controls in (Controls(), Controls(density=0.9, intensity=0.0, register="high")):
        request = resolve(theme("boss"), 1, controls, model.sidecar["sampling"])
        plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
        plan.controls[at] = 2, 3, 1
        told.append(control_classes(plan, request)[at].tolist())
    assert told == [[2, 3, 1], [5, 1, 3]]


def test_density_is_steered(model: Model) -> None:
    """A model that knows nothing of density still writes more notes where more are asked for."""
    rates = []
    for density in (0.0, 1.0):
        score = compose("town", 5, Controls(bars=16, density=density, candidates=1), model)
        rates.append(sum(isinstance(cell, Note) for voice in ("P1", "P2", "TR") for cell in score.voices[voice]))
    assert rates[1] > 1.5 * rates[0]


def test_chords_that_were_asked_for_are_heard(model: Model) -> None:
    """A model that knows nothing of chords still plays their notes more often than those of a wrong chord."""
    from nesasset.chords import chord_tones

    controls = Controls(bars=8, chords="I IV", key="C", mode="major", candidates=1, ornaments=False)
    counts = np.zeros(2)
    for seed in range(6):
        score = compose("overworld", seed, controls, model)
        for voice in ("P1", "P2", "TR"):
            for row, cell in enumerate(score.voices[voice]):
                if isinstance(cell, Note):
                    own, other = (1, 6) if row // score.bar_rows % 2 == 0 else (6, 1)  # C and F
                    counts += chord_tones()[[own, other], cell.pitch % 12]
    assert counts[0] > 1.1 * counts[1]


def test_a_voice_that_is_kept_free_gets_no_echo() -> None:
    """Ornaments use pulse 2 for an echo only where the caller has not asked for other voices."""
    for seed in range(4):
        score = compose("overworld", seed, Controls(bars=4, voices="P1 TR NO", candidates=1))
        assert "echo" not in score.provenance["ornaments"]
        assert not any(isinstance(cell, Note) for cell in score.voices["P2"])


@pytest.mark.parametrize(("register", "low", "high"), [("low", 0, 66), ("mid", 66, 73), ("high", 73, 127)])
def test_a_register_that_was_asked_for_is_met(register: str, low: int, high: int, model: Model) -> None:
    """The median of pulse 1 lies in the third asked for, or within what an octave more would overshoot."""
    score = compose("overworld", 3, Controls(bars=4, register=register, candidates=1, ornaments=False), model)
    pitches = np.array([cell.pitch for cell in score.voices["P1"] if isinstance(cell, Note)])
    median = float(np.median(pitches))
    assert max(low - median, median - high) <= 6 or pitches.min() - 12 < 33 or pitches.max() + 12 > 108


def test_rhythms_are_drawn_at_their_own_temperature(model: Model) -> None:
    """The chance in the choice between note, rest and going on is that of the model's defaults; models that do not say have 1."""
    writer = importlib.import_module("nesasset.compose.writer")
    noise = {}
    silent = {name: value for name, value in model.sidecar["sampling"].items() if name != "event_temperature"}
    for name, defaults in (("half", {**silent, "event_temperature": 0.5}), ("none", silent)):
        request = resolve(theme("castle"), 4, Controls(bars=2), defaults)
        plan = draw_plan(model.plans, _harmony(model), request, generator(("a plan",)))
        noise[name] = writer._Desk(model, request, plan, [generator(("chance",))])._gumbel(plan.bar_rows)
    assert noise["half"][0] == pytest.approx(noise["none"][0] / 2)
    assert all((one == other).all() for one, other in zip(noise["half"][1:], noise["none"][1:], strict=True))
